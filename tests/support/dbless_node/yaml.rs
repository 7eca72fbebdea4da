//! A configuration as YAML text, as lyaml, which Kong writes it with, would write it.

use std::fmt::Write as _;

use serde_json::Value;

/// The members that are no list first, then list by list, each entity for itself.
pub(super) fn exported(configuration: &Value) -> String {
    let members = configuration.as_object().expect("a configuration is an object");
    let mut yaml = String::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_array()) {
        let _ = writeln!(yaml, "{name}: {}", scalar(value));
    }
    for (name, entities) in members.iter().filter_map(|(name, value)| Some((name, value.as_array()?))) {
        let _ = writeln!(yaml, "{name}:");
        for entity in entities {
            block(entity, 0, &mut yaml);
        }
    }
    yaml
}

/// An element of a list that stands this far to the right.
fn block(element: &Value, indent: usize, yaml: &mut String) {
    let margin = " ".repeat(indent);
    match element {
        Value::Object(members) if !members.is_empty() => {
            for (at, (name, value)) in members.iter().enumerate() {
                let begin = if at == 0 { "- " } else { "  " };
                let _ = write!(yaml, "{margin}{begin}{}:", scalar(&Value::from(name.as_str())));
                nested(value, indent + 2, yaml);
            }
        }
        other => {
            let _ = writeln!(yaml, "{margin}- {}", scalar(other));
        }
    }
}

fn nested(value: &Value, indent: usize, yaml: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            yaml.push('\n');
            for (name, value) in members {
                let _ = write!(yaml, "{margin}  {}:", scalar(&Value::from(name.as_str())));
                nested(value, indent + 2, yaml);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            yaml.push('\n');
            for element in elements {
                block(element, indent, yaml);
            }
        }
        // Of several lines: what PEM is written as.
        Value::String(text) if text.ends_with('\n') => {
            yaml.push_str(" |\n");
            for line in text.lines() {
                let _ = writeln!(yaml, "{margin}  {line}");
            }
        }
        plain => {
            let _ = writeln!(yaml, " {}", scalar(plain));
        }
    }
}

/// Lua has one empty table, and an empty list is written as an empty object.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "~".to_owned(),
        Value::Array(_) | Value::Object(_) => "{}".to_owned(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        plain => plain.to_string(),
    }
}
