//! Names beside points, where there is room: greedily in the order given, never over a point or another name,
//! and once for points of one name that lie together.

use super::axis::TICK_SIZE;
use super::font;
use super::palette::Ink;
use super::panel::Panel;
use super::picture::Anchor;

/// Left, right, top and bottom, in pixels.
type Box = (f64, f64, f64, f64);

/// Points of one name that lie so close together, in pixels, have it once.
const CLOSE: f64 = 48.0;

/// A point that wants its name beside it.
pub(super) struct Wanted<'a> {
    pub at: (f64, f64),
    pub name: &'a str,
    pub ink: Ink,
}

/// Writes the names that find room beside their points, around them in a fixed order of preference; `taken` are the points of the data that
/// must stay free.
pub(super) fn write(panel: &Panel, wanted: &[Wanted<'_>], taken: &[(f64, f64)]) {
    let inner = panel.inner();
    let around = |(x, y): (f64, f64)| (x - 5.0, x + 5.0, y - 5.0, y + 5.0);
    let mut boxes: Vec<Box> = taken.iter().filter_map(|(x, y)| panel.at(*x, *y)).map(around).collect();
    let mut named: Vec<(&str, f64, f64)> = Vec::new();
    for Wanted { at, name, ink } in wanted {
        let Some((x, y)) = panel.at(at.0, at.1) else { continue };
        if named.iter().any(|(other, left, top)| other == name && (x - left).hypot(y - top) < CLOSE) {
            continue;
        }
        let shown = font::shorten(name, 180.0, TICK_SIZE, false);
        let width = 1.05 * font::width(&shown, TICK_SIZE, false);
        let (right, left, middle) =
            ((x + 7.0, x + 9.0 + width), (x - 9.0 - width, x - 7.0), (x - width / 2.0, x + width / 2.0));
        let places = [
            ((9.0, 4.0), Anchor::Start, right),
            ((-9.0, 4.0), Anchor::End, left),
            ((0.0, -9.0), Anchor::Middle, middle),
            ((0.0, 18.0), Anchor::Middle, middle),
            ((9.0, 17.0), Anchor::Start, right),
            ((-9.0, -9.0), Anchor::End, left),
            ((9.0, -9.0), Anchor::Start, right),
            ((-9.0, 17.0), Anchor::End, left),
            ((9.0, 32.0), Anchor::Start, right),
            ((0.0, 32.0), Anchor::Middle, middle),
            ((-9.0, 32.0), Anchor::End, left),
        ];
        let free = places.into_iter().find_map(|(off, anchor, (left, right))| {
            let place = (left, right, y + off.1 - 10.0, y + off.1 + 3.0);
            let inside =
                left >= inner.x && right <= inner.x + inner.width && place.2 >= inner.y && place.3 <= inner.y + inner.height;
            (inside && !boxes.iter().any(|other| meet(place, *other))).then_some((off, anchor, place))
        });
        if let Some((off, anchor, place)) = free {
            panel.hover((shown != *name).then(|| (*name).to_owned()), |panel| panel.say(*at, off, anchor, &shown, *ink));
            boxes.push(place);
            named.push((*name, x, y));
        }
    }
}

/// Paths of settings as short as they can still be told apart, from their ends: `max_queue_size` for
/// `policy.queue.max_queue_size`. What stands behind a blank (a unit) stays.
pub(super) fn last_keys(paths: &[&str]) -> Vec<String> {
    /// Its last `keys` keys.
    fn ending(path: &str, keys: usize) -> &str {
        let dots = path.split(' ').next().unwrap_or(path).rmatch_indices('.').map(|(at, _)| at + 1);
        dots.take(keys).nth(keys - 1).map_or(path, |from| &path[from..])
    }
    let short = |path: &&str| {
        let mut keys = 1;
        // A path that is the end of another one never gets unique: it is whole at last.
        while ending(path, keys) != *path
            && paths.iter().any(|other| other != path && ending(other, keys) == ending(path, keys))
        {
            keys += 1;
        }
        ending(path, keys).to_owned()
    };
    paths.iter().map(short).collect()
}

fn meet(a: Box, b: Box) -> bool {
    a.0 < b.1 && b.0 < a.1 && a.2 < b.3 && b.2 < a.3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_short_as_they_can_be_told_apart() {
        let paths =
            ["policy.queue.max_queue_size", "policy.queue.mode", "policy.breaker.mode", "speed", "throttle.interval [1.5 s]"];
        assert_eq!(last_keys(&paths), ["max_queue_size", "queue.mode", "breaker.mode", "speed", "interval [1.5 s]"]);
        assert_eq!(last_keys(&["a.b", "c.a.b", "a.b"]), ["a.b", "c.a.b", "a.b"]);
    }
}
