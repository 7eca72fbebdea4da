//! `lifeboat schema`: what programs may rely on. The settings' schema comes from their table; the others are files of
//! docs/schemas/, which tests compare with what the program prints and answers.

use serde_json::{Map, Value, json};

use super::{Failure, stdout};
use crate::cli::{Contract, words_of};
use crate::settings::names::{SETTINGS, Setting};

/// What commands print with `--output json`.
const OUTPUTS: &str = include_str!("../../../docs/schemas/outputs.json");
/// What is answered over HTTP, and what a webhook's receiver is sent.
const HTTP: &str = include_str!("../../../docs/schemas/http.json");

/// Variables that Kubernetes sets for a Service named lifeboat, which are no misspelt settings.
const SERVICE_LINKS: &str = "_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)";

/// Prints the schema of `of`.
pub fn schema(of: Contract) -> Result<(), Failure> {
    let text = match of {
        Contract::Settings => serde_json::to_string_pretty(&settings()).map_err(anyhow::Error::from)?,
        Contract::Outputs => OUTPUTS.trim_end().to_owned(),
        Contract::Http => HTTP.trim_end().to_owned(),
    };
    Ok(stdout::line(&text).map_err(anyhow::Error::from)?)
}

/// Of an object with variables as members: an environment, or a settings file. Others may stand in it, but none that look
/// like ours: those are misspelt.
fn settings() -> Value {
    let mut properties = Map::new();
    for setting in SETTINGS {
        properties.insert(setting.variable.to_owned(), property(setting));
        if setting.may_be_in_file() {
            let text = format!("the path of a file that holds {}", setting.variable);
            properties.insert(in_file(setting), json!({ "type": "string", "description": text }));
        }
    }

    let known: Vec<&String> = properties.keys().collect();
    let names = json!({
        "anyOf": [
            { "not": { "pattern": "^LIFEBOAT_" } },
            { "enum": known },
            { "pattern": SERVICE_LINKS },
        ],
    });
    // The value itself or its file.
    let not_both: Vec<Value> = SETTINGS
        .iter()
        .filter(|setting| setting.may_be_in_file())
        .map(|setting| json!({ "not": { "required": [setting.variable, in_file(setting)] } }))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Settings of lifeboat {}", env!("CARGO_PKG_VERSION")),
        "description": "Variables of an environment or a settings file, by name. An empty value is as good as none.",
        "type": "object",
        "properties": properties,
        "additionalProperties": { "type": "string" },
        "propertyNames": names,
        "allOf": not_both,
    })
}

fn property(setting: &Setting) -> Value {
    let mut property = json!({
        "type": "string",
        "description": setting.meaning.replace('`', ""),
        "x-default": setting.default.replace('`', ""),
    });
    if let Some(words) = words_of(setting.name()) {
        // An empty value is as good as none.
        let words: Vec<&str> = words.iter().copied().chain([""]).collect();
        property["enum"] = json!(words);
    }
    match setting.flag {
        Some(flag) => property["x-flag"] = json!(format!("--{flag}")),
        // A secret.
        None => property["writeOnly"] = json!(true),
    }
    property
}

fn in_file(setting: &Setting) -> String {
    setting.name().in_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_schema_has_each_setting_and_says_which_are_secrets() {
        let schema = settings();
        for setting in SETTINGS {
            let property = &schema["properties"][setting.variable];
            assert_eq!(property["type"], "string", "{}", setting.variable);
            assert_eq!(property["writeOnly"] == true, setting.flag.is_none(), "{}", setting.variable);
        }
        assert_eq!(schema["properties"]["LIFEBOAT_SIGNING_KEY_FILE"]["type"], "string");
        assert_eq!(schema["properties"]["LIFEBOAT_LOG_FILE"], Value::Null);
        assert_eq!(schema["properties"]["LIFEBOAT_ELECTION"]["enum"], json!(["auto", "lease", "registry", "none", ""]));
    }

    #[test]
    fn the_published_schemas_are_json() {
        for text in [OUTPUTS, HTTP] {
            let schema: Value = serde_json::from_str(text).unwrap();
            assert!(schema.is_object());
        }
    }
}
