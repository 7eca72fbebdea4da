//! Files with mistakes in them, through `lifeboat export --from file:` and all that says afterwards what is known of them.

use lifeboat_tests::program::{Invocation, lifeboat};
use serde_json::{Value, json};

use super::{Store, VERSION};

fn with(store: &Store, arguments: &[&str]) -> Invocation {
    store.given_to(lifeboat(arguments)).with("KONG_VERSION", VERSION)
}

struct File(tempfile::TempDir);

impl File {
    fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kong.yml"), text).unwrap();
        Self(folder)
    }

    fn from(&self) -> String {
        format!("file:{}", self.0.path().join("kong.yml").display())
    }
}

const MISTAKES: &str = "\
_format_version: '3.0'
services:
- name: orders
  host: orders.test
  port: '80'
  retrys: 3
consumers:
- username: alice
  keyauth_credentials:
  - key: $SERVICE_KEY
  basicauth_credentials:
  - username: alice
    password: 0123456789abcdef0123456789abcdef01234567
";

#[tokio::test]
async fn all_mistakes_are_named_at_once_and_nothing_is_written_unless_an_operator_accepts_it() {
    let (store, file) = (Store::folder(), File::of(MISTAKES));
    for pin in [&[][..], &["--pin"]] {
        let refused = with(&store, &[&["export", "--from", &file.from()], pin].concat()).finish().await;
        assert_eq!(refused.code, Some(1), "{refused}");
        for part in [
            "services \"orders\", port: expected an integer",
            "services \"orders\", retrys: unknown field",
            "keyauth_credentials \"of consumer alice\", key: it is a placeholder",
            "basicauth_credentials \"alice of consumer alice\", password: it looks like a hash",
            "Nothing was written",
            "--accept \"",
        ] {
            assert!(refused.stderr.contains(part), "{part}: {refused}");
        }
        assert!(!refused.to_string().contains("SERVICE_KEY"), "a secret is told: {refused}");
    }
    let listed = with(&store, &["list"]).finish().await;
    assert!(listed.stdout.contains("no backups"), "{listed}");

    let accept = ["export", "--from", &file.from(), "--pin", "--accept", "tried on staging"];
    let accepted = with(&store, &accept).finish().await;
    assert_eq!(accepted.code, Some(0), "{accepted}");
    assert!(accepted.stderr.contains("accepted, and so not checked: services"), "{accepted}");
    let listed = with(&store, &["list"]).finish().await;
    assert!(listed.stdout.contains("is not checked") && listed.stdout.contains("tried on staging"), "{listed}");
    let shown = with(&store, &["show", "--output", "json"]).finish().await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["manifest"]["source"], json!({ "from": "file", "accepted": "tried on staging" }));
    assert_eq!(shown["evidence"], "not_checked");
    let shown = with(&store, &["show"]).finish().await;
    assert!(shown.stdout.contains("never at a control plane: it was read from a file"), "{shown}");
    let verified = with(&store, &["verify"]).finish().await;
    assert!(verified.stdout.contains("warn") && verified.stdout.contains("tried on staging"), "{verified}");

    // What is published is not judged again, and what is added to it is.
    let file = File::of(&format!("{MISTAKES}routes:\n- name: new\n  pahts: [/new]\n"));
    let again = with(&store, &["export", "--from", &file.from(), "--pin"]).finish().await;
    assert!(again.code == Some(1) && again.stderr.contains("routes \"new\", pahts: unknown field"), "{again}");
    assert!(!again.stderr.contains("retrys"), "{again}");
}

#[tokio::test]
async fn what_matches_kongs_schemas_is_said_and_what_no_schema_describes_too() {
    let store = Store::folder();
    let file = File::of(
        "_format_version: '3.0'\nplugins:\n- name: pre-function\n  config: {access: ['kong.log(1)']}\n- name: our-own\n",
    );
    let kept = with(&store, &["export", "--from", &file.from()]).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    assert!(kept.stderr.contains("not checked, since no schema describes it: plugin pre-function: the code"), "{kept}");
    assert!(kept.stderr.contains("the plugin \"our-own\" is not known"), "{kept}");
    let named = with(&store, &["export", "--from", &file.from()]).with("LIFEBOAT_PLUGINS", "our-own").finish().await;
    assert!(!named.stderr.contains("is not known"), "{named}");
    let shown = with(&store, &["show"]).finish().await;
    assert!(shown.stdout.contains("it matches Kong 3.9.1's schemas"), "{shown}");
    let verified = with(&store, &["verify", "--output", "json"]).finish().await;
    let verified: Value = serde_json::from_str(&verified.stdout).unwrap();
    assert_eq!(verified["snapshots"][0]["evidence"], "schemas");

    let enterprise = with(&store, &["export", "--from", &file.from()]).with("KONG_VERSION", "3.9.0.1").finish().await;
    assert_eq!(enterprise.code, Some(0), "{enterprise}");
    assert!(enterprise.stderr.contains("what Kong's schemas say of it is not checked"), "{enterprise}");
}
