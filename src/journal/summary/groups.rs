//! Which variants are compared with each other: those that met the same requests.
//!
//! A sweep makes each variant several times, once for each value, and puts the value into the name (`seed queue @ 60 %`).
//! Another value may mean other requests, so variants are compared value by value, each value with its own baseline.

use super::VariantSummary;

/// Stands in a variant's name before the value that a sweep gave it.
const SWEPT: &str = " @ ";

/// Variants that are compared with each other, the baseline first.
pub type Group<'a> = Vec<&'a VariantSummary>;

/// The variants by the value that a sweep gave them, in the order of their first; one group where there was no sweep.
#[must_use]
pub fn groups(variants: &[VariantSummary]) -> Vec<(&str, Group<'_>)> {
    let swept: Option<Vec<&str>> = variants.iter().map(|variant| Some(variant.name.rsplit_once(SWEPT)?.1)).collect();
    let Some(values) = swept else { return vec![("", variants.iter().collect())] };
    let mut groups: Vec<(&str, Group<'_>)> = Vec::new();
    for (variant, at) in variants.iter().zip(values) {
        match groups.iter_mut().find(|(other, _)| *other == at) {
            Some((_, group)) => group.push(variant),
            None => groups.push((at, vec![variant])),
        }
    }
    // One variant at several values: the values are what is compared.
    if groups.iter().all(|(_, group)| group.len() == 1) { vec![("", variants.iter().collect())] } else { groups }
}
