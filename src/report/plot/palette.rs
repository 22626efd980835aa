//! Colours as roles: what a stroke *means* decides its colour, once for light paper and once for dark.
//!
//! Series take the colours of M. Okabe and K. Ito, "Color universal design" (2008), without their yellow, which vanishes on
//! white, in fixed order; after six, the dashes change. Quantities take viridis (van der Walt and Smith, 2015). Both can be
//! told apart with the common colour blindnesses, and viridis also in grey.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// Colours of series before they repeat with other dashes.
pub(super) const SERIES: usize = 6;

/// Steps of the scale of quantities.
pub(super) const LEVELS: usize = 24;

/// Outcomes that have colours of their own.
pub(super) const OUTCOMES: usize = 8;

/// What a shape means.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// The paper itself.
    Paper,
    /// Titles and what matters most.
    Text,
    /// Tick labels, captions, axes.
    Muted,
    /// Grid lines.
    Grid,
    /// What stands back: dominated points, dropped candidates, candidates for comparison.
    Pale,
    /// What is chosen or best.
    Mark,
    /// The series of that number, from 0.
    Series(usize),
    /// The outcome of that number: good first.
    Outcome(usize),
    /// A quantity's level, below [`LEVELS`].
    Level(usize),
}

/// (name of the class, on light paper, on dark paper) of the roles that are no quantities.
const FIXED: [(&str, Rgb, Rgb); 6 + SERIES + OUTCOMES] = [
    ("paper", 0xff_ff_ff, 0x16_18_1d),
    ("text", 0x1c_1e_21, 0xed_ee_f0),
    ("muted", 0x5b_61_69, 0xa3_aa_b4),
    ("grid", 0xe3_e6_ea, 0x31_35_3d),
    ("pale", 0xb4_ba_c2, 0x5c_63_6e),
    ("mark", 0xd5_5e_00, 0xff_8a_3d),
    ("s0", 0x00_72_b2, 0x4d_a6_e0),
    ("s1", 0xd5_5e_00, 0xf2_85_3f),
    ("s2", 0x00_9e_73, 0x2c_c4_98),
    ("s3", 0xcc_79_a7, 0xe3_9c_c3),
    ("s4", 0xe6_9f_00, 0xf0_b4_2e),
    ("s5", 0x56_b4_e9, 0x8d_cd_f4),
    ("o0", 0x00_9e_73, 0x1f_a8_7f),
    ("o1", 0xf0_c9_4a, 0xe0_b8_3a),
    ("o2", 0xe6_9f_00, 0xd9_90_0a),
    ("o3", 0x56_b4_e9, 0x5a_a9_d8),
    ("o4", 0x00_72_b2, 0x2f_7f_bb),
    ("o5", 0xcc_79_a7, 0xc0_74_9e),
    ("o6", 0xc0_49_00, 0xd8_62_1f),
    ("o7", 0xb4_ba_c2, 0x5c_63_6e),
];

type Rgb = u32;

/// Viridis at nine even steps.
const VIRIDIS: [Rgb; 9] =
    [0x44_01_54, 0x47_2d_7b, 0x3b_52_8b, 0x2c_72_8e, 0x21_91_8c, 0x28_ae_80, 0x5e_c9_62, 0xad_dc_30, 0xfd_e7_25];

impl Ink {
    /// Its place among all roles, by which plotters' colours carry it.
    fn index(self) -> usize {
        match self {
            Self::Paper => 0,
            Self::Text => 1,
            Self::Muted => 2,
            Self::Grid => 3,
            Self::Pale => 4,
            Self::Mark => 5,
            Self::Series(i) => 6 + i % SERIES,
            Self::Outcome(i) => 6 + SERIES + i.min(OUTCOMES - 1),
            Self::Level(i) => FIXED.len() + i.min(LEVELS - 1),
        }
    }

    /// The name of its class in a style sheet.
    pub(super) fn class(self) -> String {
        let index = self.index();
        FIXED.get(index).map_or_else(|| format!("v{}", index - FIXED.len()), |(name, ..)| (*name).to_owned())
    }

    /// On light paper.
    pub(super) fn light(self) -> [u8; 3] {
        let index = self.index();
        FIXED.get(index).map_or_else(|| viridis(index - FIXED.len()), |(_, light, _)| bytes(*light))
    }

    /// As plotters carries it: a number, not a colour.
    pub(super) fn carried(self) -> RGBColor {
        let index = u8::try_from(self.index()).expect("there are fewer than 256 roles");
        RGBColor(index, 0, 0)
    }

    /// Back from what plotters carried.
    pub(super) fn from_carried((index, ..): (u8, u8, u8)) -> Self {
        match usize::from(index) {
            0 => Self::Paper,
            1 => Self::Text,
            2 => Self::Muted,
            3 => Self::Grid,
            4 => Self::Pale,
            5 => Self::Mark,
            i if i < 6 + SERIES => Self::Series(i - 6),
            i if i < FIXED.len() => Self::Outcome(i - 6 - SERIES),
            i => Self::Level(i - FIXED.len()),
        }
    }
}

fn bytes(rgb: Rgb) -> [u8; 3] {
    let [_, r, g, b] = rgb.to_be_bytes();
    [r, g, b]
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between two bytes
fn viridis(level: usize) -> [u8; 3] {
    let at = level as f64 / (LEVELS - 1) as f64 * (VIRIDIS.len() - 1) as f64;
    let below = (at as usize).min(VIRIDIS.len() - 2);
    let part = at - below as f64;
    let (from, to) = (bytes(VIRIDIS[below]), bytes(VIRIDIS[below + 1]));
    [0, 1, 2].map(|i| (f64::from(from[i]) + part * (f64::from(to[i]) - f64::from(from[i]))).round() as u8)
}

/// `#rrggbb`.
pub(super) fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The style sheet's rules for dark paper, each selector under `scope` (for example `.plimsoll-plot` or
/// `[data-theme=dark] .plimsoll-plot`). Each SVG carries them under `@media screen and (prefers-color-scheme:dark)`; the
/// light colours are the attributes themselves. Paper and print stay light.
#[must_use]
pub fn dark_rules(scope: &str) -> String {
    let mut rules = String::new();
    for (name, _, dark) in FIXED {
        let colour = hex(bytes(dark));
        let _ = write!(rules, "{scope} .f-{name}{{fill:{colour}}}{scope} .k-{name}{{stroke:{colour}}}"); // a String takes all
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(rgb: [u8; 3]) -> f64 {
        let linear = rgb.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { libm::pow((c + 0.055) / 1.055, 2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn all() -> Vec<Ink> {
        let fixed = [Ink::Paper, Ink::Text, Ink::Muted, Ink::Grid, Ink::Pale, Ink::Mark];
        let series = (0..SERIES).map(Ink::Series).chain((0..OUTCOMES).map(Ink::Outcome));
        fixed.into_iter().chain(series).chain((0..LEVELS).map(Ink::Level)).collect()
    }

    #[test]
    fn a_role_survives_the_way_through_plotters() {
        for ink in all() {
            let carried = ink.carried();
            assert_eq!(Ink::from_carried((carried.0, carried.1, carried.2)), ink);
        }
    }

    /// WCAG 2.1: 4.5 for text; the series are thick lines with markers, and the two palest among them still want 1.9.
    #[test]
    fn text_and_series_stand_out_on_both_papers() {
        let (_, white, black) = FIXED[0];
        for (name, light, dark) in &FIXED[1..3] {
            assert!(contrast(bytes(*light), bytes(white)) >= 4.5, "{name} on light paper");
            assert!(contrast(bytes(*dark), bytes(black)) >= 4.5, "{name} on dark paper");
        }
        for (name, light, dark) in &FIXED[5..6 + SERIES] {
            assert!(contrast(bytes(*light), bytes(white)) >= 1.9, "{name} on light paper");
            assert!(contrast(bytes(*dark), bytes(black)) >= 4.5, "{name} on dark paper");
        }
    }

    #[test]
    fn levels_grow_lighter_all_the_way() {
        let lights: Vec<f64> = (0..LEVELS).map(|i| luminance(Ink::Level(i).light())).collect();
        assert!(lights.windows(2).all(|pair| pair[0] < pair[1]), "{lights:?}");
    }
}
