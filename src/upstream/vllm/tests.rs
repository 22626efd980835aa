//! Small schedules computed by hand: 1 step = 1000 ns where nothing else is said.

use slotmap::SlotMap;

use super::*;
use crate::request::{ClassId, Prefix};
use crate::upstream::Routing;

fn model() -> VllmModel {
    VllmModel {
        cost: Cost { t0: 1_000_000, ..Cost::default() },
        host: Host::default(),
        max_num_seqs: 2,
        max_num_batched_tokens: 16,
        max_model_len: 64,
        num_gpu_blocks: 101,
        block_size: 4,
        enable_prefix_caching: true,
        max_num_queued_reqs: None,
        max_num_queued_tokens: None,
        speed: 1.0,
        speed_sigma: 0.0,
        replicas: 1,
        routing: Routing::RoundRobin,
        hardware: None,
    }
}

struct Bench {
    vllm: Vllm,
    ids: SlotMap<CallId, ()>,
    out: Vec<(u64, CallId, OutputKind)>,
}

impl Bench {
    fn new(model: &VllmModel) -> Self {
        Self { vllm: Vllm::new(model, 1.0, 1), ids: SlotMap::with_key(), out: Vec::new() }
    }

    fn until(&mut self, end: u64) {
        while let Some((at, kind)) = self.vllm.next_event().filter(|(at, _)| at.as_nanos() < end) {
            self.vllm.advance(at, kind);
            while let Some(output) = self.vllm.poll() {
                self.out.push((output.at.as_nanos(), output.call, output.kind));
            }
        }
    }

    fn start(&mut self, at: u64, prompt: u32, output: u32, prefix: Option<Prefix>) -> CallId {
        self.until(at);
        let id = self.ids.insert(());
        let call = Call { prefix, ..Call::plain(id, ClassId(0), prompt, output) };
        self.vllm.start(Time::from_nanos(at), &call);
        id
    }

    fn of(&mut self, call: CallId) -> Vec<(u64, OutputKind)> {
        self.until(u64::MAX);
        self.out.iter().filter(|(_, id, _)| *id == call).map(|(at, _, kind)| (*at, *kind)).collect()
    }
}

const fn done(prefill_tokens: u32, decode_tokens: u32) -> OutputKind {
    OutputKind::Done(CallWork { prefill_tokens, decode_tokens })
}

const fn cancelled(prefill_tokens: u32, decode_tokens: u32) -> OutputKind {
    OutputKind::Cancelled(CallWork { prefill_tokens, decode_tokens })
}

#[test]
fn a_long_prompt_is_chunked_and_shares_its_last_step() {
    let cost = Cost { t0: 1_000_000, t0p: 0, tp: 100_000, td: 10_000, tk: 1_000 };
    let mut bench = Bench::new(&VllmModel { cost, max_num_batched_tokens: 8, ..model() });
    let (a, b) = (bench.start(0, 10, 3, None), bench.start(500, 4, 2, None));
    // Step 1: 8 tokens of a, 1000 + 800 + 8. Step 2: 2 of a and 4 of b, 1000 + 600 + 14. Then two and one decode.
    let began = OutputKind::Began;
    let first = OutputKind::FirstToken;
    assert_eq!(bench.of(a), [(0, began), (3422, first), (5480, done(10, 3))]);
    assert_eq!(bench.of(b), [(1808, began), (3422, first), (4458, done(4, 2))]);
    let totals = bench.vllm.totals(Time::from_nanos(9999));
    assert_eq!((totals.steps, totals.prefill_tokens, totals.decode_tokens), (4, 14, 5));
    assert!((totals.busy_s - 5480e-9).abs() < 1e-15);
    // Gaps: both 1036, then a's 1022.
    assert_eq!((bench.vllm.gaps()[0].count(), bench.vllm.gaps()[0].sum), (3, 3094));
}

#[test]
fn the_last_is_preempted_and_computes_all_again() {
    let mut bench = Bench::new(&VllmModel { num_gpu_blocks: 5, ..model() });
    let (a, b) = (bench.start(0, 4, 6, None), bench.start(0, 4, 6, None));
    // Both want a third block for step 6, and there is none: b goes, and comes back with 4 + 5 tokens when a is done.
    assert_eq!(bench.of(a).last(), Some(&(6000, done(4, 6))));
    assert_eq!(bench.of(b).last(), Some(&(7000, done(13, 6))));
    assert_eq!(bench.vllm.totals(Time::from_nanos(7000)).preemptions, 1);
}

#[test]
fn admission_needs_blocks_for_the_whole_prompt() {
    let mut bench = Bench::new(&VllmModel { num_gpu_blocks: 7, max_num_batched_tokens: 4, ..model() });
    let (a, b) = (bench.start(0, 4, 4, None), bench.start(0, 20, 1, None));
    // The first chunk of b would fit beside a, all of it does not.
    assert_eq!(bench.of(a).last(), Some(&(4000, done(4, 4))));
    assert_eq!(bench.of(b)[0], (4000, OutputKind::Began));
}

#[test]
fn the_host_bounds_the_steps_where_it_is_slower() {
    let host = Host { step: 100_000, token: 2_000_000, ..Host::default() };
    let mut bench = Bench::new(&VllmModel { host, ..model() });
    let a = bench.start(0, 1, 3, None);
    // Decisions at 0, 1100, 3200 and 5300; each step's token takes the host 2000 more.
    assert_eq!(bench.of(a), [(0, OutputKind::Began), (3200, OutputKind::FirstToken), (7400, done(1, 3))]);
}

#[test]
fn requests_take_the_way_in() {
    let host = Host { request: 300_000, delay_in: 50_000, delay_out: 7_000, ..Host::default() };
    let mut bench = Bench::new(&VllmModel { host, ..model() });
    let (a, b) = (bench.start(0, 1, 1, None), bench.start(0, 1, 1, None));
    // Taken in at 300 and 600. The first is decided on when it is there and the host is free of the second.
    assert_eq!(bench.of(a), [(600, OutputKind::Began), (1607, OutputKind::FirstToken), (1607, done(1, 1))]);
    assert_eq!(bench.of(b)[0], (1600, OutputKind::Began));
}

#[test]
fn a_cancellation_takes_effect_at_the_next_decision() {
    let mut bench = Bench::new(&model());
    let (a, b) = (bench.start(0, 4, 10, None), bench.start(0, 4, 3, None));
    bench.until(1500);
    bench.vllm.cancel(Time::from_nanos(1500), a);
    bench.until(2500);
    bench.vllm.cancel(Time::from_nanos(2500), b);
    let seen = [(0, OutputKind::Began), (1000, OutputKind::FirstToken)];
    assert_eq!(bench.of(a), [seen[0], seen[1], (2000, cancelled(4, 2))]);
    // The last token of b came in the very step in which its client left.
    assert_eq!(bench.of(b), [seen[0], seen[1], (3000, cancelled(4, 3))]);
}

#[test]
fn what_cannot_be_served_is_refused_on_the_way_out() {
    let host = Host { request: 10_000, delay_out: 5_000, ..Host::default() };
    let bounded = VllmModel { host, max_model_len: 8, max_num_queued_reqs: Some(1), ..model() };
    let mut bench = Bench::new(&bounded);
    let long = bench.start(0, 8, 1, None);
    let cut = bench.start(100, 6, 10, None);
    let full = bench.start(200, 1, 1, None);
    assert_eq!(bench.of(long), [(15, OutputKind::failed(Cause::BadRequest))]);
    assert_eq!(bench.of(full), [(215, OutputKind::failed(Cause::Overloaded))]);
    assert_eq!(bench.of(cut).last().map(|last| last.1), Some(done(6, 2)));

    let mut bench = Bench::new(&VllmModel { max_num_queued_reqs: None, max_num_queued_tokens: Some(6), ..bounded });
    let _ = bench.start(0, 6, 2, None);
    let refused = bench.start(100, 1, 1, None);
    let taken = bench.start(1200, 1, 1, None); // the first has its first token by now
    assert!(matches!(bench.of(refused)[0].1, OutputKind::Failed { cause: Cause::Overloaded, .. }));
    assert_eq!(bench.of(taken).last().map(|last| last.1), Some(done(1, 1)));
}

#[test]
fn full_blocks_of_a_prefix_are_found_again() {
    let prefix = Some(Prefix { group: 3, tokens: 9 });
    let mut bench = Bench::new(&model());
    let a = bench.start(0, 10, 1, prefix);
    let b = bench.start(5000, 10, 1, prefix);
    let whole = bench.start(9000, 8, 1, prefix); // at least one token is always computed
    assert_eq!(bench.of(a).last().map(|last| last.1), Some(done(10, 1)));
    assert_eq!(bench.of(b).last().map(|last| last.1), Some(done(2, 1)));
    assert_eq!(bench.of(whole).last().map(|last| last.1), Some(done(4, 1)));
    assert_eq!(bench.vllm.totals(Time::from_nanos(20_000)).cached_tokens, 12);
}

#[test]
fn a_slower_server_takes_longer_in_everything() {
    let host = Host { step: 100_000, token: 2_000_000, ..Host::default() };
    let mut bench = Bench::new(&VllmModel { host, speed: 0.5, ..model() });
    let a = bench.start(0, 1, 3, None);
    assert_eq!(bench.of(a), [(0, OutputKind::Began), (6400, OutputKind::FirstToken), (14_800, done(1, 3))]);
}

#[test]
fn a_look_in_the_middle_of_a_stretch_is_up_to_date() {
    let mut bench = Bench::new(&model());
    let _ = bench.start(0, 4, 40, None);
    bench.until(10_500);
    bench.vllm.advance(Time::from_nanos(10_500), EventKind::Completion);
    // Ten steps have ended, and the eleventh has its tokens' blocks: 14 tokens in 4 of 100.
    assert_eq!(bench.vllm.gauges(), Gauges { running: 1, waiting: 0, kv_use: 0.04 });
    let totals = bench.vllm.totals(Time::from_nanos(10_500));
    assert_eq!((totals.steps, totals.decode_tokens), (10, 10));
    assert!((totals.busy_s - 10_500e-9).abs() < 1e-15);
}

#[test]
fn every_token_is_told_where_it_is_asked_for_and_nothing_else_changes() {
    let model = VllmModel { num_gpu_blocks: 5, ..model() };
    let mut plain = Bench::new(&model);
    let mut telling = Bench::new(&model);
    telling.vllm = telling.vllm.telling_every_token();
    let calls: Vec<_> = [&mut plain, &mut telling]
        .map(|bench| [(0, 4, 6), (0, 4, 6), (300, 2, 1)].map(|(at, prompt, output)| bench.start(at, prompt, output, None)))
        .into();
    for (a, b) in calls[0].iter().zip(&calls[1]) {
        let told = telling.of(*b);
        let tokens: Vec<u64> = told.iter().filter(|(_, kind)| *kind == OutputKind::Token).map(|(at, _)| *at).collect();
        let others: Vec<_> = told.into_iter().filter(|(_, kind)| *kind != OutputKind::Token).collect();
        assert_eq!(plain.of(*a), others);
        let ends = others.last().expect("all are served");
        let OutputKind::Done(work) = ends.1 else { panic!("{ends:?}") };
        assert_eq!(tokens.len(), work.decode_tokens.saturating_sub(2) as usize, "all but the first and the last");
        assert!(tokens.iter().all(|at| (others[1].0..=ends.0).contains(at)));
    }
}

#[test]
fn a_change_of_speed_begins_with_the_next_step() {
    let host = Host { step: 100_000, delay_out: 5_000, ..Host::default() };
    let mut bench = Bench::new(&VllmModel { host, ..model() });
    let a = bench.start(0, 1, 4, None);
    bench.until(500);
    bench.vllm.set_speed(Time::from_nanos(500), 0.5);
    bench.until(3500);
    bench.vllm.set_speed(Time::from_nanos(3500), 1.0);
    // Steps end at 1100, as it was going to; 3300; 5500, as it was going to; and 6600.
    assert_eq!(bench.of(a), [(0, OutputKind::Began), (1305, OutputKind::FirstToken), (6705, done(1, 4))]);
}
