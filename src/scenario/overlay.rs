//! Laying one piece of a scenario over another: variants by table, `--set` and sweeps by path.

use super::diagnostic::Diagnostic;
use super::path::{Path, Step};
use super::source::Place;
use super::tree::{Entry, Node, Value};

/// Keys whose value says which kind of thing a table is.
const TAGS: [&str; 3] = ["kind", "process", "dist"];

/// Lays `over` on `base`: tables merge key by key, everything else is replaced. A table that says it is of another kind
/// (`kind`, `process`, `dist`) replaces the old one whole, since settings of one kind mean nothing to another.
pub fn merge(base: &mut Node, over: &Node) {
    if !is_other_kind(base, over)
        && let (Value::Table(entries), Value::Table(new)) = (&mut base.value, &over.value)
    {
        for entry in new {
            match entries.iter_mut().find(|old| old.key == entry.key) {
                Some(old) => {
                    old.place = entry.place;
                    merge(&mut old.node, &entry.node);
                }
                None => entries.push(entry.clone()),
            }
        }
    } else {
        *base = over.clone();
    }
}

fn is_other_kind(base: &Node, over: &Node) -> bool {
    let differs = |tag: &str| matches!((base.child(tag), over.child(tag)), (Some(old), Some(new)) if old.value != new.value);
    TAGS.iter().any(|tag| differs(tag))
}

/// Puts `value` at `path`, creating tables on the way. `place` says where the step between two byte offsets of the path's
/// text was written.
///
/// # Errors
/// Where the path meets something it cannot go through: an index out of range, a key of what is no table.
pub fn set(root: &mut Node, path: &Path, value: Node, place: impl Fn(usize, usize) -> Place) -> Result<(), Diagnostic> {
    // On a copy: a path that breaks off must leave no half-made tables to complain of.
    let mut copy = root.clone();
    let mut node = &mut copy;
    let mut walked = String::new();
    for (step, start, end) in path.ranges() {
        let here = place(start, end);
        node = match step {
            Step::Key(key) => {
                let next = enter(node, key, here, &walked)?;
                walked = if walked.is_empty() { key.clone() } else { format!("{walked}.{key}") };
                next
            }
            Step::Index(index) => {
                let next = pick(node, *index, here, &walked)?;
                walked = format!("{walked}[{index}]");
                next
            }
        };
    }
    *node = value;
    *root = copy;
    Ok(())
}

fn enter<'a>(node: &'a mut Node, key: &str, place: Place, walked: &str) -> Result<&'a mut Node, Diagnostic> {
    let help = (!node.items().is_empty()).then(|| format!("say which one: `{walked}[0].{key}`"));
    let Value::Table(entries) = &mut node.value else {
        return Err(Diagnostic::at(place, format!("`{walked}` is not a table, so it has no `{key}`")).help(help));
    };
    let index = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        entries.push(Entry { key: key.to_owned(), place, node: Node::empty(place) });
        entries.len() - 1
    });
    entries[index].place = place;
    Ok(&mut entries[index].node)
}

fn pick<'a>(node: &'a mut Node, index: usize, place: Place, walked: &str) -> Result<&'a mut Node, Diagnostic> {
    let absent = matches!(&node.value, Value::Table(entries) if entries.is_empty());
    let Value::List(items) = &mut node.value else {
        let message = if absent { format!("there is no `{walked}` to index") } else { not_a_list(walked, index) };
        return Err(Diagnostic::at(place, message));
    };
    let len = items.len();
    items.get_mut(index).ok_or_else(|| {
        let help = match len {
            0 => format!("`{walked}` is empty"),
            1 => format!("`{walked}` has one entry: `{walked}[0]`"),
            len => format!("`{walked}` has {len} entries: `{walked}[0]` to `{walked}[{}]`", len - 1),
        };
        Diagnostic::at(place, format!("`{walked}[{index}]` does not exist")).help(help)
    })
}

fn not_a_list(walked: &str, index: usize) -> String {
    format!("`{walked}` is not a list, so it has no entry {index}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(text: &str) -> Node {
        Node::parse_document(0, text).unwrap()
    }

    fn with(text: &str, path: &str, value: &str) -> Result<serde_json::Value, String> {
        let mut root = node(text);
        let place = |start, end| Place::new(1, start, end);
        set(&mut root, &path.parse().unwrap(), Node::parse_value(1, 0, value), place).map_err(|error| error.message)?;
        Ok(root.to_json())
    }

    #[test]
    fn tables_merge_and_the_rest_is_replaced() {
        let mut base = node("a = { b = 1, c = [1, 2] }\nd = 1");
        merge(&mut base, &node("a.c = [3]\ne.f = 2"));
        assert_eq!(base.to_json(), json!({"a": {"b": 1, "c": [3]}, "d": 1, "e": {"f": 2}}));
    }

    #[test]
    fn a_table_of_another_kind_replaces_the_old_one() {
        let mut base = node("service = { dist = 'lognormal', mean = '1s', sigma = 1 }");
        merge(&mut base, &node("service = { dist = 'fixed', value = '1s' }"));
        assert_eq!(base.to_json(), json!({"service": {"dist": "fixed", "value": "1s"}}));
        merge(&mut base, &node("service = { dist = 'fixed', value = '2s' }"));
        assert_eq!(base.to_json(), json!({"service": {"dist": "fixed", "value": "2s"}}));
    }

    #[test]
    fn a_path_is_set_and_tables_on_the_way_are_made() {
        assert_eq!(with("a = [{}, {}]", "a[1].b.c", "5").unwrap(), json!({"a": [{}, {"b": {"c": 5}}]}));
        assert_eq!(with("a = 1", "a", "2s").unwrap(), json!({"a": "2s"}));
    }

    #[test]
    fn a_path_that_leads_nowhere_says_where_it_ends() {
        assert_eq!(with("a = [1]", "a[1]", "5").unwrap_err(), "`a[1]` does not exist");
        assert_eq!(with("a = [1]", "a.b", "5").unwrap_err(), "`a` is not a table, so it has no `b`");
        assert_eq!(with("a = 1", "a[0]", "5").unwrap_err(), "`a` is not a list, so it has no entry 0");
        assert_eq!(with("", "a[0]", "5").unwrap_err(), "there is no `a` to index");
    }
}
