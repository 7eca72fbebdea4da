//! The files of certificates and their keys, to be read again when they change. What they mean is read by the same code
//! as at the start, so what is wrong with them is said in the same words.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lifeboat_core::digest::Sha256Digest;

use super::{ClusterSettings, Problems, Reader, RelaySettings, Source};

/// The files, and what was in them when they were last read.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    source: Source,
    with_relay: bool,
    read: BTreeMap<PathBuf, Option<Sha256Digest>>,
}

/// What stands in the files now.
#[derive(Debug)]
pub struct Reread {
    /// Our side of the link to the control plane.
    pub cluster: ClusterSettings,
    /// The relay's side.
    pub relay: Option<RelaySettings>,
}

impl CertificateFiles {
    pub(super) fn of(source: &Source, with_relay: bool) -> Self {
        let mut reader = Reader::new(source);
        let cluster = ClusterSettings::read(&mut reader);
        if with_relay {
            RelaySettings::read(&mut reader, cluster.as_ref());
        }
        let read = reader.into_files().into_iter().map(|path| (path, None)).collect();
        let mut files = Self { source: source.clone(), with_relay, read };
        files.read = files.now();
        files
    }

    /// Whether there are no files to watch. A certificate that a variable holds can't change.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// Whether something else stands in them than when they were last read.
    pub fn have_changed(&self) -> bool {
        self.now() != self.read
    }

    /// What stands in them now.
    ///
    /// # Errors
    /// When that can't be used; they still count as changed then.
    pub fn read_again(&mut self) -> Result<Reread, Problems> {
        let now = self.now();
        let mut reader = Reader::new(&self.source);
        let cluster = ClusterSettings::read(&mut reader);
        let relay = if self.with_relay { RelaySettings::read(&mut reader, cluster.as_ref()) } else { None };
        match cluster {
            Some(cluster) if reader.problems().list().is_empty() && relay.is_some() == self.with_relay => {
                self.read = now;
                Ok(Reread { cluster, relay })
            }
            _ => Err(reader.into_problems()),
        }
    }

    fn now(&self) -> BTreeMap<PathBuf, Option<Sha256Digest>> {
        let digest = |path: &PathBuf| std::fs::read(path).ok().map(|bytes| Sha256Digest::of(&bytes));
        self.read.keys().map(|path| (path.clone(), digest(path))).collect()
    }
}
