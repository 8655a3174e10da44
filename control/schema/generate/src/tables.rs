//! The two text files. `types.txt` has a line for each type, its fields indented below, then the kinds; a description is
//! the number of a line in `descriptions.txt`, which holds JSON strings, so that a document can carry them as they are.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::kinds::Collected;
use crate::merge::Rules;

pub struct Tables {
    pub types: String,
    pub descriptions: String,
}

pub fn write(collected: &Collected, rules: &Rules) -> Tables {
    let mut writer = Writer { types: String::new(), descriptions: Descriptions::default(), rules };
    let mut names: Vec<&String> = collected.definitions.keys().collect();
    names.sort();
    for name in names {
        let is_kind = collected.kinds.iter().any(|kind| kind.schema == *name);
        writer.schema(name, &collected.definitions[name], is_kind);
    }
    for kind in &collected.kinds {
        line(&mut writer.types, &["kind", kind.group, kind.version, kind.kind, &kind.schema]);
    }
    Tables { types: writer.types, descriptions: writer.descriptions.text }
}

struct Writer<'a> {
    types: String,
    descriptions: Descriptions,
    rules: &'a Rules,
}

impl Writer<'_> {
    fn schema(&mut self, name: &str, schema: &Value, is_kind: bool) {
        let description = self.descriptions.number(schema);
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            line(&mut self.types, &["type", name, &description, &scalar(name, schema)]);
            return;
        };
        line(&mut self.types, &["type", name, &description, "struct"]);
        let mut fields: Vec<&String> = properties.keys().collect();
        fields.sort();
        for field in fields {
            self.field(name, field, &properties[field], required(schema, field, is_kind));
        }
    }

    fn field(&mut self, schema: &str, field: &str, property: &Value, required: bool) {
        let description = self.descriptions.number(property);
        let flag = if required { "required" } else { "" };
        let topology = self.rules.topology(schema, field);
        let patch = self.rules.patch(schema, field);
        line(&mut self.types, &["", field, &shape(property), &description, flag, &topology, &patch]);
    }
}

/// Empty cells at the end are left out.
fn line(text: &mut String, cells: &[&str]) {
    let filled = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
    writeln!(text, "{}", cells[..filled].join("\t")).expect("a String takes every write");
}

/// `k8s-openapi` calls `metadata` required in every kind, Kubernetes in none.
fn required(schema: &Value, field: &str, is_kind: bool) -> bool {
    let listed = schema.get("required").and_then(Value::as_array);
    listed.is_some_and(|list| list.iter().any(|v| v == field)) && !(is_kind && field == "metadata")
}

/// A named type that is not a struct.
fn scalar(name: &str, schema: &Value) -> String {
    match name.rsplit('.').next().unwrap_or(name) {
        "Time" => "time".into(),
        "MicroTime" => "microtime".into(),
        "Quantity" => "quantity".into(),
        "IntOrString" => "int-or-string".into(),
        "JSON" => "any".into(),
        _ => shape(schema),
    }
}

fn shape(schema: &Value) -> String {
    let schema = schema.as_object().expect("a schema is an object");
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return format!("@{}", target.rsplit('/').next().unwrap_or(target));
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => format!("[{}", schema.get("items").map_or("any".into(), shape)),
        Some("object") => schema.get("additionalProperties").map_or("object".into(), |of| format!("{{{}", shape(of))),
        Some(plain) => plain_shape(plain, schema),
        None => "any".into(),
    }
}

fn plain_shape(plain: &str, schema: &Map<String, Value>) -> String {
    let format = schema.get("format").and_then(Value::as_str);
    match (plain, format) {
        ("integer", Some("int32")) => "int32",
        ("integer", _) => "int64",
        ("string", Some("byte")) => "byte",
        ("number", _) => "double",
        (other, _) => other,
    }
    .to_owned()
}

#[derive(Default)]
struct Descriptions {
    text: String,
    numbers: HashMap<String, usize>,
}

impl Descriptions {
    /// The line that holds this schema's description, as text; empty without one.
    fn number(&mut self, schema: &Value) -> String {
        let Some(description @ Value::String(_)) = schema.get("description") else {
            return String::new();
        };
        let next = self.numbers.len();
        let json = description.to_string();
        let number = *self.numbers.entry(json.clone()).or_insert(next);
        if number == next {
            self.text.push_str(&json);
            self.text.push('\n');
        }
        number.to_string()
    }
}
