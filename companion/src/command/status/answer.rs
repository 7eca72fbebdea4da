//! What `lifeboat status` shows of an answer from `/status` (docs/status.md). Members that a later lifeboat adds are
//! skipped; optional ones may be missing.

use lifeboat_core::time::WallTime;
use serde::Deserialize;
use serde_json::Value;

use crate::command::configuration::printable;

/// The format that is read here.
const FORMAT: u64 = 1;

/// The answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StatusAnswer {
    pub(super) lifeboat: Text,
    pub(super) now: WallTime,
    pub(super) started: WallTime,
    pub(super) store: Text,
    #[serde(default)]
    pub(super) control_plane: Text,
    #[serde(default)]
    pub(super) export: Vec<Export>,
    pub(super) data_planes: Option<Warned>,
    pub(super) relay: Option<Relay>,
}

/// A text without characters that would move a terminal's cursor or change its writing direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub(super) struct Text(String);

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(printable(&text))
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What is exported of one version of Kong.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Export {
    pub(super) kong_version: Text,
    pub(super) ready: bool,
    pub(super) reason: Option<Text>,
    #[serde(default)]
    pub(super) control_plane_connected: bool,
    pub(super) newest: Option<Newest>,
    pub(super) published: Option<Published>,
    pub(super) leadership: Leadership,
    pub(super) failing: Option<Failing>,
    pub(super) drill: Option<Drill>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Newest {
    pub(super) config_hash: Text,
    pub(super) standing: Option<Text>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Published {
    pub(super) sequence: u64,
    pub(super) config_hash: Text,
    pub(super) state: Text,
    pub(super) pinned_until: Option<Text>,
    pub(super) received: WallTime,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Leadership {
    pub(super) role: Text,
    pub(super) leader: Option<Text>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Failing {
    pub(super) since: WallTime,
    pub(super) reason: Text,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Drill {
    pub(super) passed: bool,
    pub(super) reason: Option<Text>,
    pub(super) ended: WallTime,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Warned {
    #[serde(default)]
    pub(super) warnings: Vec<Text>,
}

/// A relay.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Relay {
    pub(super) ready: bool,
    pub(super) reason: Option<Text>,
    pub(super) listens: Option<Text>,
    pub(super) control_plane_reachable: Option<bool>,
    #[serde(default)]
    pub(super) nodes_connected: u64,
    #[serde(default)]
    pub(super) nodes_served_from_store: u64,
    #[serde(default)]
    pub(super) nodes: Vec<Node>,
    #[serde(default)]
    pub(super) warnings: Vec<Text>,
}

/// A node of a relay.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Node {
    pub(super) hostname: Text,
    pub(super) version: Option<Text>,
    pub(super) since: WallTime,
    pub(super) config_hash: Option<Text>,
    pub(super) config_from: Text,
    pub(super) control_plane: Text,
    pub(super) trouble: Option<Text>,
}

impl StatusAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    /// When the answer has another format or is no status; the text says what to do.
    pub(super) fn read(whole: &Value) -> Result<Self, String> {
        match whole.get("format").and_then(Value::as_u64) {
            Some(FORMAT) => {}
            Some(other) => {
                return Err(format!(
                    "its status has format {other}, and this lifeboat reads format {FORMAT}: run `lifeboat status` of \
                     the same version as that one"
                ));
            }
            None => return Err("its answer is no status of a lifeboat: something else listens there".to_owned()),
        }
        Self::deserialize(whole).map_err(|error| format!("its status can't be read: {error}"))
    }
}
