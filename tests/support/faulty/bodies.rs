//! Bodies that don't come as they should.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};

type Piece = Result<Bytes, HttpError>;

/// All of it.
pub(super) async fn whole(body: HttpResponseBody) -> Result<Bytes, HttpError> {
    Ok(body.collect().await?.to_bytes())
}

/// Ends as if that were all.
pub(super) fn cut_off(bytes: Bytes) -> HttpResponseBody {
    body(stream::iter([Ok(half(&bytes))]))
}

/// The connection is reset in the middle.
pub(super) fn reset(bytes: Bytes) -> HttpResponseBody {
    body(stream::iter([Ok(half(&bytes)), Err(reset_by_peer())]))
}

/// Stops in the middle.
pub(super) fn stalled(bytes: Bytes) -> HttpResponseBody {
    body(stream::iter([Ok(half(&bytes))]).chain(stream::pending()))
}

/// Comes byte by byte, each just in time.
pub(super) fn trickling(bytes: Bytes) -> HttpResponseBody {
    let bytewise = stream::iter(0..bytes.len()).then(move |at| {
        let byte = bytes.slice(at..=at);
        async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok(byte)
        }
    });
    body(bytewise)
}

/// Goes on for ever.
pub(super) fn endless() -> HttpResponseBody {
    let piece = Bytes::from(vec![b' '; 1 << 20]);
    body(stream::repeat_with(move || Ok(piece.clone())))
}

pub(super) fn reset_by_peer() -> HttpError {
    HttpError::new(HttpErrorKind::Interrupted, io::Error::from(io::ErrorKind::ConnectionReset))
}

fn half(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() / 2)
}

fn body(pieces: impl Stream<Item = Piece> + Send + Sync + 'static) -> HttpResponseBody {
    HttpResponseBody::new(StreamBody::new(pieces.map(|piece| piece.map(Frame::data))))
}
