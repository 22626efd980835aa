//! How logs are damaged: bits flipped, bytes cut, pieces moved and doubled, values replaced by such as no reader expects,
//! and all of it compressed and damaged again.

use std::io::Write as _;

use plimsoll::rng::mix;

/// Longest file that is made.
pub const BYTES_MAX: usize = 1 << 16;

/// Values that stand where others were.
const VALUES: [&[u8]; 24] = [
    b"NaN",
    b"-1",
    b"0",
    b"1e309",
    b"-0",
    b"inf",
    b"4294967296",
    b"18446744073709551615",
    b"9223372036854775808",
    b"1e-400",
    b"null",
    b"\"\"",
    b"\"\"\"",
    b"[]",
    b"{}",
    b"true",
    b"2024-02-30 25:61:61",
    b"9999-12-31T23:59:59.9999999999Z",
    b"0000-00-00",
    b"1969-12-31 23:59:59",
    b"\xEF\xBB\xBF",
    b"\x00",
    b"\r\n",
    b"\xF0\x28\x8C\x28",
];

/// Draws that are the same for a seed.
pub struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// One of 0 to `bound - 1`; 0 where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        self.drawn += 1;
        usize::try_from(mix(self.seed, self.drawn) % bound.max(1) as u64).expect("below a usize")
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A stretch of `length` bytes, most often a short one.
    fn stretch(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let longest = if self.one_in(4) { length - from } else { (length - from).min(24) };
        from..from + self.below(longest + 1)
    }
}

/// A damaged file.
pub fn mutation(dice: &mut Dice, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pool[dice.below(pool.len())].clone();
    for _ in 0..=dice.below(6) {
        damage(dice, &mut bytes, pool);
        bytes.truncate(BYTES_MAX);
    }
    match dice.below(12) {
        0 => compressed(dice, &bytes, gzip),
        1 => compressed(dice, &bytes, |bytes| zstd::encode_all(bytes, 1).expect("memory takes everything")),
        _ => bytes,
    }
}

fn damage(dice: &mut Dice, bytes: &mut Vec<u8>, pool: &[Vec<u8>]) {
    match dice.below(9) {
        0 if !bytes.is_empty() => {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        1 => bytes.truncate(dice.below(bytes.len() + 1)),
        2 => drop(bytes.drain(dice.stretch(bytes.len()))),
        3 => {
            // A piece of this or another file, somewhere.
            let other = &pool[dice.below(pool.len())];
            let piece = other[dice.stretch(other.len())].to_vec();
            let at = dice.below(bytes.len() + 1);
            bytes.splice(at..at, piece);
        }
        4 => {
            let piece = bytes[dice.stretch(bytes.len())].to_vec();
            let at = dice.below(bytes.len() + 1);
            let times = 1 + dice.below(40);
            bytes.splice(at..at, piece.repeat(times));
        }
        5 | 6 => replace_token(dice, bytes),
        7 => {
            let ends: [&[u8]; 4] = [b"\r\n", b"\r", b"\n\n", b"\x0b\n"];
            let end = ends[dice.below(ends.len())];
            if let Some(at) = bytes.iter().skip(dice.below(bytes.len())).position(|byte| *byte == b'\n') {
                bytes.splice(at..=at, end.iter().copied());
            }
        }
        _ => {
            let line = bytes.split_inclusive(|byte| *byte == b'\n').next_back().unwrap_or_default().to_vec();
            let times = dice.below(200);
            bytes.extend(line.repeat(times));
        }
    }
}

/// A word or number becomes another value.
fn replace_token(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+:_".contains(byte);
    let start = dice.below(bytes.len() + 1);
    let Some(from) = bytes.iter().skip(start).position(is_word).map(|at| start + at) else { return };
    let to = bytes[from..].iter().position(|byte| !is_word(byte)).map_or(bytes.len(), |length| from + length);
    let value = VALUES[dice.below(VALUES.len())];
    bytes.splice(from..to, value.iter().copied());
}

/// Compressed, and now and then damaged once more.
fn compressed(dice: &mut Dice, bytes: &[u8], by: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut packed = by(bytes);
    if dice.one_in(2) && !packed.is_empty() {
        let at = dice.below(packed.len());
        packed[at] ^= 1 << dice.below(8);
    }
    if dice.one_in(3) {
        packed.truncate(dice.below(packed.len() + 1));
    }
    packed
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}
