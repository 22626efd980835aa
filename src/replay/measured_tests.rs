//! What a small log says, counted by hand.

use std::io::Write;

use super::*;
use crate::replay::{Classes, Clients, Log};
use crate::trace::Options;
use crate::trace::flow::Rules;

const TEXT: &str = "time,input_tokens,output_tokens,status,session,first_byte,end\n\
    10,5,5,200,a,10.5,11\n\
    11,5,5,200,b,13,14\n\
    11,,,429,c,,11.1\n\
    12,5,5,503,d,,12.1\n\
    12.5,5,5,200,d,12.6,13\n\
    13,5,5,499,e,,15\n\
    14,5,5,504,f,,16\n\
    15,5,5,0,g,,16\n";

fn log(text: &str, clients: Clients) -> (tempfile::NamedTempFile, Log) {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_owned();
    let map = "arrival=time:s,input=input_tokens,output=output_tokens,status=status,session=session,first_byte=first_byte:s,end=end:s";
    let options = Options { map: Some(map.parse().unwrap()), ..Options::default() };
    (file, Log { path, options, rules: clients.rules(Rules { spread: false, ..Rules::default() }) })
}

fn replay(log: &Log) -> (Survey, Replay) {
    let survey = Survey::of(log).unwrap();
    assert!(survey.accounts.adds_up());
    let classes = Classes::find(&survey.classes, &["a"], None).unwrap();
    let first = survey.span.unwrap().0;
    (survey, Replay { log: log.clone(), classes, first, first_group: 0 })
}

#[test]
fn what_became_of_requests_stands_in_the_columns_of_a_run() {
    let (_file, log) = log(TEXT, Clients::World);
    let (survey, replay) = replay(&log);
    let accounts = &survey.accounts;
    // Lengths of a refused request, and of three answers that were cut.
    assert_eq!((accounts.fates.rows(), survey.replayed, accounts.imputed.requests, accounts.folded), (8, 7, 4, 1));
    assert_eq!(survey.lasting(), Span::from_millis(5001));
    let slo = Some(SloSettings { e2e: Some(Span::from_secs(2)), ..SloSettings::default() });
    let measured = Measured::of(&replay, &[slo], (Span::from_secs(1), 7), Span::ZERO).unwrap();
    // The request that came again at 12.5 s is one, good a second after it first came.
    let wanted = Outcomes { offered: 7, good: 2, late: 1, rejected: 1, timed_out: 1, gave_up: 1, failed: 1, unknown: 0 };
    assert_eq!((measured.outcomes, measured.unjudged), (wanted, 0));
    assert_eq!((measured.offered, measured.good), (vec![1, 2, 1, 1, 1, 1, 0], vec![1, 0, 1, 0, 0, 0, 0]));
    assert_eq!((measured.e2e.count(), measured.ttft.count()), (3, 3));
    assert!(measured.e2e_p99_s[0].is_nan() && (measured.e2e_p99_s[4] - 3.0).abs() < 0.01);
}

#[test]
fn every_row_is_an_attempt_where_clients_are_as_logged() {
    let (_file, log) = log(TEXT, Clients::AsLogged);
    let (survey, replay) = replay(&log);
    assert_eq!((survey.replayed, survey.accounts.folded), (8, 0));
    let (stream, fault) = replay.stream(&survey);
    let times: Vec<u64> = stream.open().map(|row| row.at.as_nanos() / 1_000_000).collect();
    assert_eq!(times, [0, 1000, 1000, 2000, 2500, 3000, 4000, 5000]);
    assert_eq!(stream.open().count(), 8, "it opens anew");
    assert!(fault.lock().unwrap().is_none());
}

#[test]
fn a_log_that_is_gone_ends_the_run_and_says_so() {
    let (file, log) = log(TEXT, Clients::World);
    let (survey, replay) = replay(&log);
    drop(file);
    let (stream, fault) = replay.stream(&survey);
    assert_eq!(stream.open().count(), 0);
    assert!(fault.lock().unwrap().is_some());
}

/// Every second answer has no time of its first token, one nothing but its arrival: what an SLO asks of them is not known.
#[test]
fn an_slo_is_held_against_the_times_that_it_names() {
    let text = "time,input_tokens,output_tokens,status,session,first_byte,end\n\
        10,5,5,200,a,10.5,12.5\n\
        11,5,5,200,b,,13\n\
        12,5,1,200,c,,12.4\n\
        13,5,5,,d,,\n\
        14,5,5,,e,14.1,15\n";
    let (_file, log) = log(text, Clients::AsLogged);
    let (_, replay) = replay(&log);
    let of = |slo: SloSettings, warmup| {
        let measured = Measured::of(&replay, &[Some(slo)], (Span::from_secs(1), 7), Span::from_secs(warmup)).unwrap();
        (measured.outcomes.good, measured.outcomes.late, measured.outcomes.unknown, measured.unjudged)
    };
    let slo = |ttft, tpot, e2e| {
        let millis = |at: u64| (at > 0).then(|| Span::from_millis(at));
        SloSettings { ttft: millis(ttft), tpot: millis(tpot), e2e: millis(e2e) }
    };
    assert_eq!(of(slo(600, 0, 0), 0), (4, 0, 1, 1), "the whole answer is not its first token");
    assert_eq!(of(slo(400, 0, 0), 0), (3, 1, 1, 1), "an answer of one token has its first at its end");
    assert_eq!(of(slo(0, 400, 0), 0), (3, 1, 1, 1), "2 s for four gaps");
    assert_eq!(of(slo(400, 0, 1900), 0), (2, 2, 1, 0), "a time that is missed needs no other");
    assert_eq!(of(slo(400, 0, 0), 1), (3, 0, 1, 1), "the first is before the cohort");
    let (good, share) =
        (3.0, Measured::of(&replay, &[None], (Span::from_secs(1), 7), Span::ZERO).unwrap().outcomes.good_share());
    assert_eq!(share, Some((good + 1.0) / 4.0), "of those of which it is said");
}
