use crate::{Cause, Review, Subresource};
use jiff::Timestamp;
use serde_json::Value;

/// A column of the table that kubectl prints.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// `string`, `integer`, `boolean`, `number` or `date`.
    pub kind: &'static str,
    /// `name` for the object's name; otherwise empty.
    pub format: &'static str,
    /// 0 is always shown; greater only with `-o wide`.
    pub priority: i32,
    /// What it says.
    pub description: &'static str,
}

impl Column {
    /// A column that is always shown.
    pub(crate) const fn plain(name: &'static str, kind: &'static str, description: &'static str) -> Column {
        Column { name, kind, format: "", priority: 0, description }
    }

    /// A column that is shown with `-o wide`.
    pub(crate) const fn wide(name: &'static str, description: &'static str) -> Column {
        Column { name, kind: "string", format: "", priority: 1, description }
    }
}

/// What an object of a kind may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameGrammar {
    /// A lower-case RFC 1123 subdomain.
    Subdomain,
    /// A lower-case RFC 1123 label.
    Label,
    /// A lower-case RFC 1035 label.
    Label1035,
}

/// The rules of one kind of object. Every method has an answer that fits a plain object; override what differs.
///
/// Objects arrive as parsed JSON whose types were checked against the schema, with `metadata` already handled by the verbs:
/// name, namespace, uid, creationTimestamp, generation and managed times are not a strategy's business.
pub trait Strategy: Send + Sync {
    /// The question that its objects are, if they are none that are kept: only `create` is served then.
    fn review(&self) -> Option<Review> {
        None
    }

    /// What its objects may be called.
    fn name_grammar(&self) -> NameGrammar {
        NameGrammar::Subdomain
    }

    /// Turns an object from the form that is kept into the form that this resource serves, `apiVersion` included. Only
    /// resources that share their storage with another have something to do. All other methods see the served form, so this
    /// runs right after an object was read from the store.
    fn to_served(&self, _object: &mut Value) {}

    /// Undoes `to_served`; runs right before an object goes to the store.
    fn to_stored(&self, _object: &mut Value) {}

    /// Whether `to_served` and `to_stored` do nothing.
    fn stored_as_served(&self) -> bool {
        true
    }

    /// Fills in what the user left out. Runs on create and on update, before validation, and must be idempotent.
    fn default(&self, _object: &mut Value) {}

    /// Drops what a user may not set on create, such as `status`.
    fn prepare_create(&self, object: &mut Value, _now: Timestamp) {
        if let Some(map) = object.as_object_mut() {
            map.remove("status");
        }
    }

    /// Carries over from `old` what an update of the main resource may not change, such as `status`.
    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "status");
    }

    /// Carries over from `old` everything that an update of `/status` may not change.
    fn prepare_status(&self, new: &mut Value, old: &Value) {
        let status = new.get("status").cloned();
        let metadata = new.get("metadata").cloned();
        *new = old.clone();
        if let Some(map) = new.as_object_mut() {
            map.extend(metadata.map(|m| ("metadata".to_owned(), m)));
            match status {
                Some(status) => map.insert("status".to_owned(), status),
                None => map.remove("status"),
            };
        }
    }

    /// Whether `metadata.generation` counts changes of this kind's wishes.
    fn has_generation(&self) -> bool {
        true
    }

    /// Whether `new` wishes for something else than `old`; then the generation grows. By default: any difference outside
    /// `metadata` and `status`.
    fn wishes_differ(&self, new: &Value, old: &Value) -> bool {
        let wishes = |object: &Value| {
            let mut map = object.as_object().cloned().unwrap_or_default();
            map.remove("metadata");
            map.remove("status");
            map
        };
        wishes(new) != wishes(old)
    }

    /// What is wrong with an object, whether it is created or updated. Empty: nothing.
    fn validate(&self, _object: &Value) -> Vec<Cause> {
        Vec::new()
    }

    /// What a client should be told about an object that is taken all the same, in Kubernetes' words.
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// What is wrong with creating an object, beyond what `validate` says of it.
    fn validate_create(&self, _object: &Value) -> Vec<Cause> {
        Vec::new()
    }

    /// What is wrong with replacing `old` by `new`, beyond what `validate` says of `new`.
    fn validate_update(&self, _new: &Value, _old: &Value) -> Vec<Cause> {
        Vec::new()
    }

    /// What is wrong with an update of `/status`.
    fn validate_status(&self, _new: &Value, _old: &Value) -> Vec<Cause> {
        Vec::new()
    }

    /// Carries over from `old` everything that an update of this subresource may not change. It is asked only about those
    /// that change a part of the wishes.
    fn prepare_part(&self, _part: Subresource, new: &mut Value, old: &Value) {
        *new = old.clone();
    }

    /// What is wrong with an update of this subresource, beyond what `validate` says of the whole.
    fn validate_part(&self, _part: Subresource, _new: &Value, _old: &Value) -> Vec<Cause> {
        Vec::new()
    }

    /// How long an object lives on after its deletion was asked for, in seconds; `None`: it is removed at once.
    ///
    /// `asked` is the request's `gracePeriodSeconds`.
    fn grace_seconds(&self, _object: &Value, _asked: Option<i64>) -> Option<i64> {
        None
    }

    /// The columns of its table, without the closing `Age` unless it is listed here.
    fn columns(&self) -> &'static [Column];

    /// One row of its table: a cell for each column.
    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value>;

    /// What `fieldSelector` can choose by, beside `metadata.name` and `metadata.namespace`: every supported field, with an
    /// empty string where the object has none.
    fn selectable_fields(&self, _object: &Value) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Makes `new` hold at `field` what `old` holds there.
pub(crate) fn carry_over(new: &mut Value, old: &Value, field: &str) {
    let Some(map) = new.as_object_mut() else { return };
    match old.get(field) {
        Some(value) => map.insert(field.to_owned(), value.clone()),
        None => map.remove(field),
    };
}
