//! The page as a reader and as a careless or malicious writer of its files meets it.

use super::*;

const SVG: &str = "<?xml version=\"1.0\"?>\n<svg class=\"plimsoll-plot\" aria-label=\"T\"><g><title>v</title></g></svg>\n";

fn run() -> Folder {
    let json = "{\"schema\":\"plimsoll.run/1\",\"scenario\":\"<a>\",\"seed\":\"7\",\"variants\":[{\"name\":\"b & c\"}],\"made\":{\"version\":\
                \"9.9\",\"command\":\"plimsoll simulate 'x y'\",\"plots\":[\"outcomes\",\"time-01\"],\"left_out\":[\"why <not>\"]}}";
    let text = "It wins: by far,\n  and surely.\nAnother `thing` of 5 %.\n\na table\n".to_owned();
    Folder::read(json, text).unwrap()
}

#[test]
fn the_verdict_comes_first_and_nothing_of_the_files_is_markup() {
    let mut folder = run();
    folder.figures = folder.plots().iter().map(|name| Figure::read(name, SVG, "a,b\n1,2\n".to_owned()).unwrap()).collect();
    let html = page(&folder);
    let at = |part: &str| html.find(part).unwrap_or_else(|| panic!("{part} is not in the page"));
    assert!(at("<p>It wins: by far, and surely.</p><p>Another <code>thing</code> of 5&nbsp;%.</p>") < at("id=\"figures\""));
    assert!(at("id=\"figures\"") < at("id=\"s-outcomes\"") && at("id=\"s-time\"") < at("id=\"text\""));
    for part in ["&lt;a&gt;", "b &amp; c", "why &lt;not&gt;", "plimsoll simulate &#39;x y&#39;", "version 9.9", "<dd>7</dd>"] {
        at(part);
    }
    assert!(!html.contains("http:") && !html.contains("https:"), "nothing on the page lies elsewhere");
}

#[test]
fn pictures_that_do_not_fit_are_linked() {
    let mut folder = run();
    let svg = format!("<svg aria-label=\"T\"><path d=\"{}\"/></svg>", " 1 1".repeat(300_000));
    folder.figures = folder.plots().iter().map(|name| Figure::read(name, &svg, String::new()).unwrap()).collect();
    let html = page(&folder);
    assert!(html.len() < 2_000_000, "{} bytes", html.len());
    assert!(html.contains("<figure id=\"outcomes\">") && html.contains("<a href=\"plots/time-01.svg\">"));
}

#[test]
fn a_foreign_result_is_told_from_ours() {
    let why = |json: &str| Folder::read(json, String::new()).unwrap_err().to_string();
    assert!(why("{").contains("no JSON"));
    assert!(why("{\"schema\":\"other/1\"}").contains("its `schema` is \"other/1\""));
    assert!(why("[]").contains("its `schema` is null"));
    assert!(why("{\"schema\":\"plimsoll.run/1\"}").contains("which command"));
    assert!(why("{\"schema\":\"plimsoll.run/1\",\"made\":{\"plots\":[\"../x\"]}}").contains("a plot \"../x\""));
}
