//! Paths other than `/v1/outlet` and `/v2/outlet`, which later versions of Kong may use. Nothing of them is understood
//! here. The relay sends the node's request to the control plane in the node's name, with its headers, and then passes
//! bytes for as long as the control plane is there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming as Body;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use lifeboat_core::session::answer::ConnectFailure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use tracing::debug;

use super::admission::Place;
use super::rpc::{Opening, as_answered, no_file, refusal};
use super::{NotLinked, Shared, upgrade};

/// A side that is silent for longer is gone: both sides of Kong's RPC ping every 30 s and give up after 45.
pub(super) const SILENCE: Duration = Duration::from_secs(90);
/// How many bytes are read at once in either direction.
const CHUNK: usize = 16 * 1024;

pub(super) type Stream = TlsStream<TcpStream>;

/// Answers the request as the control plane does; if that opens something, what follows passes in both directions.
pub(super) async fn open(
    shared: &Arc<Shared>,
    mut request: Request<Body>,
    peer: SocketAddr,
    place: Arc<Place>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    match shared.linked(&place, Opening::of(&request).ask(shared)).await {
        Ok(response) => {
            debug!(%peer, path, "the control plane opens it");
            let answer = as_answered(&response);
            let both = [hyper::upgrade::on(&mut request), hyper::upgrade::on(response)];
            shared.spawn(pass(both, path, peer, place));
            answer
        }
        Err(NotLinked::NoFile) => no_file(),
        Err(NotLinked::Failed(error)) => match error.failure {
            ConnectFailure::Answered(answer) => {
                debug!(%peer, path, "the control plane answers {answer}");
                refusal(answer)
            }
            ConnectFailure::Unreachable | ConnectFailure::EndedWithoutAnswer => {
                debug!(%peer, path, "refused, since the control plane is away: {error}");
                upgrade::text(StatusCode::SERVICE_UNAVAILABLE, "the control plane is away\n")
            }
        },
    }
}

async fn pass(both: [OnUpgrade; 2], path: String, peer: SocketAddr, place: Arc<Place>) {
    let _place = place;
    let [node, control_plane] = both;
    let (Ok(node), Ok(control_plane)) = (node.await, control_plane.await) else {
        debug!(%peer, path, "what the control plane agreed to did not open");
        return;
    };

    let (mut node, ahead_of_node) = parts(node);
    let (mut control_plane, ahead) = parts(control_plane);
    let passed = pass_bytes((&mut node, &ahead_of_node), (&mut control_plane, &ahead)).await;
    debug!(%peer, path, "what passed through has ended: {passed:?}");
    close([node, control_plane]).await;
}

/// Passes bytes in both directions, first those that were received early, until one side ends the connection.
pub(super) async fn pass_bytes(
    (node, from_node): (&mut Stream, &[u8]),
    (control_plane, from_control_plane): (&mut Stream, &[u8]),
) -> io::Result<()> {
    write(control_plane, from_node).await?;
    write(node, from_control_plane).await?;
    both_ways(node, control_plane).await
}

/// Closes both ends as TLS does.
pub(super) async fn close(both: [Stream; 2]) {
    for mut stream in both {
        let _ = timeout(Duration::from_secs(1), stream.shutdown()).await;
    }
}

/// Writes all of it, unless that takes too long.
pub(super) async fn write(stream: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> io::Result<()> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    timeout(SILENCE, written).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn both_ways(node: &mut Stream, control_plane: &mut Stream) -> io::Result<()> {
    let (mut from_node, mut to_node) = tokio::io::split(node);
    let (mut from_control_plane, mut to_control_plane) = tokio::io::split(control_plane);
    let (mut up, mut down) = (vec![0; CHUNK], vec![0; CHUNK]);

    loop {
        let passed = async {
            tokio::select! {
                read = from_node.read(&mut up) => {
                    let read = read?;
                    to_control_plane.write_all(&up[..read]).await?;
                    to_control_plane.flush().await?;
                    io::Result::Ok(read)
                }
                read = from_control_plane.read(&mut down) => {
                    let read = read?;
                    to_node.write_all(&down[..read]).await?;
                    to_node.flush().await?;
                    Ok(read)
                }
            }
        };

        match timeout(SILENCE, passed).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(passed) => passed?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
    }
}

/// The upgraded stream, and the bytes that were received on it early.
pub(super) fn parts(upgraded: hyper::upgrade::Upgraded) -> (Stream, BytesMut) {
    let Parts { io, read_buf, .. } =
        upgraded.downcast::<TokioIo<Stream>>().expect("what comes back is the stream that went in");
    (io.into_inner(), BytesMut::from(&read_buf[..]))
}
