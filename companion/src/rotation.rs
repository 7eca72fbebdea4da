//! Certificates that are replaced while the program runs. Their files are looked at every few seconds; what new links show
//! and accept changes, links that stand stay. The certificate before is good for a day more, so that control plane, relays
//! and nodes need not change in the same moment.

use std::time::Duration;

use lifeboat_link::tls::{ClientTls, ServerTls};
use lifeboat_runtime::background::{computed, or_pending};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};

use crate::observation::Observation;
use crate::settings::{CertificateFiles, Problems, Reread};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For how long the certificate before is good. A restart ends it at once.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks after the certificates of a running program.
#[derive(Debug)]
pub struct Rotation {
    files: CertificateFiles,
    cluster: ClientTls,
    relay: Option<ServerTls>,
    observation: Observation,
    complaint: Complaint,
    overlap_ends: Option<Instant>,
}

impl Rotation {
    /// For these two sides, which were read from these files. `observation` is told when they end.
    pub fn new(
        files: CertificateFiles,
        cluster: ClientTls,
        relay: Option<ServerTls>,
        observation: Observation,
    ) -> Self {
        Self { files, cluster, relay, observation, complaint: Complaint::default(), overlap_ends: None }
    }

    /// Looks until it is dropped.
    pub async fn run(mut self) {
        if self.files.is_empty() {
            return std::future::pending().await;
        }
        loop {
            tokio::select! {
                () = sleep(LOOK_EVERY) => self = self.look().await,
                () = or_pending(self.overlap_ends.map(sleep_until)) => self.forget(),
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
            None => self.complaint = Complaint::default(),
            Some(Ok(read)) => self.renew(read),
            Some(Err(problems)) => {
                if self.complaint.is_due(&problems) {
                    error!("the changed certificates can't be used, so the previous ones stay in use: {problems}");
                }
            }
        }
        self
    }

    fn renew(&mut self, read: Reread) {
        self.complaint = Complaint::default();
        let (before, now) = (self.cluster.side(), read.cluster.control_plane.tls.side());
        info!(
            "the cluster's certificates were changed: SHA-256 {} before, {} now. New links use the new one; nodes \
             that still have the old one are served for {} h more",
            before.identity.leaf().fingerprint(),
            now.identity.leaf().fingerprint(),
            OVERLAP.as_secs() / 3600
        );

        self.observation.shows(now.identity.leaf());
        self.cluster.renew(now);
        if let (Some(relay), Some(read)) = (&self.relay, read.relay) {
            match relay.renew(read.tls.side()) {
                Ok(()) => self.observation.relay().presents(&relay.certificate()),
                Err(problem) => {
                    warn!("the relay's changed certificate can't be used, so the previous one stays in use: {problem}");
                }
            }
        }
        self.overlap_ends = Some(Instant::now() + OVERLAP);
    }

    fn forget(&mut self) {
        info!("the certificates from before the last change are no longer accepted");
        self.cluster.forget_before();
        if let Some(relay) = &self.relay {
            relay.forget_before();
        }
        self.overlap_ends = None;
    }
}

/// When to say what is wrong with the files: once it has stood for two looks, since certificate and key are seldom replaced in
/// one moment; and each time that it is something else.
#[derive(Debug, Default)]
struct Complaint {
    seen: Option<Problems>,
    said: Option<Problems>,
}

impl Complaint {
    fn is_due(&mut self, problems: &Problems) -> bool {
        let stands = self.seen.as_ref() == Some(problems);
        self.seen = Some(problems.clone());
        if !stands || self.said.as_ref() == Some(problems) {
            return false;
        }
        self.said = Some(problems.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Reader, Source};

    fn wrong(text: &str) -> Problems {
        let source = Source::default();
        let mut reader = Reader::new(&source);
        reader.wrong(text);
        reader.into_problems()
    }

    #[test]
    fn one_mistake_after_another_is_said_each_once_it_has_stood() {
        let (first, second) = (wrong("the key is damaged"), wrong("they are not a pair"));
        let mut complaint = Complaint::default();
        let looks =
            [(&first, false), (&first, true), (&first, false), (&second, false), (&second, true), (&second, false)];
        for (at, (problems, due)) in looks.into_iter().enumerate() {
            assert_eq!(complaint.is_due(problems), due, "look {at}");
        }
        // What changes from look to look is being written.
        assert!(!complaint.is_due(&first) && !complaint.is_due(&second) && !complaint.is_due(&first));
        assert!(complaint.is_due(&first), "it is back, and nobody would know");
    }
}
