//! Properties of every plot, and the gallery for looking at them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::samples;
use super::*;

fn every() -> Vec<Plot> {
    samples::ten().into_iter().chain(samples::hard()).collect()
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
