//! The vLLM model against a plain reference, and in closed form against one step at a time, on random workloads.
//!
//! Small numbers on purpose: few blocks (preemptions), a host as slow as the steps (its bottleneck comes and goes within a
//! stretch), odd picoseconds, cancellations everywhere, prefix groups that evict each other.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]

mod naive;

use naive::{Act, Job, Naive};
use plimsoll::latency::Latency;
use plimsoll::request::{CallId, ClassId, Prefix};
use plimsoll::time::Time;
use plimsoll::upstream::{Call, Cost, EventKind, Gauges, Host, OutputKind, Routing, Totals, Vllm, VllmModel};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use slotmap::SlotMap;

const CLASSES: usize = 2;

#[derive(Debug, PartialEq)]
struct Seen {
    outputs: Vec<(u64, usize, OutputKind)>,
    gauges: Vec<Gauges>,
    totals: Vec<Totals>,
    gaps: Vec<(u128, Vec<(u64, u64)>)>,
}

/// Sum and histogram cells of each class's gaps.
fn cells(gaps: &[Latency]) -> Vec<(u128, Vec<(u64, u64)>)> {
    let mut all = Vec::new();
    for latency in gaps {
        all.push((latency.sum, latency.cells().collect()));
    }
    all
}

/// Drives a server as the simulator does: completions, then the script, then steps at equal times; looks at it before each
/// act of the script where `looks`.
fn drive(mut vllm: Vllm, jobs: &[Job], script: &[(u64, Act)], looks: bool) -> Seen {
    let mut ids: SlotMap<CallId, ()> = SlotMap::with_key();
    let mut calls: Vec<(CallId, usize)> = Vec::new();
    let mut seen = Seen { outputs: Vec::new(), gauges: Vec::new(), totals: Vec::new(), gaps: Vec::new() };
    let mut script = script.iter().peekable();
    let mut now = Time::ZERO;
    loop {
        let act = script.peek().map(|(at, _)| Time::from_nanos(*at));
        match (vllm.next_event(), act) {
            (Some((at, kind)), act) if act.is_none_or(|act| at < act || (at == act && kind == EventKind::Completion)) => {
                assert!(at >= now, "INV-2");
                now = at;
                vllm.advance(at, kind);
            }
            (_, Some(at)) => {
                now = at;
                let (_, act) = script.next().expect("peeked");
                if looks {
                    vllm.advance(at, EventKind::Completion);
                    seen.gauges.push(vllm.gauges());
                    seen.totals.push(vllm.totals(at));
                }
                match *act {
                    Act::Start(number) => {
                        let id = ids.insert(());
                        calls.push((id, number));
                        vllm.start(at, &call(id, &jobs[number]));
                    }
                    Act::Cancel(number) => {
                        if let Some((id, _)) = calls.iter().find(|(_, other)| *other == number) {
                            ids.remove(*id); // the slot may be used again at once
                            vllm.cancel(at, *id);
                        }
                    }
                }
            }
            (None, None) => break,
            (Some(_), None) => unreachable!("an event without an act before it is taken"),
        }
        while let Some(output) = vllm.poll() {
            assert!(output.at <= now, "an output's time is never later than now");
            let number = calls.iter().find(|(id, _)| *id == output.call).expect("known").1;
            if !matches!(output.kind, OutputKind::Began | OutputKind::FirstToken) {
                ids.remove(output.call);
            }
            seen.outputs.push((output.at.as_nanos(), number, output.kind));
        }
    }
    seen.gauges.push(vllm.gauges());
    seen.totals.push(vllm.totals(now));
    seen.gaps = cells(vllm.gaps());
    seen
}

fn call(id: CallId, job: &Job) -> Call {
    Call { prefix: job.prefix, measured: job.measured, ..Call::plain(id, ClassId(job.class), job.prompt, job.output) }
}

fn costs() -> impl Strategy<Value = Cost> {
    (1u64..400_000, 0u64..90_000, 0u64..20_011, 0u64..40_009, 0u64..1_503).prop_map(|(t0, t0p, tp, td, tk)| Cost {
        t0,
        t0p,
        tp,
        td,
        tk,
    })
}

fn hosts() -> impl Strategy<Value = Host> {
    let some = (0u64..100_000, 0u64..100_000, 0u64..200_000, 0u64..90_001, 0u64..400_000, 0u64..400_000).prop_map(
        |(request, cancel, step, token, delay_in, delay_out)| Host { request, cancel, step, token, delay_in, delay_out },
    );
    prop_oneof![Just(Host::default()), some]
}

fn models() -> impl Strategy<Value = VllmModel> {
    let limits = (1u32..9, 0u32..40, 5u32..200, 3u32..60, prop_oneof![Just(1u32), Just(4), Just(7), Just(16)]);
    let bounds = (any::<bool>(), prop::option::of(1u32..20), prop::option::of(10u32..300));
    (costs(), hosts(), limits, bounds).prop_map(|(cost, host, (seqs, more, len, blocks, size), (caching, reqs, tokens))| {
        VllmModel {
            cost,
            host,
            max_num_seqs: seqs,
            max_num_batched_tokens: seqs + more,
            max_model_len: len,
            num_gpu_blocks: blocks,
            block_size: size,
            enable_prefix_caching: caching,
            max_num_queued_reqs: reqs,
            max_num_queued_tokens: tokens,
            speed: 1.0,
            speed_sigma: 0.0,
            replicas: 1,
            routing: Routing::RoundRobin,
            hardware: None,
        }
    })
}

fn prefixes() -> impl Strategy<Value = Option<Prefix>> {
    prop::option::of((0u32..4, 1u32..50).prop_map(|(group, tokens)| Prefix { group, tokens }))
}

/// Calls with when they start, and how long after that they are cancelled, if at all.
fn workloads() -> impl Strategy<Value = (Vec<Job>, Vec<(u64, Act)>)> {
    let job = (0..CLASSES as u16, 1u32..60, 1u32..60, prefixes(), prop::bool::weighted(0.8))
        .prop_map(|(class, prompt, output, prefix, measured)| Job { class, prompt, output, prefix, measured });
    let one = (job, 0u64..20_000, prop::option::weighted(0.3, 0u64..10_000));
    prop::collection::vec(one, 1..40).prop_map(|all| {
        let mut script = Vec::new();
        for (number, (_, start, cancel)) in all.iter().enumerate() {
            script.push((*start, Act::Start(number)));
            script.extend(cancel.map(|after| (start + after, Act::Cancel(number))));
        }
        script.sort_by_key(|(at, act)| (*at, matches!(act, Act::Cancel(_))));
        (all.into_iter().map(|(job, _, _)| job).collect(), script)
    })
}

/// By time and call: what comes out at the same nanosecond has no order between calls.
fn sorted(mut outputs: Vec<(u64, usize, OutputKind)>) -> Vec<(u64, usize, OutputKind)> {
    outputs.sort_by_key(|(at, call, _)| (*at, *call));
    outputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn equals_the_plain_reference(model in models(), (jobs, script) in workloads()) {
        let naive = Naive::run(&model, CLASSES, &jobs, &script);
        let seen = drive(Vllm::new(&model, 1.0, CLASSES), &jobs, &script, false);
        prop_assert_eq!(sorted(seen.outputs), sorted(naive.outputs));
        prop_assert_eq!(seen.totals[0], naive.totals);
        prop_assert_eq!(seen.gaps, cells(&naive.gaps));
        prop_assert_eq!(seen.gauges[0], Gauges::default());
    }

    /// To the nanosecond and the token, gauges and totals in between too.
    #[test]
    fn closed_form_equals_one_step_at_a_time(model in models(), (jobs, script) in workloads()) {
        let closed = drive(Vllm::new(&model, 1.0, CLASSES), &jobs, &script, true);
        let stepped = drive(Vllm::new(&model, 1.0, CLASSES).stepping_one_by_one(), &jobs, &script, true);
        prop_assert_eq!(closed, stepped);
    }
}

/// What the workloads above are for does happen in them.
#[test]
fn the_workloads_preempt_evict_cancel_and_refuse() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut preemptions, mut cached, mut cancelled, mut refused) = (0, 0, 0, 0);
    for _ in 0..200 {
        let (model, (jobs, script)) = (models(), workloads()).new_tree(&mut runner).expect("nothing is filtered").current();
        let naive = Naive::run(&model, CLASSES, &jobs, &script);
        preemptions += usize::from(naive.totals.preemptions > 0);
        cached += usize::from(naive.totals.cached_tokens > 0);
        cancelled += naive.outputs.iter().filter(|output| matches!(output.2, OutputKind::Cancelled(_))).count();
        refused += naive.outputs.iter().filter(|output| matches!(output.2, OutputKind::Failed { .. })).count();
    }
    assert!(
        preemptions >= 30 && cached >= 20 && cancelled >= 200 && refused >= 200,
        "{preemptions} {cached} {cancelled} {refused}"
    );
}
