//! The flight recorder: what the policies were told and what they decided, in segments of which each can be decided again.
//!
//! It never holds a request up: what it writes goes through a bounded channel to a thread of its own, and where that is full
//! the segment ends there. The next one begins when there is room again, with the policies' whole state and settings, and says
//! how many inputs were missed between. What is written holds numbers and classes: no prompt and no key.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::journal::{Event, Journal, SegmentHead, What, segment_name, settings_hash};
use crate::policy::{Action, Gateway, Input, Settings};
use crate::time::Time;

/// Inputs that may wait for the writer.
const WAITING_MAX: usize = 1 << 14;

/// Where and how much is written.
#[derive(Clone, Debug)]
pub struct RecorderTerms {
    /// The folder of segments.
    pub folder: PathBuf,
    /// Size at which a new segment begins, bytes before compression.
    pub segment_bytes: u64,
    /// Segments that are kept.
    pub segments_max: u64,
    /// Names of the classes.
    pub classes: Vec<String>,
}

/// The recorder's end at the policies.
#[derive(Debug)]
pub struct Recorder {
    sender: mpsc::Sender<Lot>,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    classes: Vec<String>,
    policy: Settings,
    /// What the input being heard and its answers come to.
    batch: Vec<Event>,
    now: Time,
    /// Whether a segment is open.
    open: bool,
    segment: u64,
    /// Inputs so far, written or not; and those missed since the last segment ended.
    inputs: u64,
    missed: u64,
    news: Option<Settings>,
}

/// What both ends know.
#[derive(Debug, Default)]
struct Shared {
    /// The segment is long enough.
    full: AtomicBool,
    /// Inputs that are in no segment.
    missed: AtomicU64,
}

#[derive(Debug)]
enum Lot {
    Segment(Box<SegmentHead>),
    Events(Vec<Event>),
    Close { missed: u64 },
}

impl Recorder {
    /// Begins to record into a folder, which must be new or empty.
    ///
    /// # Errors
    /// If the folder cannot be made or holds something.
    pub fn start(terms: RecorderTerms) -> io::Result<Self> {
        std::fs::create_dir_all(&terms.folder)?;
        if std::fs::read_dir(&terms.folder)?.next().is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the folder holds something already"));
        }
        let (sender, lots) = mpsc::channel(WAITING_MAX);
        let shared = Arc::<Shared>::default();
        let classes = terms.classes.clone();
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
            if let Err(why) = write(lots, &terms, &theirs) {
                tracing::error!(%why, folder = %terms.folder.display(), "the journal has ended: it cannot be written");
            }
        })?;
        Ok(Self { writer: Some(writer), ..Self::over(sender, shared, classes) })
    }

    /// A recorder whose lots go into this channel.
    fn over(sender: mpsc::Sender<Lot>, shared: Arc<Shared>, classes: Vec<String>) -> Self {
        Self {
            sender,
            shared,
            writer: None,
            classes,
            policy: Settings::default(),
            batch: Vec::new(),
            now: Time::ZERO,
            open: false,
            segment: 0,
            inputs: 0,
            missed: 0,
            news: None,
        }
    }

    /// The settings with which the policies begin.
    pub fn settings(&mut self, policy: &Settings) {
        self.policy = policy.clone();
    }

    /// The policies are about to hear something.
    pub fn before(&mut self, now: Time, gateway: &Gateway, input: &Input) {
        let room = self.sender.capacity();
        let reopens = if self.segment == 0 { room > 0 } else { room >= self.sender.max_capacity() / 2 };
        if (!self.open && reopens) || (self.open && self.shared.full.load(Ordering::Relaxed)) {
            self.begin_segment(now, gateway);
        }
        self.now = now;
        self.inputs += 1;
        if self.open {
            self.batch.push(Event { t: now, what: What::In(input.clone()) });
        }
        if let Input::Settings(settings) = input {
            self.news = Some((**settings).clone());
        }
    }

    /// They have decided something about it.
    pub fn decided(&mut self, action: Action) {
        if self.open {
            self.batch.push(Event { t: self.now, what: What::Out(action) });
        }
    }

    /// They have said all.
    pub fn after(&mut self) {
        if let Some(policy) = self.news.take() {
            self.policy = policy;
        }
        if self.open {
            let room = self.batch.len();
            let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(room));
            self.open = self.sender.try_send(Lot::Events(batch)).is_ok();
        }
        if !self.open {
            self.missed += 1;
            self.shared.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn begin_segment(&mut self, now: Time, gateway: &Gateway) {
        let head = SegmentHead {
            schema: crate::journal::SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            segment: self.segment + 1,
            first: self.inputs,
            missed: self.missed,
            classes: self.classes.clone(),
            policy: self.policy.clone(),
            settings_hash: settings_hash(&self.policy),
            now,
            state: gateway.state(),
        };
        self.shared.full.store(false, Ordering::Relaxed);
        self.open = self.sender.try_send(Lot::Segment(Box::new(head))).is_ok();
        if self.open {
            self.segment += 1;
            self.missed = 0;
        }
    }

    /// Ends the journal: writes what waits. Inputs that no segment holds.
    #[must_use]
    pub fn finish(mut self) -> u64 {
        // Nobody sends any more, so there will be room.
        let _ = self.sender.blocking_send(Lot::Close { missed: self.missed });
        drop(self.sender);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join(); // what went wrong there has been told
        }
        self.shared.missed.load(Ordering::Relaxed)
    }
}

/// Longest time for which what was written stays in the process: what its end without a word may cost.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The next lot. While something is written and not flushed, it is not waited for longer than until that is due.
async fn next(lots: &mut mpsc::Receiver<Lot>, open: Option<&mut Segment>) -> Option<Lot> {
    if let Some(segment) = open
        && let Some(since) = segment.unflushed
    {
        if let Ok(lot) = timeout_at(since + FLUSH_EVERY, lots.recv()).await {
            return lot;
        }
        segment.journal.flush();
        segment.unflushed = None;
    }
    lots.recv().await
}

/// Writes segments until the channel is closed.
fn write(mut lots: mpsc::Receiver<Lot>, terms: &RecorderTerms, shared: &Shared) -> io::Result<()> {
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut open: Option<Segment> = None;
    while let Some(lot) = clock.block_on(next(&mut lots, open.as_mut())) {
        match lot {
            Lot::Segment(head) => {
                let (number, missed) = (head.segment, head.missed);
                if let Some(segment) = open.take() {
                    segment.close(missed)?;
                }
                open = Some(Segment::begin(&terms.folder, head)?);
                if let Some(old) = number.checked_sub(terms.segments_max).filter(|old| *old > 0) {
                    remove(&terms.folder.join(segment_name(old)))?;
                }
            }
            Lot::Events(events) => {
                if let Some(segment) = &mut open {
                    segment.write(events);
                    if segment.journal.bytes() > terms.segment_bytes {
                        shared.full.store(true, Ordering::Relaxed);
                    }
                }
            }
            Lot::Close { missed } => {
                if let Some(segment) = open.take() {
                    segment.close(missed)?;
                }
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// A segment being written.
struct Segment {
    journal: Journal,
    inputs: u64,
    latest: Time,
    /// Since when something waits to be handed to the system.
    unflushed: Option<Instant>,
}

impl Segment {
    fn begin(folder: &Path, head: Box<SegmentHead>) -> io::Result<Self> {
        let mut journal = Journal::create(&folder.join(segment_name(head.segment)))?;
        let latest = head.now;
        journal.write(latest, What::Segment(head));
        Ok(Self { journal, inputs: 0, latest, unflushed: Some(Instant::now()) })
    }

    fn write(&mut self, events: Vec<Event>) {
        self.unflushed.get_or_insert_with(Instant::now);
        for Event { t, what } in events {
            self.inputs += u64::from(matches!(what, What::In(_)));
            self.latest = t;
            self.journal.write(t, what);
        }
    }

    fn close(mut self, missed: u64) -> io::Result<()> {
        self.journal.write(self.latest, What::Closed { inputs: self.inputs, missed });
        self.journal.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::verify_segments;

    fn tell(recorder: &mut Recorder, gateway: &mut Gateway, millis: u64) {
        let now = Time::from_nanos(millis * 1_000_000);
        recorder.before(now, gateway, &Input::Wake);
        gateway.handle(now, Input::Wake);
        while let Some(action) = gateway.poll() {
            recorder.decided(action);
        }
        recorder.after();
    }

    #[test]
    fn a_writer_that_is_too_slow_ends_the_segment_and_the_next_one_begins_with_all_state() {
        let folder = tempfile::tempdir().unwrap();
        let terms = RecorderTerms {
            folder: folder.path().to_owned(),
            segment_bytes: 1 << 20,
            segments_max: 9,
            classes: vec!["only".to_owned()],
        };
        let (sender, lots) = mpsc::channel(4);
        let shared = Arc::<Shared>::default();
        let settings = Settings::default();
        let mut gateway = Gateway::new(&settings);
        let mut recorder = Recorder::over(sender, Arc::clone(&shared), terms.classes.clone());
        recorder.settings(&settings);
        // A segment's head and three inputs fill the channel that nobody empties; three more are lost, and nobody waited.
        (0..6).for_each(|millis| tell(&mut recorder, &mut gateway, millis));
        assert_eq!((recorder.open, recorder.missed), (false, 3));
        recorder.writer = Some(std::thread::spawn(move || write(lots, &terms, &shared).unwrap()));
        while recorder.sender.capacity() < 4 {
            std::thread::yield_now();
        }
        (6..8).for_each(|millis| tell(&mut recorder, &mut gateway, millis));
        assert_eq!(recorder.finish(), 3);
        let files = [1, 2].map(|segment| folder.path().join(segment_name(segment)));
        let (verified, at) = verify_segments(files.iter().map(PathBuf::as_path)).unwrap();
        assert!(verified.holds(), "{at:?}: {verified:?}");
        assert_eq!((verified.inputs, verified.missed), (5, 3));
    }
}
