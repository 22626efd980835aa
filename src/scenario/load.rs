//! From text to settings.

use std::io::Read;
use std::path::{Path as FilePath, PathBuf};

use super::SECTIONS;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::expand::{self, Laid};
use super::file::ScenarioFile;
use super::overlay;
use super::path::{NotAPath, Path, Step};
use super::run::RunSettings;
use super::schema;
use super::semantic;
use super::settings_file::not_a_scenario;
use super::source::{Place, Sources};
use super::tree::{Node, Value};
use super::variant::{FileReference, Sections, Variant};
use crate::time::Span;
use crate::units::NonNegative;
use crate::workload::ArrivalSettings;

/// A scenario that can be run: every variant laid out, every setting in range.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name: the file's, without folder and extension.
    pub name: String,
    /// The question it answers; empty where it states none.
    pub about: String,
    /// How it is run and measured.
    pub run: RunSettings,
    /// The systems to compare, at least one, their names different.
    pub variants: Vec<Variant>,
    /// The file as written, `--set` applied.
    pub file: ScenarioFile,
    folder: PathBuf,
    sources: Sources,
    sets: Vec<(Path, usize)>,
    /// The file as a whole, `--set` applied.
    whole: Node,
    /// Each variant's sections.
    trees: Vec<Node>,
}

impl Scenario {
    /// Reads a scenario file and lays `sets` (`path=value`) over it, before its variants.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(path: &FilePath, sets: &[String]) -> Result<Self, Diagnostics> {
        let shown = path.display().to_string();
        match read_text(path) {
            Ok(text) => {
                if let Some(wrong) = not_a_scenario(&shown, &text) {
                    return Err(Diagnostics::new(Sources::default(), vec![wrong]));
                }
                let mut scenario = Self::parse(&shown, &text, sets)?;
                path.parent().unwrap_or(FilePath::new("")).clone_into(&mut scenario.folder);
                Ok(scenario)
            }
            Err(why) => {
                let wrong = Diagnostic::whole(format!("cannot read the scenario `{shown}`: {why}"));
                Err(Diagnostics::new(Sources::default(), vec![wrong]))
            }
        }
    }

    /// The same from a text, `shown` being its name in messages.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(shown: &str, text: &str, sets: &[String]) -> Result<Self, Diagnostics> {
        let mut loader = Loader::default();
        match loader.load(shown, text, sets) {
            Some((file, whole, laid)) if loader.found.is_empty() => {
                let name = FilePath::new(shown).file_stem().map_or_else(|| shown.to_owned(), |stem| stem.display().to_string());
                let (variants, trees) = laid.into_iter().unzip();
                let (about, run) = (file.about.clone(), file.run.clone());
                Ok(Self {
                    name,
                    about,
                    run,
                    variants,
                    file,
                    folder: PathBuf::new(),
                    sources: loader.sources,
                    sets: loader.sets,
                    whole,
                    trees,
                })
            }
            _ => Err(Diagnostics::new(loader.sources, loader.found)),
        }
    }

    /// Variant number `variant` with these settings (`path=value`) over it.
    ///
    /// # Errors
    /// A path that variants cannot change or do not have, a value out of its range, settings that do not go together.
    pub fn candidate(&self, variant: usize, sets: &[String]) -> Result<Variant, Diagnostics> {
        let mut loader = Loader { sources: self.sources.clone(), ..Loader::default() };
        let mut tree = self.trees[variant].clone();
        for set in sets {
            if let Err(wrong) = loader.set(&mut tree, set) {
                loader.found.push(wrong);
            }
        }
        loader.found.extend(schema::check(schema::sections_rule(), &tree));
        let read = if loader.found.is_empty() { loader.read::<Sections>(&tree) } else { None };
        let of = &self.variants[variant];
        let candidate = read.map(|sections| sections.named(of.name.clone(), of.of.clone()));
        if let Some(candidate) = &candidate {
            loader.found.extend(semantic::check_variant(candidate, &tree));
        }
        match candidate {
            Some(candidate) if loader.found.is_empty() => Ok(candidate),
            _ => Err(Diagnostics::new(loader.sources, loader.found)),
        }
    }

    /// What is in force in variant number `variant` at `path`, defaults included, as JSON; `None` where there is nothing, as
    /// in an engine that is not switched on.
    #[must_use]
    pub fn in_force(&self, variant: usize, path: &Path) -> Option<serde_json::Value> {
        let sections = Sections::of(&self.variants[variant]);
        let whole = serde_json::to_value(sections).ok()?;
        path.steps()
            .try_fold(&whole, |value, step| match step {
                Step::Key(key) => value.get(key),
                Step::Index(index) => value.get(index),
            })
            .cloned()
    }

    /// The position of [`RunSettings::baseline`] among the variants.
    #[must_use]
    pub fn baseline(&self) -> usize {
        let named = |name: &String| self.variants.iter().position(|variant| variant.is_of(name));
        self.run.baseline.as_ref().and_then(named).unwrap_or(0)
    }

    /// Puts the same policies into every variant, and leaves one of those that nothing tells apart any more (from a running system's own flags, say).
    ///
    /// # Errors
    /// What does not go together with the rest of a variant; then nothing has changed.
    pub fn replace_policies(&mut self, policy: &crate::policy::Settings) -> Result<(), Diagnostics> {
        let mut variants = self.variants.clone();
        for variant in &mut variants {
            variant.policy = policy.clone();
        }
        let wrong = variants.iter().zip(&self.trees).flat_map(|(variant, tree)| semantic::check_variant(variant, tree));
        let wrong: Vec<Diagnostic> = wrong.collect();
        if !wrong.is_empty() {
            return Err(Diagnostics::new(self.sources.clone(), wrong));
        }
        self.variants = variants;
        self.keep_distinct();
        Ok(())
    }

    /// Puts a recording in the place of all arrivals, `lasting` from its first to its last, and the named `policies`, where there
    /// are any, in the place of the variants: each in front of the baseline's upstream. The variants that are left are those
    /// that still differ.
    ///
    /// # Errors
    /// Policies that do not go with the upstream or the classes.
    pub fn replay(
        &mut self,
        file: &str,
        lasting: Span,
        policies: Vec<(String, crate::policy::Settings)>,
    ) -> Result<(), Diagnostics> {
        if !policies.is_empty() {
            let base = self.baseline();
            let (of, tree) = (self.variants[base].clone(), self.trees[base].clone());
            self.trees = vec![tree; policies.len()];
            let variant = |(name, policy): (String, _)| Variant { of: name.clone(), name, policy, ..of.clone() };
            self.variants = policies.into_iter().map(variant).collect();
            self.run.baseline = None;
        }
        for variant in &mut self.variants {
            variant.arrival = Some(ArrivalSettings::Recorded { file: file.to_owned() });
            for class in &mut variant.classes {
                class.arrival = None;
                class.weight = NonNegative::new(1.0).expect("1 is not negative");
                class.lengths = None;
            }
        }
        self.file.sweep = None;
        self.file.measured = None;
        self.run.duration = lasting;
        let wrong = self.variants.iter().zip(&self.trees).flat_map(|(variant, tree)| semantic::check_variant(variant, tree));
        let wrong: Vec<Diagnostic> = wrong.collect();
        if !wrong.is_empty() {
            return Err(Diagnostics::new(self.sources.clone(), wrong));
        }
        self.keep_distinct();
        Ok(())
    }

    /// Leaves one of those variants that are the same in all but their names: the first. Where it is one, with or
    /// without the values of a sweep, it is called `base` as in a scenario without variants.
    fn keep_distinct(&mut self) {
        if self.variants.len() == 1 {
            return;
        }
        let mut kept: Vec<(Variant, Node)> = Vec::new();
        for (variant, tree) in std::mem::take(&mut self.variants).into_iter().zip(std::mem::take(&mut self.trees)) {
            if !kept.iter().any(|(other, _)| other.is_same_system(&variant)) {
                kept.push((variant, tree));
            }
        }
        let first = kept[0].0.of.clone();
        if kept.iter().all(|(variant, _)| variant.of == first) {
            for (variant, _) in &mut kept {
                variant.name = variant.name.replacen(&first, "base", 1);
                "base".clone_into(&mut variant.of);
            }
        }
        (self.variants, self.trees) = kept.into_iter().unzip();
    }

    /// How long runs go on after the last arrival: as stated, or the longest timeout of any variant (so that all variants
    /// stop at the same time), or 60 s where nothing times out.
    #[must_use]
    pub fn drain(&self) -> Span {
        const WITHOUT_TIMEOUTS: Span = Span::from_secs(60);
        let longest = || self.variants.iter().filter_map(Variant::longest_timeout).max();
        self.run.drain.or_else(longest).unwrap_or(WITHOUT_TIMEOUTS)
    }

    /// Every file that the scenario refers to, once each, resolved against the scenario's folder.
    #[must_use]
    pub fn files(&self) -> Vec<FileReference> {
        let named = self.variants.iter().flat_map(Variant::files);
        let measured = self.file.measured.iter().map(|measured| ("measured.file".to_owned(), measured.file.clone()));
        let mut files: Vec<FileReference> = Vec::new();
        for (path, name) in named.chain(measured) {
            let resolved = self.folder.join(&name);
            let reference = FileReference { path, name, resolved };
            if !files.contains(&reference) {
                files.push(reference);
            }
        }
        files
    }

    /// The `--set` paths that a variant's own setting hides, for each of them the variant's position.
    #[must_use]
    pub fn hidden_sets(&self) -> Vec<(&Path, usize)> {
        let shared = self.sets.iter().filter(|(path, _)| path.first_key().is_some_and(|key| SECTIONS.contains(&key)));
        let each =
            shared.flat_map(|(path, source)| self.trees.iter().enumerate().map(move |(i, tree)| (path, source, i, tree)));
        each.filter(|(path, source, _, tree)| tree.locate(path).source() != **source).map(|(path, _, i, _)| (path, i)).collect()
    }

    /// An error found later in a setting of no variant, such as `tune.objective`.
    #[must_use]
    pub fn diagnose_file(&self, path: &str, message: String, help: Option<String>) -> Diagnostics {
        let place = path.parse().ok().map(|path| self.whole.locate(&path));
        Diagnostics::new(self.sources.clone(), vec![Diagnostic { place, message, help }])
    }

    /// The `--set` paths that alone make a policy's section where a variant had none, which switches that policy on: with the
    /// section, and the variant's position. A `mode` that is set, or a section as a whole, is meant.
    #[must_use]
    pub fn switched_on(&self) -> Vec<(&Path, String, usize)> {
        let given: Vec<usize> = self.sets.iter().map(|(_, source)| *source).collect();
        let mut found = Vec::new();
        for (path, _) in &self.sets {
            let Some((section, key)) = policy_setting(path) else { continue };
            for (i, tree) in self.trees.iter().enumerate() {
                let node = tree.child("policy").and_then(|policy| policy.child(section));
                let alone = node.is_some_and(|node| match &node.value {
                    Value::Table(entries) => entries.iter().all(|entry| given.contains(&entry.node.place.source())),
                    _ => false,
                });
                if alone && key != "mode" && node.is_some_and(|node| node.child("mode").is_none()) {
                    found.push((path, format!("policy.{section}"), i));
                }
            }
        }
        found
    }

    /// An error found later (a file that cannot be read, a model that does not add up) at a variant's setting, such as
    /// `class[0].lengths`, shown where that setting was written.
    #[must_use]
    pub fn diagnose(&self, variant: usize, path: &str, message: String, help: Option<String>) -> Diagnostics {
        let place = path.parse().ok().and_then(|path| self.trees.get(variant).map(|tree| tree.locate(&path)));
        Diagnostics::new(self.sources.clone(), vec![Diagnostic { place, message, help }])
    }
}

/// Section and key of a path `policy.SECTION.KEY...`.
fn policy_setting(path: &Path) -> Option<(&str, &str)> {
    let keys: Vec<&str> =
        path.ranges().map_while(|(step, ..)| if let Step::Key(key) = step { Some(key.as_str()) } else { None }).collect();
    match keys[..] {
        ["policy", section, key, ..] => Some((section, key)),
        _ => None,
    }
}

/// Longest scenario file, bytes: far beyond any that a person writes, and short of what `/dev/zero` has to say.
const BYTES_MAX: u64 = 16 << 20;

/// The text of a file, or why there is none.
pub(super) fn read_text(path: &FilePath) -> Result<String, String> {
    let bytes = read_whole(path)?;
    String::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()))
}

fn read_whole(path: &FilePath) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BYTES_MAX { Err(format!("it has more than {BYTES_MAX} bytes")) } else { Ok(bytes) }
}

/// The file, its tree, and its variants with theirs.
type Loaded = (ScenarioFile, Node, Vec<(Variant, Node)>);

#[derive(Default)]
struct Loader {
    sources: Sources,
    sets: Vec<(Path, usize)>,
    found: Vec<Diagnostic>,
}

impl Loader {
    /// Finds as much as can be told: what a later stage needs must be right before it is entered.
    fn load(&mut self, shown: &str, text: &str, sets: &[String]) -> Option<Loaded> {
        let source = self.sources.add_file(shown, text);
        let mut tree = Node::parse_document(source, text).map_err(|wrong| self.found.push(wrong)).ok()?;
        for set in sets {
            if let Err(wrong) = self.set(&mut tree, set) {
                self.found.push(wrong);
            }
        }
        self.found.extend(schema::check(schema::file_rule(), &tree));
        let laid = expand::variants(&tree, &mut self.found);
        self.check_variants(&laid);
        if !self.found.is_empty() {
            return None;
        }
        let file: ScenarioFile = self.read(&tree)?;
        let read = laid.into_iter().map(|laid| Some((self.read::<Sections>(&laid.tree)?.named(laid.name, laid.of), laid.tree)));
        let variants: Vec<(Variant, Node)> = read.collect::<Option<_>>()?;
        semantic::check(&file, &tree, &variants, &mut self.found);
        Some((file, tree, variants))
    }

    fn set(&mut self, tree: &mut Node, text: &str) -> Result<(), Diagnostic> {
        let source = self.sources.add_set(text);
        let whole = Place::new(source, 0, text.len());
        let Some((path, value)) = text.split_once('=') else {
            let help = "write `path=value`, like `class[0].arrival.rate=5`".to_owned();
            return Err(Diagnostic::at(whole, "there is no `=` here".to_owned()).help(help));
        };
        let skipped = path.len() - path.trim_start().len();
        let parsed: Path =
            path.trim().parse().map_err(|error| Diagnostic::at(whole, format!("{error}")).help(NotAPath::HELP.to_owned()))?;
        let offset = path.len() + 1 + (value.len() - value.trim_start().len());
        let value = Node::parse_value(source, offset, value.trim());
        overlay::set(tree, &parsed, value, |start, end| Place::new(source, skipped + start, skipped + end))?;
        self.sets.retain(|(earlier, _)| earlier.to_string() != parsed.to_string());
        self.sets.push((parsed, source));
        Ok(())
    }

    /// What is wrong in some variants only says in which.
    fn check_variants(&mut self, laid: &[Laid]) {
        let rule = schema::sections_rule();
        let wrong: Vec<Vec<Diagnostic>> = laid.iter().map(|laid| schema::check(rule, &laid.tree)).collect();
        self.found.extend(expand::attribute(laid, &wrong, &self.found));
    }

    /// What passes the schema is what serde reads; were it ever not, the message is serde's own, without a place.
    fn read<T: serde::de::DeserializeOwned>(&mut self, tree: &Node) -> Option<T> {
        let read = serde_json::from_value(tree.to_json());
        read.map_err(|error| self.found.push(Diagnostic::whole(error.to_string()))).ok()
    }
}
