//! The control plane's Admin API with what a real one answered, and one node's row added. `GET` only.

use std::net::SocketAddr;

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
    row: watch::Sender<Option<(String, &'static str)>>,
    task: JoinHandle<()>,
}

impl AdminApi {
    /// Starts one that lists the recorded nodes.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let (row, rows) = watch::channel(None);
        Self { address, row, task: tokio::spawn(serve(listener, rows)) }
    }

    /// For `LIFEBOAT_ADMIN_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lists this node, too, with this `sync_status`.
    pub fn list(&self, node_id: &str, sync_status: &'static str) {
        self.row.send_replace(Some((node_id.to_owned(), sync_status)));
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

impl Drop for AdminApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, rows: watch::Receiver<Option<(String, &'static str)>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let row = rows.borrow().clone();
        tokio::spawn(answer(stream, row));
    }
}

async fn answer(mut stream: TcpStream, row: Option<(String, &'static str)>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let (status, body) = match &request[..] {
        request if request.starts_with(b"GET / ") => ("200 OK", ROOT.to_vec()),
        request if request.starts_with(b"GET /clustering/data-planes ") => ("200 OK", data_planes(row)),
        request => match schema(request) {
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

/// What is at `/schemas/<entity>` and `/schemas/plugins/<name>`.
fn schema(request: &[u8]) -> Option<Vec<u8>> {
    let request = std::str::from_utf8(request).ok()?;
    let path = request.strip_prefix("GET /schemas/")?.split(' ').next()?;
    let (group, name) = path.split_once('/').map_or(("entities", path), |(group, name)| (group, name));
    let mut schemas: Value = serde_json::from_reader(GzDecoder::new(SCHEMAS)).expect("what was recorded is JSON");
    let schema = schemas.get_mut(group)?.get_mut(name)?.take();
    Some(schema.to_string().into_bytes())
}

fn data_planes(row: Option<(String, &'static str)>) -> Vec<u8> {
    let mut page: Value = serde_json::from_slice(DATA_PLANES).expect("what was recorded is JSON");
    if let Some((id, status)) = row {
        let mut copy = page["data"][0].clone();
        copy["id"] = id.into();
        copy["sync_status"] = status.into();
        page["data"].as_array_mut().expect("a page has rows").push(copy);
    }
    page.to_string().into_bytes()
}
