//! Names that a log repeats, kept once.

use std::collections::BTreeMap;

use super::record::NameId;

/// Most names that a list keeps: what comes after shares the last one. A reader's memory is bounded by it.
pub const NAMES_MAX: usize = 65_536;
/// The name that those share that came after [`NAMES_MAX`] others.
pub const OTHERS: &str = "(others)";

/// The names in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Classes: whatever column was mapped to them, often the model.
    pub classes: NameList,
    /// Tenants: teams, keys or clients.
    pub tenants: NameList,
}

/// Names in order of first mention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameList {
    names: Vec<String>,
    found: BTreeMap<String, NameId>,
    latest: Option<NameId>,
    beyond: u64,
}

impl NameList {
    /// The name at `id`.
    ///
    /// # Panics
    /// If the id is of another list.
    #[must_use]
    pub fn name(&self, id: NameId) -> &str {
        &self.names[id.index()]
    }

    /// All of them, by position.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.names
    }

    /// Rows whose name came after [`NAMES_MAX`] others, and that therefore share [`OTHERS`].
    #[must_use]
    pub const fn beyond(&self) -> u64 {
        self.beyond
    }

    /// The id of `name`, new or known; `None` for an empty one.
    pub fn id(&mut self, name: &str) -> Option<NameId> {
        if name.is_empty() {
            return None;
        }
        // Rows of one name often follow each other.
        if let Some(latest) = self.latest.filter(|latest| self.names[latest.index()] == name) {
            return Some(latest);
        }
        let id = match self.found.get(name) {
            Some(id) => *id,
            None => self.add(name),
        };
        self.latest = Some(id);
        Some(id)
    }

    fn add(&mut self, name: &str) -> NameId {
        let name = if self.names.len() < NAMES_MAX { name } else { OTHERS };
        self.beyond += u64::from(name == OTHERS);
        if let Some(id) = self.found.get(name) {
            return *id;
        }
        let position = u32::try_from(self.names.len()).expect("at most NAMES_MAX + 1 names");
        let id = NameId::at(position);
        self.names.push(name.to_owned());
        self.found.insert(name.to_owned(), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_in_order_of_first_mention() {
        let mut list = NameList::default();
        let ids: Vec<usize> = ["b", "a", "a", "b"].iter().map(|name| list.id(name).unwrap().index()).collect();
        assert_eq!(ids, [0, 1, 1, 0]);
        assert_eq!((list.id(""), list.all()), (None, &["b".to_owned(), "a".to_owned()][..]));
    }

    #[test]
    fn what_comes_after_the_limit_shares_one_name_and_is_counted() {
        let mut list = NameList::default();
        for n in 0..NAMES_MAX + 3 {
            list.id(&n.to_string());
        }
        assert_eq!((list.all().len(), list.beyond()), (NAMES_MAX + 1, 3));
        let shared = list.id("new").unwrap();
        assert_eq!(list.name(shared), OTHERS);
        assert_eq!(list.id("7").map(NameId::index), Some(7));
    }
}
