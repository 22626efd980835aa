//! A journal is decided again from its lines, and no byte of it can be changed unseen.

use std::fs;

use plimsoll::journal::{self, Journal, JournalError};
use plimsoll::sim;

use crate::common::prepared;

const SMALL: &str = "schema = 1\n[run]\nseed = 3\nreplications = 1\nduration = \"2s\"\n[upstream]\nkind = \"station\"\nservers = 1\n\
    service = { dist = \"fixed\", value = \"700ms\" }\n[arrival]\nprocess = \"constant\"\nrate = 3\n[[class]]\nname = \"a\"\n\
    timeout = { total = \"2s\" }\n[policy.queue]\nmax_queue_size = 2\n[policy.concurrency]\nmax_concurrent_requests = 1\n";

#[test]
fn any_changed_byte_is_found_and_its_line_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("small.jsonl");
    let prepared = prepared(SMALL);
    let mut journal = Journal::create(&path).expect("a temporary file");
    let _ = sim::run(&prepared.plans, 1, &prepared.context, Some(&mut journal), &|| {});
    journal.finish().expect("room for a journal");
    let whole = fs::read(&path).expect("just written");
    let verified = journal::verify(&path).expect("a journal that we wrote");
    assert!(verified.holds() && verified.decisions > 5, "{verified:?}");
    let mut line = 1;
    for index in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[index] ^= 1 << (index % 7);
        fs::write(&path, &bytes).expect("a temporary file");
        let named = match journal::verify(&path) {
            Ok(verified) => {
                let changed = verified.changed.map(|changed| changed.line);
                changed.unwrap_or_else(|| panic!("byte {index} of line {line} was changed unseen"))
            }
            Err(JournalError::Line { line, .. }) => line,
            Err(other) => panic!("byte {index}: {other}"),
        };
        assert_eq!(named, line, "byte {index}");
        line += usize::from(whole[index] == b'\n');
    }
    for (cut, says) in [(whole.len() - 1, false), (whole.len() / 2, true)] {
        fs::write(&path, &whole[..cut]).expect("a temporary file");
        // Without its last line break it is as good as whole.
        let found = journal::verify(&path).map_or(true, |verified| !verified.holds());
        assert_eq!(found, says, "cut after {cut} bytes");
    }
}
