//! Clients who leave, calls that go on without them, and upstreams that refuse: what is given back and what is counted.

use plimsoll::sim::run_all;

use crate::common::prepared;

/// A station whose gateway lets the calls of departed clients run on; `CLASS` is filled in.
const RUN_ON: &str = "
schema = 1
run = { duration = '600s', drain = '60s', replications = 1 }
upstream = { kind = 'station', servers = 1, service = { dist = 'fixed', value = '10s' } }
policy.concurrency = { max_concurrent_requests = 3 }
policy.timeout = { request_timeout = '10h', on_client_gone = 'run_on' }
[[class]]
name = 'a'
input = { dist = 'fixed', value = 100 }
output = { dist = 'fixed', value = 50 }
CLASS
";

/// One comes every 5.26 s: it is served for 10 s, or finds the server busy for 4.74 s more and leaves after two. So they
/// alternate, for as long as each that leaves the upstream's queue gives its slot back.
#[test]
fn a_call_whose_client_lost_patience_gives_its_slot_back() {
    let class = "arrival = { process = 'constant', rate = 0.19 }\npatience = { dist = 'fixed', value = '2s' }";
    let tally = run_all(&prepared(&RUN_ON.replace("CLASS", class)).plans, 1).remove(0).remove(0);
    let class = &tally.classes[0];
    assert_eq!(class.good + class.gave_up, class.offered);
    assert!(class.gave_up > 50 && class.good.abs_diff(class.gave_up) <= 1, "{} good, {} gave up", class.good, class.gave_up);
}

/// Every client leaves after 4 of the 10 s that its call takes to its end: nobody gets any of the 150 tokens.
#[test]
fn an_answer_that_nobody_waits_for_is_wasted() {
    let class = "arrival = { process = 'constant', rate = 0.05 }\ntimeout = { total = '4s' }";
    let tally = run_all(&prepared(&RUN_ON.replace("CLASS", class)).plans, 1).remove(0).remove(0);
    let class = &tally.classes[0];
    assert_eq!((class.gave_up, class.computed_tokens), (class.offered, 150 * class.offered));
    assert_eq!(class.wasted_tokens, class.computed_tokens);
}

/// A server that lets eight in at once is one with eight seats: load 1.0 counts answers, and no refusals.
#[test]
fn load_one_of_a_server_that_refuses_is_what_it_serves() {
    let capacity = |bound: &str| {
        let text = format!(
            "schema = 1\nrun = {{ duration = '10s', replications = 1 }}\narrival = {{ process = 'poisson', load = 0.5 }}\n\
             upstream = {{ kind = 'vllm', preset = 'llama-3.1-8b-h100', {bound} }}\n[[class]]\nname = 'a'\n\
             input = {{ dist = 'fixed', value = 500 }}\noutput = {{ dist = 'fixed', value = 200 }}\n"
        );
        prepared(&text).capacity.expect("nothing is recorded")
    };
    let (seats, refusing) = (capacity("max_num_seqs = 8"), capacity("max_num_queued_reqs = 8"));
    assert_eq!((refusing.population, refusing.rps), (8, seats.rps));
}
