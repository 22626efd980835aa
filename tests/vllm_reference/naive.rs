//! A vLLM server the plain way: arrays of blocks and sequences, one token at a time, from the documented semantics alone.

use std::collections::{BTreeMap, VecDeque};

use plimsoll::latency::Latency;
use plimsoll::request::{Cause, Prefix};
use plimsoll::upstream::{CallWork, OutputKind, Totals, VllmModel};

/// What a driver does, by the call's number.
#[derive(Copy, Clone, Debug)]
pub enum Act {
    Start(usize),
    Cancel(usize),
}

/// A call of the script.
#[derive(Copy, Clone, Debug)]
pub struct Job {
    pub class: u16,
    pub prompt: u32,
    pub output: u32,
    pub prefix: Option<Prefix>,
    pub measured: bool,
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Place {
    Outside,
    Inbox,
    Waiting,
    Running,
}

#[derive(Clone, Debug)]
struct Seq {
    place: Place,
    output: u32,
    generated: u32,
    computed: u32,
    /// Tokens computed for it in the step in flight.
    scheduled: u32,
    decoding: bool,
    own: Vec<usize>,
    shared: u32,
    prefix_blocks: u32,
    prefilled: u32,
    began: bool,
    /// When, and how many outputs there were then.
    cancelled: Option<(u64, usize)>,
    over_at: Option<u64>,
    last_token: Option<u64>,
}

#[derive(Default)]
struct Group {
    blocks: Vec<usize>,
    users: u32,
    left: u64,
}

/// The whole run: outputs as `(ns, call, kind)`, totals, gaps.
pub struct Naive {
    model: VllmModel,
    jobs: Vec<Job>,
    seqs: Vec<Seq>,
    free: Vec<usize>,
    groups: BTreeMap<u32, Group>,
    left: u64,
    waiting: VecDeque<usize>,
    running: Vec<usize>,
    inbox: VecDeque<(u64, usize, bool)>,
    host_free: u64,
    step_end: Option<u64>,
    busy: u64,
    pub outputs: Vec<(u64, usize, OutputKind)>,
    pub totals: Totals,
    pub gaps: Vec<Latency>,
}

const fn up(ps: u64) -> u64 {
    ps.div_ceil(1000)
}

impl Naive {
    /// Runs the script to the end of the last call.
    pub fn run(model: &VllmModel, classes: usize, jobs: &[Job], script: &[(u64, Act)]) -> Self {
        let mut naive = Self::new(model, classes, jobs);
        for &(now, act) in script {
            naive.decide_while(|due| up(due) < now);
            match act {
                Act::Start(call) => naive.start(now, call),
                Act::Cancel(call) => naive.cancel(now, call),
            }
        }
        naive.decide_while(|_| true);
        naive.settle();
        naive.totals.busy_s = naive.busy as f64 / 1e12;
        assert_eq!(naive.free.len() + naive.groups.values().map(|group| group.blocks.len()).sum::<usize>(), naive.blocks());
        naive
    }

    fn new(model: &VllmModel, classes: usize, jobs: &[Job]) -> Self {
        let seq = Seq {
            place: Place::Outside,
            output: 0,
            generated: 0,
            computed: 0,
            scheduled: 0,
            decoding: false,
            own: Vec::new(),
            shared: 0,
            prefix_blocks: 0,
            prefilled: 0,
            began: false,
            cancelled: None,
            over_at: None,
            last_token: None,
        };
        Self {
            model: model.clone(),
            jobs: jobs.to_vec(),
            seqs: vec![seq; jobs.len()],
            free: (0..model.num_gpu_blocks as usize - 1).collect(),
            groups: BTreeMap::new(),
            left: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            inbox: VecDeque::new(),
            host_free: 0,
            step_end: None,
            busy: 0,
            outputs: Vec::new(),
            totals: Totals::default(),
            gaps: vec![Latency::new(); classes],
        }
    }

    fn blocks(&self) -> usize {
        self.model.num_gpu_blocks as usize - 1
    }

    fn decide_while(&mut self, in_time: impl Fn(u64) -> bool) {
        while let Some(due) = self.step_end.or(self.inbox.front().map(|item| item.0)).filter(|due| in_time(*due)) {
            self.decide(due);
        }
    }

    /// A cancelled call only ever says that it is out.
    fn settle(&mut self) {
        let mut kept = Vec::new();
        for (number, &(at, call, kind)) in self.outputs.iter().enumerate() {
            let unsaid = self.seqs[call].cancelled.is_some_and(|(cancelled, outputs)| at > cancelled || number >= outputs);
            match kind {
                OutputKind::Began | OutputKind::FirstToken if unsaid => {}
                OutputKind::Done(work) | OutputKind::Failed { work, .. } if unsaid => {
                    kept.push((at, call, OutputKind::Cancelled(work)));
                }
                _ => kept.push((at, call, kind)),
            }
        }
        self.outputs = kept;
    }

    fn serve(&mut self, now: u64, work: u64) -> u64 {
        let done = self.host_free.max(now * 1000) + work;
        if work > 0 {
            self.host_free = done;
        }
        done
    }

    fn start(&mut self, now: u64, call: usize) {
        let done = self.serve(now, self.model.host.request);
        let job = self.jobs[call];
        let context = self.model.max_model_len.min((self.model.num_gpu_blocks - 1) * self.model.block_size);
        let cause = if job.prompt >= context { Some(Cause::BadRequest) } else { self.overload() };
        if let Some(cause) = cause {
            let at = up(done + self.model.host.delay_out);
            self.seqs[call].over_at = Some(at);
            self.outputs.push((at, call, OutputKind::failed(cause)));
            return;
        }
        let seq = &mut self.seqs[call];
        seq.place = Place::Inbox;
        seq.output = job.output.min(context - job.prompt);
        if self.model.enable_prefix_caching {
            seq.prefix_blocks = job.prefix.map_or(0, |prefix| prefix.tokens.min(job.prompt) / self.model.block_size);
        }
        self.inbox.push_back((done + self.model.host.delay_in, call, false));
    }

    fn overload(&self) -> Option<Cause> {
        let inside: Vec<usize> = (0..self.seqs.len()).filter(|call| self.seqs[*call].place != Place::Outside).collect();
        let without_token = inside.iter().filter(|call| self.seqs[**call].generated == 0);
        let queued: u64 = without_token.map(|call| u64::from(self.jobs[*call].prompt)).sum();
        let full = self.model.max_num_queued_reqs.is_some_and(|most| inside.len() >= most as usize);
        let tokens = self.model.max_num_queued_tokens.is_some_and(|most| queued >= u64::from(most));
        (full || tokens).then_some(Cause::Overloaded)
    }

    fn cancel(&mut self, now: u64, call: usize) {
        let out = self.seqs[call].over_at.is_some_and(|at| at <= now);
        if out || self.seqs[call].cancelled.is_some() {
            return;
        }
        self.seqs[call].cancelled = Some((now, self.outputs.len()));
        let done = self.serve(now, self.model.host.cancel);
        self.inbox.push_back((done + self.model.host.delay_in, call, true));
    }

    fn decide(&mut self, due: u64) {
        let decided = due.max(self.host_free);
        self.host_free = decided + self.model.host.step;
        if self.step_end.take().is_some() {
            self.tokens_out();
        }
        while let Some(&(_, call, cancels)) = self.inbox.front().filter(|item| up(item.0) <= up(decided)) {
            self.inbox.pop_front();
            if cancels {
                self.withdraw(call, decided);
            } else {
                self.seqs[call].place = Place::Waiting;
                self.waiting.push_back(call);
            }
        }
        self.schedule(decided);
    }

    fn tokens_out(&mut self) {
        self.totals.steps += 1;
        let whole = |call: &usize| self.seqs[*call].computed == self.jobs[*call].prompt + self.seqs[*call].generated;
        let producing: Vec<usize> = self.running.iter().copied().filter(whole).collect();
        for &call in self.running.iter().filter(|call| !self.seqs[**call].decoding) {
            self.totals.prefill_tokens += u64::from(self.seqs[call].scheduled);
        }
        if producing.is_empty() {
            return;
        }
        self.host_free += self.model.host.token * producing.len() as u64;
        let out = self.host_free + self.model.host.delay_out;
        for call in producing {
            self.token_out(call, out);
        }
    }

    fn token_out(&mut self, call: usize, out: u64) {
        self.totals.decode_tokens += 1;
        let job = self.jobs[call];
        let seq = &mut self.seqs[call];
        if let (Some(last), true, None) = (seq.last_token, job.measured, seq.cancelled) {
            let latency = &mut self.gaps[usize::from(job.class)];
            latency.count_n((out - last) / 1000, 1);
            latency.sum += u128::from(up(out) - up(last));
        }
        seq.last_token = Some(out);
        seq.decoding = true;
        seq.generated += 1;
        if seq.generated == 1 {
            self.outputs.push((up(out), call, OutputKind::FirstToken));
        }
        if self.seqs[call].generated == self.seqs[call].output {
            self.outputs.push((up(out), call, OutputKind::Done(self.work(call))));
            self.seqs[call].over_at = Some(up(out));
            self.stop(call);
        }
    }

    fn work(&self, call: usize) -> CallWork {
        CallWork { prefill_tokens: self.seqs[call].prefilled, decode_tokens: self.seqs[call].generated }
    }

    /// Out of the engine, from wherever it is.
    fn stop(&mut self, call: usize) {
        if self.seqs[call].place == Place::Running {
            self.drop_blocks(call);
        }
        self.running.retain(|other| *other != call);
        self.waiting.retain(|other| *other != call);
        self.seqs[call].place = Place::Outside;
    }

    fn withdraw(&mut self, call: usize, decided: u64) {
        if self.seqs[call].place != Place::Outside {
            self.outputs.push((up(decided), call, OutputKind::Cancelled(self.work(call))));
            self.seqs[call].over_at = Some(up(decided));
            self.stop(call);
        }
    }

    fn drop_blocks(&mut self, call: usize) {
        let seq = &mut self.seqs[call];
        self.free.append(&mut seq.own);
        seq.shared = 0;
        seq.computed = 0;
        if seq.prefix_blocks > 0 {
            let group = self.groups.get_mut(&self.jobs[call].prefix.expect("it has prefix blocks").group).expect("it joined");
            group.users -= 1;
            self.left += 1;
            group.left = self.left;
        }
    }

    fn available(&self) -> u32 {
        let idle: usize = self.groups.values().filter(|group| group.users == 0).map(|group| group.blocks.len()).sum();
        (self.free.len() + idle) as u32
    }

    fn take_block(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            let idle = self.groups.values_mut().filter(|group| group.users == 0 && !group.blocks.is_empty());
            idle.min_by_key(|group| group.left).expect("the caller looked").blocks.pop().expect("not empty")
        })
    }

    fn schedule(&mut self, decided: u64) {
        let mut budget = self.model.max_num_batched_tokens;
        let preempted = self.schedule_running(&mut budget);
        if !preempted || self.running.is_empty() {
            while budget > 0 && self.running.len() < self.model.max_num_seqs as usize && self.admit(decided, &mut budget) {}
        }
        if self.running.is_empty() {
            return;
        }
        let prefill: u32 = self.sum(|seq| if seq.decoding { 0 } else { seq.scheduled });
        let decoding: u32 = self.sum(|seq| u32::from(seq.decoding));
        let attended: u32 = self.sum(|seq| seq.computed);
        let cost = &self.model.cost;
        let cost = cost.t0
            + if prefill > 0 { cost.t0p } else { 0 }
            + cost.tp * u64::from(prefill)
            + cost.td * u64::from(decoding)
            + cost.tk * u64::from(attended);
        self.busy += cost;
        self.step_end = Some(decided + self.model.host.step + cost);
    }

    fn sum(&self, what: impl Fn(&Seq) -> u32) -> u32 {
        self.running.iter().map(|call| what(&self.seqs[*call])).sum()
    }

    fn schedule_running(&mut self, budget: &mut u32) -> bool {
        let mut preempted = false;
        let mut at = 0;
        while at < self.running.len() && *budget > 0 {
            let call = self.running[at];
            let seq = &self.seqs[call];
            let want = (self.jobs[call].prompt + seq.generated - seq.computed).min(*budget);
            let need = (seq.computed + want).div_ceil(self.model.block_size) - seq.own.len() as u32 - seq.shared;
            while need > self.available() {
                preempted = true;
                let victim = self.running.pop().expect("at least this one");
                self.preempt(victim);
                if victim == call {
                    return true;
                }
            }
            self.compute(call, want);
            *budget -= want;
            at += 1;
        }
        preempted
    }

    fn preempt(&mut self, call: usize) {
        self.drop_blocks(call);
        self.seqs[call].decoding = false;
        self.seqs[call].place = Place::Waiting;
        self.waiting.push_front(call);
        self.totals.preemptions += 1;
    }

    fn admit(&mut self, decided: u64, budget: &mut u32) -> bool {
        let Some(&call) = self.waiting.front() else { return false };
        let (size, wanted) = (self.model.block_size, self.seqs[call].prefix_blocks);
        let tokens = self.jobs[call].prompt + self.seqs[call].generated;
        let mut hit = 0;
        if wanted > 0 {
            let group = self.groups.entry(self.jobs[call].prefix.expect("it has prefix blocks").group).or_default();
            hit = (group.blocks.len() as u32).min(wanted).min((tokens - 1) / size);
        }
        let need = tokens.div_ceil(size) - hit;
        let alone = wanted > 0 && self.groups[&self.jobs[call].prefix.expect("as above").group].users == 0;
        if need > self.available() - if alone { hit } else { 0 } {
            return false;
        }
        if wanted > 0 {
            self.join(call, need);
        }
        self.waiting.pop_front();
        self.running.push(call);
        let seq = &mut self.seqs[call];
        seq.place = Place::Running;
        seq.shared = hit;
        seq.computed = hit * size;
        self.totals.cached_tokens += u64::from(hit * size);
        if !seq.began {
            seq.began = true;
            self.outputs.push((up(decided), call, OutputKind::Began));
        }
        let want = (tokens - hit * size).min(*budget);
        self.compute(call, want);
        *budget -= want;
        true
    }

    fn join(&mut self, call: usize, need: u32) {
        let number = self.jobs[call].prefix.expect("it has prefix blocks").group;
        self.groups.get_mut(&number).expect("seen").users += 1;
        while self.groups[&number].users == 1 && need > self.available() {
            let block = self.groups.get_mut(&number).expect("seen").blocks.pop().expect("what it found is enough");
            self.free.push(block);
        }
    }

    fn compute(&mut self, call: usize, tokens: u32) {
        self.seqs[call].computed += tokens;
        self.seqs[call].scheduled = tokens;
        if !self.seqs[call].decoding {
            self.seqs[call].prefilled += tokens;
        }
        while (self.seqs[call].own.len() as u32 + self.seqs[call].shared) * self.model.block_size < self.seqs[call].computed {
            let block = self.take_block();
            self.seqs[call].own.push(block);
        }
        if self.seqs[call].prefix_blocks > 0 {
            let full = (self.seqs[call].computed / self.model.block_size).min(self.seqs[call].prefix_blocks);
            let group = self.groups.get_mut(&self.jobs[call].prefix.expect("as above").group).expect("it joined");
            while (group.blocks.len() as u32) < full {
                group.blocks.push(self.seqs[call].own.pop().expect("it computed that block"));
                self.seqs[call].shared += 1;
            }
        }
    }
}
