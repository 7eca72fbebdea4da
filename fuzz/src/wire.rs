//! A connection whose other end has said all that it will ever say: reading gives that, in pieces, and then the end.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// One end of a connection.
pub(crate) struct Wire {
    incoming: Vec<u8>,
    read: usize,
    at_once: usize,
    written: Written,
    /// Makes another text of what is incoming once something was written, which it is given.
    answer: Option<Answer>,
}

/// Makes what comes of what was sent until then, and of what was to come.
pub(crate) type Answer = fn(&[u8], Vec<u8>) -> Vec<u8>;

/// What was written to a connection.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nothing panics while it is locked").clone()
    }
}

impl Wire {
    /// A connection on which this comes, at most `at_once` bytes at a time.
    pub(crate) fn saying(incoming: &[u8], at_once: usize) -> Self {
        let written = Written::default();
        Self { incoming: incoming.to_vec(), read: 0, at_once: at_once.max(1), written, answer: None }
    }

    /// The same, of which what comes is made by this from what was sent until then.
    pub(crate) fn answering(self, answer: Answer) -> Self {
        Self { answer: Some(answer), ..self }
    }

    /// What is written to it.
    pub(crate) fn written(&self) -> Written {
        self.written.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(answer) = self.answer {
            let sent = self.written.bytes();
            // Nothing is answered before something was asked.
            if sent.is_empty() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let incoming = std::mem::take(&mut self.incoming);
            (self.incoming, self.answer) = (answer(&sent, incoming), None);
        }

        let rest = &self.incoming[self.read..];
        let piece = &rest[..rest.len().min(self.at_once).min(buffer.remaining())];
        buffer.put_slice(piece);
        let read = piece.len();
        self.read += read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.0.lock().expect("nothing panics while it is locked").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime can be started");
}

/// Does work that waits for nothing but a [`Wire`].
pub(crate) fn done<F: Future>(work: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(work))
}
