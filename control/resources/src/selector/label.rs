use super::SelectorError;
use super::object;
use crate::names;
use serde_json::Value;
use std::fmt;

/// A label selector: every requirement must hold. An empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The label is there and has one of these values.
    In(String, Vec<String>),
    /// The label is absent or has none of these values.
    NotIn(String, Vec<String>),
    /// The label is there.
    Exists(String),
    /// The label is absent.
    Absent(String),
    /// The label is a whole number above this one.
    Greater(String, i64),
    /// The label is a whole number below this one.
    Less(String, i64),
}

impl LabelSelector {
    /// Reads the text form: `app=web,tier!=db,env in (a, b),zone notin (x),canary,!old,weight>3`.
    pub fn parse(text: &str) -> Result<LabelSelector, SelectorError> {
        Parser { rest: text }.selector().map(LabelSelector::new)
    }

    /// Reads the JSON form: `matchLabels` and `matchExpressions`. Null selects nothing in Kubernetes, so it is `None`.
    pub fn from_json(selector: &Value) -> Option<LabelSelector> {
        selector.is_object().then(|| LabelSelector::new(object::requirements(selector)))
    }

    /// Selects the objects that have all of these labels.
    pub fn from_map(labels: &Value) -> LabelSelector {
        LabelSelector::new(object::equalities(labels))
    }

    fn new(requirements: Vec<Requirement>) -> LabelSelector {
        LabelSelector { requirements }
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// What it requires.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object with the labels that `value_of` looks up is selected.
    pub fn matches<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(&value_of))
    }

    /// Whether an object with these labels (a JSON map, or null) is selected.
    pub fn matches_json(&self, labels: &Value) -> bool {
        self.matches(|key| labels.get(key).and_then(Value::as_str))
    }
}

impl Requirement {
    fn holds<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        let number = |key: &str| value_of(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Requirement::In(key, values) => value_of(key).is_some_and(|value| values.iter().any(|one| one == value)),
            Requirement::NotIn(key, values) => {
                !value_of(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Requirement::Exists(key) => value_of(key).is_some(),
            Requirement::Absent(key) => value_of(key).is_none(),
            Requirement::Greater(key, bound) => number(key).is_some_and(|value| value > *bound),
            Requirement::Less(key, bound) => number(key).is_some_and(|value| value < *bound),
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                out.write_str(",")?;
            }
            write!(out, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Requirement::In(key, values) if values.len() == 1 => write!(out, "{key}={}", values[0]),
            Requirement::In(key, values) => write!(out, "{key} in ({})", values.join(",")),
            Requirement::NotIn(key, values) if values.len() == 1 => write!(out, "{key}!={}", values[0]),
            Requirement::NotIn(key, values) => write!(out, "{key} notin ({})", values.join(",")),
            Requirement::Exists(key) => out.write_str(key),
            Requirement::Absent(key) => write!(out, "!{key}"),
            Requirement::Greater(key, bound) => write!(out, "{key}>{bound}"),
            Requirement::Less(key, bound) => write!(out, "{key}<{bound}"),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn selector(mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut requirements = Vec::new();
        self.skip_space();
        while !self.rest.is_empty() {
            requirements.push(self.requirement()?);
            self.skip_space();
            if self.rest.is_empty() {
                break;
            }
            if !self.take(",") {
                return Err(self.unexpected("',' or end of string"));
            }
            self.skip_space();
            if self.rest.is_empty() {
                return Err(self.unexpected("identifier after ','"));
            }
        }
        Ok(requirements)
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let absent = self.take("!");
        let key = self.key()?;
        if absent {
            return Ok(Requirement::Absent(key));
        }
        self.skip_space();
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok(Requirement::Exists(key));
        }
        if self.take("==") || self.take("=") {
            return Ok(Requirement::In(key, vec![self.value()?]));
        }
        if self.take("!=") {
            return Ok(Requirement::NotIn(key, vec![self.value()?]));
        }
        if self.take(">") {
            return Ok(Requirement::Greater(key, self.number()?));
        }
        if self.take("<") {
            return Ok(Requirement::Less(key, self.number()?));
        }
        match self.word() {
            "in" => Ok(Requirement::In(key, self.values()?)),
            "notin" => Ok(Requirement::NotIn(key, self.values()?)),
            other => Err(SelectorError(format!(
                "unable to parse requirement: found '{other}', expected: in, notin, =, ==, !=, gt, lt"
            ))),
        }
    }

    fn key(&mut self) -> Result<String, SelectorError> {
        self.skip_space();
        let key = self.word().to_owned();
        match names::qualified_name(&key).first() {
            None => Ok(key),
            Some(_) if key.is_empty() => Err(self.unexpected("!, identifier, or 'end of string'")),
            Some(problem) => {
                Err(SelectorError(format!("unable to parse requirement: key: Invalid value: {key:?}: {problem}")))
            }
        }
    }

    fn value(&mut self) -> Result<String, SelectorError> {
        self.skip_space();
        let value = self.word().to_owned();
        match names::label_value(&value).first() {
            None => Ok(value),
            Some(problem) => Err(SelectorError(format!(
                "unable to parse requirement: values[0]: Invalid value: {value:?}: {problem}"
            ))),
        }
    }

    fn number(&mut self) -> Result<i64, SelectorError> {
        let value = self.value()?;
        value.parse().map_err(|_| {
            SelectorError(format!(
                "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            ))
        })
    }

    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        self.skip_space();
        if !self.take("(") {
            return Err(self.unexpected("'('"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            self.skip_space();
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.unexpected("',' or ')'"));
            }
        }
    }

    /// Everything up to a space or an operator's character.
    fn word(&mut self) -> &str {
        let end = self.rest.find(|c: char| c.is_whitespace() || "=!<>(),".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self, expected: &str) -> SelectorError {
        SelectorError(format!("unable to parse requirement: found '{}', expected: {expected}", self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requirements_choose_objects() {
        let labels = json!({ "app": "web", "env": "prod", "canary": "", "weight": "5" });
        let cases = [
            ("", true),
            ("app=web", true),
            ("app == web , env!=dev", true),
            ("app!=web", false),
            ("zone!=a", true),
            ("env in (dev, prod)", true),
            ("env in (dev)", false),
            ("env notin (dev,test),app", true),
            ("zone notin (a)", true),
            ("canary", true),
            ("canary=", true),
            ("!canary", false),
            ("!zone", true),
            ("weight>4,weight<6", true),
            ("weight>5", false),
            ("app>1", false),
            ("app in (web),!zone,env!=dev", true),
            ("in in (a)", false),
        ];
        for (text, selected) in cases {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.matches_json(&labels), selected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in
            ["a=b=c", "a in", "a in (", "a in b", "a,", ",a", "a b", "-a=b", "a=-", "!", "a>x", "a in (b", "(a)", "a!b"]
        {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_text_form_reads_back() {
        let selector = json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "env", "operator": "In", "values": ["a", "b"] },
                { "key": "zone", "operator": "NotIn", "values": ["x"] },
                { "key": "canary", "operator": "Exists" },
                { "key": "old", "operator": "DoesNotExist" },
            ],
        });
        let selector = LabelSelector::from_json(&selector).unwrap();
        assert_eq!(selector.to_string(), "app=web,env in (a,b),zone!=x,canary,!old");
        assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
        assert_eq!(LabelSelector::from_json(&Value::Null), None);
    }
}
