//! `config.json`, which Kong's own importer reads. It is written after the manifest, repaired after a crash, and
//! distinguished from what another exporter has written there.

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::export::history::Past;
use lifeboat_core::export::publisher::PayloadState;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::{HistoryState, ObjectKeys};
use lifeboat_core::verify::{Place, Policy, verify, verify_bare};
use lifeboat_runtime::background::computed;
use lifeboat_storage::{StorageError, Tag, Write};

use super::{Archive, ArchiveReader, MANIFEST_LIMIT, Published, authentic};

/// What lies at `config.json` beside a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beside {
    /// With encryption there is to be none.
    NotKept,
    /// What the manifest says.
    AsPublished(Tag),
    /// It was missing, or something else that we had written. Now it is what the manifest says.
    Repaired(Tag),
    /// Somebody else has written it after the manifest: Kong's own exporter, say. It is left as it is.
    Another(Tag),
    /// It is missing, or something else that we had written. It can't be repaired, because the payload from which it is
    /// made is not what the manifest names.
    WithoutPayload(PayloadState),
}

impl ArchiveReader {
    /// Which version of `config.json` there is, to see whether it has changed.
    pub async fn config_json_tag(&self, version: KongVersion) -> Result<Option<Tag>, StorageError> {
        self.storage.tag(&ObjectKeys::new(version).config_json()).await
    }

    /// What a `config.json` that is about to be written replaces: exactly what is there now.
    pub(super) async fn config_json_place(&self, version: KongVersion) -> Result<Write, StorageError> {
        Ok(self.config_json_tag(version).await?.map_or(Write::Create, Write::Update))
    }

    // We write config.json right after its manifest, so it is never newer than the next manifest, unless its writer was
    // held up in between. Then it has exactly the bytes of a configuration that we published.
    pub(super) async fn is_anothers(
        &self,
        version: KongVersion,
        json: Bytes,
        policy: &Policy,
    ) -> Result<bool, StorageError> {
        let keys = ObjectKeys::new(version);
        if policy.keys.demand() != Demand::Nothing {
            return Ok(false);
        }

        let written = self.storage.written_at(&keys.config_json()).await?;
        if written <= self.storage.written_at(&keys.manifest()).await? {
            return Ok(false);
        }

        let sha256 = Sha256Digest::of(&json);
        let bare = computed({
            let policy = policy.clone();
            move || verify_bare(json, &policy).map(|verified| verified.config_hash())
        });
        // What isn't a configuration is of no use to anybody.
        let Ok(config_hash) = bare.await else { return Ok(false) };

        for Past { id, state } in self.past(version).await? {
            if state != HistoryState::Published || id.config_hash != config_hash {
                continue;
            }
            let Some((bytes, _)) = self.storage.read_optional(&keys.snapshot_manifest(id), MANIFEST_LIMIT).await?
            else {
                continue;
            };

            let ours = authentic(&bytes, Place::Snapshot(id), policy);
            if ours.is_ok_and(|manifest| manifest.config.sha256 == sha256) {
                return Ok(false);
            }
        }

        Ok(true)
    }
}

impl Archive {
    /// Makes `config.json` what the manifest says, if a crash came between the two. Without keys, a file that another
    /// exporter has written there since stays, because it may be newer. `ours` is what this process wrote there last, if
    /// anything: a store may list late that it was published.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when somebody wrote it meanwhile: look again.
    pub async fn settle_config_json(&self, published: &Published, ours: Option<&Tag>) -> Result<Beside, StorageError> {
        let manifest = &published.manifest;
        let policy = self.policy(manifest.kong_version);
        if policy.keys.sealing().is_some() {
            return Ok(Beside::NotKept);
        }

        let snapshot = &manifest.snapshot.key;
        policy.check_seal(manifest).map_err(|error| self.misconfigured(format!("{snapshot}: {error}")))?;

        let key = ObjectKeys::new(manifest.kong_version).config_json();
        let found = self.storage.read_if_it_exists(&key, self.max_config as u64).await?;
        let over = match found {
            Some((bytes, tag)) if Sha256Digest::of(&bytes) == manifest.config.sha256 => {
                return Ok(Beside::AsPublished(tag));
            }
            Some((bytes, tag))
                if ours != Some(&tag) && self.is_anothers(manifest.kong_version, bytes.clone(), &policy).await? =>
            {
                return Ok(Beside::Another(tag));
            }
            Some((_, tag)) => Write::Update(tag),
            None => Write::Create,
        };

        let payload = match self.storage.read(snapshot, manifest.snapshot.bytes).await {
            Ok((payload, _)) => payload,
            Err(StorageError::NotFound { .. }) => return Ok(Beside::WithoutPayload(PayloadState::Missing)),
            Err(error) if error.is_refusal() => return Ok(Beside::WithoutPayload(PayloadState::Unreadable)),
            Err(error) => return Err(error),
        };

        let expanded = computed({
            let manifest = manifest.clone();
            move || verify(manifest, payload, &policy).and_then(|verified| verified.config_json())
        });
        let Ok(json) = expanded.await else { return Ok(Beside::WithoutPayload(PayloadState::Altered)) };
        Ok(Beside::Repaired(self.write_config_json(manifest.kong_version, json.into(), over).await?))
    }

    pub(super) async fn write_config_json(
        &self,
        version: KongVersion,
        json: Bytes,
        over: Write,
    ) -> Result<Tag, StorageError> {
        let key = ObjectKeys::new(version).config_json();
        let tag = self.storage.write(&key, json.clone(), over).await?;
        self.storage.read_back(&key, &json).await?;
        Ok(tag)
    }
}
