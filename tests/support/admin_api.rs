//! The control plane's Admin API with what a real one answered, and one node's row added. `GET` only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const ROOT: &[u8] = include_bytes!("../data/kong-3.9.1/admin-root.json");
const DATA_PLANES: &[u8] = include_bytes!("../data/kong-3.9.1/admin-clustering-data-planes.json");

const SCHEMAS: &[u8] = include_bytes!("../../core/data/kong-3.9.1-schemas.json.gz");

/// A running Admin API. Dropping it ends it.
pub struct AdminApi {
    address: SocketAddr,
    row: watch::Sender<Option<Row>>,
    task: JoinHandle<()>,
}

impl AdminApi {
    /// Starts one that lists the recorded nodes.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one of a Kong with other schemas than the recorded ones: `plugins` and `entities`, each by their names.
    pub async fn start_with(change: impl FnOnce(&mut Value)) -> Self {
        let answers = Arc::new(Answers::with(change));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let (row, rows) = watch::channel(None);
        Self { address, row, task: tokio::spawn(serve(listener, rows, answers)) }
    }

    /// For `LIFEBOAT_ADMIN_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lists this node, too, with this `sync_status`.
    pub fn list(&self, node_id: &str, sync_status: &'static str) {
        self.row.send_replace(Some(Row { node_id: node_id.to_owned(), sync_status, version: None }));
    }

    /// Lists a node of this version, too, which has been there just now.
    pub fn sees(&self, version: &'static str) {
        let node_id = "00000000-0000-4000-8000-0000000000aa".to_owned();
        self.row.send_replace(Some(Row { node_id, sync_status: "normal", version: Some(version) }));
    }

    /// The names of the plugins that it says are there, sorted.
    pub fn plugins() -> Vec<String> {
        let root: Value = serde_json::from_slice(ROOT).expect("what was recorded is JSON");
        let plugins = root["plugins"]["available_on_server"].as_object().expect("Kong lists its plugins by name");
        let mut names: Vec<String> = plugins.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

/// A node that is listed besides the recorded ones.
#[derive(Clone)]
struct Row {
    node_id: String,
    sync_status: &'static str,
    /// Where it says another version than the recorded ones, it is there now.
    version: Option<&'static str>,
}

/// What is told to everybody.
struct Answers {
    root: Vec<u8>,
    schemas: Value,
}

impl Answers {
    fn with(change: impl FnOnce(&mut Value)) -> Self {
        let mut schemas: Value = serde_json::from_reader(GzDecoder::new(SCHEMAS)).expect("what was recorded is JSON");
        let recorded = schemas.clone();
        change(&mut schemas);
        let mut root: Value = serde_json::from_slice(ROOT).expect("what was recorded is JSON");
        let plugins = schemas["plugins"].as_object().expect("plugins have schemas by their names");
        for name in plugins.keys().filter(|name| recorded["plugins"].get(name).is_none()) {
            root["plugins"]["available_on_server"][name] = serde_json::json!({ "priority": 1, "version": "1.0.0" });
        }
        Self { root: root.to_string().into_bytes(), schemas }
    }

    /// What is at `/schemas/<entity>` and `/schemas/plugins/<name>`.
    fn schema(&self, request: &[u8]) -> Option<Vec<u8>> {
        let request = std::str::from_utf8(request).ok()?;
        let path = request.strip_prefix("GET /schemas/")?.split(' ').next()?;
        let (group, name) = path.split_once('/').map_or(("entities", path), |(group, name)| (group, name));
        Some(self.schemas.get(group)?.get(name)?.to_string().into_bytes())
    }
}

impl Drop for AdminApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, rows: watch::Receiver<Option<Row>>, answers: Arc<Answers>) {
    while let Ok((stream, _)) = listener.accept().await {
        let row = rows.borrow().clone();
        tokio::spawn(answer(stream, row, answers.clone()));
    }
}

async fn answer(mut stream: TcpStream, row: Option<Row>, answers: Arc<Answers>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let (status, body) = match &request[..] {
        request if request.starts_with(b"GET / ") => ("200 OK", answers.root.clone()),
        request if request.starts_with(b"GET /clustering/data-planes ") => ("200 OK", data_planes(row)),
        request => match answers.schema(request) {
            Some(schema) => ("200 OK", schema),
            None => ("404 Not Found", b"{}".to_vec()),
        },
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    // Who hangs up early sees nothing, and asks again.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
}

fn data_planes(row: Option<Row>) -> Vec<u8> {
    let mut page: Value = serde_json::from_slice(DATA_PLANES).expect("what was recorded is JSON");
    if let Some(Row { node_id, sync_status, version }) = row {
        let mut copy = page["data"][0].clone();
        copy["id"] = node_id.into();
        copy["sync_status"] = sync_status.into();
        if let Some(version) = version {
            let now = UNIX_EPOCH.elapsed().expect("1970 is over").as_secs();
            (copy["version"], copy["last_seen"]) = (version.into(), now.into());
        }
        page["data"].as_array_mut().expect("a page has rows").push(copy);
    }
    page.to_string().into_bytes()
}
