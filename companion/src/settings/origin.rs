//! What it takes to keep a configuration that doesn't come from a control plane, and to look at one that is kept.

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;

use super::keep::{given_version, version};
use super::{Problems, Reader, Source, StoreSettings, finish, refuse_to_write_what_is_not_accepted};

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
        refuse_to_write_what_is_not_accepted(&mut reader, store.as_ref());
        finish(reader, || Some(Self { store: store?, version: version? }))
    }
}

impl DblessSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), given_version(&mut reader));
        refuse_to_write_what_is_not_accepted(&mut reader, store.as_ref());
        let export_delay = reader.export_delay();
        finish(reader, || Some(Self { store: store?, version: version?, export_delay }))
    }
}

/// For `lifeboat show` and `lifeboat diff`.
#[derive(Debug)]
pub struct LookSettings {
    /// Where configurations are kept.
    pub store: StoreSettings,
    /// The version of Kong whose snapshots are meant, if that is set.
    pub version: Option<KongVersion>,
}

impl LookSettings {
    /// Reads them, or says everything that is wrong with them.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut reader = Reader::new(source);
        let (store, version) = (StoreSettings::read(&mut reader), given_version(&mut reader));
        finish(reader, || Some(Self { store: store?, version: version? }))
    }
}
