//! Which version of an object was read or written. Stores name versions by an ETag or a generation. If a store does
//! not, the digest of the bytes takes its place.

use http::header::{ETAG, HeaderMap, HeaderValue};
use lifeboat_core::digest::Sha256Digest;
use object_store::{ObjectMeta, PutResult, UpdateVersion};

/// Put in the place of a missing ETag: object_store takes a write without one for a failed write.
const NAMELESS: &str = "lifeboat-nameless";

/// Which one of an object's versions was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    version: UpdateVersion,
    /// The digest of the bytes, where the store names no versions (JuiceFS' gateway).
    content: Option<Sha256Digest>,
}

impl Tag {
    /// Whether the two are certainly different versions: both have ETags, and these differ.
    pub fn is_other_content(&self, other: &Self) -> bool {
        self.bare_etag().is_some() && other.bare_etag().is_some() && self.bare_etag() != other.bare_etag()
    }

    /// Whether the two certainly have the same bytes: they have the same ETag.
    pub fn is_same_content(&self, other: &Self) -> bool {
        self.bare_etag().is_some() && self.bare_etag() == other.bare_etag()
    }

    // A listing may leave out the quotes that the object's own answer has.
    fn bare_etag(&self) -> Option<&str> {
        self.version.e_tag.as_deref().map(|tag| tag.trim_matches('"'))
    }

    /// Of an object that has these bytes.
    pub(super) fn of(meta: &ObjectMeta, bytes: &[u8]) -> Self {
        Self::named(meta).unwrap_or_else(|| Self::of_bytes(bytes))
    }

    /// Of an object whose bytes are not known; `None` where the store names no versions.
    pub(super) fn named(meta: &ObjectMeta) -> Option<Self> {
        Self::of_version(UpdateVersion { e_tag: meta.e_tag.clone(), version: meta.version.clone() })
    }

    /// Of these bytes, which were just written.
    pub(super) fn written(result: PutResult, bytes: &[u8]) -> Self {
        Self::of_version(result.into()).unwrap_or_else(|| Self::of_bytes(bytes))
    }

    /// As a listing shows an object.
    pub(super) fn listed(meta: &ObjectMeta) -> Self {
        let nameless = Self { version: UpdateVersion { e_tag: None, version: None }, content: None };
        Self::named(meta).unwrap_or(nameless)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let version = UpdateVersion { e_tag: None, version: None };
        Self { version, content: Some(Sha256Digest::of(bytes)) }
    }

    /// What a write may demand to be there; `None` where the store names no versions.
    pub(super) fn demanded(self) -> Option<UpdateVersion> {
        let is_named = self.version.e_tag.is_some() || self.version.version.is_some();
        is_named.then_some(self.version)
    }

    fn of_version(version: UpdateVersion) -> Option<Self> {
        // Some gateways answer with an empty pair of quotes.
        let is_name = |tag: &String| tag != NAMELESS && !tag.trim_matches('"').is_empty();
        let version = UpdateVersion { e_tag: version.e_tag.filter(is_name), ..version };
        let tag = Self { version, content: None };
        (tag.version.e_tag.is_some() || tag.version.version.is_some()).then_some(tag)
    }
}

/// Gives an answer that names no version something in its place, which is taken for no name by [`Tag`].
pub(super) fn stand_in(headers: &mut HeaderMap) {
    headers.entry(ETAG).or_insert(HeaderValue::from_static(NAMELESS));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(e_tag: &str) -> Tag {
        let result = PutResult { e_tag: Some(e_tag.to_owned()), version: None, extensions: Default::default() };
        Tag::written(result, b"bytes")
    }

    #[test]
    fn without_a_name_the_bytes_tell_versions_apart() {
        let mut headers = HeaderMap::new();
        stand_in(&mut headers);
        let stand_in = headers[ETAG].to_str().unwrap();
        for nameless in [stand_in, "\"\"", ""] {
            assert_eq!(written(nameless), Tag::of_bytes(b"bytes"), "{nameless}");
            assert_ne!(written(nameless), Tag::of_bytes(b"others"), "{nameless}");
            assert_eq!(written(nameless).demanded(), None, "{nameless}");
        }
        assert_eq!(written("\"a\"").demanded().and_then(|version| version.e_tag), Some("\"a\"".to_owned()));
    }

    #[test]
    fn a_name_stays_as_the_store_gave_it() {
        let mut headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static("\"a\""))]);
        stand_in(&mut headers);
        assert_eq!(headers[ETAG], "\"a\"");
        assert!(written("\"a\"").is_same_content(&written("\"a\"")));
        assert!(written("\"a\"").is_same_content(&written("a")));
        assert!(!written("\"a\"").is_other_content(&written("a")) && written("\"a\"").is_other_content(&written("b")));
        assert!(!written("\"a\"").is_same_content(&written("\"b\"")));
        assert!(!Tag::of_bytes(b"a").is_same_content(&Tag::of_bytes(b"a")), "a listing doesn't tell the bytes");
    }
}
