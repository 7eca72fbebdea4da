//! Decodes what the control plane sends, beside the session's loop and one message at a time. A message that is replaced
//! by a newer one before its turn comes is never decoded.

use bytes::Bytes;
use lifeboat_core::kong::reconfigure::{DecodeError, Reconfigure, decode};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::sensitive::Sensitive;
use lifeboat_runtime::background::finished;
use tokio::task::JoinHandle;
use tracing::{Span, debug};

use crate::metrics::{Step, StepTimes};

/// The message that is being decoded, and the newest one that waits for it.
#[derive(Debug)]
pub(super) struct Decoder {
    version: KongVersion,
    max_config: usize,
    steps: StepTimes,
    running: Option<JoinHandle<Result<Reconfigure, DecodeError>>>,
    waiting: Option<Sensitive<Bytes>>,
}

impl Decoder {
    /// `max_config` bounds a configuration, in bytes, decompressed.
    pub(super) fn new(version: KongVersion, max_config: usize) -> Self {
        Self { version, max_config, steps: StepTimes::default(), running: None, waiting: None }
    }

    /// Measures there how long decoding takes.
    pub(super) fn measure(&mut self, steps: StepTimes) {
        self.steps = steps;
    }

    /// Decodes this message next, instead of one that still waits.
    pub(super) fn decode(&mut self, message: Sensitive<Bytes>) {
        if self.running.is_some() {
            self.waiting = Some(message);
        } else {
            self.start(message.into_inner());
        }
    }

    /// The next message decoded; never, if there is none. Loses nothing when dropped before it is ready.
    pub(super) async fn next(&mut self) -> Result<Reconfigure, DecodeError> {
        let decoded = finished(&mut self.running).await;
        if let Some(message) = self.waiting.take() {
            self.start(message.into_inner());
        }
        decoded
    }

    fn start(&mut self, message: Bytes) {
        debug!(bytes = message.len(), "a message from the control plane is here whole");
        let (version, max_config) = (self.version, self.max_config);
        let (steps, span) = (self.steps.clone(), Span::current());

        self.running = Some(tokio::task::spawn_blocking(move || {
            let _entered = span.entered();
            let step = steps.begin(version, Step::Decode);
            let decoded = decode(&message, max_config)?;
            step.done();
            debug!("decoded it");
            Ok(decoded)
        }));
    }
}
