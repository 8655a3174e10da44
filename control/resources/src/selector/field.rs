use super::SelectorError;

/// A `fieldSelector`: every term must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

impl FieldSelector {
    /// Reads `a=b,c!=d`. An empty text selects everything; `\`, `,` and `=` in values are escaped by `\`.
    pub fn parse(text: &str) -> Result<FieldSelector, SelectorError> {
        let terms = split_terms(text).into_iter().filter(|term| !term.is_empty());
        Ok(FieldSelector { terms: terms.map(|term| parse_term(&term, text)).collect::<Result<_, _>>()? })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The fields it asks about.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|term| term.field.as_str())
    }

    /// The value that `field` must have, when it must have exactly one (such as `metadata.name`).
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether the object whose fields are looked up by `value_of` is selected. An unknown field reads as empty.
    pub fn matches<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| (value_of(&term.field).unwrap_or_default() == term.value) == term.equal)
    }
}

/// Cuts at commas that are not escaped.
fn split_terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for character in text.chars() {
        if character == ',' && !escaped {
            terms.push(String::new());
            continue;
        }
        escaped = character == '\\' && !escaped;
        if let Some(last) = terms.last_mut() {
            last.push(character);
        }
    }
    terms
}

fn parse_term(term: &str, whole: &str) -> Result<Term, SelectorError> {
    let invalid = || SelectorError(format!("invalid selector: '{whole}'; can't understand '{term}'"));
    let at = operator(term).ok_or_else(invalid)?;
    let (field, rest) = term.split_at(at);
    let (equal, value) = match rest {
        _ if rest.starts_with("!=") => (false, &rest[2..]),
        _ if rest.starts_with("==") => (true, &rest[2..]),
        _ => (true, &rest[1..]),
    };
    Ok(Term { field: field.to_owned(), value: unescape(value)?, equal })
}

/// Where the first operator stands.
fn operator(term: &str) -> Option<usize> {
    term.char_indices().find(|&(at, c)| c == '=' || (c == '!' && term[at..].starts_with("!="))).map(|(at, _)| at)
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    return Err(SelectorError(format!("invalid field selector: invalid escape sequence: {sequence}")));
                }
            },
            '=' | ',' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {character}"
                )));
            }
            _ => plain.push(character),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(field: &str) -> Option<&'static str> {
        match field {
            "metadata.name" => Some("web-1"),
            "status.phase" => Some("Running"),
            "odd" => Some("a,b=c\\"),
            _ => None,
        }
    }

    #[test]
    fn terms_choose_objects() {
        let cases = [
            ("", true),
            ("metadata.name=web-1", true),
            ("metadata.name==web-1,status.phase!=Pending", true),
            ("status.phase!=Running", false),
            ("status.phase=Running,metadata.name=other", false),
            ("spec.nodeName=", true),
            ("odd=a\\,b\\=c\\\\", true),
        ];
        for (text, selected) in cases {
            let selector = FieldSelector::parse(text).unwrap();
            assert_eq!(selector.matches(object), selected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["a", "a=b=c", "a=\\x", "a=b\\", "a!b"] {
            assert!(FieldSelector::parse(text).is_err(), "{text}");
        }
    }
}
