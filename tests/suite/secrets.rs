//! Secrets do not print: everything that is logged at any level while configurations are kept and restored is searched
//! for them.

use bytes::Bytes;
use lifeboat_fakes::certificate::ClusterCertificate;
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::recorded;
use lifeboat_tests::keys::{encryption, signing};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{STORE_SECRET, VERSION, World, configuration};
use serde_json::{Value, json};

/// What stands under these names anywhere in a configuration, as it is and as JSON writes it.
fn values_of(names: &[&str], json: &Value, found: &mut Vec<String>) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if names.contains(&name.as_str()) => found.push(text.clone()),
                    _ => values_of(names, value, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| values_of(names, element, found)),
        _ => {}
    }
}

#[test]
fn no_secret_is_logged_at_any_level() {
    play(async {
        let mut world = World::begin().await;
        world.set("AWS_SESSION_TOKEN", "wonderful-session-token");
        let (private, public) = signing("prod");
        let key_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key_file.path(), encryption("prod")).unwrap();
        world.set("LIFEBOAT_SIGNING_KEY", &private);
        world.set("LIFEBOAT_TRUSTED_KEYS", public);
        world.set("LIFEBOAT_ENCRYPTION_KEYS_FILE", key_file.path().display().to_string());
        // The recorded configuration has credentials; a certificate's private key is put beside them.
        let recorded = configuration(&recorded::first());
        let upstream = ClusterCertificate::version_1(std::time::SystemTime::now());
        let mut table: Value = serde_json::from_slice(&recorded.table).unwrap();
        table["certificates"] = json!([{ "id": "x", "cert": upstream.certificate_pem, "key": upstream.key_pem }]);
        let mut secrets = Vec::new();
        values_of(&["key", "password"], &table["keyauth_credentials"], &mut secrets);
        values_of(&["key", "password"], &table["basicauth_credentials"], &mut secrets);
        assert!(secrets.contains(&"alice-secret-key".to_owned()) && secrets.len() == 2, "{secrets:?}");
        let kept = Configuration { table: Bytes::from(table.to_string()), hash: "a".repeat(32) };

        world.control_plane.push(kept.to_message().unwrap());
        let backup = world.backup();
        world.published(&kept).await;
        let relay = world.relay().await;
        let given = world.node(relay.address);
        world.confirmed(given.node_id(), &kept).await;
        // Errors are the likeliest place: a damaged message, a dead store, a dead control plane, a wrong secret.
        let first = recorded::first();
        world.control_plane.push(first.slice(..first.len() / 2));
        world.log.wait_for(&["could not be kept"]).await;
        world.control_plane.stop().await;
        let restored = world.node(relay.address);
        let state = restored.wait_for(|state| state.applied == 1).await;
        assert_eq!(state.configuration, Some(kept));
        // A key file that was half replaced, and one with another key.
        let archive = world.archive();
        let half = format!("{}\nnext:ek1_half-of-{}", encryption("prod"), encryption("next"));
        std::fs::write(key_file.path(), half).unwrap();
        archive.restore(VERSION).await.unwrap();
        world.log.wait_for(&["WARN", "changed keys can't be used", "\"next\" is not 32 bytes"]).await;
        std::fs::write(key_file.path(), encryption("other")).unwrap();
        tracing::error!("{}", archive.restore(VERSION).await.unwrap_err());
        world.log.wait_for(&["INFO", "the keys for sealing and signing were changed", "\"other\""]).await;
        world.set("AWS_SECRET_ACCESS_KEY", "a-mistyped-secret");
        let wrong = world.relay().await;
        let _node = world.node(wrong.address);
        world.log.wait_for(&["can't be restored yet"]).await;
        tracing::error!("settings: {:?}", world.settings());
        backup.stop().await;

        secrets
            .extend([STORE_SECRET, "a-mistyped-secret", "wonderful-session-token", "PRIVATE KEY"].map(str::to_owned));
        for key in [private, encryption("prod"), encryption("next"), encryption("other")] {
            secrets.push(key.split("k1_").nth(1).unwrap()[..16].to_owned());
        }
        for pem in [&world.certificate.key_pem, &upstream.key_pem] {
            secrets.extend(pem.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned));
        }
        let log = world.log.text();
        // That the search would find something: all levels are there, and so is what may be known.
        for part in ["DEBUG", "INFO", "WARN", "ERROR", "settings: RunSettings", "us-east-1"] {
            assert!(log.contains(part), "{part} is not in the log: what is searched is not everything");
        }
        assert!(secrets.len() > 8);
        for secret in &secrets {
            let lines = world.log.lines_with(secret);
            assert!(lines.is_empty(), "{secret} stands in {lines:?}");
        }
    });
}
