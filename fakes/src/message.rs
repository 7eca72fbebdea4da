//! A `reconfigure` message as the cast reads and writes it (KONG.md section 1). Written apart from the product's wire
//! format on purpose.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a message tells a node to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Kong's name for it: 32 hexadecimal digits.
    pub hash: String,
    /// The bytes of `config_table`, exactly as they are in the decompressed message.
    pub table: Bytes,
}

// It holds private keys.
impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Configuration({}, ..)", self.hash)
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    config_hash: String,
    #[serde(borrow)]
    config_table: &'a RawValue,
}

impl Configuration {
    /// Reads a message.
    ///
    /// # Errors
    /// When it isn't gzip, isn't JSON, or isn't of type `reconfigure`.
    pub fn from_message(message: &[u8]) -> io::Result<Self> {
        let mut text = Vec::new();
        GzDecoder::new(message).read_to_end(&mut text)?;
        let text = Bytes::from(text);
        let parsed: Message<'_> = serde_json::from_slice(&text)?;
        if parsed.kind != "reconfigure" {
            return Err(io::Error::other(format!("the message is of type {:?}", parsed.kind)));
        }
        Ok(Self { table: text.slice_ref(parsed.config_table.get().as_bytes()), hash: parsed.config_hash })
    }

    /// Writes a message, with its fields in an order of Kong's.
    ///
    /// # Errors
    /// When `table` isn't JSON.
    pub fn to_message(&self) -> io::Result<Bytes> {
        let table: &RawValue = serde_json::from_slice(&self.table)?;
        let hash = serde_json::to_string(&self.hash)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        write!(gzip, r#"{{"config_hash":{hash},"type":"reconfigure","timestamp":1795167078.512,"#)?;
        write!(gzip, r#""hashes":{{"config":{hash}}},"config_table":{}}}"#, table.get())?;
        Ok(gzip.finish()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;

    #[test]
    fn a_recorded_message_is_read() {
        let configuration = Configuration::from_message(&recorded::first()).unwrap();
        assert_eq!(configuration.hash.len(), 32);
        assert_eq!((configuration.table[0], configuration.table[configuration.table.len() - 1]), (b'{', b'}'));
    }

    #[test]
    fn what_was_written_is_read_again() {
        let table = Bytes::from_static(br#"{ "_format_version":"3.0","services":[ ] }"#);
        let configuration = Configuration { hash: "0123456789abcdef0123456789abcdef".to_owned(), table };
        let message = configuration.to_message().unwrap();
        assert_eq!(Configuration::from_message(&message).unwrap(), configuration);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(Configuration::from_message(b"{}").is_err());
        let first = recorded::first();
        assert!(Configuration::from_message(&first[..first.len() / 2]).is_err());
    }
}
