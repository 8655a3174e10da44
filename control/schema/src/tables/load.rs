//! Reads `types.txt`. The generator wrote it and a test reads all of it, so a malformed line is a defect of the build.

use crate::shape::{Content, Description, Field, PatchStrategy, Shape, ShapeRef, Topology, Type, TypeRef};

use super::{Kind, Schemas};

pub(super) fn load(text: &'static str) -> Schemas {
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("type\t")).map(first_cell).collect();
    let mut loader = Loader { names, types: Vec::new(), fields: Vec::new(), inner: Vec::new(), kinds: Vec::new() };
    for line in text.lines() {
        loader.line(line);
    }
    loader.finish()
}

fn first_cell(line: &str) -> &str {
    line.split('\t').next().unwrap_or_default()
}

struct Loader {
    /// In order, so that a name's place is its handle.
    names: Vec<&'static str>,
    types: Vec<Type>,
    fields: Vec<Field>,
    inner: Vec<Shape>,
    kinds: Vec<Kind>,
}

impl Loader {
    fn line(&mut self, line: &'static str) {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        match cell() {
            "type" => self.add_type(cell(), cell(), cell()),
            "kind" => self.add_kind((cell(), cell(), cell()), cell()),
            "" => self.add_field([cell(), cell(), cell(), cell(), cell(), cell()]),
            other => panic!("types.txt: no line begins with {other:?}"),
        }
    }

    fn add_type(&mut self, name: &'static str, number: &str, content: &'static str) {
        let content = match content {
            "struct" => Content::Struct(self.fields.len()..self.fields.len()),
            alias => Content::Alias(self.shape(alias)),
        };
        self.types.push(Type { name, description: description(number), content });
    }

    fn add_field(&mut self, [name, shape, number, flag, topology, patch]: [&'static str; 6]) {
        let shape = self.shape(shape);
        self.fields.push(Field {
            name,
            shape,
            description: description(number),
            required: flag == "required",
            topology: read_topology(topology),
            patch: patch_strategy(patch),
        });
        let Some(Type { content: Content::Struct(range), .. }) = self.types.last_mut() else {
            panic!("types.txt: field {name} belongs to no struct");
        };
        range.end += 1;
    }

    fn add_kind(&mut self, name: (&'static str, &'static str, &'static str), schema: &str) {
        let ty = self.handle(schema);
        self.kinds.push(Kind { name, ty });
    }

    fn shape(&mut self, word: &'static str) -> Shape {
        if let Some(items) = word.strip_prefix('[') {
            return Shape::List(self.inner(items));
        }
        if let Some(values) = word.strip_prefix('{') {
            return Shape::Map(self.inner(values));
        }
        match word.strip_prefix('@') {
            Some(name) => Shape::Ref(self.handle(name)),
            None => plain(word),
        }
    }

    fn inner(&mut self, word: &'static str) -> ShapeRef {
        let shape = self.shape(word);
        let index = self.inner.iter().position(|known| *known == shape).unwrap_or_else(|| {
            self.inner.push(shape);
            self.inner.len() - 1
        });
        ShapeRef(u16::try_from(index).expect("fewer shapes than 65,536"))
    }

    fn handle(&self, name: &str) -> TypeRef {
        let index = self.names.binary_search(&name).unwrap_or_else(|_| panic!("types.txt: no type {name}"));
        TypeRef(u16::try_from(index).expect("fewer types than 65,536"))
    }

    fn finish(self) -> Schemas {
        let Self { types, mut fields, mut inner, kinds, .. } = self;
        fields.shrink_to_fit();
        inner.shrink_to_fit();
        Schemas { types, fields, inner, kinds }
    }
}

fn plain(word: &str) -> Shape {
    match word {
        "any" => Shape::Any,
        "object" => Shape::Object,
        "string" => Shape::String,
        "boolean" => Shape::Boolean,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "byte" => Shape::Byte,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "quantity" => Shape::Quantity,
        "int-or-string" => Shape::IntOrString,
        other => panic!("types.txt: no shape is called {other:?}"),
    }
}

fn description(number: &str) -> Option<Description> {
    number.parse().ok().map(Description)
}

fn read_topology(word: &'static str) -> Topology {
    match word.split_once('=') {
        Some((_, keys)) => Topology::ListMap(keys),
        None if word == "set" => Topology::Set,
        None if word == "atomic" => Topology::AtomicMap,
        None => Topology::Default,
    }
}

fn patch_strategy(word: &'static str) -> PatchStrategy {
    match word.split_once('=') {
        Some((name, key)) => PatchStrategy { name, merge_key: Some(key) },
        None => PatchStrategy { name: word, merge_key: None },
    }
}
