//! A data plane's first message: who it is and what it can load. Lifeboat writes its own and reads other nodes'.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::limits::{self, NodeLimits};
use super::plugins;

/// What Kong's `cluster_max_payload` is unless it is set: 16 MiB, compressed.
pub const DEFAULT_MAX_PAYLOAD: u64 = 16 * 1024 * 1024;

/// What the headless session says of itself: a node that can load whatever the control plane has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicInfo {
    plugins: Vec<Plugin>,
    filters: Vec<String>,
    labels: BTreeMap<String, String>,
    max_payload: u64,
}

/// A plugin that a node says it has. Without a version it passes the control plane's check (KONG.md section 1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// The plugin's name.
    pub name: String,
    /// Its version, when the node gave one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    plugins: &'a [Plugin],
    process_conf: ProcessConf,
    filters: BTreeMap<&'a str, Filter<'a>>,
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Filter<'a> {
    name: &'a str,
}

#[derive(Serialize, Deserialize)]
struct ProcessConf {
    #[serde(default)]
    cluster_max_payload: Option<u64>,
}

impl BasicInfo {
    /// A backup node with every plugin that Kong bundles, and `more_plugins` and `filters` besides.
    pub fn backup_node(more_plugins: &[String], filters: &[String], labels: BTreeMap<String, String>) -> Self {
        let bundled = plugins::BUNDLED.iter().map(|name| (*name).to_owned());
        Self::with_plugins(bundled.chain(more_plugins.iter().cloned()), filters, labels)
    }

    /// A backup node with exactly these plugins, as the control plane's Admin API lists them.
    pub fn with_plugins(
        names: impl IntoIterator<Item = String>,
        filters: &[String],
        mut labels: BTreeMap<String, String>,
    ) -> Self {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        labels.insert("lifeboat".to_owned(), "backup".to_owned());
        let plugins = names.into_iter().map(|name| Plugin { name, version: None }).collect();
        Self { plugins, filters: filters.to_vec(), labels, max_payload: DEFAULT_MAX_PAYLOAD }
    }

    /// The message's bytes: plain JSON.
    pub fn encode(&self) -> Bytes {
        let message = Message {
            r#type: "basic_info",
            plugins: &self.plugins,
            process_conf: ProcessConf { cluster_max_payload: Some(self.max_payload) },
            filters: self.filters.iter().map(|name| (name.as_str(), Filter { name })).collect(),
            labels: &self.labels,
        };
        serde_json::to_vec(&message).expect("strings and numbers always have a JSON form").into()
    }
}

/// What another node's first message tells that Lifeboat needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// The longest message, compressed and in bytes, that the node takes.
    pub max_payload: u64,
    /// Its `lmdb_map_size` in bytes, where it says it.
    pub map_size: Option<u64>,
}

/// A first message that isn't a `basic_info`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the node's first message is not a basic_info: {0}")]
pub struct NotBasicInfo(String);

impl NotBasicInfo {
    /// It did not come as one binary message, as Kong's nodes send it.
    pub fn in_another_form() -> Self {
        Self("it is not one binary message".to_owned())
    }
}

impl NodeInfo {
    /// What the node takes; what it doesn't say is as `otherwise`.
    pub fn limits(&self, otherwise: NodeLimits) -> NodeLimits {
        NodeLimits { max_payload: self.max_payload, map_size: self.map_size.unwrap_or(otherwise.map_size) }
    }

    /// Reads a node's first message. Fields that Lifeboat doesn't need may be of any form.
    pub fn decode(message: &[u8]) -> Result<Self, NotBasicInfo> {
        #[derive(Deserialize)]
        struct Wanted {
            r#type: String,
            #[serde(default)]
            process_conf: Option<serde_json::Value>,
        }
        // To serde a list of the members' values is as good as an object.
        if !message.trim_ascii_start().starts_with(b"{") {
            return Err(NotBasicInfo("it is not a JSON object".to_owned()));
        }
        let wanted: Wanted = serde_json::from_slice(message).map_err(|error| NotBasicInfo(error.to_string()))?;
        if wanted.r#type != "basic_info" {
            return Err(NotBasicInfo(format!("its type is {:?}", wanted.r#type)));
        }
        let conf = wanted.process_conf.as_ref();
        let max_payload = conf.and_then(|conf| conf.get("cluster_max_payload")?.as_u64());
        let map_size = conf.and_then(|conf| limits::size(conf.get("lmdb_map_size")?.as_str()?));
        Ok(Self { max_payload: max_payload.unwrap_or(DEFAULT_MAX_PAYLOAD), map_size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/basic-info-from-dp.json");

    fn encoded(plugins: &[&str], filters: &[&str]) -> serde_json::Value {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let info = BasicInfo::backup_node(&owned(plugins), &owned(filters), BTreeMap::new());
        serde_json::from_slice(&info.encode()).unwrap()
    }

    #[test]
    fn it_has_the_members_that_a_real_node_sends() {
        let recorded: serde_json::Value = serde_json::from_slice(RECORDED).unwrap();
        let ours = encoded(&[], &["tinyfilter"]);
        for member in ["type", "plugins", "process_conf", "filters", "labels"] {
            assert_eq!(ours[member].is_object(), recorded[member].is_object(), "{member}");
        }
        assert_eq!(ours["filters"], recorded["filters"]);
        assert_eq!(ours["labels"]["lifeboat"], "backup");
    }

    #[test]
    fn every_plugin_of_a_real_node_is_in_the_list_without_a_version() {
        let recorded: serde_json::Value = serde_json::from_slice(RECORDED).unwrap();
        let ours = encoded(&["my-own"], &[]);
        let ours: Vec<&serde_json::Value> = ours["plugins"].as_array().unwrap().iter().collect();
        assert!(ours.iter().all(|plugin| plugin.get("version").is_none()));
        for plugin in recorded["plugins"].as_array().unwrap() {
            // "tinyfilter" is a Wasm filter that the recording's node had loaded, not a bundled plugin.
            let known = ours.iter().any(|ours| ours["name"] == plugin["name"]) || plugin["name"] == "tinyfilter";
            assert!(known, "{plugin}");
        }
        assert!(ours.iter().any(|plugin| plugin["name"] == "my-own"));
    }

    #[test]
    fn a_real_node_says_how_much_it_takes() {
        let recorded = NodeInfo::decode(RECORDED).unwrap();
        assert_eq!((recorded.max_payload, recorded.map_size), (16_777_216, Some(2048 << 20)));
        let older = br#"{"type":"basic_info","plugins":[]}"#;
        assert_eq!(NodeInfo::decode(older).unwrap(), NodeInfo { max_payload: DEFAULT_MAX_PAYLOAD, map_size: None });
        let empty_tables = br#"{"type":"basic_info","process_conf":[]}"#;
        assert_eq!(NodeInfo::decode(empty_tables).unwrap().max_payload, DEFAULT_MAX_PAYLOAD);
    }

    #[test]
    fn something_else_first_is_refused() {
        assert!(NodeInfo::decode(b"\x1f\x8b").is_err());
        assert!(NodeInfo::decode(br#"["basic_info"]"#).unwrap_err().to_string().contains("not a JSON object"));
        assert!(NodeInfo::decode(br#"{"type":"reconfigure"}"#).unwrap_err().to_string().contains("reconfigure"));
    }
}
