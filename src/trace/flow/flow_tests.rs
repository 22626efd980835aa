//! Each rule on rows made by hand.

use super::super::names::NAMES_MAX;
use super::super::open_bytes;
use super::super::reader::Row;
use super::super::record::{Ended, Key, NameId, Record};
use super::property_tests::{all, flow};
use super::*;

/// A complete request at `ms`.
fn done(ms: u64) -> Record {
    let (input_tokens, output_tokens) = (Some(100), Some(50));
    Record { row: ms, arrival: at(ms), input_tokens, output_tokens, ended: Some(Ended::Complete), ..Record::default() }
}

/// One that was refused at `ms`.
fn refused(ms: u64) -> Record {
    Record { output_tokens: None, status: Some(429), ended: Some(Ended::Refused), end: Some(at(ms + 1)), ..done(ms) }
}

fn at(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

fn key(number: u64) -> Option<Key> {
    Key::from_bits(number)
}

/// What comes out, and the accounts.
fn run(records: &[Record], rules: Rules) -> (Vec<Record>, Accounts) {
    let mut flow = flow(records.iter().cloned().map(Row::Record).collect(), rules);
    let records = all(&mut flow);
    assert!(flow.accounts().adds_up() && flow.accounts().held == 0, "{:?}", flow.accounts());
    (records, flow.accounts())
}

fn rows(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.row).collect()
}

fn plain() -> Rules {
    Rules::as_logged()
}

#[test]
fn rows_behind_later_ones_are_sorted_inside_the_window_and_lost_beyond_it() {
    let window = Span::from_secs(10);
    let records = [done(0), done(9_000), done(2_000), done(30_000), done(1_000), done(25_000)];
    let (found, accounts) = run(&records, Rules { window, ..plain() });
    assert_eq!(rows(&found), [0, 2_000, 9_000, 25_000, 30_000]);
    assert_eq!((accounts.out_of_order, accounts.overflow), (3, 1));
    let said = accounts.sentences().join("\n");
    assert!(said.contains("left out 1: too far out of order") && said.contains("--sort external"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let (found, accounts) = run(&records, Rules { window, sort_in: Some(folder.path().to_owned()), ..plain() });
    assert_eq!(rows(&found), [0, 1_000, 2_000, 9_000, 25_000, 30_000]);
    assert_eq!((accounts.out_of_order, accounts.overflow), (3, 0));
}

#[test]
fn sorting_through_files_is_stable_beyond_one_run_and_leaves_none() {
    let folder = tempfile::tempdir().unwrap();
    let count = (1_u64 << 18) * 2 + 1_000;
    let rows =
        (0..count).map(|row| Row::Record(Record { row, arrival: at(crate::rng::mix(3, row) % 1_000), ..done(0) })).collect();
    let mut flow = flow(rows, Rules { sort_in: Some(folder.path().to_owned()), ..plain() });
    let (mut before, mut seen) = ((Time::ZERO, 0), 0);
    while let Some(record) = flow.next().unwrap() {
        let key = (record.arrival, record.row + 1);
        assert!(key > before, "{key:?} after {before:?}");
        (before, seen) = (key, seen + 1);
        if seen == 1 {
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        }
    }
    assert_eq!((seen, flow.accounts().adds_up()), (count, true));
    drop(flow);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let rows = (0..=1 << 18).map(|_| Row::Record(done(0))).collect();
    let mut flow = flow(rows, Rules { sort_in: Some("/nowhere/at/all".into()), ..plain() });
    let said = flow.next().unwrap_err().to_string();
    assert!(said.contains("/nowhere/at/all"), "{said}");
}

#[test]
fn the_same_id_is_a_duplicate_unless_it_failed_or_was_another_try() {
    let with = |ms: u64, id: u64| Record { request: key(id), ..done(ms) };
    let tried = |ms: u64, id: u64, attempt: u16| Record { attempt: Some(attempt), ..with(ms, id) };
    let failed = Record { request: key(3), ..refused(20) };
    let records = [with(0, 1), with(1, 1), tried(10, 2, 1), tried(11, 2, 2), failed, with(21, 3), with(700_000, 1)];
    let (found, accounts) = run(&records, plain());
    assert_eq!((rows(&found), accounts.duplicates), (vec![0, 10, 11, 20, 21, 700_000], 1));
}

#[test]
fn tries_are_folded_into_the_request_that_failed() {
    let of = |record: Record, session: u64| Record { session: key(session), ..record };
    let records = [
        of(refused(0), 1),
        of(done(100), 2),
        of(refused(2_000), 1),
        of(done(5_000), 1),
        // Another request of the same session, after all is well.
        of(done(6_000), 1),
    ];
    let (found, accounts) = run(&records, Rules { fold: Some(Rules::FOLD), ..plain() });
    assert_eq!(rows(&found), [0, 100, 6_000]);
    assert_eq!((found[0].attempt, found[0].arrival, found[0].ended), (Some(3), at(0), Some(Ended::Complete)));
    assert_eq!((found[0].output_tokens, found[1].attempt), (Some(50), None));
    assert_eq!((accounts.folded, accounts.folded_by_session, accounts.folded_by_tenant), (2, 2, 0));
}

#[test]
fn what_only_looks_like_a_retry_is_none() {
    let rules = || Rules { fold: Some(Rules::FOLD), ..plain() };
    let tenant = Some(NameId::at(0));
    let of = |record: Record, input: u32| Record { tenant, input_tokens: Some(input), ..record };
    // By tenant only with the same prompt length, only after the refusal, and only soon.
    let (found, accounts) = run(&[of(refused(0), 7), of(done(10), 8), of(done(20), 7)], rules());
    assert_eq!((rows(&found), accounts.folded_by_tenant), (vec![0, 10], 1));
    let said = accounts.sentences().join("\n");
    assert!(said.contains("after a refusal: 1; with --fold off 1 more (50.0 %)") && said.contains("33.3 %"), "{said}");
    let late = [of(refused(0), 7), of(done(61_002), 7)];
    assert_eq!(run(&late, rules()).1.folded, 0);
    let slow = Record { end: Some(at(500)), ..of(refused(0), 7) };
    assert_eq!(run(&[slow, of(done(400), 7)], rules()).1.folded, 0);
    // Without a session, a tenant or an id nothing tells.
    assert_eq!(run(&[refused(0), done(10)], rules()).1.folded, 0);
    assert_eq!(run(&[of(refused(0), 7), of(done(10), 7)], plain()).1.folded, 0);
}

/// Whatever else a row of the same tenant and prompt length may be, it is not taken for a retry where something speaks against
/// it.
#[test]
fn a_tenants_next_request_is_not_swallowed() {
    let rules = || Rules { fold: Some(Rules::FOLD), ..plain() };
    let tenant = Some(NameId::at(0));
    let of = |record: Record| Record { tenant, input_tokens: Some(7), ..record };
    let in_session = |record: Record, number: u64| Record { session: key(number), ..of(record) };
    let in_class = |record: Record, class: u32| Record { class: Some(NameId::at(class)), ..of(record) };
    let ended = |ended: Ended| Record { ended: Some(ended), ..of(refused(0)) };
    let first_try = Record { attempt: Some(1), ..of(done(20)) };
    for (pair, why) in [
        ([ended(Ended::Failed), of(done(20))], "it was served, and broke"),
        ([ended(Ended::TimedOut), of(done(20))], "it was served, too slowly"),
        ([ended(Ended::Left), of(done(20))], "its client had left"),
        ([in_session(refused(0), 1), in_session(done(20), 2)], "two conversations"),
        ([in_class(refused(0), 1), in_class(done(20), 2)], "two models"),
        ([of(refused(0)), first_try], "the log says that it is a first try"),
        ([of(done(0)), of(done(20))], "nothing failed"),
    ] {
        let (found, accounts) = run(&pair, rules());
        assert_eq!((found.len(), accounts.folded, accounts.undecided), (2, 0, 0), "{why}");
    }
    // Where the one or the other says nothing, the rest decides.
    for pair in [[in_session(refused(0), 1), of(done(20))], [of(refused(0)), in_class(done(20), 2)]] {
        assert_eq!(run(&pair, rules()).1.folded_by_tenant, 1);
    }
}

/// A tenant that sends the same prompt ten times a second, refused or not: of a thousand requests none is lost.
#[test]
fn where_all_prompts_of_a_tenant_are_alike_their_length_tells_nothing() {
    let rules = || Rules { fold: Some(Rules::FOLD), ..plain() };
    let of = |record: Record| Record { tenant: Some(NameId::at(0)), ..record };
    let alike = |n: u64| of(if n % 3 == 1 { refused(n * 100) } else { done(n * 100) });
    let (found, accounts) = run(&(0..1_000).map(alike).collect::<Vec<_>>(), rules());
    assert_eq!((found.len(), accounts.folded, accounts.undecided), (1_000, 0, 333));
    let said = accounts.sentences().join("\n");
    assert!(said.contains("not folded: 333 rows (33.3 %)"), "{said}");
    // A health check twice a minute.
    let checks: Vec<Record> = (0..10).map(|n| of(if n == 5 { refused(n * 30_000) } else { done(n * 30_000) })).collect();
    assert_eq!(run(&checks, rules()).0.len(), 10);
    // The same prompt again long after the last one: what follows its refusal is its retry, and that one's too.
    let once = [of(done(0)), of(refused(100_000)), of(refused(102_000)), of(done(106_000)), of(done(107_000))];
    let (found, accounts) = run(&once, rules());
    assert_eq!((rows(&found), accounts.folded_by_tenant, accounts.undecided), (vec![0, 100_000, 107_000], 2, 0));
    assert_eq!(found[1].attempt, Some(3));
}

#[test]
fn a_try_of_unknown_length_is_folded_by_its_session() {
    let unknown = |ms: u64| Record { input_tokens: None, session: key(5), ..refused(ms) };
    let (found, accounts) = run(&[unknown(0), unknown(900), Record { session: key(5), ..done(1_900) }], Rules::default());
    assert_eq!((found.len(), accounts.folded), (1, 2));
    assert_eq!((found[0].lengths(), found[0].attempt), (Some((100, 50)), Some(3)));
}

#[test]
fn a_window_is_relative_to_the_first_request_and_reads_no_further() {
    let records: Vec<Record> = (0..2_000).map(|n| done(5_000 + n * 1_000)).collect();
    let rules = Rules { slice: Some("10s..20s".parse().unwrap()), window: Span::from_secs(60), ..plain() };
    let (found, accounts) = run(&records, rules);
    assert_eq!((found.len(), found[0].arrival, found[9].arrival), (10, at(15_000), at(24_000)));
    assert!(accounts.fates.rows() < 200, "{}", accounts.fates.rows());
    assert_eq!(accounts.outside, accounts.fates.rows() - 10);
}

#[test]
fn a_window_by_the_clock_needs_a_log_with_a_clock() {
    let rules = Rules { slice: Some("2024-05-10T00:00:00Z..".parse().unwrap()), ..plain() };
    let said = flow(vec![Row::Record(done(0))], rules).next().unwrap_err().to_string();
    assert!(said.contains("does not say when it was taken") && said.contains("10m..20m"), "{said}");
}

#[test]
fn a_grid_is_spread_inside_its_ticks_and_latencies_stay() {
    let tick = |n: u64| Record { row: n, first_byte: Some(at(n / 20 * 3_000 + 700)), ..done(n / 20 * 3_000) };
    let records: Vec<Record> = (0..2_000).map(tick).collect();
    let (found, accounts) = run(&records, Rules::default());
    assert_eq!(accounts.spread, Some(Spread { step: Span::from_secs(3), moved: 2_000 }));
    for record in &found {
        let tick = at(record.row / 20 * 3_000);
        assert!(record.arrival >= tick && record.arrival < tick + Span::from_secs(3));
        assert_eq!(record.first_byte.unwrap() - record.arrival, Span::from_millis(700));
    }
    let mean = found.iter().map(|record| (record.arrival - at(record.row / 20 * 3_000)).as_secs_f64()).sum::<f64>() / 2_000.0;
    assert!((mean - 1.5).abs() < 0.1, "{mean}");
    let (found, accounts) = run(&records, plain());
    assert_eq!((found, accounts.spread), (records, Some(Spread { step: Span::from_secs(3), moved: 0 })));
}

#[test]
fn unknown_lengths_are_drawn_from_the_class_or_are_its_median() {
    let of = |record: Record, class: u32| Record { class: Some(NameId::at(class)), ..record };
    let long = |ms: u64| Record { input_tokens: Some(9_000), output_tokens: Some(900), ..done(ms) };
    let unknown = |ms: u64| Record { input_tokens: None, ..refused(ms) };
    // The first row has nobody before it: it waits for one of its class.
    let records = [of(unknown(0), 1), of(done(1), 0), of(long(2), 1), of(unknown(3), 0), of(refused(4), 1)];
    for (impute, fold) in [(Impute::Draw, None), (Impute::ClassMedian, None)] {
        let (found, accounts) = run(&records, Rules { fold, impute, ..plain() });
        let lengths: Vec<_> = found.iter().filter_map(Record::lengths).collect();
        let median =
            |n: u32| if impute == Impute::Draw { n } else { u32::try_from(crate::latency::Latency::top(n.into())).unwrap() };
        let expected = [(median(9_000), 900), (100, 50), (9_000, 900), (100, 50), (100, 900)];
        assert_eq!(lengths, expected);
        let imputed = accounts.imputed;
        assert_eq!((imputed.requests, imputed.output_tokens), (3, 900 + 50 + 900));
        assert!((imputed.share() - 0.6).abs() < 1e-12 && imputed.token_share() > 0.5);
        assert!(accounts.censored.is_censored() && accounts.censored.rejected == 3);
        let said = accounts.sentences().join("\n");
        assert!(said.contains("censored: 3 of 5") && said.contains(&format!("imputed by {}", impute.name())), "{said}");
    }
    assert_eq!(run(&records, Rules { impute: Impute::Drop, ..plain() }).1.without_lengths, 3);
    // Where nothing has lengths there is nothing to put in their place.
    assert_eq!(run(&[refused(0), refused(1)], Rules::default()).1.without_lengths, 2);
}

#[test]
fn what_came_of_a_cut_answer_is_no_length() {
    let cut = Record { output_tokens: None, received_tokens: Some(700), ended: Some(Ended::Left), ..done(1) };
    let short = Record { output_tokens: Some(3), ended: Some(Ended::Cut), ..done(2) };
    let (found, accounts) = run(&[done(0), cut, short, refused(3)], Rules { impute: Impute::Draw, ..plain() });
    let lengths: Vec<_> = found.iter().filter_map(Record::lengths).collect();
    // At least what came, and nobody gets the length of one that failed.
    assert_eq!(lengths, [(100, 50), (100, 700), (100, 3), (100, 50)]);
    assert_eq!((accounts.censored.cut, accounts.censored.without_output), (1, 2));
    assert!(accounts.sentences().join("\n").contains("cut answers: of 1 of the failed"), "{:?}", accounts.sentences());
    let short = Record { output_tokens: Some(3), ended: Some(Ended::Cut), ..done(0) };
    let (found, _) = run(&[short, refused(1), done(2)], Rules { impute: Impute::Draw, ..plain() });
    assert_eq!(found[1].lengths(), Some((100, 50)), "of the complete one, though it came later");
}

#[test]
fn less_load_keeps_whole_sessions_and_more_load_keeps_the_shape() {
    let of = |n: u64| Record { session: key(n % 997 + 1), prefix: [n].into(), ..done(n * 100) };
    let records: Vec<Record> = (0..20_000).map(of).collect();
    let scaled = |rate_scale: f64| run(&records, Rules { rate_scale, ..plain() });
    let (fewer, accounts) = scaled(0.4);
    let share = fewer.len() as f64 / 20_000.0;
    assert!((share - 0.4).abs() < 0.05 && accounts.thinned > 0, "{share}");
    let sessions: std::collections::BTreeSet<_> = fewer.iter().map(|record| record.session).collect();
    let of_kept = records.iter().filter(|record| sessions.contains(&record.session)).count();
    assert_eq!(of_kept, fewer.len());
    let (more, accounts) = scaled(2.5);
    assert!((more.len() as f64 / 20_000.0 - 2.5).abs() < 0.05, "{}", more.len());
    assert_eq!(accounts.copied, more.len() as u64 - 20_000);
    assert!(more.is_sorted_by_key(|record| record.arrival));
    let sessions: std::collections::BTreeSet<_> = more.iter().map(|record| record.session).collect();
    assert!(sessions.len() > 997 * 2, "copies have sessions of their own");
    let half = |records: &[Record]| records.iter().filter(|record| record.arrival < at(1_000_000)).count() as f64;
    assert!((half(&more) / more.len() as f64 - 0.5).abs() < 0.03, "the load's course stays");
}

/// A short log is denser from its beginning to its end, and hardly longer.
#[test]
fn copies_of_a_short_log_come_with_it() {
    let records: Vec<Record> = (0..6_000).map(|n| done(n * 10)).collect();
    let (found, _) = run(&records, Rules { rate_scale: 3.0, ..plain() });
    assert_eq!(found.len(), 18_000);
    let within = |from: u64, to: u64| found.iter().filter(|record| (at(from)..at(to)).contains(&record.arrival)).count();
    for second in 0..60 {
        let count = within(second * 1_000, (second + 1) * 1_000);
        assert!((290..=303).contains(&count), "{count} in second {second}");
    }
    assert!(found.last().unwrap().arrival < at(60_600), "1 % at most");
}

#[test]
fn more_copies_than_memory_holds_are_refused() {
    let records: Vec<Record> = (0..20_000).map(|n| done(n / 2 + 6_000_000 * u64::from(n > 0))).collect();
    let rules = Rules { rate_scale: 100.0, ..plain() };
    let mut flow = flow(records.into_iter().map(Row::Record).collect(), rules);
    let ended = std::iter::from_fn(|| flow.next().transpose()).find_map(Result::err);
    assert!(ended.is_some_and(|error| error.to_string().contains("use a smaller factor")));
}

#[test]
fn what_is_forgotten_for_want_of_room_is_told() {
    let many = HELD_MAX as u64 + 10;
    let of = |n: u64| Record { request: key(n + 1), ..done(n / 10_000) };
    let (_, accounts) = run(&(0..many).map(of).collect::<Vec<_>>(), plain());
    assert_eq!((accounts.hurried, accounts.json()["forgotten_early"].as_u64()), (10, Some(10)));
    assert!(accounts.sentences().iter().any(|said| said.starts_with("forgotten early: 10 ids")));
    let (_, accounts) = run(&[of(0), of(1)], plain());
    assert_eq!(accounts.hurried, 0);
    let failed = |n: u64| Record { ended: Some(Ended::Failed), request: None, session: key(n + 1), ..of(n) };
    let (_, accounts) = run(&(0..many).map(failed).collect::<Vec<_>>(), Rules { fold: Some(Span::from_secs(600)), ..plain() });
    assert!(accounts.hurried >= 10, "{}", accounts.hurried);
}

#[test]
fn names_that_are_merged_are_told() {
    let row = |n: usize| format!("{n},5,5,tenant-{n}\n");
    let text = "time,input_tokens,output_tokens,tenant\n".to_owned() + &(0..NAMES_MAX + 3).map(row).collect::<String>();
    let open = move || open_bytes(std::io::Cursor::new(text.clone()), "log.csv", &Options::default());
    let mut flow = Flow::new(Box::new(open), plain()).unwrap();
    while flow.next().unwrap().is_some() {}
    let accounts = flow.accounts();
    assert_eq!((accounts.unnamed, accounts.json()["names_merged"].as_u64()), (3, Some(3)));
    assert!(accounts.sentences().iter().any(|said| said.starts_with("names: 3 rows")));
}

#[test]
fn time_is_scaled_from_the_first_arrival_on_and_latencies_are_not() {
    let with = |ms: u64| Record { end: Some(at(ms + 10)), ..done(ms) };
    let arrivals = |time_scale: f64| {
        let (found, _) = run(&[with(1_000), with(2_000), with(5_000)], Rules { time_scale, ..plain() });
        found.iter().map(|record| (record.arrival, record.end.unwrap() - record.arrival)).collect::<Vec<_>>()
    };
    let ten = Span::from_millis(10);
    assert_eq!(arrivals(0.5), [(at(1_000), ten), (at(1_500), ten), (at(3_000), ten)]);
    assert_eq!(arrivals(2.0), [(at(1_000), ten), (at(3_000), ten), (at(9_000), ten)]);
}

#[test]
fn a_log_is_played_again_a_mean_gap_after_its_end() {
    let records = [done(1_000), Record { session: key(4), ..done(3_000) }];
    let (found, accounts) = run(&records, Rules { repeat: 3, ..plain() });
    let arrivals: Vec<_> = found.iter().map(|record| record.arrival).collect();
    assert_eq!(arrivals, [1_000, 3_000, 5_000, 7_000, 9_000, 11_000].map(at));
    assert_eq!((accounts.fates.rows(), accounts.emitted, accounts.repeated), (2, 6, 4));
    assert!(found[1].session != found[3].session && found[3].session != found[5].session);
    assert!(accounts.sentences()[0].starts_with("2 rows read + 0 copies + 4 repeated = 6 requests"));
}

#[test]
fn what_is_printed_adds_up_and_is_in_the_json() {
    let (_, accounts) = run(&[done(0), done(1), refused(2)], Rules { impute: Impute::Drop, ..Rules::default() });
    assert_eq!(accounts.sentences()[0], "3 rows read = 2 requests + 1 left out");
    let json = accounts.json();
    assert_eq!(
        (json["rows"].as_u64(), json["emitted"].as_u64(), json["dropped"]["without_lengths"].as_u64()),
        (Some(3), Some(2), Some(1))
    );
}
