//! The Admin API of a node without a database: `/`, `/status` and `/config` as Kong answers them, `GET` only. Its
//! configuration is YAML text as lyaml, which Kong writes it with, would write it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running node. Dropping it ends it.
pub struct DblessNode {
    address: SocketAddr,
    runs: Arc<Mutex<Runs>>,
    task: JoinHandle<()>,
}

struct Runs {
    root: Value,
    hash: String,
    yaml: String,
    /// Hashes that come one after another before `hash`, one with each question.
    restless: Vec<String>,
}

impl DblessNode {
    /// Starts a node of this version of Kong that has no configuration yet.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(version: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let root = json!({"version": version, "configuration": {"database": "off", "role": "traditional"}});
        let empty = Runs { root, hash: "0".repeat(32), yaml: String::new(), restless: Vec::new() };
        let runs = Arc::new(Mutex::new(empty));
        Self { address, runs: runs.clone(), task: tokio::spawn(serve(listener, runs)) }
    }

    /// Its Admin API's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gives it a configuration: from now on it runs this one, under this hash.
    ///
    /// # Panics
    /// `configuration` is not an object of lists of objects and plain members.
    pub fn runs(&self, configuration: &Value, hash: &str) {
        let mut runs = self.runs.lock().expect("nobody panics with it");
        runs.yaml = exported(configuration);
        hash.clone_into(&mut runs.hash);
    }

    /// Makes it seem to be given other configurations meanwhile: its next answers tell these hashes, one each, and until
    /// the last of them it exports half of what it runs.
    pub fn is_restless(&self, hashes: &[&str]) {
        let hashes = hashes.iter().rev().map(|hash| (*hash).to_owned()).collect();
        self.runs.lock().expect("nobody panics with it").restless = hashes;
    }

    /// Makes it a node with a database.
    pub fn has_a_database(&self) {
        self.runs.lock().expect("nobody panics with it").root["configuration"]["database"] = "postgres".into();
    }
}

impl Drop for DblessNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, runs: Arc<Mutex<Runs>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, runs.clone()));
    }
}

async fn answer(mut stream: TcpStream, runs: Arc<Mutex<Runs>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let (status, body) = {
        let mut runs = runs.lock().expect("nobody panics with it");
        match &request[..] {
            request if request.starts_with(b"GET / ") => ("200 OK", runs.root.clone()),
            request if request.starts_with(b"GET /status ") => {
                let hash = runs.restless.pop().unwrap_or_else(|| runs.hash.clone());
                ("200 OK", json!({"configuration_hash": hash, "server": {}, "memory": {}}))
            }
            request if request.starts_with(b"GET /config ") => {
                let half = "_format_version: '3.0'\nservices: []\n";
                ("200 OK", json!({"config": if runs.restless.is_empty() { &runs.yaml } else { half }}))
            }
            _ => ("404 Not Found", json!({"message": "Not found"})),
        }
    };
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // Who hangs up early sees nothing, and asks again.
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
}

/// The members that are no list first, then list by list, each entity for itself.
fn exported(configuration: &Value) -> String {
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
