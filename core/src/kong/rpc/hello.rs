//! The first message on each of a node's connections, plain JSON both ways. A control plane that answers it with an error
//! ends the RPC of that worker for good, so whoever can't serve a node closes the connection instead.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SYNC;
use crate::kong::limits::{self, NodeLimits};
use crate::kong::version::KongVersion;

/// How many capabilities a node may list. Kong's own list one; a control plane keeps what it is told of each node.
const MOST_CAPABILITIES: usize = 100;
/// The only way in which messages are encoded after the hello.
const ENCODING: &str = "x-snappy-framed";

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The node's id, the same on all its connections.
    pub id: Uuid,
    /// Its host's name, printable.
    pub hostname: String,
    /// As it says it, printable.
    pub announced: String,
    /// Its version, if it is one.
    pub version: Option<KongVersion>,
    /// Whether it takes its configuration this way.
    pub syncs: bool,
    /// What it takes; what it doesn't say is Kong's default.
    pub limits: NodeLimits,
}

/// Why something is no node's first message, or none that may be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHello {
    /// It isn't JSON of this form.
    #[error("it is no kong.meta.v1.hello")]
    Form,
    /// Its node id is none.
    #[error("its kong_node_id is no UUID")]
    NodeId,
    /// It lists more than any node has.
    #[error("it lists more than {MOST_CAPABILITIES} capabilities")]
    TooManyCapabilities,
    /// It speaks no encoding that a control plane of 3.9 speaks.
    #[error("it does not offer {ENCODING}")]
    Encoding,
}

#[derive(Deserialize)]
struct Message {
    method: String,
    params: (Info,),
}

#[derive(Deserialize)]
struct Info {
    rpc_capabilities: Names,
    rpc_frame_encodings: Names,
    kong_node_id: String,
    #[serde(default)]
    kong_hostname: String,
    #[serde(default)]
    kong_version: String,
    #[serde(default)]
    kong_conf: Conf,
}

#[derive(Default, Deserialize)]
struct Conf {
    cluster_max_payload: Option<u64>,
    lmdb_map_size: Option<String>,
}

impl Conf {
    fn limits(&self) -> NodeLimits {
        let (usual, map_size) = (NodeLimits::default(), self.lmdb_map_size.as_deref().and_then(limits::size));
        NodeLimits {
            max_payload: self.cluster_max_payload.unwrap_or(usual.max_payload),
            map_size: map_size.unwrap_or(usual.map_size),
        }
    }
}

/// A list of names. Lua has one word for an empty list and an empty object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Empty {},
}

impl Names {
    fn count(&self) -> usize {
        match self {
            Self::List(names) => names.len(),
            Self::Empty {} => 0,
        }
    }

    fn has(&self, wanted: &str) -> bool {
        matches!(self, Self::List(names) if names.iter().any(|name| name == wanted))
    }
}

impl Hello {
    /// Reads a node's first message.
    ///
    /// # Errors
    /// What a control plane should never be given: see [`NotHello`].
    pub fn decode(message: &[u8]) -> Result<Self, NotHello> {
        let Message { method, params: (info,) } = serde_json::from_slice(message).map_err(|_| NotHello::Form)?;
        if method != "kong.meta.v1.hello" {
            return Err(NotHello::Form);
        }
        if info.rpc_capabilities.count() > MOST_CAPABILITIES || info.rpc_frame_encodings.count() > MOST_CAPABILITIES {
            return Err(NotHello::TooManyCapabilities);
        }
        if !info.rpc_frame_encodings.has(ENCODING) {
            return Err(NotHello::Encoding);
        }
        // As Kong writes them: `Uuid` would take other forms, too.
        let id = Uuid::try_parse(&info.kong_node_id).ok().filter(|id| id.to_string() == info.kong_node_id);

        Ok(Self {
            id: id.ok_or(NotHello::NodeId)?,
            hostname: printable(&info.kong_hostname),
            version: info.kong_version.parse().ok(),
            announced: printable(&info.kong_version),
            syncs: info.rpc_capabilities.has(SYNC),
            limits: info.kong_conf.limits(),
        })
    }

    /// Whether the protocol that this node means by [`SYNC`] is the one that is spoken here: open-source Kong's of 3.9.
    /// Enterprise lists the same name and means another protocol.
    pub fn can_be_synced(&self) -> bool {
        self.syncs && self.version.is_some_and(|version| !version.is_enterprise() && version.major_minor() == (3, 9))
    }
}

#[derive(Serialize)]
struct Answer {
    result: Accepted,
    jsonrpc: &'static str,
    id: u32,
}

#[derive(Serialize)]
struct Accepted {
    rpc_capabilities: &'static [&'static str],
    rpc_frame_encoding: &'static str,
}

/// A control plane's answer to a hello. Without sync the node keeps the connection and asks for nothing.
pub fn hello_answer(with_sync: bool) -> Bytes {
    let rpc_capabilities: &[&str] = if with_sync { &[SYNC] } else { &[] };
    let result = Accepted { rpc_capabilities, rpc_frame_encoding: ENCODING };
    let answer = Answer { result, jsonrpc: "2.0", id: 1 };
    serde_json::to_vec(&answer).expect("strings and numbers always have a JSON form").into()
}

/// Whether a control plane's answer to a hello lists [`SYNC`]; none if it is no such answer.
pub fn lists_sync(answer: &[u8]) -> Option<bool> {
    #[derive(Deserialize)]
    struct Answer {
        result: Result,
    }
    #[derive(Deserialize)]
    struct Result {
        rpc_capabilities: Names,
    }
    let Answer { result } = serde_json::from_slice(answer).ok()?;
    Some(result.rpc_capabilities.has(SYNC))
}

// These go into logs: what a node calls itself must not be able to write lines of its own.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
