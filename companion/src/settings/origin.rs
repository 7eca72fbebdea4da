//! What keeping a configuration takes that doesn't come from a control plane.

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;

use super::keep::{given_version, version};
use super::{Problems, Reader, Source, StoreSettings, finish};

/// For a file.
#[derive(Debug)]
pub struct FileSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The version of Kong that the file is for.
    pub version: KongVersion,
}

/// For a node without a database.
#[derive(Debug)]
pub struct DblessSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The version of Kong that the node must have, if that is set.
    pub version: Option<KongVersion>,
    /// The least time between two exports.
    pub export_delay: Duration,
}

impl FileSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), version(&mut reader));
        finish(reader, || Some(Self { store: store?, version: version? }))
    }
}

impl DblessSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), given_version(&mut reader));
        let export_delay = reader.export_delay();
        finish(reader, || Some(Self { store: store?, version: version?, export_delay }))
    }
}
