//! The Admin API of a node without a database: `/`, `/status` and `/config` as Kong answers them, the last one also to a
//! `POST`. What it exports is the text of `yaml`.

mod yaml;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::yaml::exported;

/// Nothing that is waited for takes nearly as long: who gets here has hung.
const HUNG: Duration = Duration::from_secs(60);

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
    /// How often it was asked for its hash.
    asked: usize,
    /// What it was given and took.
    given: Vec<Vec<u8>>,
    /// What it answers to the next configurations instead of taking them.
    answers: VecDeque<(String, Value)>,
}

impl DblessNode {
    /// Starts a node of this version of Kong that has no configuration yet.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(version: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let empty = Runs {
            root: json!({"version": version, "configuration": {"database": "off", "role": "traditional"}}),
            hash: "0".repeat(32),
            yaml: String::new(),
            restless: Vec::new(),
            asked: 0,
            given: Vec::new(),
            answers: VecDeque::new(),
        };
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
        let mut runs = self.state();
        runs.yaml = exported(configuration);
        hash.clone_into(&mut runs.hash);
    }

    /// It has none any more, as a container that has started anew.
    pub fn forgets(&self) {
        self.state().hash = "0".repeat(32);
    }

    /// Makes it seem to be given other configurations meanwhile: its next answers tell these hashes, one each, and until
    /// the last of them it exports half of what it runs.
    pub fn is_restless(&self, hashes: &[&str]) {
        self.state().restless = hashes.iter().rev().map(|hash| (*hash).to_owned()).collect();
    }

    /// Makes it a node with a database.
    pub fn has_a_database(&self) {
        self.state().root["configuration"]["database"] = "postgres".into();
    }

    /// Its answers to the next configurations, which it doesn't take. A text is sent as it is.
    pub fn answers_a_configuration(&self, answers: &[(&str, &Value)]) {
        let answers = answers.iter().map(|(status, body)| ((*status).to_owned(), (*body).clone()));
        self.state().answers = answers.collect();
    }

    /// The configurations that it was given by `POST` and took, byte for byte.
    pub fn given(&self) -> Vec<Vec<u8>> {
        self.state().given.clone()
    }

    /// Waits until it has taken so many.
    ///
    /// # Panics
    /// When that doesn't happen.
    pub async fn is_given(&self, count: usize) {
        self.wait_until(|runs| runs.given.len() >= count).await;
    }

    /// Waits until it has been asked for its hash so many times more.
    ///
    /// # Panics
    /// When that doesn't happen.
    pub async fn is_asked_for_its_hash(&self, times: usize) {
        let until = self.state().asked + times;
        self.wait_until(|runs| runs.asked >= until).await;
    }

    async fn wait_until(&self, mut condition: impl FnMut(&Runs) -> bool) {
        let waiting = async {
            while !condition(&self.state()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(HUNG, waiting).await.expect("what is waited for happens");
    }

    fn state(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().expect("nobody panics with it")
    }
}

impl Drop for DblessNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, runs: Arc<Mutex<Runs>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let runs = runs.clone();
        // Who hangs up early sees nothing, and asks again.
        tokio::spawn(async move { answer(stream, &runs).await.ok() });
    }
}

async fn answer(stream: TcpStream, runs: &Mutex<Runs>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    stream.read_line(&mut request).await?;
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header).await? <= 2 {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    let path = request.rsplit_once(' ').map_or("", |(path, _)| path);
    if !["POST /config?check_hash=1", "POST /config?check_hash=1&flatten_errors=1"].contains(&path) {
        let (status, body) = told(path, &mut runs.lock().expect("nobody panics with it"));
        return respond(&mut stream, status, body).await;
    }
    let refused = runs.lock().expect("nobody panics with it").answers.pop_front();
    let mut body = vec![0; length];
    if let Some((status, refusal)) = refused {
        // As nginx does with what is too large: it answers first, and reads all the same.
        respond(&mut stream, &status, refusal).await?;
        return stream.read_exact(&mut body).await.map(drop);
    }
    stream.read_exact(&mut body).await?;
    let taken = serde_json::from_slice(&body).expect("a configuration is JSON");
    {
        let mut runs = runs.lock().expect("nobody panics with it");
        runs.hash = "f".repeat(32);
        runs.given.push(body);
    }
    respond(&mut stream, "201 Created", taken).await
}

fn told(path: &str, runs: &mut Runs) -> (&'static str, Value) {
    match path {
        "GET /" => ("200 OK", runs.root.clone()),
        "GET /status" => {
            runs.asked += 1;
            let hash = runs.restless.pop().unwrap_or_else(|| runs.hash.clone());
            ("200 OK", json!({"configuration_hash": hash, "server": {}, "memory": {}}))
        }
        "GET /config" => {
            let half = "_format_version: '3.0'\nservices: []\n";
            ("200 OK", json!({"config": if runs.restless.is_empty() { &runs.yaml } else { half }}))
        }
        _ => ("404 Not Found", json!({"message": "Not found"})),
    }
}

async fn respond(stream: &mut BufReader<TcpStream>, status: &str, body: Value) -> std::io::Result<()> {
    let (kind, body) = match body {
        Value::String(text) => ("text/html", text),
        other => ("application/json", other.to_string()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await
}
