//! A ticket: one line of text with which a node that has no cloud credentials can restore one snapshot. It holds the
//! snapshot's manifest and presigned links to what it names, and so is a secret: whoever has it can read the
//! configuration until it expires. How links are made and followed is the companion's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest::Sha256Digest;
use crate::time::WallTime;

/// What every ticket of this form begins with.
const PREFIX: &str = "lifeboat-ticket-1.";
/// Hexadecimal digits of a SHA-256 at the end: enough to tell a ticket that was cut off or mistyped from a whole one.
const CHECK_DIGITS: usize = 12;

/// What a ticket says.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The snapshot's manifest as it lies in the store, with its proofs: no more is believed of it than of one that was
    /// read there.
    pub manifest: Vec<u8>,
    /// A presigned GET of the payload.
    pub payload_url: String,
    /// A presigned GET of the image of a node's cache, if the manifest names one.
    pub image_url: Option<String>,
    /// When the links stop working.
    pub expires: WallTime,
}

/// Why a text is not a ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTicket {
    /// Something else altogether.
    #[error("it is not a ticket: one begins with \"lifeboat-ticket-1.\" and is made by lifeboat presign")]
    NotATicket,
    /// Made by a later Lifeboat.
    #[error("it is a ticket of a later lifeboat: update lifeboat, or make the ticket with this version")]
    LaterForm,
    /// Cut off, wrapped with something between, or mistyped.
    #[error("it is damaged, perhaps cut off when it was copied: copy the whole line again")]
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct Inside {
    manifest: Box<RawValue>,
    payload: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    expires: WallTime,
}

impl Ticket {
    /// The ticket as one line of text.
    ///
    /// # Errors
    /// When the manifest is not JSON.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        let inside = Inside {
            manifest: serde_json::from_slice(&self.manifest)?,
            payload: self.payload_url.clone(),
            image: self.image_url.clone(),
            expires: self.expires,
        };
        let json = serde_json::to_vec(&inside)?;
        Ok(format!("{PREFIX}{}.{}", URL_SAFE_NO_PAD.encode(&json), check(&json)))
    }

    /// Reads a ticket. White space around and within it is forgiven: mail programs and terminals break long lines.
    pub fn decode(text: &str) -> Result<Self, InvalidTicket> {
        let text: String = text.split_whitespace().collect();
        let Some(rest) = text.strip_prefix(PREFIX) else {
            let is_later = text.starts_with("lifeboat-ticket-");
            return Err(if is_later { InvalidTicket::LaterForm } else { InvalidTicket::NotATicket });
        };
        let (encoded, digits) = rest.split_once('.').ok_or(InvalidTicket::Damaged)?;
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| InvalidTicket::Damaged)?;
        if check(&json) != digits {
            return Err(InvalidTicket::Damaged);
        }
        let inside: Inside = serde_json::from_slice(&json).map_err(|_| InvalidTicket::Damaged)?;
        let manifest = inside.manifest.get().as_bytes().to_vec();
        Ok(Self { manifest, payload_url: inside.payload, image_url: inside.image, expires: inside.expires })
    }

    /// Whether the link has stopped working.
    pub fn is_expired(&self, now: WallTime) -> bool {
        now >= self.expires
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("payload_url", &"..").field("expires", &self.expires).finish_non_exhaustive()
    }
}

fn check(json: &[u8]) -> String {
    let mut digits = Sha256Digest::of(json).to_string();
    digits.truncate(CHECK_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../tests/data/manifest-format-1.json");

    fn ticket() -> Ticket {
        Ticket {
            manifest: GOLDEN.trim_ascii_end().to_vec(),
            payload_url: "https://backups.s3.amazonaws.com/kong/x.json.gz?X-Amz-Signature=wonderful".to_owned(),
            image_url: None,
            expires: WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_169_515)),
        }
    }

    #[test]
    fn a_ticket_is_one_line_and_is_read_back_as_it_was_made() {
        let text = ticket().encode().unwrap();
        assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
        assert_eq!(Ticket::decode(&text).unwrap(), ticket());
        let with_image = Ticket { image_url: Some("https://backups/x.mdb.gz?sig=x".to_owned()), ..ticket() };
        assert_eq!(Ticket::decode(&with_image.encode().unwrap()).unwrap(), with_image);
    }

    #[test]
    fn a_ticket_survives_the_line_breaks_of_a_mail_program() {
        let text = ticket().encode().unwrap();
        let wrapped: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        assert_eq!(Ticket::decode(&format!("  {}\r\n", wrapped.join("\r\n"))).unwrap(), ticket());
    }

    #[test]
    fn what_is_not_a_ticket_or_not_all_of_one_says_so() {
        let text = ticket().encode().unwrap();
        for length in PREFIX.len()..text.len() {
            assert_eq!(Ticket::decode(&text[..length]), Err(InvalidTicket::Damaged), "{length}");
        }
        assert_eq!(Ticket::decode("s3://backups/kong"), Err(InvalidTicket::NotATicket));
        assert_eq!(Ticket::decode("lifeboat-ticket-2.AAAA.0"), Err(InvalidTicket::LaterForm));
    }

    #[test]
    fn a_ticket_does_not_print_its_link() {
        let printed = format!("{:?}", ticket());
        assert!(!printed.contains("wonderful") && printed.contains("expires"), "{printed}");
    }

    proptest! {
        #[test]
        fn any_changed_character_is_noticed(at: prop::sample::Index, change in 1u8..=255) {
            let mut text = ticket().encode().unwrap().into_bytes();
            let at = at.index(text.len());
            text[at] ^= change;
            if let Ok(text) = String::from_utf8(text)
                && !text.contains(|c: char| c.is_whitespace())
            {
                prop_assert!(Ticket::decode(&text).is_err());
            }
        }
    }
}
