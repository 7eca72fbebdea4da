//! What a companion does: export, restore, or both.

use super::{Reader, names};

/// What a companion is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Neither export nor import is on.
    Nothing,
    /// Export is on.
    Exporter,
    /// Import is on.
    Importer,
    /// Both are on.
    Both,
}

impl Role {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let export = reader.switch(names::KONG_CLUSTER_FALLBACK_CONFIG_EXPORT);
        match (export, reader.switch(names::KONG_CLUSTER_FALLBACK_CONFIG_IMPORT)) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Exporter,
            (false, true) => Self::Importer,
            (true, true) => Self::Both,
        }
    }

    /// Whether it exports what a control plane sends.
    pub fn exports(self) -> bool {
        matches!(self, Self::Exporter | Self::Both)
    }

    /// Whether it serves nodes.
    pub fn imports(self) -> bool {
        matches!(self, Self::Importer | Self::Both)
    }
}
