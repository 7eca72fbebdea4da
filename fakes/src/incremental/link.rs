//! One worker's link at the socket: it connects, and then carries frames in both directions.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::Role;
use futures::StreamExt;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tungstenite::handshake::client::generate_key;

use super::event::Arrived;
use super::options::IncrementalOptions;
use super::upgrade;
use crate::frames::{Incoming, halves};
use crate::pace::{Masking, Patience};

/// What a link tells the node, in this order: its heads, then opened or an end, then frames, then an end.
#[derive(Debug)]
pub(super) enum Told {
    Asked(String),
    Answered(String),
    Opened(Option<String>),
    Failed(String),
    Frame(Arrived),
    Ended(String),
}

/// What the node has a link do.
#[derive(Debug)]
pub(super) enum Order {
    Send(Bytes),
    Ping,
    Pong,
    /// The last one.
    Close,
}

/// How fastwebsockets says it.
const TOO_LARGE: &str = "Frame too large";
/// The machine counts how long a link is quiet.
const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Runs one link.
pub(super) async fn run(
    options: IncrementalOptions,
    orders: mpsc::UnboundedReceiver<Order>,
    tell: impl Fn(Told) + Send + Sync,
) {
    let stream = match in_time(&options, open(&options, &tell)).await {
        Ok((stream, protocol)) => {
            tell(Told::Opened(protocol));
            stream
        }
        Err(error) => return tell(Told::Failed(error.to_string())),
    };
    if let Err(error) = carry(stream, &options, orders, &tell).await {
        let text = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "failed to receive the first 2 bytes: closed".to_owned()
            }
            _ => error.to_string().replace(TOO_LARGE, "exceeding max payload len"),
        };
        tell(Told::Ended(text));
    }
}

async fn in_time<T>(options: &IncrementalOptions, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(options.times.handshake, work).await.unwrap_or_else(|_| Err(io::Error::other("timeout")))
}

async fn open(
    options: &IncrementalOptions,
    tell: &(impl Fn(Told) + Send + Sync),
) -> io::Result<(TlsStream<TcpStream>, Option<String>)> {
    let stream = TcpStream::connect(options.control_plane).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(options.server_name.clone()).map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(options.tls.clone()).connect(name, stream).await?;

    let key = generate_key();
    let request = upgrade::request(&options.control_plane.to_string(), &key);
    tell(Told::Asked(request.clone()));
    let answer = upgrade::ask(&mut stream, &request).await?;
    tell(Told::Answered(answer.clone()));
    let protocol = upgrade::protocol(&answer, &key)?;
    Ok((stream, protocol))
}

async fn carry(
    stream: TlsStream<TcpStream>,
    options: &IncrementalOptions,
    mut orders: mpsc::UnboundedReceiver<Order>,
    tell: &(impl Fn(Told) + Send + Sync),
) -> io::Result<()> {
    // Kong reads frames of its peer with and without a mask.
    let patience = Patience { stall: options.times.handshake, silence: NEVER, masking: Masking::Any };
    let (frames, mut writer) = halves(stream, Role::Client, options.max_payload, patience);
    let mut frames = pin!(frames);
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Send(payload)) => writer.binary(&payload).await?,
                Some(Order::Ping) => writer.ping(&[]).await?,
                Some(Order::Pong) => writer.empty_pong().await?,
                Some(Order::Close) => {
                    // Its peer may be gone, which makes no difference.
                    let _ = writer.close().await;
                    return Ok(());
                }
                None => return Ok(()),
            },
            frame = frames.next() => match frame {
                Some(frame) => tell(Told::Frame(arrived(frame?))),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }
}

fn arrived(frame: Incoming) -> Arrived {
    match frame {
        Incoming::Binary(payload) => Arrived::Binary(payload),
        Incoming::Text => Arrived::Text,
        Incoming::Ping(_) => Arrived::Ping,
        Incoming::Pong(_) => Arrived::Pong,
        Incoming::Close => Arrived::Close,
        Incoming::Fragment => Arrived::Fragment,
    }
}
