//! What a real Kong Gateway 3.9.1 sent, byte for byte (`tests/data/README.md` says how it was recorded): the states of
//! the demo play these. The configuration in them was made up, nothing in it is a secret.

use bytes::Bytes;

/// The first message of a control plane.
pub fn first() -> Bytes {
    Bytes::from_static(include_bytes!("data/reconfigure-first.json.gz"))
}

/// The next message on the same connection, after one route was added.
pub fn after_change() -> Bytes {
    Bytes::from_static(include_bytes!("data/reconfigure-after-change.json.gz"))
}

/// What a control plane sends whose database was lost and made anew: valid, almost empty.
pub fn lost_database() -> Bytes {
    Bytes::from_static(include_bytes!("data/reconfigure-lost-database.json.gz"))
}

/// The first message of a data plane, JSON.
pub fn basic_info() -> &'static [u8] {
    include_bytes!("data/basic-info-from-dp.json")
}

/// The first message of a data plane on `/v2/outlet`, JSON.
pub fn hello() -> &'static [u8] {
    include_bytes!("data/hello-from-dp.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_what_was_recorded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/kong-3.9.1/");
        for (shipped, name) in [
            (&first()[..], "reconfigure-first.json.gz"),
            (&after_change()[..], "reconfigure-after-change.json.gz"),
            (&lost_database()[..], "reconfigure-lost-database.json.gz"),
            (basic_info(), "basic-info-from-dp.json"),
        ] {
            assert!(std::fs::read(format!("{folder}{name}")).unwrap() == shipped, "{name}");
        }
    }

    #[test]
    fn the_hello_that_is_shipped_is_the_first_that_was_recorded() {
        let hello: serde_json::Value = serde_json::from_slice(hello()).unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/kong-3.9.1/sync2/recorded.jsonl.gz");
        let lines = std::io::BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()));
        let mut frames = serde_json::Deserializer::from_reader(lines).into_iter::<serde_json::Value>();
        let recorded = frames.find_map(|frame| Some(frame.unwrap()["json"].clone()).filter(|json| json.is_object()));
        assert!(recorded == Some(hello));
    }
}
