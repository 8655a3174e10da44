//! How lists and maps are merged: the facts `k8s-openapi` has no place for.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

/// By schema name and field.
pub struct Rules {
    apply: HashMap<(String, String), Apply>,
    patch: HashMap<(String, String), String>,
}

struct Apply {
    /// `list:map`, `list:set` or `map:atomic`.
    topology: String,
    key: String,
    further_key: String,
}

impl Rules {
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut rules = Self { apply: HashMap::new(), patch: HashMap::new() };
        for row in rows(&fs::read_to_string(folder.join("merge-keys.tsv"))?) {
            let [schema, field, topology, key, further_key] = columns(row);
            rules.apply.insert((schema, field), Apply { topology, key, further_key });
        }
        for row in rows(&fs::read_to_string(folder.join("patch-strategies.tsv"))?) {
            let [schema, field, strategy] = columns(row);
            rules.patch.insert((schema, field), strategy);
        }
        Ok(rules)
    }

    /// `map=KEY,KEY`, `set` or `atomic`, for server-side apply; empty where the default holds.
    pub fn topology(&self, schema: &str, field: &str) -> String {
        let Some(rule) = self.apply.get(&(schema.to_owned(), field.to_owned())) else {
            return String::new();
        };
        match rule.topology.as_str() {
            "list:map" if rule.further_key.is_empty() => format!("map={}", rule.key),
            "list:map" => format!("map={},{}", rule.key, rule.further_key),
            "list:set" => "set".to_owned(),
            "map:atomic" => "atomic".to_owned(),
            other => panic!("{schema} {field}: unknown strategy {other:?}"),
        }
    }

    /// `STRATEGY` or `STRATEGY=KEY`, for strategic merge; empty where the default holds.
    pub fn patch(&self, schema: &str, field: &str) -> String {
        let place = (schema.to_owned(), field.to_owned());
        let rule = self.apply.get(&place).filter(|rule| rule.topology == "list:map");
        let strategy = match (self.patch.get(&place).map(String::as_str), rule) {
            (Some("-"), _) | (None, None) => return String::new(),
            (Some(named), _) => named,
            (None, Some(_)) => "merge",
        };
        match rule {
            Some(rule) => format!("{strategy}={}", rule.key),
            None => strategy.to_owned(),
        }
    }
}

fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// Missing columns are empty.
fn columns<const N: usize>(row: &str) -> [String; N] {
    let mut cells = row.split('\t');
    std::array::from_fn(|_| cells.next().unwrap_or_default().to_owned())
}
