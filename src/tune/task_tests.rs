//! Sections read well and badly, and a search on a real queue.

use super::*;
use crate::sim;
use crate::tune::{Case, Evaluator, Setting, Settings, search};

/// A server at 150 % load whose clients want an answer within 4 s, with a queue that is far too long for that.
const QUEUE: &str = "
schema = 1
[run]
duration = '400s'
drain = '60s'
[upstream]
kind = 'station'
servers = 1
service = { dist = 'exponential', mean = '1s' }
[[class]]
name = 'all'
slo = { e2e = '4s' }
arrival = { process = 'poisson', rate = 1.5 }
[policy.concurrency]
max_concurrent_requests = 1
[policy.queue]
max_queue_size = 50
[tune]
objective = 'goodput_rps'
constraints = ['mean_e2e_s <= 30']
[[tune.parameter]]
path = 'policy.queue.max_queue_size'
range = [1, 64]
scale = 'log'
[[tune.parameter]]
path = 'policy.queue.order'
choices = ['fifo', 'lifo']
";

fn scenario(text: &str) -> Scenario {
    Scenario::parse("queue.toml", text, &[]).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn scene(scenario: Scenario, task: &Task) -> Scene {
    let prepared = sim::prepare(&scenario).unwrap();
    Scene::new("queue".to_owned(), scenario, prepared, task, None).unwrap()
}

fn read(text: &str) -> Result<Task, Unfit> {
    let scenario = scenario(text);
    Task::read(&scenario, scenario.file.tune.as_ref().unwrap())
}

#[test]
fn the_search_finds_the_short_queue() {
    let scenario = scenario(QUEUE);
    let task = Task::read(&scenario, scenario.file.tune.as_ref().unwrap()).unwrap();
    let scenes = [scene(scenario, &task)];
    task.try_ends(&scenes[0].scenario, scenes[0].variant).unwrap();
    let problem = ScenarioProblem::new(&scenes, &task, Case::EXPECTED);
    let settings = Settings::halving(24, 400.0, 1);
    let outcome = search(&task.space, &mut Evaluator::quiet(&problem), &settings, Some(&task.current())).unwrap();
    let choice = outcome.point(outcome.choice.unwrap());
    // A queue of 50 makes a first come first served answer take 50 s; one of 1 or 2 keeps the server busy and answers young.
    let sets = task.sets(choice);
    let short = matches!(choice.setting(0), Some(Setting::Integer(1..=4)));
    let newest_first = choice.setting(1) == Some(&Setting::Text("lifo".into()));
    assert!(short || newest_first, "{sets:?}");
    let gain = outcome.confirmation.unwrap().gain[0].unwrap();
    assert!(gain.interval.unwrap().lo > 0.2, "{gain:?}");
}

#[test]
fn a_shorter_run_is_the_beginning_of_the_whole_one() {
    let scenario = scenario(QUEUE);
    let task = Task::read(&scenario, scenario.file.tune.as_ref().unwrap()).unwrap();
    let scenes = [scene(scenario, &task)];
    let problem = ScenarioProblem::new(&scenes, &task, Case::EXPECTED);
    let (half, whole) = (problem.run(&task.current(), 3, 0.5), problem.run(&task.current(), 3, 1.0));
    assert!(half.requests * 3 < whole.requests * 2 && half.requests * 5 > whole.requests * 2, "{half:?} {whole:?}");
    assert_eq!(half, problem.run(&task.current(), 3, 0.5));
    let doubled = Case { load: 2.0, ..Case::EXPECTED };
    let doubled = ScenarioProblem::new(&scenes, &task, doubled).run(&task.current(), 3, 1.0);
    assert!(doubled.requests * 2 > whole.requests * 3, "{doubled:?}");
}

#[test]
fn settings_that_a_variant_cannot_have_are_told_before_anything_runs() {
    let wrong = |text: &str| {
        let scenario = scenario(text);
        let task = Task::read(&scenario, scenario.file.tune.as_ref().unwrap()).unwrap();
        task.try_ends(&scenario, task.variant).unwrap_err().diagnose(&scenario).to_string()
    };
    let zero = wrong(&QUEUE.replace("range = [1, 64]", "range = [0, 64]").replace("scale = 'log'", ""));
    assert!(zero.contains("policy.queue.max_queue_size = 0 is no setting that can be run"), "{zero}");
    assert!(zero.contains("queue.toml:23:9") && zero.contains("range = [0, 64]") && !zero.contains("--set"), "{zero}");
    let absent = wrong(&QUEUE.replace("policy.queue.order", "policy.queue.ordre"));
    assert!(absent.contains("did you mean `order`") && absent.contains("path = 'policy.queue.ordre'"), "{absent}");
    assert!(absent.contains("queue.toml:26:8") && !absent.contains("--set"), "{absent}");
    let choice = wrong(&QUEUE.replace("'fifo', 'lifo'", "'fifo', 'filo'"));
    assert!(choice.contains("queue.toml:27:11") && choice.contains("did you mean \"fifo\""), "{choice}");
}

/// A station with fewer places than servers cannot be: the ends of one go with some values of the other only.
#[test]
fn ends_that_go_with_some_of_the_others_are_fit() {
    let servers = "[[tune.parameter]]\npath = 'upstream.servers'\nrange = [1, 100]\n\
                   [[tune.parameter]]\npath = 'upstream.places'\nrange = [1, 100]\n";
    let try_ends = |text: &str| {
        let scenario = scenario(text);
        let task = Task::read(&scenario, scenario.file.tune.as_ref().unwrap()).unwrap();
        task.try_ends(&scenario, task.variant)
    };
    assert_eq!(try_ends(&format!("{QUEUE}{servers}")), Ok(()));
    let never = format!("{QUEUE}{servers}").replace("range = [1, 100]", "range = [0, 100]");
    assert!(try_ends(&never).is_err(), "no servers at all go with nothing");
}

#[test]
fn a_regret_needs_futures() {
    let check = |set: &str, counting: &[usize]| {
        let scenario = scenario(&QUEUE.replace("[tune]", &format!("[tune]\n{set}")));
        super::limits::check_futures(scenario.file.tune.as_ref().unwrap(), counting)
    };
    let alone = check("robust = { by = 'regret' }", &[0]).unwrap_err();
    assert!(alone.path == "tune.robust.by" && alone.help.unwrap().contains("load = [0.7, 1.5]"));
    assert_eq!(check("robust = { by = 'regret' }", &[0, 1]), Ok(()));
    assert_eq!(check("robust = { load = [0.5, 1.0], by = 'regret' }", &[0]), Ok(()));
    assert_eq!(check("robust = { by = 'worst' }", &[0]), Ok(()));
}

#[test]
fn todays_settings_are_a_point_like_any_other() {
    let scenario = scenario(QUEUE);
    let task = Task::read(&scenario, scenario.file.tune.as_ref().unwrap()).unwrap();
    let today = task.in_force(&scenario, task.variant).unwrap();
    // The order is written nowhere: its default is in force.
    assert_eq!(today, Point(vec![Some(Setting::Integer(50)), Some(Setting::Text("fifo".into()))]));
    assert_eq!(task.space.neighbours(&today, 0).len(), 2);
    let off = self::scenario(&QUEUE.replace("policy.queue.order", "policy.concurrency.adaptive.kind"));
    let task = Task { space: Task::read(&off, off.file.tune.as_ref().unwrap()).unwrap().space, ..task };
    let today = task.in_force(&off, task.variant).unwrap();
    assert_eq!(today.setting(1), None, "what is off today stays off");
    let fewer = &task.space.neighbours(&today, 0)[0];
    assert_eq!((fewer.setting(0), fewer.setting(1)), (Some(&Setting::Integer(40)), None));
}

#[test]
fn a_question_may_ask_for_so_much() {
    let wrong = |set: &str| {
        let wide = QUEUE.replace("range = [1, 64]\nscale = 'log'", "range = [1, 1000000]");
        let Unfit { path, message, help } = read(&wide.replace("[tune]", &format!("[tune]\n{set}"))).unwrap_err();
        format!("{path}: {message}: {}", help.unwrap_or_default())
    };
    assert_eq!(
        wrong("method = 'grid'\nlevels = 4294967295"),
        "tune.levels: a grid with 4294967295 levels of each number has more than 65536 candidates: with these parameters write at \
         most `levels = 32768`, or `method = \"halving\"`"
    );
    assert!(wrong("candidates = 65537").ends_with("at most 65536"));
    assert!(wrong("time = '0s'").starts_with("tune.time: a search of no time"));
    assert!(wrong("error = 0.0").contains("above 0 and below 1") && wrong("error = 1.0").contains("above 0 and below 1"));
    assert!(wrong("robust = { load = [1.5, 0.5] }").starts_with("tune.robust.load: load = 1.5..0.5 is empty"));
    assert!(wrong("robust = { load = [1.0, 1000000] }").contains("from 0.01 to 100"));
}

#[test]
fn what_makes_no_sense_says_where() {
    let wrong = |from: &str, to: &str| {
        let Unfit { path, message, .. } = read(&QUEUE.replace(from, to)).unwrap_err();
        format!("{path}: {message}")
    };
    assert!(wrong("'goodput_rps'", "'goodput'").starts_with("tune.objective: there is no figure `goodput`; there are:"));
    assert!(wrong("'goodput_rps'", "'p99_e2e_s{class=x}'").contains("there is no such class as `x`; there are: all"));
    assert!(wrong("'goodput_rps'", "'recovery_s'").contains("the arrivals have no `spikes`"));
    assert!(wrong("mean_e2e_s <= 30", "mean_e2e_s").starts_with("tune.constraints[0]: there is no `>=`"));
    assert!(wrong("range = [1, 64]", "range = [64, 1]").starts_with("tune.parameter[0].range: "));
    assert!(
        wrong("range = [1, 64]", "range = [1, 99999999999999999999]").contains("whole numbers go up to 9223372036854775807")
    );
    assert!(wrong("'policy.queue.order'", "'class[0].arrival.rate'").contains("what users ask for"));
    assert!(wrong("'policy.queue.order'", "'class[0].slo.e2e'").contains("another yardstick"));
    assert!(wrong("mean_e2e_s <= 30", "late_fraction < 0").contains("nothing can ever keep this"));
    assert!(wrong("range = [1, 64]", "range = [0, 64]").contains("above 0"));
    assert!(wrong("range = [1, 64]", "range = [1]").contains("two ends"));
    assert!(wrong("range = [1, 64]", "range = [300, 300]").contains("nothing varies in a range from 300 to 300"));
    assert!(wrong("range = [1, 64]", "range = ['2s', '2000ms']").contains("nothing varies"));
    assert!(wrong("range = [1, 64]", "range = [1, '5s']").contains("two numbers or two durations"));
    assert!(wrong("choices = ['fifo', 'lifo']", "").contains("give a `range"));
    let condition = "choices = ['fifo', 'lifo']\nonly_if = { path = 'policy.queue.codel', is = [true] }";
    assert!(wrong("choices = ['fifo', 'lifo']", condition).starts_with("tune.parameter[1].only_if.path: no parameter before"));
}

/// The queue above before a recording, with lengths and service times that are not drawn.
fn recorded(folder: &std::path::Path, changes: &[(&str, &str)]) -> (Scene, Task) {
    let rows: Vec<String> = (0..120).map(|i| format!("{},20,10", f64::from(i / 3))).collect();
    std::fs::write(folder.join("mon.csv"), format!("time,input_tokens,output_tokens\n{}\n", rows.join("\n"))).unwrap();
    let text = QUEUE
        .replace("dist = 'exponential', mean", "dist = 'fixed', value")
        .replace("duration = '400s'", "duration = '40s'")
        .replace("{ process = 'poisson', rate = 1.5 }", "{ process = 'recorded', file = 'mon.csv' }");
    let text = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let path = folder.join("queue.toml");
    std::fs::write(&path, text).unwrap();
    let scenario = Scenario::load(&path, &[]).unwrap_or_else(|wrong| panic!("{wrong}"));
    let task = Task::read(&scenario, scenario.file.tune.as_ref().unwrap()).unwrap();
    (scene(scenario, &task), task)
}

/// What is said to have no chance has the same digest in every replication; each source of chance alone is seen, and matters.
#[test]
fn replications_differ_only_where_they_are_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let differ = |changes: &[(&str, &str)]| {
        let (scene, task) = recorded(folder.path(), changes);
        let plan = &scene.prepared.plans[0];
        let digests: Vec<_> = (0..4).map(|r| World::new(plan, r, None).run().digest).collect();
        let scenes = [scene.clone()];
        let said = ScenarioProblem::new(&scenes, &task, Case::EXPECTED).has_chance(&task.current());
        (said, digests.iter().any(|digest| *digest != digests[0]))
    };
    let (sure, random) = ((false, false), (true, true));
    assert_eq!(differ(&[]), sure);
    assert_eq!(differ(&[("'fixed', value = '1s'", "'exponential', mean = '1s'")]), random, "service");
    let patience = "patience = { dist = 'exponential', mean = '4s' }\nslo = {";
    let at_the_station = ("max_concurrent_requests = 1", "max_concurrent_requests = 40");
    assert_eq!(differ(&[("slo = {", patience), at_the_station]), random, "patience");
    let retry = "retry = { max_attempts = 3 }\ntimeout = { total = '5s' }\nslo = {";
    assert_eq!(differ(&[("slo = {", retry)]), random, "backoff");
    let graduated = "max_queue_size = 50\ngraduated = { first = 2, last = 30 }";
    assert_eq!(differ(&[("max_queue_size = 50", graduated)]), random, "rejection by depth");
    let poisson = "{ process = 'poisson', rate = 2 }";
    assert_eq!(differ(&[("{ process = 'recorded', file = 'mon.csv' }", poisson)]), random, "arrivals");
}
