//! A receiver of notifications: an HTTP server on loopback that takes them, fails, redirects or says nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// What is told in pairs is told minutes apart.
const HUNG: Duration = Duration::from_secs(240);

/// What a receiver does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It takes it.
    Takes,
    /// It answers with this status.
    Answers(u16),
    /// It answers that it is elsewhere.
    Redirects(String),
    /// It reads it, and never answers.
    Hangs,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// `GET` or `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    behaviour: Arc<Mutex<Behaviour>>,
    received: watch::Receiver<Vec<Received>>,
}

impl Received {
    /// What a header says.
    ///
    /// # Panics
    /// When it isn't there once.
    pub fn header(&self, name: &str) -> &str {
        let values: Vec<&str> =
            self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect();
        let [value] = values[..] else { panic!("{name} stands there {} times: {self:?}", values.len()) };
        value
    }
}

impl Receiver {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let behaviour = Arc::new(Mutex::new(behaviour));
        let (sender, received) = watch::channel(Vec::new());
        let shared = behaviour.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, shared.clone(), sender.clone()));
            }
        });
        Self { address, behaviour, received }
    }

    /// A URL of it with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it does this.
    ///
    /// # Panics
    /// Never: nothing panics while it holds the lock.
    pub fn becomes(&self, behaviour: Behaviour) {
        *self.behaviour.lock().expect("nothing panics while it holds this lock") = behaviour;
    }

    /// All that has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    /// Waits until so many requests have arrived, and gives the last of these.
    ///
    /// # Panics
    /// When they don't in four minutes.
    pub async fn gets(&self, count: usize) -> Received {
        let mut received = self.received.clone();
        let enough = timeout(HUNG, received.wait_for(|received| received.len() >= count)).await;
        assert!(matches!(enough, Ok(Ok(_))), "{count} requests never arrived, but {:?}", self.received());
        self.received()[count - 1].clone()
    }
}

async fn answer(
    stream: TcpStream,
    behaviour: Arc<Mutex<Behaviour>>,
    sender: watch::Sender<Vec<Received>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(received) = read(&mut stream).await? else { return Ok(()) };
    sender.send_modify(|all| all.push(received));

    let behaviour = behaviour.lock().expect("nothing panics while it holds this lock").clone();
    let (status, more) = match behaviour {
        Behaviour::Takes => (204, String::new()),
        Behaviour::Answers(status) => (status, String::new()),
        Behaviour::Redirects(to) => (302, format!("location: {to}\r\n")),
        Behaviour::Hangs => std::future::pending().await,
    };
    let answer = format!("HTTP/1.1 {status} So\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Received>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }

    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<(String, String)> = lines[1..].iter().filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
    let mut body = vec![0; length.and_then(Result::ok).unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received { method, path, headers, body }))
}
