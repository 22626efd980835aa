//! The source of requests: merges the arrivals of all classes in time order, and draws each request's lengths.
//!
//! **Request ids.** The arrival processes are numbered from 0: the shared one first, if any class uses it, then the classes'
//! own in class order. A request's id is `process << 40 | number`, where an open process numbers its arrivals 0, 1, 2, ... in
//! order and a closed loop of `n` clients gives the `k`-th request of client `c` the number `k * n + c`. So ids are unique,
//! the same under every policy, and the ids of one process are moved by no other process.
//!
//! **Draws.** With entity streams a request's draws depend on the seed, the replication and its id alone. Without, each open
//! process draws its requests in order from one sequential stream, which comes to the same for every policy and costs less.
//! A closed loop always uses entity streams: the order in which its clients send does depend on policies.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::arrivals::{self, Arrival, ClosedLoop, OpenProcess};
use super::recorded::Rows;
use super::template::{Duration, Template};
use super::{ArrivalSettings, ClassSettings};
use crate::heap::IndexedHeap;
use crate::request::{Prefix, Request, RequestId};
use crate::rng::{Draws, Entities, Purpose, Streams, open01};
use crate::time::{Span, Time};

/// Shortest time from a closed-loop request that was over at once to its client's next one: about what a refusal takes
/// over a local network (our choice).
const TURNAROUND: Span = Span::from_millis(1);

/// Bits of a request id that number it inside its process.
pub(super) const NUMBER_BITS: u32 = 40;

/// One row of a recorded list of arrivals.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// When it arrives.
    pub at: Time,
    /// Prompt length, tokens.
    pub input_tokens: u32,
    /// Answer length, tokens.
    pub output_tokens: u32,
    /// Class, by position. Where a class has the list as its own arrivals, every row is of that class instead.
    pub class: u16,
    /// Who pays, from 1; 0 where the recording does not say, and the class's own tenants are drawn.
    pub tenant: u32,
    /// What its prompt shares with others; `None` where the recording does not say, and the class's own prefixes are drawn.
    pub prefix: Option<Prefix>,
}

/// Joint lengths: input and output tokens.
pub type Pairs = Arc<[(u32, u32)]>;

/// A workload with everything resolved: files read, loads turned into rates.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Arrivals shared by the classes that have none of their own.
    pub arrival: Option<ArrivalSettings>,
    /// The classes.
    pub classes: Vec<ClassSettings>,
    /// The rows behind each `recorded` process, by file name as written.
    pub recorded: Vec<(String, Rows)>,
    /// The pairs behind each class's `lengths`, by file name as written.
    pub pairs: Vec<(String, Pairs)>,
    /// Requests a second at load 1.0, for processes that state a load; `None` where none does.
    pub capacity_rps: Option<f64>,
    /// Service time at a plain station, if the upstream is one.
    pub service: Option<crate::dist::SpanDist>,
    /// Whether each request has a stream of its own (else one sequential stream for each open process).
    pub entity_streams: bool,
    /// No arrival at or after this.
    pub end: Span,
}

impl SourceSettings {
    /// Whether anything about the requests is drawn: when they arrive, what a recording does not hold of them, or when a client
    /// tries again.
    ///
    /// # Panics
    /// Where they would not pass [`SourceSettings::check`].
    #[must_use]
    pub fn draws(&self) -> bool {
        let arrivals = self.arrival.iter().chain(self.classes.iter().filter_map(|class| class.arrival.as_ref()));
        let recorded = |arrival: &ArrivalSettings| matches!(arrival, ArrivalSettings::Recorded { .. });
        // A recording has the lengths; what is drawn later is for clients that try again, and for policies.
        let idle = |purpose: &Purpose| matches!(purpose, Purpose::Input | Purpose::Output | Purpose::Later);
        !arrivals.clone().all(recorded)
            || self.classes.iter().any(|class| class.retry.is_some())
            || Template::all(self).iter().any(|template| !template.purposes().iter().all(idle))
    }
}

/// Generates one replication's requests.
#[derive(Debug)]
pub struct Source {
    processes: Vec<Process>,
    /// Processes by their next arrival; at equal times in their own order.
    next: IndexedHeap,
    templates: Vec<Template>,
    entities: Entities,
}

/// One arrival process and whose requests it makes.
#[derive(Debug)]
struct Process {
    kind: Kind,
    mix: Mix,
    /// The sequential stream of its requests; without, each has its own.
    rng: Option<ChaCha8Rng>,
}

#[derive(Debug)]
enum Kind {
    Open { process: OpenProcess, upcoming: Option<Arrival> },
    Closed { clients: ClosedLoop, think: Duration },
}

/// Which class an arrival belongs to.
#[derive(Debug)]
enum Mix {
    One(usize),
    /// Sums of the weights up to each class.
    Weighted(Vec<(f64, usize)>),
    /// As the row says.
    Rows,
}

impl Source {
    /// The requests of one replication.
    ///
    /// # Panics
    /// Where `settings` would not pass [`SourceSettings::check`].
    #[must_use]
    pub fn new(settings: &SourceSettings, streams: Streams) -> Self {
        let mut source = Self {
            processes: Vec::new(),
            next: IndexedHeap::new(),
            templates: Template::all(settings),
            entities: streams.entities(),
        };
        if let (Some(arrival), Some(mix)) = (&settings.arrival, shared_mix(settings)) {
            source.add(arrival, mix, "", settings, streams);
        }
        for (class, one) in settings.classes.iter().enumerate() {
            if let Some(arrival) = &one.arrival {
                source.add(arrival, Mix::One(class), &format!("/{}", one.name), settings, streams);
            }
        }
        source
    }

    /// When the next request arrives; `None` when there is none (closed loop: none until something finishes).
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // the high half is the time
    pub fn next_arrival(&self) -> Option<Time> {
        self.next.first().map(|(key, _)| Time::from_nanos((key >> 64) as u64))
    }

    /// The request that arrives at [`Source::next_arrival`].
    ///
    /// # Panics
    /// Where there is none.
    #[inline]
    pub fn take(&mut self) -> Request {
        let (_, index) = self.next.first().expect("an arrival was announced");
        let process = &mut self.processes[index as usize];
        let arrival = process.take();
        let id = u64::from(index) << NUMBER_BITS | arrival.number;
        self.reschedule(index);
        self.processes[index as usize].request(arrival, RequestId(id), &self.templates, &self.entities)
    }

    /// A request is over (a closed loop's client thinks, then sends its next one). One that was over at the instant of its
    /// arrival is followed by the next after a millisecond at the earliest: no real client takes no time.
    #[inline]
    pub fn finished(&mut self, now: Time, request: RequestId, arrival: Time) {
        let Ok(index) = u32::try_from(request.0 >> NUMBER_BITS) else { return };
        if let Some(Process { kind: Kind::Closed { .. }, .. }) = self.processes.get(index as usize) {
            self.free(now, request, arrival, index);
        }
    }

    /// A closed loop's client is free again.
    fn free(&mut self, now: Time, request: RequestId, arrival: Time, index: u32) {
        let Kind::Closed { clients, think } = &mut self.processes[index as usize].kind else { return };
        let number = clients.after(request.0 & ((1 << NUMBER_BITS) - 1));
        let pause = think_time(think, &self.entities, index, number);
        // Else a client who is refused at once would ask for ever at one instant.
        let pause = if now == arrival { pause.max(TURNAROUND) } else { pause };
        clients.think(now, number, pause);
        self.reschedule(index);
    }

    fn add(&mut self, arrival: &ArrivalSettings, mix: Mix, name: &str, settings: &SourceSettings, streams: Streams) {
        let index = u32::try_from(self.processes.len()).expect("classes are numbered by a u16");
        let mix = if name.is_empty() && matches!(arrival, ArrivalSettings::Recorded { .. }) { Mix::Rows } else { mix };
        let (kind, rng) = match arrival {
            ArrivalSettings::ClosedLoop { clients, think } => {
                let think = think.as_ref().map_or(Duration::Fixed(Span::ZERO), Duration::new);
                let mut closed = ClosedLoop::new(clients.value(), settings.end);
                for number in 0..u64::from(clients.value()) {
                    closed.think(Time::ZERO, number, think_time(&think, &self.entities, index, number));
                }
                (Kind::Closed { clients: closed, think }, None)
            }
            open => {
                let rng = streams.named(&format!("arrivals{name}"));
                let mut process = arrivals::open(open, settings, rng).expect("only the closed loop is not open");
                let upcoming = process.next();
                let sequential = (!settings.entity_streams).then(|| streams.named(&format!("requests{name}")));
                (Kind::Open { process, upcoming }, sequential)
            }
        };
        self.processes.push(Process { kind, mix, rng });
        self.reschedule(index);
    }

    fn reschedule(&mut self, index: u32) {
        match self.processes[index as usize].peek() {
            Some(at) => self.next.set(index, u128::from(at.as_nanos()) << 64 | u128::from(index)),
            None => _ = self.next.remove(index),
        }
    }
}

impl Process {
    fn peek(&self) -> Option<Time> {
        match &self.kind {
            Kind::Open { upcoming, .. } => *upcoming,
            Kind::Closed { clients, .. } => clients.peek(),
        }
        .map(|arrival| arrival.at)
    }

    fn take(&mut self) -> Arrival {
        match &mut self.kind {
            Kind::Open { process, upcoming } => std::mem::replace(upcoming, process.next()),
            Kind::Closed { clients, .. } => clients.next(),
        }
        .expect("a process in the heap has a next arrival")
    }

    fn request(&mut self, arrival: Arrival, id: RequestId, templates: &[Template], entities: &Entities) -> Request {
        let row = match &self.kind {
            Kind::Open { process: OpenProcess::List(list), .. } => Some(list.row(arrival.number)),
            Kind::Open { process: OpenProcess::Stream(stream), .. } => Some(stream.row(arrival.number)),
            _ => None,
        };
        let template;
        let mut draws = Draws::none();
        if let Some(rng) = &mut self.rng {
            template = &templates[self.mix.class(row, || rng.next_u64())];
            draws.fill(rng, template.purposes());
        } else {
            draws = entities.draws(id.0);
            template = &templates[self.mix.class(row, || draws.bits(Purpose::Class))];
        }
        template.request(id, arrival.at, row, &draws)
    }
}

impl Mix {
    /// The class of an arrival, which may come from a recorded row; the random bits are asked for only where they matter.
    #[inline]
    fn class(&self, row: Option<&Recorded>, bits: impl FnOnce() -> u64) -> usize {
        match self {
            Self::One(class) => *class,
            Self::Weighted(sums) => pick(sums, bits()),
            Self::Rows => usize::from(row.expect("only lists are mixed by rows").class),
        }
    }
}

/// How long the client thinks before request `number`: the request's own draw.
fn think_time(think: &Duration, entities: &Entities, process: u32, number: u64) -> Span {
    think.sample_with(|| entities.draws(u64::from(process) << NUMBER_BITS | number).bits(Purpose::Think))
}

/// The classes that share the scenario's arrivals, by weight; `None` where there is none.
fn shared_mix(settings: &SourceSettings) -> Option<Mix> {
    let shared = settings.classes.iter().enumerate().filter(|(_, class)| class.arrival.is_none() && class.weight.value() > 0.0);
    let mut sum = 0.0;
    let sums: Vec<(f64, usize)> = shared
        .map(|(index, class)| {
            sum += class.weight.value();
            (sum, index)
        })
        .collect();
    match sums[..] {
        [] => None,
        [(_, only)] => Some(Mix::One(only)),
        _ => Some(Mix::Weighted(sums)),
    }
}

fn pick(sums: &[(f64, usize)], bits: u64) -> usize {
    let (total, last) = *sums.last().expect("two classes at least");
    let at = open01(bits) * total;
    sums.iter().find(|(sum, _)| at < *sum).map_or(last, |(_, class)| *class)
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
