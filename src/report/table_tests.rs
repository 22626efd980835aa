//! What a person sees, literally.

use proptest::prelude::*;

use super::*;
use crate::journal::Tally;
use crate::journal::summary::fixtures::{class, full_class, tally};
use crate::journal::summary::{Context, summarise};
use crate::report::{LoadReport, text};

fn context(classes: &[&str]) -> Context {
    Context { classes: classes.iter().map(|name| (*name).to_owned()).collect(), ..Context::default() }
}

fn full() -> Summary {
    let runs = [tally(vec![full_class()], 1), tally(vec![full_class()], 2)];
    summarise(&[("seed_queue", &runs)], &context(&["chat"]))
}

#[test]
fn a_variants_table_shows_every_column() {
    let expected = "\
seed_queue: saturated                                                        digest XXXXXXXXXXXXXXXX
  requests, over all replications                of admitted     mean      p50      p90      p99
  offered                       2,000  100.0 %   TTFT          550 ms   549 ms   589 ms   598 ms
  good                            800   40.0 %   TPOT         20.0 ms  20.0 ms  20.0 ms  20.0 ms
  late                            180    9.0 %   ITL          20.0 ms  20.0 ms  20.0 ms  20.0 ms
  degraded                        120    6.0 %   e2e           4.55 s   4.55 s   4.59 s   4.60 s
  rejected                        300   15.0 %   wait         49.5 ms  49.0 ms  89.1 ms  98.0 ms
    queue_full                    200   10.0 %
    upstream_full                 100    5.0 %   goodput          4.00 req/s
  timed out                       220   11.0 %   good of offered  40.0 %
  gave up                         240   12.0 %   tokens wasted    6.0 %
  failed                          100    5.0 %   requests waiting 2.50
    overloaded                     60    3.0 %   utilisation      75.0 %
    connection                     40    2.0 %   abandoned, max   3.5 counted, 9 true
  in flight at the end             40    2.0 %
  retried                         700   35.0 %
  attempts                      3,400
";
    let summary = full();
    let shown = variant(&summary.variants[0]).replace(&digest_text(summary.variants[0].digest), "XXXXXXXXXXXXXXXX");
    assert_eq!(shown, expected);
}

#[test]
fn abandoned_calls_are_drawn_over_time_to_one_scale() {
    let mut run = tally(vec![full_class()], 1);
    for bin in 0..500 {
        (run.series.abandoned_counted[bin], run.series.abandoned_true[bin]) = (4.0, 8);
    }
    let shown = variant(&summarise(&[("a", &[run])], &context(&["chat"])).variants[0]);
    let (half, low) = ("█".repeat(39), "▄".repeat(39));
    for part in ["from 0 to 100 s (a column is 1.30 s, full height 8)", &format!("counted |{low}"), &format!("true    |{half}")]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn what_is_not_known_is_a_dash() {
    let idle = [tally(vec![class(0, 0, 1)], 1)];
    let shown = variant(&summarise(&[("idle", &idle)], &context(&["chat"])).variants[0]);
    for line in [
        "  requests                                       of admitted     mean      p50      p90      p99\n",
        "  offered                           0            TTFT               -        -        -        -\n",
        "good of offered  -\n",
        "goodput          0.000 req/s\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn classes_have_rows_of_their_own() {
    let runs = [tally(vec![class(500, 400, 100), class(500, 50, 900)], 1)];
    let shown = variant(&summarise(&[("both", &runs)], &context(&["chat", "batch"])).variants[0]);
    let expected = "
  class                       good of offered (95 %)    goodput   TTFT p99  rejected
  chat                                        80.0 %     4.00/s     198 ms    20.0 %
  batch                                       10.0 %    0.500/s     949 ms    90.0 %

  fairness                     of offered      of good good/offered     wait p50     wait p90
  chat                             50.0 %       88.9 %         1.78      49.0 ms      89.1 ms
  batch                            50.0 %       11.1 %        0.222      24.0 ms      44.0 ms
  Jain's index                                                0.623
";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn many_variants_with_long_names_stay_readable() {
    let runs: Vec<Tally> = (0..3).map(|r| tally(vec![class(1_000, 500 + r, 200)], r)).collect();
    let names: Vec<String> = (0..15).map(|i| format!("{i:02}_a_queue_sized_by_the_lint_with_cancellation")).collect();
    let variants: Vec<(&str, &[Tally])> = names.iter().map(|name| (name.as_str(), &runs[..])).collect();
    let shown = overview(&summarise(&variants, &context(&["chat"])));
    assert_eq!(shown.lines().count(), 16);
    let expected = "\
variant                       good of offered (95 %)    goodput   TTFT p99  rejected  label
00_a_queue_sized_by_the_lin…   50.1 % (49.9 to 50.3)     5.01/s     298 ms    49.9 %  saturated
";
    assert!(shown.starts_with(expected), "{shown}");
}

#[test]
fn the_report_opens_with_the_verdict_and_states_its_load() {
    let load = LoadReport { capacity_rps: 52.5, of: "slots".into(), clients: 3 };
    let shown = text("seed_server", 7, Some(&load), &full());
    assert!(shown.starts_with("seed_queue: 40.0 % of the offered requests are good"), "{shown}");
    let lines = "\nseed_server, seed 7, 2 replications, digest ";
    assert!(shown.contains(lines), "{shown}");
    let load =
        "\nLoad 1.0 is 52.5 requests/s: a closed loop of 3 clients, one for each of the gateway's slots.\n\nseed_queue: ";
    assert!(shown.contains(load), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// No line is wider than a terminal, whatever the figures.
    #[test]
    fn every_line_fits(
        (offered, good) in (1..1_000_000_000u64).prop_flat_map(|offered| (Just(offered), 0..=offered)),
        wait_s in 0..200_000u64,
        queue in 0..1u128 << 90,
    ) {
        let mut huge = class(100, 100, 200);
        huge.offered = offered;
        huge.good = good;
        huge.timed_out = offered - good;
        huge.e2e.record_n(crate::time::Span::from_secs(wait_s), good);
        let mut run = tally(vec![class(10, 10, 1), class(10, 10, 1)], 1);
        run.classes[0] = huge;
        run.queue_area = queue;
        let runs = [run.clone(), run];
        let shown = text("any", u64::MAX, None, &summarise(&[("a", &runs), ("b", &runs)], &context(&["chat", "batch"])));
        for line in shown.lines() {
            prop_assert!(width(line) <= WIDTH, "{}: {}", width(line), line);
        }
    }
}
