//! Writing settings back into a scenario file as a person wrote it: comments, order and spacing stay.

use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

use super::path::{Path, Step};

/// `text`, a scenario, with `sets` (`path=value`) written into the variant called `variant`, or into the scenario itself where
/// it has no variants. A value that stands there already is replaced where it stands.
///
/// # Errors
/// A sentence where the file cannot be changed so: it is not TOML, has no such variant, or a path goes through what is no table.
pub fn write_settings(text: &str, variant: &str, sets: &[String]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("the scenario is not TOML any more: {error}"))?;
    for set in sets {
        let (path, literal) = set.split_once('=').ok_or_else(|| format!("`{set}` is not `path=value`"))?;
        let parsed: Path = path.parse().map_err(|error| format!("`{path}`: {error}"))?;
        let new: Value = literal.parse().map_err(|error| format!("`{literal}` is no TOML value: {error}"))?;
        let root: &mut dyn TableLike = document.as_table_mut();
        if root.contains_key("variant") {
            in_variant(variant_of(root, variant)?, path, &parsed, new)?;
        } else {
            put(root, &steps(&parsed), new).map_err(|why| format!("`{path}`: {why}"))?;
        }
    }
    Ok(document.to_string())
}

fn variant_of<'a>(root: &'a mut dyn TableLike, name: &str) -> Result<&'a mut dyn TableLike, String> {
    let is = |table: &dyn TableLike| table.get("name").and_then(Item::as_str) == Some(name);
    let found: Option<&mut dyn TableLike> = match root.get_mut("variant") {
        Some(Item::ArrayOfTables(tables)) => {
            tables.iter_mut().map(|table| table as &mut dyn TableLike).find(|table| is(*table))
        }
        Some(Item::Value(Value::Array(items))) => items
            .iter_mut()
            .filter_map(|item| item.as_inline_table_mut().map(|table| table as &mut dyn TableLike))
            .find(|table| is(*table)),
        _ => None,
    };
    found.ok_or_else(|| format!("the scenario has no variant `{name}` any more"))
}

/// A variant's own `set` wins over its tables; list items can only be changed there.
fn in_variant(table: &mut dyn TableLike, path: &str, parsed: &Path, new: Value) -> Result<(), String> {
    let plain = parsed.steps().all(|step| matches!(step, Step::Key(_)));
    let is_set = table.get("set").and_then(Item::as_table_like).is_some_and(|set| set.contains_key(path));
    if plain && !is_set {
        return put(table, &steps(parsed), new).map_err(|why| format!("`{path}`: {why}"));
    }
    let set = table.entry("set").or_insert(Item::Value(Value::InlineTable(InlineTable::new())));
    let set = set.as_table_like_mut().ok_or("`set` is no table")?;
    replace(set.entry(path).or_insert(Item::None), new);
    Ok(())
}

fn steps(path: &Path) -> Vec<&Step> {
    path.steps().collect()
}

fn put(table: &mut dyn TableLike, steps: &[&Step], new: Value) -> Result<(), String> {
    let Some((Step::Key(key), rest)) = steps.split_first() else { return Err("a path begins with a key".to_owned()) };
    // An engine that is off has no table yet; its own header says less than a dotted one.
    let fresh = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    match rest {
        [] => replace(table.entry(key).or_insert(Item::None), new),
        [Step::Key(_), ..] => {
            let item = table.entry(key).or_insert_with(fresh);
            put(item.as_table_like_mut().ok_or_else(|| format!("`{key}` is no table"))?, rest, new)?;
        }
        [Step::Index(index), inner @ ..] => {
            let item = table.get_mut(key).ok_or_else(|| format!("there is no `{key}`"))?;
            in_list(item, *index, inner, new)?;
        }
    }
    Ok(())
}

fn in_list(item: &mut Item, index: usize, steps: &[&Step], new: Value) -> Result<(), String> {
    let absent = || format!("there is no item {index}");
    match item {
        Item::ArrayOfTables(tables) => put(tables.get_mut(index).ok_or_else(absent)?, steps, new),
        Item::Value(Value::Array(items)) => {
            let item = items.get_mut(index).ok_or_else(absent)?;
            match item.as_inline_table_mut() {
                Some(table) => put(table, steps, new),
                None if steps.is_empty() => {
                    *item = new;
                    Ok(())
                }
                None => Err(format!("item {index} is no table")),
            }
        }
        _ => Err("this is no list".to_owned()),
    }
}

/// Puts `new` in the place of what stands there, with the same spacing and the comment behind it.
fn replace(item: &mut Item, mut new: Value) {
    if let Some(old) = item.as_value() {
        *new.decor_mut() = old.decor().clone();
    }
    *item = value(new.clone());
    if let Some(put) = item.as_value_mut() {
        *put.decor_mut() = new.decor().clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "# What the queue is for.\nschema = 1\n\n[policy.queue]\nmax_queue_size = 50 # as the seed has it\n\
                        \n[[class]]\nname = 'a'\narrival = { process = 'poisson', rate = 1.5 } # calm\n";

    fn written(text: &str, sets: &[&str]) -> String {
        write_settings(text, "new", &sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_value_is_replaced_where_it_stands_and_comments_stay() {
        let text = written(BASE, &["policy.queue.max_queue_size=4", "class[0].arrival.rate=2.5"]);
        assert_eq!(text, BASE.replace("= 50 #", "= 4 #").replace("rate = 1.5", "rate = 2.5"));
    }

    #[test]
    fn an_engine_that_was_off_gets_its_table() {
        let text = written(BASE, &["policy.graduated.queue_rejection_threshold=0.5", "policy.queue.order=\"lifo\""]);
        assert!(text.contains("max_queue_size = 50 # as the seed has it\norder = \"lifo\"\n"), "{text}");
        assert!(text.contains("[policy.graduated]\nqueue_rejection_threshold = 0.5\n"), "{text}");
        assert!(text.starts_with("# What the queue is for.\n"), "{text}");
    }

    #[test]
    fn a_variant_keeps_its_settings_to_itself() {
        let two = format!(
            "{BASE}\n[[variant]]\nname = 'old'\n\n[[variant]]\nname = 'new' # ours\nset = {{ \"class[0].weight\" = 2 }}\n"
        );
        let text = written(&two, &["policy.queue.max_queue_size=4", "class[0].weight=3", "class[0].arrival.rate=9.0"]);
        assert!(text.contains("max_queue_size = 50 # as the seed has it"), "{text}");
        assert!(text.contains("[variant.policy.queue]\nmax_queue_size = 4\n"), "{text}");
        assert!(text.contains("\"class[0].weight\" = 3"), "{text}");
        assert!(text.contains("\"class[0].arrival.rate\" = 9.0"), "{text}");
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["variant"][1]["name"].as_str(), Some("new"));
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        let wrong = |text: &str, set: &str| write_settings(text, "new", &[set.to_owned()]).unwrap_err();
        assert!(wrong("a = ", "a=1").contains("not TOML"));
        assert!(wrong("[[variant]]\nname = 'old'", "a=1").contains("no variant `new`"));
        assert!(wrong("a = 1", "a.b=1").contains("`a` is no table"));
        assert!(wrong("a = 1", "b[0].c=1").contains("there is no `b`"));
    }
}
