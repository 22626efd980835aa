//! Where the events of a stream end, and the data of each, whatever pieces the stream comes in.
//!
//! As the HTML standard says (9.2.6, "Interpreting an event stream"): lines end with CR LF, LF or CR; an empty line ends an
//! event; the `data` fields of one are joined by line feeds; comments and an event without data say nothing; what has not ended
//! at the end of the stream is dropped. A reader that must pass the stream on knows after each event how many bytes it took.

/// An event is longer than it may be.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {limit} bytes")]
pub struct TooLong {
    /// What it may be.
    pub limit: usize,
}

/// What the reader found in the bytes it took.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An event with this data. The bytes up to here end with it.
    Event(&'a [u8]),
    /// The bytes are used up, and the event that they may have begun goes on.
    More,
}

/// A reader of one stream of events.
#[derive(Debug)]
pub struct Frames {
    limit: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The data of the event so far, each line of it ended.
    data: Vec<u8>,
    /// The latest byte ended a line with CR: a LF now is of the same end.
    after_cr: bool,
    /// No line has ended yet: a byte order mark may open it.
    at_start: bool,
    /// The data was told: it is of an event that is over.
    told: bool,
}

impl Frames {
    /// A limit that no answer of a language model comes near: 1 MiB.
    pub const LIMIT: usize = 1 << 20;

    /// A reader at the beginning of a stream whose events have at most `limit` bytes each.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), data: Vec::new(), after_cr: false, at_start: true, told: false }
    }

    /// The next event in `bytes`, from which the bytes it took are taken: call it until it says [`Frame::More`].
    ///
    /// # Errors
    /// An event that is too long; the stream cannot be read on.
    pub fn next<'a>(&'a mut self, bytes: &mut &[u8]) -> Result<Frame<'a>, TooLong> {
        if std::mem::take(&mut self.told) {
            self.data.clear();
        }
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                *bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.check(self.line.len() + bytes.len())?;
                self.line.extend_from_slice(bytes);
                *bytes = &[];
                break;
            };
            let (line, rest) = bytes.split_at(end);
            self.check(self.line.len() + line.len())?;
            self.after_cr = rest[0] == b'\r';
            *bytes = &rest[1..];
            if self.end_line(line) {
                self.told = true;
                self.data.pop();
                return Ok(Frame::Event(&self.data));
            }
        }
        Ok(Frame::More)
    }

    /// Whether the stream stands between two events, as far as it has been read: its end here cuts nothing off.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.line.is_empty() && (self.data.is_empty() || self.told)
    }

    fn check(&self, line: usize) -> Result<(), TooLong> {
        let fits = self.data.len().saturating_add(line) <= self.limit;
        if fits { Ok(()) } else { Err(TooLong { limit: self.limit }) }
    }

    /// A line ends, of which `rest` has just come; whether an event ends with it.
    fn end_line(&mut self, rest: &[u8]) -> bool {
        let mut kept = std::mem::take(&mut self.line);
        let mut line = if kept.is_empty() {
            rest
        } else {
            kept.extend_from_slice(rest);
            &kept
        };
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let ends = line.is_empty() && !self.data.is_empty();
        if let Some(data) = data_of(line) {
            self.data.extend_from_slice(data);
            self.data.push(b'\n');
        }
        kept.clear();
        self.line = kept;
        ends
    }
}

/// The value of a `data` line, without the space that may open it.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The events' data, and how many bytes each took.
    fn read(pieces: &[&[u8]], limit: usize) -> Result<Vec<(String, usize)>, TooLong> {
        let mut frames = Frames::new(limit);
        let (mut found, mut taken) = (Vec::new(), 0);
        for piece in pieces {
            let mut rest = *piece;
            loop {
                let before = rest.len();
                let event = match frames.next(&mut rest)? {
                    Frame::Event(data) => Some(String::from_utf8_lossy(data).into_owned()),
                    Frame::More => None,
                };
                taken += before - rest.len();
                match event {
                    Some(data) => found.push((data, std::mem::take(&mut taken))),
                    None => break,
                }
            }
        }
        Ok(found)
    }

    fn data(text: &str) -> Vec<String> {
        read(&[text.as_bytes()], 1 << 20).expect("short").into_iter().map(|(data, _)| data).collect()
    }

    #[test]
    fn events_as_servers_write_them() {
        assert_eq!(data("data: {\"a\":1}\n\ndata: [DONE]\n\n"), ["{\"a\":1}", "[DONE]"]);
        assert_eq!(data("data: a\r\n\r\ndata:b\r\rdata:  c\n\n"), ["a", "b", " c"]);
        assert_eq!(data(": ping\n\nevent: x\nid: 1\ndata: a\nretry: 5\n\n\n\n"), ["a"]);
        assert_eq!(data("data: a\ndata\ndata: b\n\n"), ["a\n\nb"]);
        assert_eq!(data("\u{feff}data: a\n\ndatax: b\n\ndata: cut"), ["a"]);
        assert_eq!(read(&[b"data: a\n\ndata: bc\n\n"], 99).expect("short"), [("a".to_owned(), 9), ("bc".to_owned(), 10)]);
    }

    #[test]
    fn an_event_has_a_limit() {
        assert!(read(&[b"data: 1234\n\n"], 10).is_ok());
        assert_eq!(read(&[b"data: 12345\n\n"], 10), Err(TooLong { limit: 10 }));
        assert_eq!(read(&[b"data: 1\ndata: 2\ndata: 3\n\n"], 10), Err(TooLong { limit: 10 }));
        let mut frames = Frames::new(10);
        assert_eq!(frames.next(&mut &b": a comment"[..]), Err(TooLong { limit: 10 }));
    }

    #[test]
    fn a_stream_is_cut_off_only_inside_an_event() {
        let mut frames = Frames::new(99);
        for (bytes, between) in [("data: a", false), ("\n", false), ("\n", true), (": c\n", true), ("\n", true)] {
            let _ = frames.next(&mut bytes.as_bytes()).expect("short");
            assert_eq!(frames.is_between(), between, "{bytes}");
        }
    }

    proptest! {
        /// Whatever the bytes and wherever they are split: the same events, or the same error.
        #[test]
        fn any_splitting_gives_the_same_events(
            bytes in prop::collection::vec(prop::sample::select(b"\r\n\r\n:dat\xef\xbb\xbf ".to_vec()), 0..60),
            lines in prop::collection::vec("(data: ?[a-z]{0,5}|:|)", 0..12),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 12),
            cuts in prop::collection::vec(0usize..200, 0..12),
            limit in 5usize..40,
        ) {
            let mut all = bytes;
            for (line, end) in lines.iter().zip(&ends) {
                all.extend_from_slice(line.as_bytes());
                all.extend_from_slice(end.as_bytes());
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
            cuts.extend([0, all.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
            let whole = read(&[&all], limit);
            let split = read(&pieces, limit);
            prop_assert_eq!(whole, split);
        }
    }
}
