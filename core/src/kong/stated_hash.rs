//! The configuration hash that a message states, read without holding the configuration: the relay passes messages on
//! unread, and wants to know which configuration its nodes will say that they run. Whether the message is any good is not
//! checked here: nodes do that.

use super::inflate::Stream;
use crate::digest::ConfigHash;

/// How much is decompressed at once: beside a large message it takes no room that counts.
const CHUNK: usize = 32 * 1024;
/// Longer strings are neither of the two that are looked for.
const LONGEST: usize = 64;

/// What a `reconfigure` message, compressed as the control plane sent it, states as its configuration's hash; none if it states
/// none within `limit` decompressed bytes, or is no such message.
pub fn stated_hash(message: &[u8], limit: usize) -> Option<ConfigHash> {
    let mut stream = Stream::of(message).ok()?;
    let (mut scanner, mut chunk, mut seen) = (Scanner::default(), vec![0; CHUNK], 0);

    while seen < limit {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        seen += read;
        if let Some(stated) = chunk[..read].iter().find_map(|byte| scanner.take(*byte)) {
            return std::str::from_utf8(&stated).ok()?.parse().ok();
        }
    }
    None
}

/// Follows a JSON text as far as to know which strings are the outermost object's.
#[derive(Default)]
struct Scanner {
    depth: usize,
    string: Option<Text>,
    /// The name of the member whose value comes next.
    name: Option<Vec<u8>>,
    /// The outermost object's last string, which a colon makes a name.
    last: Option<Vec<u8>>,
}

/// A string that has begun.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    is_escaped: bool,
}

impl Scanner {
    /// Takes a byte, and gives the text of the hash when it has ended.
    fn take(&mut self, byte: u8) -> Option<Vec<u8>> {
        if let Some(text) = &mut self.string {
            match byte {
                _ if text.is_escaped => text.is_escaped = false,
                b'\\' => text.is_escaped = true,
                b'"' => return self.end_string(),
                _ if self.depth == 1 && text.bytes.len() <= LONGEST => text.bytes.push(byte),
                _ => {}
            }
            return None;
        }

        match byte {
            b'"' => self.string = Some(Text::default()),
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 1 => self.name = self.last.take(),
            b',' if self.depth == 1 => (self.name, self.last) = (None, None),
            _ => {}
        }
        None
    }

    fn end_string(&mut self) -> Option<Vec<u8>> {
        let text = self.string.take()?;
        if self.depth != 1 {
            return None;
        }
        if self.name.as_deref() == Some(b"config_hash") {
            return Some(text.bytes);
        }
        self.last = Some(text.bytes);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};

    const HASH: &str = "3ff47162e7a7ce1344f336316b66484e";

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn stated(text: &str) -> Option<String> {
        stated_hash(&gzip(text), DEFAULT_MAX_CONFIG).map(|hash| hash.to_string())
    }

    #[test]
    fn it_is_what_a_whole_reading_finds_in_recorded_messages() {
        for message in [
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-first.json.gz").as_slice(),
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz"),
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-lost-database.json.gz"),
            include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-for-dp-3.4.0.json.gz"),
        ] {
            let whole = decode(message, DEFAULT_MAX_CONFIG).unwrap();
            assert_eq!(stated_hash(message, DEFAULT_MAX_CONFIG), Some(whole.config_hash));
        }
    }

    #[test]
    fn only_the_messages_own_member_counts() {
        let other = "00000000000000000000000000000001";
        let nested = format!(r#"{{"config_table":{{"config_hash":"{other}"}},"config_hash":"{HASH}"}}"#);
        assert_eq!(stated(&nested).as_deref(), Some(HASH));
        let in_text =
            format!(r#"{{"a":"\"config_hash\":\"{other}\"","b":["config_hash","{other}"],"config_hash" : "{HASH}"}}"#);
        assert_eq!(stated(&in_text).as_deref(), Some(HASH));
        let as_value = format!(r#"{{"a":"config_hash","b":"{other}","config_hash":"{HASH}"}}"#);
        assert_eq!(stated(&as_value).as_deref(), Some(HASH));
    }

    #[test]
    fn what_states_none_has_none() {
        for text in
            ["{}", r#"{"config_hash":null,"b":"00000000000000000000000000000001"}"#, r#"{"config_hash":"x"}"#, "[]", ""]
        {
            assert_eq!(stated(text), None, "{text}");
        }
        assert_eq!(stated_hash(b"no gzip", 100), None);
        let late = format!(r#"{{"config_table":"{}","config_hash":"{HASH}"}}"#, "x".repeat(200_000));
        assert_eq!(stated_hash(&gzip(&late), 100_000), None, "beyond the limit");
    }

    proptest! {
        #[test]
        fn it_is_what_a_whole_reading_finds_in_any_order(
            table in proptest::collection::hash_map(".{0,20}", ".{0,40}", 0..8),
            order in Just(["type", "config_table", "config_hash", "timestamp"]).prop_shuffle(),
        ) {
            let table = serde_json::to_string(&table).unwrap();
            let member = |name: &str| match name {
                "type" => r#""type":"reconfigure""#.to_owned(),
                "config_table" => format!("\"config_table\":{table}"),
                "config_hash" => format!("\"config_hash\":\"{HASH}\""),
                other => format!("\"{other}\":1.5"),
            };
            let message = gzip(&format!("{{{}}}", order.map(member).join(",")));
            let whole = decode(&message, DEFAULT_MAX_CONFIG).unwrap();
            prop_assert_eq!(stated_hash(&message, DEFAULT_MAX_CONFIG), Some(whole.config_hash));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            stated_hash(&bytes, 10_000);
            stated_hash(&[&[0x1f, 0x8b, 8, 0], &bytes[..]].concat(), 10_000);
        }
    }
}
