//! Properties of every plot, and the gallery for looking at them.

use std::path::PathBuf;

use proptest::prelude::*;

use super::picture::{Anchor, Shape, Text};
use super::*;
use super::{font, raster, samples};

fn every() -> Vec<Plot> {
    samples::one_of_each().into_iter().chain(samples::hard()).collect()
}

/// `PLOT_GALLERY=folder cargo test --lib gallery -- --ignored` writes every sample as SVG, PNG and CSV into `folder`.
#[test]
#[ignore = "writes pictures for people to look at"]
fn gallery() {
    let folder = PathBuf::from(std::env::var_os("PLOT_GALLERY").expect("PLOT_GALLERY names a folder"));
    for plot in every() {
        plot.write(&folder).expect("the folder can be written");
    }
}

/// All texts of an SVG's `<title>` elements.
fn titles(plot: &Plot) -> Vec<String> {
    let document = roxmltree::Document::parse(&plot.svg).expect("the SVG is XML");
    let titles = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "title")));
    titles.map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

fn rows(plot: &Plot) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(plot.csv.as_bytes());
    reader.records().map(|row| row.expect("rows are alike").iter().map(ToOwned::to_owned).collect()).collect()
}

/// What every SVG must be: XML with finite numbers, without ids, scalable, every element known.
fn check_svg(plot: &Plot) {
    for svg in [&plot.svg, &plot.inline()] {
        let document = roxmltree::Document::parse(svg).unwrap_or_else(|why| panic!("{}: {why}", plot.name));
        let root = document.root_element();
        let (width, height) = plot.size();
        assert_eq!(root.attribute("viewBox"), Some(format!("0 0 {width} {height}").as_str()));
        assert_eq!(root.attribute("aria-label"), Some(plot.title.as_str()));
        assert!(root.attribute("width").is_none() && root.attribute("height").is_none());
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let known = ["svg", "style", "g", "title", "path", "rect", "circle", "text"];
            assert!(known.contains(&node.tag_name().name()), "{}", node.tag_name().name());
            for attribute in node.attributes() {
                let (name, value) = (attribute.name(), attribute.value());
                assert_ne!(name, "id", "{}: two plots could not stand in one page", plot.name);
                let text = ["class", "aria-label", "font-family"].contains(&name);
                assert!(text || !(value.contains("NaN") || value.contains("inf")), "{}: {name}={value}", plot.name);
            }
        }
    }
}

/// Whether each text lies on the paper: none is cut at an edge.
fn check_texts(plot: &Plot) {
    let (width, height) = plot.size();
    for shape in &plot.picture.shapes {
        let Shape::Text(Text { text, at, size, bold, anchor, turned_at, .. }) = shape else { continue };
        let long = font::width(text, *size, *bold);
        let before = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => long / 2.0,
            Anchor::End => long,
        };
        let (start, end, across, room, other) = if turned_at.is_some() {
            (at.1 - long + before, at.1 + before, at.0, f64::from(height), f64::from(width))
        } else {
            (at.0 - before, at.0 - before + long, at.1, f64::from(width), f64::from(height))
        };
        assert!(start >= 0.0 && end <= room && across >= size * 0.7 && across <= other, "{}: `{text}` is cut", plot.name);
    }
}

#[test]
fn every_plot_is_a_sound_picture() {
    for plot in every() {
        check_svg(&plot);
        check_texts(&plot);
        assert!(plot.svg.len() < 450_000, "{} has {} bytes", plot.name, plot.svg.len());
        let rows = rows(&plot);
        assert!(rows.len() > 1 && rows[0].iter().all(|name| !name.is_empty()), "{}: {:?}", plot.name, rows[0]);
    }
}

#[test]
fn a_name_of_the_legend_is_cut_only_where_the_sheet_ends() {
    let long = "queue = 120, slots = 256, threshold = 0.85, order = adaptive_lifo with CoDel";
    let endless = "very ".repeat(60);
    let mut goodput = samples::goodput(3);
    (goodput.curves[0].name, goodput.curves[1].name) = (long.to_owned(), endless.clone());
    let plot = goodput.plot().expect("it has data");
    check_texts(&plot);
    let texts = texts(&plot);
    assert!(texts.contains(&long), "{texts:?}");
    assert!(!texts.contains(&endless.as_str()) && titles(&plot).contains(&endless));
}

/// Everything that is written on a picture.
fn texts(plot: &Plot) -> Vec<&str> {
    let mut texts = Vec::new();
    for shape in &plot.picture.shapes {
        if let Shape::Text(Text { text, .. }) = shape {
            texts.push(text.as_str());
        }
    }
    texts
}

#[test]
fn rows_and_axes_have_the_last_keys_and_tables_the_whole_paths() {
    let tornado = samples::sensitivity().plot().expect("it has data");
    assert!(texts(&tornado).contains(&"threshold_high"), "{:?}", texts(&tornado));
    assert!(texts(&tornado).iter().all(|text| !text.contains('…')));
    let path = "policies.admission.graduated.threshold_high";
    assert!(tornado.csv.contains(path) && titles(&tornado).iter().any(|title| title.starts_with(path)));
    let heatmap = samples::heatmap().plot().expect("it has data");
    assert!(texts(&heatmap).contains(&"interval [s]") && rows(&heatmap)[0][0] == "throttle.interval [s]");
}

#[test]
fn an_objective_has_no_class_s_colour_and_says_its_time() {
    let plot = samples::cdfs().plot().expect("it has data");
    let said = texts(&plot);
    for text in ["SLO 500 ms", "SLO 10 s, interactive", "SLO 120 s, batch"] {
        assert!(said.contains(&text), "{said:?}");
    }
    let neutral = |title: &str| {
        let document = roxmltree::Document::parse(&plot.svg).expect("the SVG is XML");
        let group = document.descendants().find(|node| node.children().any(|child| child.text() == Some(title)));
        let classes =
            group.expect("it can be hovered").descendants().filter_map(|node| node.attribute("class")).collect::<Vec<_>>();
        classes.iter().any(|class| class.contains("muted")) && classes.iter().all(|class| !class.contains("-s"))
    };
    assert!(neutral("interactive: SLO 500 ms") && neutral("batch: SLO 120 s"));
}

#[test]
fn finalists_are_not_drawn_as_dropped() {
    let plot = samples::racing(36).plot().expect("it has data");
    let fates = |fate: &str| rows(&plot).iter().filter(|row| row[1] == fate).count();
    assert_eq!((fates("chosen"), fates("finalist"), fates("dropped")), (1, 1, 34));
    assert!(texts(&plot).contains(&"finalist, not chosen"));
}

#[test]
fn the_worst_case_is_the_least_wanted_one() {
    let cases = samples::cases();
    let worst = |plot: &Plot| -> Vec<String> {
        rows(plot).into_iter().filter(|row| row[6] == "yes").map(|row| row[1].clone()).collect()
    };
    let plot = cases.plot().expect("it has data");
    assert!(worst(&plot)[0].starts_with("load 70 %"), "{:?}", worst(&plot));
    assert_eq!(worst(&plot)[1..], ["load 150 %, capacity 80 %"]);
    assert_eq!(titles(&plot).iter().filter(|title| title.contains("does not hold the constraints")).count(), 1);
    let less = Cases { more_is_better: false, ..cases }.plot().expect("it has data");
    assert_eq!(worst(&less)[0], "load 150 %, capacity 110 %");
}

#[test]
fn the_same_figures_give_the_same_bytes() {
    let bytes = |plots: Vec<Plot>| -> Vec<(String, String)> { plots.into_iter().map(|plot| (plot.svg, plot.csv)).collect() };
    assert_eq!(bytes(samples::one_of_each()), bytes(samples::one_of_each()));
    let png = || samples::fairness().plot().expect("it has data").png().expect("it fits");
    assert_eq!(png(), png());
}

#[test]
fn a_png_is_twice_as_large_and_not_empty() {
    let plot = samples::heatmap_of_choices().plot().expect("it has data");
    let pixels = tiny_skia::Pixmap::decode_png(&plot.png().expect("it fits")).expect("it is a PNG");
    assert_eq!((pixels.width(), pixels.height()), (raster::SCALE * plot.size().0, raster::SCALE * plot.size().1));
    let inked = pixels.pixels().iter().filter(|pixel| (pixel.red(), pixel.green(), pixel.blue()) != (255, 255, 255)).count();
    assert!(inked > pixels.pixels().len() / 5, "{inked} pixels");
    // The best cell is at the brightest end of the scale, in its middle stands the mark.
    let has = |rgb: [u8; 3]| pixels.pixels().iter().any(|pixel| [pixel.red(), pixel.green(), pixel.blue()] == rgb);
    assert!(has([0xfd, 0xe7, 0x25]) && has([0xd5, 0x5e, 0x00]));
}

#[test]
fn points_of_one_name_that_lie_together_have_it_once() {
    let named = |goodputs: [f64; 3]| {
        let share = |(variant, goodput): (usize, f64)| {
            let share = FairShare { name: "chat".to_owned(), demand: 0.5, goodput: Estimate::exact(goodput) };
            (format!("variant {variant}"), String::new(), vec![share])
        };
        let variants = goodputs.into_iter().enumerate().map(share).collect();
        let svg = Fairness { variants, ..samples::fairness() }.plot().expect("it has data").svg;
        svg.matches(">chat<").count()
    };
    assert_eq!([named([0.5, 0.505, 0.51]), named([0.1, 0.3, 0.5])], [1, 3]);
}

#[test]
fn every_point_and_series_can_be_hovered() {
    let count = |plot: Plot, is: &dyn Fn(&str) -> bool| titles(&plot).iter().filter(|title| is(title)).count();
    let goodput = samples::goodput(18);
    let points: usize = goodput.curves.iter().map(|curve| curve.points.len()).sum();
    let plot = || goodput.plot().expect("it has data");
    assert_eq!(count(plot(), &|title| title.contains("\noffered ")), points);
    for curve in &goodput.curves {
        assert!(titles(&plot()).contains(&curve.name), "{} is nowhere whole", curve.name);
    }
    let heatmap = samples::heatmap();
    let cells = count(heatmap.plot().expect("it has data"), &|title| title.starts_with("throttle.interval"));
    assert_eq!(cells, heatmap.cells.len());
    assert_eq!(count(samples::pareto(160).plot().expect("it has data"), &|title| title.contains("\np99 TTFT")), 160);
    assert_eq!(count(samples::racing(36).plot().expect("it has data"), &|title| title.starts_with("threshold=")), 36);
    assert_eq!(count(samples::fairness().plot().expect("it has data"), &|title| title.contains("of the demand")), 10);
    assert_eq!(count(samples::rejection().plot().expect("it has data"), &|title| title.contains(" rejected")), 52);
    assert_eq!(count(samples::sensitivity().plot().expect("it has data"), &|title| title.contains(" index ")), 14);
    assert_eq!(count(samples::outcomes(4).plot().expect("it has data"), &|title| title.contains("\noffered ")), 40);
    assert_eq!(count(samples::burst(600).plot().expect("it has data"), &|title| title.contains("\nqueue: ")), 120);
    assert_eq!(count(samples::cdfs().plot().expect("it has data"), &|title| title.contains("never got an answer")), 6);
}

#[test]
fn the_csv_holds_the_figures_as_they_were_given() {
    let goodput = samples::goodput(2);
    let table = rows(&goodput.plot().expect("it has data"));
    assert_eq!(
        table[0],
        [
            "kind",
            "variant",
            "offered [× load 1.0]",
            "goodput [× load 1.0]",
            "goodput lower [× load 1.0]",
            "goodput upper [× load 1.0]"
        ]
    );
    let read: Vec<f64> = table
        .iter()
        .filter(|row| row[0] == "point")
        .flat_map(|row| row[2..].to_vec())
        .map(|text| text.parse().expect("a number"))
        .collect();
    let given = goodput.curves.iter().flat_map(|curve| &curve.points);
    let given: Vec<f64> =
        given.flat_map(|point| [point.offered, point.goodput.mean, point.goodput.lo, point.goodput.hi]).collect();
    assert_eq!(read, given);

    let burst = samples::burst(5_000);
    let table = rows(&burst.plot().expect("it has data"));
    assert_eq!(table.len(), 5_001, "thinned pictures keep whole tables");
    assert_eq!(table[4_321][4].parse(), Ok(burst.rows[1].traces[0].values[4_320]));

    let table = rows(&samples::heatmap().plot().expect("it has data"));
    let yes = |table: &[Vec<String>], column: usize| table.iter().filter(|row| row[column] == "yes").count();
    assert_eq!([4, 5, 6].map(|column| yes(&table, column)), [1, 1, 18], "surely better, recommended, at most 2 % worse");
    let nothing = Heatmap { chosen: None, ..samples::heatmap() }.plot().expect("it has data");
    assert_eq!([5, 6].map(|column| yes(&rows(&nothing), column)), [0, 0], "nothing is recommended");
}

#[test]
fn a_plot_of_nothing_is_an_error() {
    let none = |result: Result<Plot, PlotError>| assert!(matches!(result, Err(PlotError::NoData { .. })), "{result:?}");
    none(samples::goodput(0).plot());
    none(samples::outcomes(0).plot());
    none(samples::pareto(0).plot());
    none(samples::burst(0).plot());
    none(samples::racing(0).plot());
    none(LatencyCdfs { panels: Vec::new(), ..samples::cdfs() }.plot());
    none(Sensitivity { swings: Vec::new(), indices: Vec::new(), ..samples::sensitivity() }.plot());
    none(Rejection { theory: Vec::new(), measured: Vec::new(), ..samples::rejection() }.plot());
    none(Fairness { variants: Vec::new(), ..samples::fairness() }.plot());
    let mut heatmap = samples::heatmap();
    heatmap.cells.iter_mut().for_each(|cell| cell.value = f64::NAN);
    none(heatmap.plot());
}

#[test]
fn what_does_not_belong_together_is_an_error() {
    let mut heatmap = samples::heatmap();
    heatmap.cells.pop();
    assert_eq!(
        heatmap.plot().expect_err("a cell is missing").to_string(),
        "the plot `heatmap` needs 72 cells, but was given 71"
    );
    let mut heatmap = samples::heatmap();
    heatmap.x.values = Values::Numbers(vec![2.0; 8]);
    assert!(matches!(heatmap.plot(), Err(PlotError::Order { .. })));
    let mut outcomes = samples::outcomes(1);
    outcomes.variants[0].points[0].shares.pop();
    assert!(matches!(outcomes.plot(), Err(PlotError::Mismatch { expected: 8, found: 7, .. })));
    let mut burst = samples::burst(10);
    burst.times_s.pop();
    assert!(matches!(burst.plot(), Err(PlotError::Mismatch { .. })));
    for name in ["", "../etc", "a b", "ä"] {
        let mut fairness = samples::fairness();
        name.clone_into(&mut fairness.head.name);
        assert!(matches!(fairness.plot(), Err(PlotError::Name { .. })), "{name}");
    }
}

#[test]
fn three_files_are_written_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("new/plots");
    let plot = samples::heatmap_of_choices().plot().expect("it has data");
    let paths = plot.write(&place).expect("it can be written");
    assert_eq!(std::fs::read_to_string(&paths[0]).ok(), Some(plot.svg.clone()));
    assert_eq!(std::fs::read_to_string(&paths[2]).ok(), Some(plot.csv.clone()));
    assert_eq!(std::fs::read_dir(&place).expect("it is there").count(), 3, "no temporary file stays");
    let beneath = paths[2].join("beneath");
    assert!(matches!(plot.write(&beneath), Err(PlotError::Write { .. })));
}

#[test]
fn dark_paper_has_a_rule_for_every_colour() {
    for plot in samples::one_of_each() {
        let document = roxmltree::Document::parse(&plot.svg).expect("the SVG is XML");
        let rules = dark_rules(".plimsoll-plot");
        for class in document.descendants().filter_map(|node| node.attribute("class")).flat_map(str::split_whitespace) {
            // A quantity keeps its colour: the scale beside it tells what it means.
            let quantity = class.starts_with("f-v") || class.starts_with("k-v");
            assert!(class == "plimsoll-plot" || quantity || rules.contains(&format!(".{class}{{")), "{}: {class}", plot.name);
        }
        assert!(plot.svg.contains("prefers-color-scheme:dark") && !plot.inline().contains("<style>"));
    }
}

/// Anything a caller can come up with.
fn any() -> impl Strategy<Value = f64> {
    prop_oneof![6 => -10.0..10.0_f64, 2 => prop::num::f64::ANY, 1 => Just(0.0), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)]
}

fn any_estimate() -> impl Strategy<Value = Estimate> {
    (any(), any(), any()).prop_map(|(mean, lo, hi)| Estimate { mean, lo, hi })
}

fn sound(result: Result<Plot, PlotError>) {
    match result {
        Ok(plot) => check_svg(&plot),
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_figure_breaks_a_plot_of_points(
        points in prop::collection::vec((any(), any_estimate(), "[a-zA-Zä<&\"…\u{0}-\u{20}]{0,60}"), 0..12),
        more in any_estimate(),
    ) {
        let head = || samples::head("any", "Anything <at> \"all\" & more");
        let loads: Vec<LoadPoint> = points.iter().map(|(offered, goodput, _)| LoadPoint { offered: *offered, goodput: *goodput }).collect();
        let name = points.first().map(|(_, _, name)| name.clone()).unwrap_or_default();
        let curve = GoodputCurve { name: name.clone(), points: loads, sustained: Some(more) };
        sound(GoodputCurves { head: head(), unit: name.clone(), capacity: Some((more.mean, name.clone())), curves: vec![curve] }.plot());
        let candidates = points.iter().map(|(x, y, name)| {
            let kind = if y.hi > 0.0 { ParetoKind::Screened } else { ParetoKind::Today };
            ParetoPoint { name: name.clone(), x: *x, y: y.mean, chosen: y.lo > 0.0, on_front: y.lo < 1.0, kind }
        });
        let axis = |more| (name.clone(), more);
        let hypervolume = Some((more, (more.lo, more.hi)));
        let (candidates, all_objectives) = (candidates.collect(), more.hi > 0.0);
        sound(ParetoFront { head: head(), x: axis(true), y: axis(false), points: candidates, all_objectives, hypervolume }.plot());
        let shares = points.iter().map(|(demand, goodput, name)| FairShare { name: name.clone(), demand: *demand, goodput: *goodput });
        sound(Fairness { head: head(), unit: name.clone(), variants: vec![(name.clone(), name.clone(), shares.collect())] }.plot());
        let measured = points.iter().map(|(used, rejected, _)| RejectionPoint { used: *used, attempts: 1, rejected: *rejected }).collect();
        let theory = points.iter().map(|(used, share, _)| (*used, share.mean)).collect();
        let (theory, measured) = (vec![(name.clone(), theory)], vec![(name.clone(), measured)]);
        sound(Rejection { head: head(), x_name: name.clone(), theory, measured }.plot());
        let swings = points.iter().map(|(down, up, name)| Swing { name: name.clone(), down: Estimate::exact(*down), up: *up }).collect();
        let indices = points.iter().map(|(_, index, name)| SobolIndex { name: name.clone(), first: *index, total: more }).collect();
        let (objective, step) = (name.clone(), name.clone());
        sound(Sensitivity { head: head(), objective, unit: Unit::Number, at_choice: more.mean, step, swings, indices }.plot());
        let values: Vec<Estimate> = points.iter().map(|(_, value, _)| *value).collect();
        let feasible = values.iter().map(|value| value.lo > 0.0).collect();
        let cases = points.iter().map(|(.., name)| name.clone()).collect();
        let compared = vec![Compared { name: name.clone(), values, feasible }];
        sound(Cases { head: head(), objective: name, unit: Unit::Percent, more_is_better: more.lo > 0.0, cases, compared }.plot());
    }

    #[test]
    fn no_figure_breaks_a_plot_of_series(series in prop::collection::vec((any(), any(), any()), 0..30), slo in any()) {
        let head = || samples::head("any", "Anything");
        let points = series.iter().map(|(offered, good, bad)| OutcomePoint { offered: *offered, shares: vec![*good, *bad] }).collect();
        let outcomes = ["good", "bad"].map(ToOwned::to_owned).to_vec();
        sound(OutcomeShares { head: head(), unit: "req/s".to_owned(), outcomes, variants: vec![Outcomes { name: "one".to_owned(), points }] }.plot());
        let times_s = series.iter().map(|(time, ..)| *time).collect();
        let row = |unit: &str| {
            let traces = [series.iter().map(|(_, a, _)| *a).collect(), series.iter().map(|(.., b)| *b).collect()];
            let traces = traces.map(|values| Trace { name: "trace".to_owned(), look: Some(0), values }).to_vec();
            Row { title: "row".to_owned(), unit: unit.to_owned(), traces }
        };
        sound(Burst { head: head(), times_s, rows: ["%", "s", "requests"].map(row).to_vec(), spans: vec![TimeSpan { from_s: slo, to_s: 3.0, name: "span".to_owned(), marked: true }], began_unix_ns: None }.plot());
        let points = series.iter().map(|(latency, share, _)| (*latency, *share)).collect();
        let class = LatencyCdf { name: "class".to_owned(), points, slo_s: Some(slo) };
        sound(LatencyCdfs { head: head(), panels: vec![LatencyPanel { title: "TTFT".to_owned(), classes: vec![class] }] }.plot());
        let candidate = |(a, b, c): &(f64, f64, f64)| Candidate { name: "one".to_owned(), spent: vec![*a, *b], fate: if *c > 0.0 { Fate::Dropped } else { Fate::Chosen } };
        sound(Racing { head: head(), unit: "requests".to_owned(), candidates: series.iter().map(candidate).collect() }.plot());
        let mut values: Vec<f64> = series.iter().map(|(x, ..)| *x).collect();
        values.sort_by(f64::total_cmp);
        let cells = series.iter().map(|(_, value, other)| HeatmapCell { value: *value, feasible: *other > 0.0, better: *other > 1.0 }).collect();
        let x = Along { name: "x".to_owned(), values: Values::Numbers(values) };
        let y = Along { name: "y".to_owned(), values: Values::Choices(vec!["only".to_owned()]) };
        sound(Heatmap { head: head(), x, y, objective: "o".to_owned(), unit: Unit::Percent, more_is_better: slo > 1.0, within: 0.02, chosen: Some(1), cells }.plot());
    }
}
