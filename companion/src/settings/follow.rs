//! Whether nodes in an outage follow what is published, and who must have signed it.

use std::time::Duration;

use lifeboat_core::session::follow::LOOK_EVERY;

use super::{Reader, names};

/// How what is published is followed (`LIFEBOAT_FOLLOW=on`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Between which waits the store is looked at, as long as any node has lost its control plane.
    pub every: (Duration, Duration),
}

impl Default for Follow {
    fn default() -> Self {
        Self { every: LOOK_EVERY }
    }
}

impl Follow {
    /// Follows only what somebody must have signed: anything else would reach all nodes, and not only new ones, from
    /// whoever can write to the store.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if !reader.switch(names::LIFEBOAT_FOLLOW) {
            return None;
        }
        if reader.is_given(names::LIFEBOAT_TICKET) {
            reader.wrong("LIFEBOAT_FOLLOW: a ticket holds one snapshot, so there is nothing to follow: unset it");
        } else if !reader.is_given(names::LIFEBOAT_TRUSTED_KEYS) && !reader.is_given(names::LIFEBOAT_ENCRYPTION_KEYS) {
            reader.wrong(
                "LIFEBOAT_FOLLOW needs LIFEBOAT_TRUSTED_KEYS or LIFEBOAT_ENCRYPTION_KEYS: without them, anyone who \
                 can write to the store could give every node in an outage another configuration within seconds \
                 (lifeboat keygen makes keys)",
            );
        }
        Some(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Follow>, String> {
        let source = Source::from_environment(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let mut reader = Reader::new(&source);
        let follow = Follow::read(&mut reader);
        if reader.problems().list().is_empty() { Ok(follow) } else { Err(reader.into_problems().to_string()) }
    }

    #[test]
    fn it_is_off_by_default_and_on_only_where_somebody_must_have_signed() {
        assert_eq!(read(&[]).unwrap(), None);
        let error = read(&[("LIFEBOAT_FOLLOW", "on")]).unwrap_err();
        assert!(error.contains("LIFEBOAT_TRUSTED_KEYS") && error.contains("LIFEBOAT_ENCRYPTION_KEYS"), "{error}");
        for keys in ["LIFEBOAT_TRUSTED_KEYS", "LIFEBOAT_TRUSTED_KEYS_FILE", "LIFEBOAT_ENCRYPTION_KEYS_FILE"] {
            assert!(read(&[("LIFEBOAT_FOLLOW", "on"), (keys, "x")]).unwrap().is_some(), "{keys}");
        }
        let ticket = [("LIFEBOAT_FOLLOW", "on"), ("LIFEBOAT_TICKET", "x"), ("LIFEBOAT_TRUSTED_KEYS", "x")];
        assert!(read(&ticket).unwrap_err().contains("nothing to follow"));
    }
}
