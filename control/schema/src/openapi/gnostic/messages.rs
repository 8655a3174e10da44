//! Which member of the JSON is which field of which message, for all that our documents hold.

/// A message, and the object that it is in JSON.
pub(super) struct Message {
    /// The member's name, the field's number, and what the member holds.
    pub(super) fields: &'static [(&'static str, u32, Value)],
    /// The field of members whose names begin with `x-`.
    pub(super) extensions: Option<u32>,
    /// The field of all other members.
    pub(super) others: Option<(u32, Value)>,
}

/// What a member holds.
pub(super) enum Value {
    Text,
    Flag,
    /// A list.
    Each(&'static Value),
    Message(&'static Message),
    /// In a message of its own, as the field with this number: gnostic's way of saying `oneof`.
    Within(u32, &'static Value),
    /// Whatever it is.
    Any,
    /// It depends on the object's member `in`.
    ByPlace(&'static [(&'static str, Value)]),
}

use Value::{ByPlace, Each, Flag, Text, Within};

pub(super) static DOCUMENT: Message = Message {
    fields: &[
        ("swagger", 1, Text),
        ("info", 2, Value::Message(&INFO)),
        ("paths", 8, Value::Message(&PATHS)),
        ("definitions", 9, Value::Message(&SCHEMAS)),
    ],
    extensions: Some(16),
    others: None,
};

static INFO: Message =
    Message { fields: &[("title", 1, Text), ("version", 2, Text)], extensions: Some(7), others: None };

static PATHS: Message = Message { fields: &[], extensions: Some(1), others: Some((2, Value::Message(&PATH))) };

static PATH: Message = Message {
    fields: &[
        ("get", 2, Value::Message(&OPERATION)),
        ("put", 3, Value::Message(&OPERATION)),
        ("post", 4, Value::Message(&OPERATION)),
        ("delete", 5, Value::Message(&OPERATION)),
        ("patch", 8, Value::Message(&OPERATION)),
        ("parameters", 9, Each(&PARAMETER)),
    ],
    extensions: Some(10),
    others: None,
};

static OPERATION: Message = Message {
    fields: &[
        ("tags", 1, Each(&Text)),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("parameters", 8, Each(&PARAMETER)),
        ("responses", 9, Value::Message(&RESPONSES)),
    ],
    extensions: Some(13),
    others: None,
};

/// `ParametersItem.parameter`, then `Parameter.body_parameter` or one of `Parameter.non_body_parameter`.
static PARAMETER: Value = ByPlace(&[
    ("body", Within(1, &Within(1, &Value::Message(&BODY)))),
    ("query", Within(1, &Within(2, &Within(3, &Value::Message(&QUERY))))),
    ("path", Within(1, &Within(2, &Within(4, &Value::Message(&IN_PATH))))),
]);

static BODY: Message = Message {
    fields: &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, Value::Message(&SCHEMA)),
    ],
    extensions: Some(6),
    others: None,
};

static QUERY: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("format", 7, Text),
        ("uniqueItems", 20, Flag),
    ],
    extensions: Some(23),
    others: None,
};

static IN_PATH: Message = Message {
    fields: &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("format", 6, Text),
        ("uniqueItems", 19, Flag),
    ],
    extensions: Some(22),
    others: None,
};

/// By their status codes; each is a `ResponseValue.response`.
static RESPONSES: Message =
    Message { fields: &[], extensions: Some(2), others: Some((1, Within(1, &Value::Message(&RESPONSE)))) };

static RESPONSE: Message = Message {
    fields: &[("description", 1, Text), ("schema", 2, Within(1, &Value::Message(&SCHEMA)))],
    extensions: Some(5),
    others: None,
};

/// `Definitions` and `Properties`: schemas by their names, which may begin with anything.
static SCHEMAS: Message = Message { fields: &[], extensions: None, others: Some((1, Value::Message(&SCHEMA))) };

static SCHEMA: Message = Message {
    fields: &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("description", 4, Text),
        ("required", 19, Each(&Text)),
        ("additionalProperties", 21, Within(1, &Value::Message(&SCHEMA))),
        ("type", 22, Within(1, &Text)),
        ("items", 23, Within(1, &Value::Message(&SCHEMA))),
        ("properties", 25, Value::Message(&SCHEMAS)),
    ],
    extensions: Some(31),
    others: None,
};
