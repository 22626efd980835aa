//! Recovery of known truth from steps that the model itself made.

use slotmap::SlotMap;

use super::*;
use crate::calibrate::{Fate, Served};
use crate::dist::standard_normal;
use crate::request::{CallId, ClassId};
use crate::rng::{Streams, open01};
use crate::time::Time;
use crate::upstream::{Call, OutputKind, Vllm, VllmModel, VllmSettings};

use rand_chacha::rand_core::Rng;

const TRUTH: [f64; 5] = [12e-3, 1.5e-3, 0.15e-3, 0.2e-3, 0.8e-6];
const KV: KvCache = KvCache { tokens: 262_144.0, block: 16.0 };

/// A run's steps and requests: closed loops of `clients` whose prompts are `prompts` tokens long, scheduled by hand as vLLM does
/// (no chunking: prompts fit), each step `noise` off in its logarithm and one in fifty three times as long.
fn run(name: &str, clients: u32, prompts: Range<u32>, noise: f64, seed: u64) -> Run {
    let mut draws = Streams::new(seed, 0).named(name);
    let mut uniform = move || open01(draws.next_u64());
    let mut draws = Streams::new(seed, 1).named(name);
    let mut normal = move || standard_normal(draws.next_u64());
    let (mut steps, mut served, mut now) = (Vec::<Step>::new(), Vec::<Served>::new(), 0.0);
    let mut live: Vec<usize> = Vec::new();
    for line in 1..600 {
        let fresh = (clients as usize - live.len()).min(2);
        let decoding: Vec<usize> = live.clone();
        let mut prefill_tokens = 0;
        for _ in 0..fresh {
            let width = f64::from(prompts.end - prompts.start);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let prompt = prompts.start + (uniform() * width) as u32;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let output = 8 + (uniform() * 60.0) as u32;
            prefill_tokens += prompt;
            live.push(served.len());
            served.push(Served {
                arrival_s: now,
                sent_s: now,
                chunks_s: Vec::new(),
                end_s: 0.0,
                prompt,
                output,
                fate: Fate::Complete,
            });
        }
        let attended: f64 = live.iter().map(|at| f64::from(served[*at].prompt) + served[*at].chunks_s.len() as f64).sum();
        let any = if prefill_tokens > 0 { 1.0 } else { 0.0 };
        let row = [1.0, any, f64::from(prefill_tokens), decoding.len() as f64, attended];
        let spike = if uniform() < 0.02 { 3.0 } else { 1.0 };
        let elapsed_s = dot(&row, &TRUTH) * libm::exp(noise * normal()) * spike;
        now += elapsed_s + 2e-3 + 0.05e-3 * decoding.len() as f64;
        for at in &live {
            served[*at].chunks_s.push(now);
        }
        live.retain(|at| (served[*at].chunks_s.len() as u64) < u64::from(served[*at].output));
        let prefilling = u32::try_from(fresh).unwrap();
        let decoding = u32::try_from(decoding.len()).unwrap();
        steps.push(Step { line, prefilling, prefill_tokens, decoding, elapsed_s, kv_use: attended / KV.tokens });
    }
    // Requests that the last steps leave open are cut to what they have.
    for one in &mut served {
        one.output = u32::try_from(one.chunks_s.len()).unwrap();
        one.end_s = now;
    }
    Run { name: name.to_owned(), steps, served, unsaid: 0, ..Run::default() }
}

fn runs(noise: f64) -> Vec<Run> {
    vec![run("mix", 16, 100..500, noise, 1), run("small", 3, 20..60, noise, 2), run("long", 12, 600..900, noise, 3)]
}

#[test]
fn known_costs_are_recovered_inside_their_intervals_under_noise_and_spikes() {
    let runs = runs(0.05);
    let found = calibrate(&runs.iter().collect::<Vec<_>>(), KV, 1).unwrap();
    assert!(found.parts.iter().all(|part| part.reading == Reading::Exact), "{:?}", found.parts);
    // The spikes' time is spread over all costs: each step takes 1 + 0.02 * 2 times as long on average.
    for ((truth, fitted), interval) in TRUTH.iter().zip(found.step.coefficients).zip(&found.step.intervals) {
        let truth = truth * 1.04;
        assert!(interval.holds(truth), "{truth} is outside {interval:?} ({fitted})");
        assert!(interval.lo >= 0.0);
    }
    assert!((found.step.coefficients[2] / (TRUTH[2] * 1.04) - 1.0).abs() < 0.03, "{:?}", found.step.coefficients);
    // The spikes, and the noise of the longest steps, which is more than that of ordinary ones.
    assert!((0.015..0.05).contains(&found.step.spikes), "{}", found.step.spikes);
    let [job, _, sequence] = found.between_s();
    assert!((job - 2e-3).abs() < 0.1e-3 && (sequence - 0.05e-3).abs() < 0.01e-3, "{job} {sequence}");
    // What grows with the batch between steps is charged to the step.
    assert_eq!(found.cost().td, picos(found.step.coefficients[3] + sequence));
    assert!(found.speed_sigma.unwrap() < 0.05, "{:?}", found.stretches);
}

#[test]
fn a_drift_of_the_machine_shows_in_the_spread() {
    let mut runs = runs(0.05);
    for (at, run) in runs.iter_mut().enumerate() {
        let slower = [0.85, 1.0, 1.2][at];
        run.steps.iter_mut().for_each(|step| step.elapsed_s *= slower);
    }
    let found = calibrate(&runs.iter().collect::<Vec<_>>(), KV, 1).unwrap();
    assert!(found.speed_sigma.unwrap() > 0.05, "{:?}", found.stretches);
}

#[test]
fn tokens_times_alone_give_the_whole_interval() {
    let mut runs = runs(0.02);
    for run in &mut runs {
        run.steps.clear();
    }
    let found = calibrate(&runs.iter().collect::<Vec<_>>(), KV, 1).unwrap();
    assert!(found.parts.iter().all(|part| part.reading == Reading::TokensAlone) && found.between.is_none());
    // Step and what passes between two steps, in one.
    let whole = TRUTH[0] * 1.04 + 2e-3;
    assert!((found.step.coefficients[0] / whole - 1.0).abs() < 0.05, "{:?}", found.step.coefficients);
    assert_eq!(found.host().step, 0);
}

/// Of answers whose first and last token are known, the costs of decoding come out nearly, with what is between steps.
#[test]
fn first_and_last_tokens_times_alone_give_the_order_of_things() {
    let mut runs = runs(0.02);
    for run in &mut runs {
        run.steps.clear();
        for one in run.served.iter_mut().filter(|one| one.chunks_s.len() > 2) {
            one.chunks_s = vec![one.chunks_s[0], one.chunks_s[one.chunks_s.len() - 1]];
        }
    }
    let found = calibrate(&runs.iter().collect::<Vec<_>>(), KV, 1).unwrap();
    assert!(found.parts.iter().all(|part| part.reading == Reading::EndsAlone), "{:?}", found.parts);
    let whole = TRUTH[0] * 1.04 + 2e-3;
    assert!((found.step.coefficients[0] / whole - 1.0).abs() < 0.25, "{:?}", found.step.coefficients);
    assert!((found.step.coefficients[2] / (TRUTH[2] * 1.04) - 1.0).abs() < 0.25, "{:?}", found.step.coefficients);
}

/// A machine that is a fifth slower for ten seconds and a fifth faster for the next: whole answers that overlap each other tell
/// how much it drifts, from as many stretches as went by on the wall.
#[test]
fn answers_beside_each_other_are_cut_by_the_clock_on_the_wall() {
    // From the time of a steady machine to that of one whose pace changes every ten seconds.
    let drifting = |steady: f64| {
        let (mut left, mut at) = (steady, 0.0);
        for pace in [1.2_f64, 1.0 / 1.2].iter().cycle() {
            if left * pace <= SPREAD_S {
                return at + left * pace;
            }
            (left, at) = (left - SPREAD_S / pace, at + SPREAD_S);
        }
        at
    };
    let mut runs = runs(0.02);
    for run in &mut runs {
        run.steps.clear();
        for one in &mut run.served {
            let ends = [one.chunks_s[0], one.chunks_s[one.chunks_s.len() - 1]];
            one.chunks_s = if one.output > 2 { ends.map(drifting).to_vec() } else { Vec::new() };
            one.output = if one.output > 2 { one.output } else { 9 };
            (one.arrival_s, one.sent_s, one.end_s) = (drifting(one.arrival_s), drifting(one.sent_s), drifting(one.end_s));
        }
    }
    let found = calibrate(&runs.iter().collect::<Vec<_>>(), KV, 1).unwrap();
    assert!(found.parts.iter().all(|part| part.reading == Reading::EndsAlone), "{:?}", found.parts);
    let wall: f64 = runs.iter().map(|run| run.served.iter().map(|one| one.end_s).fold(0.0, f64::max)).sum();
    let stretches = found.stretches.len() as f64;
    assert!(stretches <= wall / SPREAD_S + 3.0 && stretches >= wall / SPREAD_S - 3.0, "{stretches} in {wall} s");
    // The logarithm of 1.2 is 0.18; answers that lie over a change see some of both.
    let sigma = found.speed_sigma.unwrap();
    assert!((0.1..0.22).contains(&sigma), "{sigma}: {:?}", found.stretches);
    let laid: Vec<(&Run, Reading, Laid)> = runs.iter().map(|run| lay(run, KV)).collect();
    let blocks = blocks(&laid);
    assert!(blocks.len() as f64 <= wall / BLOCK_S + 3.0, "{} in {wall} s", blocks.len());
    assert_eq!(blocks.iter().map(Range::len).sum::<usize>(), laid.iter().map(|(_, _, laid)| laid.steps.len()).sum::<usize>());
    assert!(blocks.windows(2).all(|two| two[0].end == two[1].start));
}

/// The part of a run that is fitted ends where what is held out begins, and is laid with the requests under way there.
#[test]
fn a_part_of_a_run_is_laid_as_the_whole_and_cut_by_its_tokens() {
    let whole = run("mix", 16, 100..500, 0.02, 1);
    let end_s = whole.served.iter().map(|one| one.end_s).fold(0.0, f64::max);
    let part = Run { until_s: Some(end_s / 2.0), ..whole.clone() };
    let (_, reading, laid) = lay(&part, KV);
    assert_eq!(reading, Reading::Exact);
    let (_, _, all) = lay(&whole, KV);
    assert_eq!(laid.steps, all.steps[..laid.steps.len()]);
    let token = |step: &Observed| step.at_s.unwrap();
    assert!(laid.steps.len() > 200 && laid.steps.iter().all(|step| token(step) < end_s / 2.0));
    assert!(token(&all.steps[laid.steps.len()]) >= end_s / 2.0);
    // Where the lines do not fit the requests, they do not say when a step was either.
    let mut part = part;
    part.steps[300].decoding += 1;
    let (_, reading, laid) = lay(&part, KV);
    assert_eq!(reading, Reading::TokensAlone);
    assert!(laid.steps.len() > 200 && laid.steps.iter().all(|step| token(step) < end_s / 2.0));
}

#[test]
fn step_lines_alone_do_with_the_logs_own_kv_figure() {
    let mut runs = runs(0.02);
    for run in &mut runs {
        run.served.clear();
    }
    let found = calibrate(&runs.iter().collect::<Vec<_>>(), KvCache { block: 1.0, ..KV }, 1).unwrap();
    assert!(found.parts.iter().all(|part| part.reading == Reading::StepsAlone(None)));
    assert!((found.step.coefficients[2] / (TRUTH[2] * 1.04) - 1.0).abs() < 0.03, "{:?}", found.step.coefficients);
}

#[test]
fn too_little_is_refused() {
    let mut one = run("mix", 16, 100..500, 0.0, 1);
    one.steps.truncate(20);
    one.served.clear();
    assert_eq!(calibrate(&[&one], KV, 1), Err(Unfit::TooFew(20)));
    assert_eq!(calibrate(&[], KV, 1), Err(Unfit::TooFew(0)));
}

/// The model's own server, one request at a time: what is left of the time to first token is the way in and out.
#[test]
fn the_way_in_and_out_is_what_the_model_has() {
    let cost = Cost { t0: picos(12e-3), t0p: 0, tp: picos(0.1e-3), td: 0, tk: 0 };
    let host = Host { step: picos(2e-3), delay_in: picos(3e-3), delay_out: picos(1e-3), ..Host::default() };
    let preset = VllmSettings { preset: Some("cpu-16m".into()), ..VllmSettings::default() };
    let model = VllmModel { cost, host, ..VllmModel::resolve(&preset).unwrap() };
    let mut vllm = Vllm::new(&model, 1.0, 1);
    let mut ids: SlotMap<CallId, ()> = SlotMap::with_key();
    vllm.start(Time::ZERO, &Call::plain(ids.insert(()), ClassId(0), 50, 4));
    let mut ttft_s = None;
    while let Some((at, kind)) = vllm.next_event() {
        vllm.advance(at, kind);
        while let Some(output) = vllm.poll() {
            if output.kind == OutputKind::FirstToken {
                ttft_s = Some(output.at.as_secs_f64());
            }
        }
    }
    let row = [1.0, 1.0, 50.0, 0.0, 50.0];
    let lone = Lone { ttft_s: ttft_s.unwrap(), rows: vec![row], took_s: Some(12e-3 + 50.0 * 0.1e-3), at_s: 0.0 };
    let fit = |coefficients| Fit { coefficients, intervals: Vec::new(), scale: 0.0, spikes: 0.0, factor: 1.0 };
    let step =
        Fit { coefficients: [12e-3, 0.0, 0.1e-3, 0.0, 0.0], intervals: Vec::new(), scale: 0.0, spikes: 0.0, factor: 1.0 };
    let left = rest(&lone, &step, Some(&fit([2e-3, 0.0, 0.0])));
    assert!((left - 4e-3).abs() < 1e-9, "{left}");
}
