//! Certificates that are replaced while the program runs. Their files are looked at every few seconds; what new links show
//! and accept changes, links that stand stay. The certificate before is good for a day more, so that control plane, relays
//! and nodes need not change in the same moment.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

use crate::background::computed;
use crate::metrics::Metrics;
use crate::settings::{CertificateFiles, Problems, Reread};
use crate::tls::{ClientTls, ServerTls};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For how long the certificate before is good. A restart ends it at once.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks after the certificates of a running program.
#[derive(Debug)]
pub struct Rotation {
    files: CertificateFiles,
    cluster: ClientTls,
    relay: Option<ServerTls>,
    metrics: Metrics,
    /// What was wrong with the files at the last look: certificate and key are seldom replaced in one moment.
    problems: Option<Problems>,
    overlap_ends: Option<Instant>,
}

impl Rotation {
    /// For these two sides, which were read from these files. `metrics` are told when they end.
    pub fn new(files: CertificateFiles, cluster: ClientTls, relay: Option<ServerTls>, metrics: Metrics) -> Self {
        Self { files, cluster, relay, metrics, problems: None, overlap_ends: None }
    }

    /// Looks until it is dropped.
    pub async fn run(mut self) {
        if self.files.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::select! {
                () = sleep(LOOK_EVERY) => self = self.look().await,
                () = end(self.overlap_ends) => self.forget(),
            }
        }
    }

    async fn look(mut self) -> Self {
        let (files, read) = computed(move || {
            let mut files = self.files;
            let read = files.have_changed().then(|| files.read_again());
            (files, read)
        })
        .await;
        self.files = files;
        match read {
            None => self.problems = None,
            Some(Ok(read)) => self.renew(read),
            Some(Err(problems)) => {
                if self.problems.as_ref() == Some(&problems) {
                    error!("changed certificates can't be used, those before stay: {problems}");
                    // Said again only when it changes: what was said is not what was found a moment ago.
                    self.problems = Some(Problems::default());
                } else if self.problems.as_ref().is_none_or(|before| !before.list().is_empty()) {
                    self.problems = Some(problems);
                }
            }
        }
        self
    }

    fn renew(&mut self, read: Reread) {
        self.problems = None;
        let (before, now) = (self.cluster.side(), read.cluster.tls.side());
        info!(
            "the cluster's certificates were changed: SHA-256 {} before, {} now. New links have the new one; who still has \
             the one before is served for {} h more",
            before.identity.leaf().fingerprint(),
            now.identity.leaf().fingerprint(),
            OVERLAP.as_secs() / 3600
        );
        self.metrics.shows(now.identity.leaf());
        self.cluster.renew(now);
        if let (Some(relay), Some(read)) = (&self.relay, read.relay) {
            match relay.renew(read.tls.side()) {
                Ok(()) => self.metrics.relay().presents(&relay.certificate()),
                Err(problem) => {
                    warn!("the relay's changed certificate can't be used, the one before stays: {problem}");
                }
            }
        }
        self.overlap_ends = Some(Instant::now() + OVERLAP);
    }

    fn forget(&mut self) {
        info!("the certificates from before the last change are not good any more");
        self.cluster.forget_before();
        if let Some(relay) = &self.relay {
            relay.forget_before();
        }
        self.overlap_ends = None;
    }
}

async fn end(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
