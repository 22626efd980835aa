//! Which probes: what tells the costs apart on a server of this size and pace.

use super::probe::{Arrivals, Probe, tpot_s, ttft_s};
use crate::live::drive::Line;
use crate::stats::median;

/// Tokens of a prompt that costs next to nothing.
const SHORT: u32 = 16;
/// Most batch sizes that answers are measured at.
const BATCHES_MAX: usize = 6;
/// Share of the KV cache that a probe may fill: none is to be preempted.
const KV_SHARE: f64 = 0.8;
/// Longest answer that is asked for, tokens.
const ANSWER_MAX: u32 = 1024;
/// Share of a probe in which requests are sent; in the rest the last of them are answered.
pub(super) const SENDING: f64 = 0.75;

/// Shares of the time.
const FIRST: f64 = 0.04;
const REPEATED: f64 = 0.54;
const CAPACITY: f64 = 0.10;
const OPEN: f64 = 0.12;

/// What the server can hold.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Largest batch to measure: the server's sequences in a step, or fewer.
    pub batch: u32,
    /// Tokens in a step.
    pub step_tokens: u32,
    /// Prompt and answer together, tokens.
    pub context: u32,
    /// Tokens of the KV cache, and of a block of it.
    pub kv_tokens: u64,
    /// See there.
    pub block: u32,
}

impl Bounds {
    /// The longest prompt that is sent: half the context, and half a step, so that none is cut into chunks, which nobody would see
    /// from outside.
    #[must_use]
    pub fn longest_prompt(&self) -> u32 {
        let kv = u32::try_from(self.kv_tokens / 8).unwrap_or(u32::MAX);
        (self.context / 2).min(self.step_tokens / 2).min(kv).max(1)
    }

    fn short(&self) -> u32 {
        SHORT.min(self.longest_prompt())
    }

    /// The longest answer to a prompt of `prompt` tokens where `clients` are served at once.
    fn longest_answer(&self, prompt: u32, clients: u32) -> u32 {
        let held = KV_SHARE * self.kv_tokens as f64 / f64::from(clients.max(1)) - f64::from(prompt) - f64::from(self.block);
        self.context.saturating_sub(prompt).min(whole(held)).clamp(1, ANSWER_MAX)
    }

    /// How many prompts of this length the KV cache holds, with as much again to answer.
    fn holds(&self, prompt: u32, answer: u32) -> u32 {
        whole(KV_SHARE * self.kv_tokens as f64 / f64::from(prompt + answer + self.block)).max(1)
    }

    /// 1, 2, 4 and so on to the largest; of more than [`BATCHES_MAX`] some in the middle are left out.
    fn batches(&self) -> Vec<u32> {
        let mut all: Vec<u32> = (0..31).map(|power| 1 << power).take_while(|size| *size < self.batch).collect();
        all.push(self.batch);
        let last = all.len() - 1;
        let most = last.clamp(1, BATCHES_MAX - 1);
        let mut kept: Vec<u32> = (0..=most).map(|at| all[at * last / most]).collect();
        kept.dedup();
        kept
    }
}

/// How fast the server is, roughly.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Pace {
    /// From token to token of a lone answer, seconds.
    pub alone_s: f64,
    /// The same at the largest batch.
    pub full_s: f64,
    /// A prompt token, seconds.
    pub prompt_s: f64,
}

impl Pace {
    /// By the first two probes; `None` where they have no answer of two tokens.
    pub(super) fn of(lone: &[Line], full: &[Line]) -> Option<Self> {
        let tpot = |lines: &[Line]| median(&lines.iter().filter_map(tpot_s).collect::<Vec<f64>>());
        let longest = lone.iter().map(|line| line.prompt).max()?;
        let ttft = |long: bool| {
            let some = lone.iter().filter(|line| (line.prompt == longest) == long);
            median(&some.filter_map(ttft_s).collect::<Vec<f64>>())
        };
        let shortest = lone.iter().map(|line| line.prompt).min()?;
        let prompt_s = match (ttft(true), ttft(false)) {
            (Some(most), Some(least)) => (most - least) / f64::from(longest - shortest),
            (most, _) => most? / f64::from(longest),
        };
        let alone_s = tpot(lone)?;
        Some(Self { alone_s, full_s: tpot(full)?.max(alone_s), prompt_s: prompt_s.max(1e-7) })
    }

    fn step_s(&self, clients: u32, batch: u32) -> f64 {
        let share = f64::from(clients.saturating_sub(1)) / f64::from(batch.saturating_sub(1).max(1));
        self.alone_s + (self.full_s - self.alone_s) * share.min(1.0)
    }
}

/// All probes of one survey.
#[derive(Copy, Clone, Debug)]
pub(super) struct Plan {
    pub bounds: Bounds,
    /// How long all of it may take, seconds.
    pub budget_s: f64,
}

impl Plan {
    /// A batch that the KV cache cannot hold is not measured.
    pub(super) fn new(bounds: Bounds, budget_s: f64) -> Self {
        let batch = bounds.batch.min(bounds.holds(bounds.short(), 2 * SHORT));
        Self { bounds: Bounds { batch, ..bounds }, budget_s }
    }

    /// The lone requests, which also tell the way in and out.
    pub(super) fn lone(&self) -> Probe {
        let (short, long) = (self.bounds.short(), self.bounds.longest_prompt());
        let answer = self.bounds.longest_answer(long, 1).min(8);
        self.probe("lone", Arrivals::Closed(1), vec![(short, answer), (long, answer)], FIRST)
    }

    /// The largest batch.
    pub(super) fn full(&self) -> Probe {
        let (short, batch) = (self.bounds.short(), self.bounds.batch);
        let answer = self.bounds.longest_answer(short, batch).min(16);
        self.probe("full", Arrivals::Closed(batch), vec![(short, answer)], FIRST)
    }

    /// Those that are done twice.
    pub(super) fn repeated(&self, pace: &Pace) -> Vec<Probe> {
        let share = |count: usize| REPEATED / 2.0 / count as f64;
        let batches = self.bounds.batches();
        let contexts = if self.bounds.batch > 1 { 2 } else { 1 };
        let share = share(batches.len() + contexts + 2);
        let mut all: Vec<Probe> = batches.into_iter().map(|clients| self.decode(clients, pace, share)).collect();
        all.extend(self.contexts(pace, share));
        all.push(self.prefill(pace, share));
        let half = Arrivals::Closed(self.bounds.batch.div_ceil(2));
        all.push(self.probe("mix", half, self.mixed(pace), share));
        all
    }

    /// The mix at the largest batch.
    pub(super) fn capacity(&self, pace: &Pace) -> Probe {
        self.probe("capacity", Arrivals::Closed(self.bounds.batch), self.mixed(pace), CAPACITY)
    }

    /// The mix as it comes by itself, at a share of the capacity.
    pub(super) fn open(&self, percent: u32, capacity_rps: f64, pace: &Pace) -> Probe {
        let rate = (f64::from(percent) / 100.0 * capacity_rps).max(1e-3);
        self.probe(&format!("open{percent}"), Arrivals::Open(rate), self.mixed(pace), OPEN)
    }

    fn probe(&self, name: &str, arrivals: Arrivals, lengths: Vec<(u32, u32)>, share: f64) -> Probe {
        Probe { name: name.to_owned(), arrivals, lengths, send_s: SENDING * share * self.budget_s }
    }

    /// Answers that end at different times, so that prompts come in while others decode. Each takes a third of the sending.
    fn decode(&self, clients: u32, pace: &Pace, share: f64) -> Probe {
        let prompt = self.bounds.short();
        let answer_s = SENDING * share * self.budget_s / 3.0;
        let answer = whole(answer_s / pace.step_s(clients, self.bounds.batch));
        let lengths = [0.7, 0.9, 1.1, 1.3].map(|part| {
            let answer = whole(part * f64::from(answer)).max(6);
            (prompt, answer.min(self.bounds.longest_answer(prompt, clients)))
        });
        self.probe(&format!("decode{clients}"), Arrivals::Closed(clients), lengths.into(), share)
    }

    /// As many long prompts as can be taken in within a third of the sending, and a third of them.
    fn contexts(&self, pace: &Pace, share: f64) -> Vec<Probe> {
        let third_s = SENDING * share * self.budget_s / 3.0;
        let prompt = self.bounds.longest_prompt().min(whole(third_s / pace.prompt_s)).max(1);
        let bound = self.bounds.batch.min(whole(third_s / (pace.prompt_s * f64::from(prompt)))).max(1);
        let answer = |clients| {
            let fits = self.bounds.longest_answer(prompt, clients);
            whole(third_s / pace.step_s(clients, self.bounds.batch)).clamp(6.min(fits), fits)
        };
        let most = bound.min(self.bounds.holds(prompt, answer(1)));
        let mut sizes = vec![(most / 3).max(1), most];
        sizes.dedup();
        let one = |clients: u32| {
            let answer = answer(clients);
            let lengths = vec![(prompt, answer), ((prompt * 3 / 4).max(1), answer)];
            self.probe(&format!("context{clients}"), Arrivals::Closed(clients), lengths, share)
        };
        sizes.into_iter().map(one).collect()
    }

    /// Prompts of many lengths beside a few short answers.
    fn prefill(&self, pace: &Pace, share: f64) -> Probe {
        let longest = whole(SENDING * share * self.budget_s / 8.0 / pace.prompt_s);
        let longest = longest.clamp(self.bounds.short(), self.bounds.longest_prompt());
        let lengths = [(8, 6), (4, 9), (2, 5), (1, 8)].map(|(part, answer)| ((longest / part).max(1), answer));
        let clients = 4.min(self.bounds.batch);
        let fits = |(prompt, answer): (u32, u32)| (prompt, answer.min(self.bounds.longest_answer(prompt, clients)));
        self.probe("prefill", Arrivals::Closed(clients), lengths.map(fits).into(), share)
    }

    /// Requests as others might send them, of which the full batch spends a third of its time on prompts.
    fn mixed(&self, pace: &Pace) -> Vec<(u32, u32)> {
        let batch = self.bounds.batch;
        // So many that the shares and quantiles of the open runs mean something.
        let rounds = 16.0_f64.max(160.0 / f64::from(batch));
        let answer = (CAPACITY * self.budget_s / rounds / pace.full_s).clamp(8.0, 256.0);
        let prompt = 0.5 * answer * pace.full_s / (f64::from(batch) * pace.prompt_s);
        let held = KV_SHARE * self.bounds.kv_tokens as f64 / f64::from(2 * batch);
        let most = f64::from(self.bounds.longest_prompt()).min(held);
        let prompt = prompt.clamp(f64::from(self.bounds.short()).min(most / 2.0), most / 2.0);
        let parts = [(0.3, 1.3), (0.7, 0.4), (1.0, 1.6), (1.2, 0.7), (1.8, 1.0), (0.5, 1.0), (1.5, 0.5)];
        let pair = |(of_prompt, of_answer)| {
            let prompt = whole(of_prompt * prompt).max(1);
            (prompt, whole(of_answer * answer).clamp(1, self.bounds.longest_answer(prompt, batch)))
        };
        parts.map(pair).into()
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
fn whole(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { alone_s: 0.015, full_s: 0.020, prompt_s: 150e-6 };

    /// Whatever the server's size and pace, nothing is asked of it that it cannot hold.
    #[test]
    fn every_probe_fits_the_server() {
        for batch in [1, 2, 5, 16, 256] {
            for (context, kv_tokens) in [(64, 4_096), (2_048, 262_144), (131_072, 600_000)] {
                for (times, step_tokens) in [(0.05, 8_192), (1.0, 1_024), (60.0, 512)] {
                    let bounds = Bounds { batch, step_tokens, context, kv_tokens, block: 16 };
                    let plan = Plan::new(bounds, 180.0);
                    let pace = Pace { alone_s: 0.015 * times, full_s: 0.02 * times, prompt_s: 150e-6 * times };
                    let mut all = vec![plan.lone(), plan.full(), plan.capacity(&pace), plan.open(80, 3.0, &pace)];
                    all.extend(plan.repeated(&pace));
                    for probe in all {
                        let clients = if let Arrivals::Closed(clients) = probe.arrivals { clients } else { plan.bounds.batch };
                        assert!(clients <= batch && clients > 0 && probe.send_s > 0.5, "{probe:?}");
                        for (prompt, answer) in &probe.lengths {
                            assert!(prompt + answer <= context && *prompt > 0 && *answer > 0, "{bounds:?}: {probe:?}");
                            let held = u64::from(clients) * u64::from(prompt + answer);
                            assert!(held <= kv_tokens || *answer == 1, "{bounds:?}: {probe:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn batch_sizes_double_and_some_are_left_out_of_many() {
        let sizes = |batch| Bounds { batch, step_tokens: 512, context: 512, kv_tokens: 4_096, block: 16 }.batches();
        assert_eq!((sizes(1), sizes(2), sizes(12)), (vec![1], vec![1, 2], vec![1, 2, 4, 8, 12]));
        assert_eq!(sizes(32), [1, 2, 4, 8, 16, 32]);
        let many = sizes(1_000);
        assert_eq!((many.len(), many[0], many[5]), (BATCHES_MAX, 1, 1_000));
    }

    #[test]
    fn probes_take_the_time_that_there_is() {
        let bounds = Bounds { batch: 16, step_tokens: 1_024, context: 2_048, kv_tokens: 262_144, block: 128 };
        let plan = Plan::new(bounds, 180.0);
        let twice: f64 = plan.repeated(&PACE).iter().map(|probe| 2.0 * probe.send_s).sum();
        let once = [plan.lone(), plan.full(), plan.capacity(&PACE), plan.open(50, 3.0, &PACE), plan.open(80, 3.0, &PACE)];
        let all = (twice + once.iter().map(|probe| probe.send_s).sum::<f64>()) / SENDING;
        assert!((0.9..1.0).contains(&(all / 180.0)), "{all}");
    }
}
