//! A body that must go on coming, must end, and must be whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpResponseBody};
use tokio::time::{Instant, Sleep, sleep_until};

use super::failure::Failure;
use super::observation::ObservationReceiver;
use super::patience;

/// An answer's body under watch.
pub(super) struct Watched {
    inner: HttpResponseBody,
    announced: Option<u64>,
    received: u64,
    limit: u64,
    began: Instant,
    deadline: Pin<Box<Sleep>>,
    receiver: ObservationReceiver,
}

impl Watched {
    /// `announced` is the answer's `Content-Length`.
    pub(super) fn new(
        inner: HttpResponseBody,
        announced: Option<u64>,
        limit: u64,
        receiver: ObservationReceiver,
    ) -> Self {
        let began = Instant::now();
        let deadline = Box::pin(sleep_until(began + patience::BETWEEN_PIECES));
        Self { inner, announced, received: 0, limit, began, deadline, receiver }
    }

    fn broken(&self, kind: HttpErrorKind, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.receiver.note_failure(failure.clone());
        Poll::Ready(Some(Err(HttpError::new(kind, failure))))
    }

    fn in_time(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        let now = Instant::now();
        if now > self.began + patience::more_than(self.received) {
            return Err(Failure::TooSlow { received: self.received });
        }
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Err(Failure::Stalled(patience::BETWEEN_PIECES));
        }
        Ok(())
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Poll::Ready(next) = Pin::new(&mut self.inner).poll_frame(cx) else {
            return match self.in_time(cx) {
                Ok(()) => Poll::Pending,
                Err(failure) => self.broken(HttpErrorKind::Timeout, failure),
            };
        };

        match next {
            Some(Ok(frame)) => {
                self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                let next = Instant::now() + patience::BETWEEN_PIECES;
                self.deadline.as_mut().reset(next);
                if self.received > self.limit {
                    let limit = self.limit;
                    return self.broken(HttpErrorKind::Decode, Failure::TooLong { limit });
                }
                match self.in_time(cx) {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(failure) => self.broken(HttpErrorKind::Timeout, failure),
                }
            }
            Some(Err(error)) => {
                self.receiver.note_failure(Failure::CutOff { received: self.received, announced: self.announced });
                Poll::Ready(Some(Err(error)))
            }
            None if self.announced.is_some_and(|announced| self.received < announced) => {
                let failure = Failure::CutOff { received: self.received, announced: self.announced };
                self.broken(HttpErrorKind::Interrupted, failure)
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream() && self.announced.is_none_or(|announced| self.received >= announced)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The first bytes of an error's body, within the time of any body. What comes late or breaks off is left out: the status
/// has said already that it is an error.
pub(super) async fn beginning(body: HttpResponseBody, limit: usize) -> Vec<u8> {
    let mut watched = Watched::new(body, None, u64::MAX, ObservationReceiver::unread());
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = watched.frame().await {
        if let Ok(data) = frame.into_data() {
            let room = limit - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
        if bytes.len() == limit {
            break;
        }
    }
    bytes
}
