//! The station against a naive one, and against conservation and Little's law.

use proptest::prelude::*;
use slotmap::SlotMap;

use super::*;
use crate::dist::Dist;
use crate::request::ClassId;

fn settings(servers: u32, places: Option<u32>) -> StationSettings {
    StationSettings {
        servers: Count::new(servers).unwrap(),
        places: places.map(|places| Count::new(places).unwrap()),
        service: Dist::Fixed { value: Span::from_secs(1) },
    }
}

fn call(id: CallId, service: u64, patience: Option<u64>) -> Call {
    let patience = patience.map(Span::from_nanos);
    Call { service: Span::from_nanos(service), patience, ..Call::plain(id, ClassId(0), 10, 20) }
}

const fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

/// One thing that a test does to a station, `gap` nanoseconds after the last one.
#[derive(Clone, Debug)]
enum Op {
    Start { gap: u64, service: u64, patience: Option<u64> },
    Cancel { gap: u64, which: usize },
    Idle { gap: u64 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0u64..4, 0u64..12, prop::option::of(0u64..10))
            .prop_map(|(gap, service, patience)| Op::Start { gap, service, patience }),
        1 => (0u64..3, 0usize..64).prop_map(|(gap, which)| Op::Cancel { gap, which }),
        1 => (0u64..20).prop_map(|gap| Op::Idle { gap }),
    ];
    prop::collection::vec(op, 1..250)
}

/// The station as one would write it first: lists searched from end to end.
#[derive(Default)]
struct Naive {
    servers: usize,
    places: usize,
    /// Call, when it leaves.
    waiting: Vec<(Call, Time)>,
    /// Call, began, ends.
    served: Vec<(Call, Time, Time)>,
    log: Vec<Output>,
    busy_area: u128,
    last: Time,
}

impl Naive {
    fn out(&mut self, call: &Call, at: Time, kind: OutputKind) {
        self.log.push(Output { call: call.id, at, kind });
    }

    fn begin(&mut self, call: Call, now: Time) {
        self.out(&call, now, OutputKind::Began);
        self.served.push((call, now, now + call.service));
    }

    fn pass(&mut self, now: Time) {
        self.busy_area += u128::from((now - self.last).as_nanos()) * self.served.len() as u128;
        self.last = now;
    }

    fn fill(&mut self, now: Time) {
        while self.served.len() < self.servers && !self.waiting.is_empty() {
            let (call, _) = self.waiting.remove(0);
            self.begin(call, now);
        }
    }

    fn advance(&mut self, now: Time) {
        loop {
            // `min_by_key` gives the first of equals: whoever began or came first.
            let end = self.served.iter().enumerate().map(|(i, entry)| (entry.2, 0, i)).min();
            let expiry = self.waiting.iter().enumerate().map(|(i, entry)| (entry.1, 1, i)).min();
            let Some((time, kind, index)) =
                end.into_iter().chain(expiry).min().filter(|next| next.0 <= now && next.0 < Time::FAR)
            else {
                break;
            };
            self.pass(time);
            if kind == 0 {
                let (call, ..) = self.served.remove(index);
                let work = CallWork { prefill_tokens: call.input_tokens, decode_tokens: call.output_tokens };
                self.out(&call, time, OutputKind::Done(work));
                self.fill(time);
            } else {
                let (call, _) = self.waiting.remove(index);
                self.out(&call, time, OutputKind::Reneged);
            }
        }
        self.pass(now);
    }

    fn start(&mut self, now: Time, call: Call) {
        if self.served.len() + self.waiting.len() >= self.places {
            self.out(&call, now, OutputKind::failed(Cause::Overloaded));
        } else {
            self.waiting.push((call, call.patience.map_or(Time::FAR, |patience| now + patience)));
            self.fill(now);
        }
    }

    fn cancel(&mut self, now: Time, id: CallId) {
        if let Some(index) = self.waiting.iter().position(|entry| entry.0.id == id) {
            let (call, _) = self.waiting.remove(index);
            self.out(&call, now, OutputKind::Cancelled(CallWork::default()));
        } else if let Some(index) = self.served.iter().position(|entry| entry.0.id == id) {
            let (call, began, _) = self.served.remove(index);
            let decode = u64::from(call.output_tokens) * (now - began).as_nanos() / call.service.as_nanos().max(1);
            let decode_tokens = u32::try_from(decode).unwrap();
            self.out(&call, now, OutputKind::Cancelled(CallWork { prefill_tokens: call.input_tokens, decode_tokens }));
            self.fill(now);
        }
    }
}

/// What a run gave: its outputs, the busy integral, and how many calls were started.
fn run(servers: u32, places: Option<u32>, ops: &[Op]) -> (Vec<Output>, u128, usize, Naive) {
    let mut station = Station::new(&settings(servers, places));
    let mut naive = Naive { servers: servers as usize, places: places.map_or(usize::MAX, |p| p as usize), ..Naive::default() };
    let mut ids: SlotMap<CallId, ()> = SlotMap::with_key();
    let mut alive: Vec<CallId> = Vec::new();
    let (mut log, mut started, mut now) = (Vec::new(), 0, Time::ZERO);
    let mut drain = |station: &mut Station, ids: &mut SlotMap<CallId, ()>, alive: &mut Vec<CallId>| {
        while let Some(output) = station.poll() {
            if output.kind != OutputKind::Began {
                ids.remove(output.call);
                alive.retain(|id| *id != output.call);
            }
            log.push(output);
        }
    };
    for op in ops {
        let (Op::Start { gap, .. } | Op::Cancel { gap, .. } | Op::Idle { gap }) = *op;
        now += Span::from_nanos(gap);
        station.advance(now, EventKind::Completion);
        naive.advance(now);
        drain(&mut station, &mut ids, &mut alive);
        match *op {
            Op::Start { service, patience, .. } => {
                started += 1;
                let call = call(ids.insert(()), service, patience);
                alive.push(call.id);
                station.start(now, &call);
                naive.start(now, call);
            }
            Op::Cancel { which, .. } if !alive.is_empty() => {
                let id = alive[which % alive.len()];
                station.cancel(now, id);
                station.cancel(now, id); // the second finds nothing
                naive.cancel(now, id);
            }
            _ => {}
        }
        drain(&mut station, &mut ids, &mut alive);
        assert_eq!(station.gauges().running as usize, naive.served.len());
        assert_eq!(station.gauges().waiting as usize, naive.waiting.len());
    }
    let end = now + Span::from_secs(1);
    station.advance(end, EventKind::Step);
    naive.advance(end);
    drain(&mut station, &mut ids, &mut alive);
    assert_eq!(station.next_event(), None);
    (log, station.busy_area(), started, naive)
}

proptest! {
    #[test]
    fn it_does_what_a_naive_station_does(servers in 1u32..5, places in prop::option::of(1u32..9), ops in ops()) {
        let (log, busy_area, _, naive) = run(servers, places, &ops);
        prop_assert_eq!(log, naive.log);
        prop_assert_eq!(busy_area, naive.busy_area);
    }

    /// Every call ends once, and none is in service that did not begin.
    #[test]
    fn calls_are_conserved(servers in 1u32..5, places in prop::option::of(1u32..9), ops in ops()) {
        let (log, _, started, _) = run(servers, places, &ops);
        let ended = log.iter().filter(|output| output.kind != OutputKind::Began).count();
        prop_assert_eq!(ended, started);
        for output in log.iter().filter(|output| matches!(output.kind, OutputKind::Done(_))) {
            prop_assert_eq!(log.iter().filter(|o| o.call == output.call && o.kind == OutputKind::Began).count(), 1);
        }
    }

    /// Little's law on a finite run, exactly: the integral of the number waiting is the sum of the waits.
    #[test]
    fn littles_law_holds_to_the_nanosecond(servers in 1u32..4, gaps in prop::collection::vec((0u64..9, 0u64..20), 1..150)) {
        let mut station = Station::new(&settings(servers, None));
        let mut ids: SlotMap<CallId, Time> = SlotMap::with_key();
        let (mut now, mut last, mut area, mut waits, mut residence) = (0, 0, 0u64, 0u64, 0u64);
        let mut drain = |station: &mut Station, ids: &SlotMap<CallId, Time>| {
            while let Some(output) = station.poll() {
                let since = (output.at - ids[output.call]).as_nanos();
                match output.kind {
                    OutputKind::Began => waits += since,
                    _ => residence += since,
                }
            }
        };
        let mut see = |station: &mut Station, to: u64, area: &mut u64| {
            while let Some((time, kind)) = station.next_event().filter(|next| next.0 <= at(to)) {
                *area += u64::from(station.gauges().waiting) * (time.as_nanos() - last);
                last = time.as_nanos();
                station.advance(time, kind);
            }
            *area += u64::from(station.gauges().waiting) * (to - last);
            last = to;
        };
        let mut services = 0;
        for (gap, service) in gaps {
            now += gap;
            see(&mut station, now, &mut area);
            let id = ids.insert(at(now));
            station.start(at(now), &call(id, service, None));
            services += service;
        }
        see(&mut station, now + 1_000_000, &mut area);
        drain(&mut station, &ids);
        prop_assert_eq!(area, waits);
        prop_assert_eq!(residence, waits + services);
        prop_assert_eq!(station.busy_area(), u128::from(services));
    }
}

/// Two servers, three places: one call at each of 0, 1, 2, 3 ns, ten nanoseconds of service each.
#[test]
fn a_small_run_by_hand() {
    let mut station = Station::new(&settings(2, Some(3)));
    let mut ids: SlotMap<CallId, ()> = SlotMap::with_key();
    let calls: Vec<_> = (0..4).map(|_| call(ids.insert(()), 10, Some(9))).collect();
    for (now, call) in calls.iter().enumerate() {
        station.start(at(now as u64), call);
    }
    station.cancel(at(5), calls[0].id); // half way: all of its prompt, half of its answer
    station.advance(at(100), EventKind::Completion);
    let log: Vec<_> = std::iter::from_fn(|| station.poll()).map(|output| (output.call, output.at, output.kind)).collect();
    let full = CallWork { prefill_tokens: 10, decode_tokens: 20 };
    let expected = [
        (calls[0].id, at(0), OutputKind::Began),
        (calls[1].id, at(1), OutputKind::Began),
        (calls[3].id, at(3), OutputKind::failed(Cause::Overloaded)),
        (calls[0].id, at(5), OutputKind::Cancelled(CallWork { prefill_tokens: 10, decode_tokens: 10 })),
        (calls[2].id, at(5), OutputKind::Began),
        (calls[1].id, at(11), OutputKind::Done(full)),
        (calls[2].id, at(15), OutputKind::Done(full)),
    ];
    assert_eq!(log, expected);
    let totals = station.totals(at(200));
    assert_eq!((totals.prefill_tokens, totals.decode_tokens), (30, 50));
    assert!((totals.busy_s - 25e-9 / 2.0).abs() < 1e-18); // 5 + 10 + 10 ns on two servers
}

#[test]
fn a_server_that_frees_at_the_moment_of_expiry_takes_the_call() {
    let mut station = Station::new(&settings(1, None));
    let mut ids: SlotMap<CallId, ()> = SlotMap::with_key();
    let (first, second) = (call(ids.insert(()), 10, None), call(ids.insert(()), 10, Some(10)));
    station.start(at(0), &first);
    station.start(at(0), &second);
    station.advance(at(10), EventKind::Completion);
    assert!(std::iter::from_fn(|| station.poll()).all(|output| output.kind != OutputKind::Reneged));
}

#[test]
#[should_panic(expected = "INV-2")]
fn time_may_not_run_back() {
    let mut station = Station::new(&settings(1, None));
    station.advance(at(10), EventKind::Completion);
    station.advance(at(9), EventKind::Completion);
}
