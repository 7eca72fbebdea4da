//! YAML to JSON values. What is text and what a number is decided in `scalar.rs`, as Kong's own YAML reader does, and how
//! the text is divided into tokens by saphyr-parser, the one pure Rust parser of YAML that gives events: the libraries that
//! give values instead (serde_yaml and its successors, saphyr) follow YAML 1.2, where `on` is a word.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use super::scalar;
use crate::sensitive::Sensitive;

/// How deeply values may be nested: less than what serde_json reads, so that what is made here can be read again.
const MAX_DEPTH: usize = 100;

/// How many values may come from aliases, so that a few lines can't fill the memory.
const MAX_ALIASED: usize = 1_000_000;

/// What is wrong with a YAML text, and where.
#[derive(Debug, thiserror::Error)]
#[error("{reason} at line {line}, column {column}")]
pub(super) struct Error {
    reason: Cow<'static, str>,
    line: usize,
    column: usize,
}

/// What a text holds.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Its first document: the only one that Kong reads.
    pub(super) document: Sensitive<Value>,
    /// Whether there are others after it.
    pub(super) has_more: bool,
}

/// Reads the first document of a text.
pub(super) fn parse(text: &str) -> Result<Parsed, Error> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| at(*error.marker(), error.info().to_owned()))?;
        if matches!(event, Event::DocumentStart(_)) && builder.document.is_some() {
            return Ok(Parsed { document: builder.document.unwrap_or_default().into(), has_more: true });
        }
        builder.event(event).map_err(|reason| at(span.start, reason))?;
    }
    Ok(Parsed { document: builder.document.unwrap_or_default().into(), has_more: false })
}

fn at(place: Marker, reason: impl Into<Cow<'static, str>>) -> Error {
    Error { reason: reason.into(), line: place.line(), column: place.col() + 1 }
}

type Reason = Cow<'static, str>;

#[derive(Default)]
struct Builder {
    document: Option<Value>,
    open: Vec<Open>,
    /// By number: the value, and how many values it consists of.
    anchors: HashMap<usize, (Value, usize)>,
    aliased: usize,
}

/// A list or an object that is being read.
struct Open {
    anchor: usize,
    container: Container,
}

enum Container {
    List(Vec<Value>),
    Object {
        members: Map<String, Value>,
        /// Which of them come from a merge: they give way to the object's own.
        merged: Vec<String>,
        name: Option<String>,
    },
}

impl Builder {
    fn event(&mut self, event: Event<'_>) -> Result<(), Reason> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
            Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => self.alias(anchor),
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref()),
            Event::SequenceStart(anchor, _) => self.begin(anchor, Container::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.begin(anchor, Container::Object { members: Map::new(), merged: Vec::new(), name: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, container }) = self.open.pop() else { return Ok(()) };
                let value = match container {
                    Container::List(values) => Value::Array(values),
                    Container::Object { members, .. } => Value::Object(members),
                };
                self.anchor(anchor, &value);
                self.value(value)
            }
        }
    }

    fn begin(&mut self, anchor: usize, container: Container) -> Result<(), Reason> {
        if self.open.len() == MAX_DEPTH {
            return Err(format!("values are nested more than {MAX_DEPTH} levels deep").into());
        }
        if matches!(self.open.last(), Some(Open { container: Container::Object { name: None, .. }, .. })) {
            return Err("a list or an object can't be a member's name".into());
        }
        self.open.push(Open { anchor, container });
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, tag: Option<&Tag>) -> Result<(), Reason> {
        if let Some(Open { container: Container::Object { members, merged, name: name @ None }, .. }) =
            self.open.last_mut()
        {
            let is_text = style != ScalarStyle::Plain || matches!(scalar::plain(text), Some(Value::String(_)));
            if !is_text {
                return Err(format!("the name {text} is not a text to Kong: put it in quotes").into());
            }
            if members.contains_key(text) && !merged.iter().any(|merged| merged == text) {
                return Err(format!(
                    "{text} stands here twice, and only one of them would count: Kong itself takes it"
                )
                .into());
            }
            *name = Some(text.to_owned());
            return Ok(());
        }
        let value = value_of(text, style, tag)?;

        self.anchor(anchor, &value);
        self.value(value)
    }

    /// Anchors are numbered from 1; what is none has 0.
    fn anchor(&mut self, anchor: usize, value: &Value) {
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), count(value)));
        }
    }

    fn alias(&mut self, anchor: usize) -> Result<(), Reason> {
        let Some((value, count)) = self.anchors.get(&anchor) else {
            return Err("an alias stands inside of what it stands for".into());
        };
        self.aliased += count;
        if self.aliased > MAX_ALIASED {
            return Err(format!("aliases stand for more than {MAX_ALIASED} values").into());
        }
        let value = value.clone();
        self.value(value)
    }

    /// A value is complete: it is a member's, an element, or the document.
    fn value(&mut self, value: Value) -> Result<(), Reason> {
        match self.open.last_mut().map(|open| &mut open.container) {
            None => self.document = Some(value),
            Some(Container::List(values)) => values.push(value),
            Some(Container::Object { members, merged, name }) => match name.take() {
                None => return Err("an alias can't be a member's name".into()),
                Some(name) if name == "<<" => merge(members, merged, value)?,
                Some(name) => {
                    merged.retain(|merged| *merged != name);
                    members.insert(name, value);
                }
            },
        }
        Ok(())
    }
}

/// `<<`: the members of one object or of several, where there are none of the same name yet.
fn merge(members: &mut Map<String, Value>, merged: &mut Vec<String>, value: Value) -> Result<(), Reason> {
    let objects = match value {
        Value::Array(objects) => objects,
        one => vec![one],
    };
    for object in objects {
        let Value::Object(object) = object else { return Err("<< takes an object or a list of objects".into()) };
        for (name, value) in object {
            if !members.contains_key(&name) {
                merged.push(name.clone());
                members.insert(name, value);
            }
        }
    }
    Ok(())
}

fn value_of(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, Reason> {
    let wrong = |what: &str| Reason::from(format!("a value with the tag !!{what} is none"));
    let is_core = |tag: &&Tag| tag.is_yaml_core_schema();
    let value = match tag.filter(is_core).map(|tag| tag.suffix.as_str()) {
        Some("str") => Some(Value::from(text)),
        Some("null") => scalar::literal(text).filter(Value::is_null).ok_or_else(|| wrong("null")).map(Some)?,
        Some("bool") => scalar::literal(text).filter(Value::is_boolean).ok_or_else(|| wrong("bool")).map(Some)?,
        Some(what @ ("int" | "float")) => match scalar::number(text) {
            Some(_) => scalar::plain(text),
            None => return Err(wrong(what)),
        },
        _ if style == ScalarStyle::Plain => scalar::plain(text),
        _ => Some(Value::from(text)),
    };
    value.ok_or_else(|| "Kong's configuration has no number that is infinite or none".into())
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        parse(text).unwrap().document.into_inner()
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_people_write_is_read_as_they_mean_it() {
        let text = "\
# a comment
_format_version: \"3.0\"
services:
- name: orders
  port: 8443
  retries: 0
  enabled: on
  tags: [a, 'yes', \"5\"]
  path: ~
  config: {}
  script: |
    line one
    line two
";
        let expected = json!({"_format_version": "3.0", "services": [{"name": "orders", "port": 8443, "retries": 0,
            "enabled": true, "tags": ["a", "yes", "5"], "path": null, "config": {}, "script": "line one\nline two\n"}]});
        assert_eq!(read(text), expected);
    }

    #[test]
    fn anchors_and_merges_are_resolved() {
        let text = "\
base: &base {protocol: https, port: 443}
other: &other {port: 80, path: /x}
list:
- {<<: *base, port: 8443}
- port: 1
  <<: [*base, *other]
- *other
";
        let expected = json!([{"protocol": "https", "port": 8443}, {"port": 1, "protocol": "https", "path": "/x"},
            {"port": 80, "path": "/x"}]);
        assert_eq!(read(text)["list"], expected);
    }

    #[test]
    fn tags_say_what_a_value_is() {
        assert_eq!(
            read("[!!str 5, !!int '5', !!float 1, !!bool 'yes', !!null '', !own x]"),
            json!(["5", 5, 1, true, null, "x"])
        );
        assert!(error("!!int x").contains("!!int"));
    }

    #[test]
    fn what_would_be_lost_or_misread_is_refused_with_its_place() {
        for (text, part) in [
            (
                "a: 1\nb: 2\na: 3\n",
                "a stands here twice, and only one of them would count: Kong itself takes it at line 3, column 1",
            ),
            ("on: 1\n", "put it in quotes"),
            ("200: 1\n", "put it in quotes"),
            ("? [a]\n: 1\n", "can't be a member's name"),
            ("a: .inf\n", "infinite"),
            ("a: &a [*a]\n", "inside of what it stands for"),
            ("a: [1, 2\n", "line"),
            ("a: {<<: 5}\n", "<< takes"),
            ("a: *nobody\n", "line 1"),
        ] {
            assert!(error(text).contains(part), "{text:?}: {}", error(text));
        }
        assert!(error(&"[".repeat(101)).contains("nested"), "{}", error(&"[".repeat(101)));
    }

    #[test]
    fn a_few_lines_can_not_fill_the_memory() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(error(&text).contains("aliases stand for more than"), "{}", error(&text));
    }

    #[test]
    fn of_several_documents_the_first_one_counts() {
        let parsed = parse("a: 1\n---\nb: [\n").unwrap();
        assert_eq!((&*parsed.document, parsed.has_more), (&json!({"a": 1}), true));
        assert!(!parse("---\na: 1\n...\n").unwrap().has_more);
    }

    #[test]
    fn an_empty_text_is_nothing() {
        assert_eq!(read(""), Value::Null);
        assert_eq!(read("# nothing\n"), Value::Null);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[ \\-:{}\\[\\]&*!?|>'\"a1#,\\n<~]{0,80}") {
            let _ = parse(&text);
        }
    }
}
