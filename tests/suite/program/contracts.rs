//! What programs may rely on: each output is what its published schema says and nothing besides, and so are the answers over
//! HTTP.

use std::collections::BTreeSet;

use lifeboat::cli::definition;
use lifeboat_core::notification::State;
use lifeboat_fakes::recorded;
use lifeboat_tests::json_schema::Schema;
use lifeboat_tests::page::{http_address, page, page_until};
use lifeboat_tests::program::{Invocation, lifeboat};
use serde_json::{Value, json};

use super::{Cluster, Store, relay_address};

/// A drill fails where a node is not answered in time.
const ON_A_BUSY_MACHINE: [i32; 2] = [0, 1];

async fn schema(of: &str) -> Value {
    let printed = lifeboat(["schema", of]).finish().await;
    assert_eq!(printed.code, Some(0), "{printed}");
    serde_json::from_str(&printed.stdout).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The names of the commands that take `--output`.
fn commands_with_output() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for command in definition().get_subcommands() {
        if command.get_arguments().any(|argument| argument.get_id().as_str() == "output") {
            names.insert(command.get_name().to_owned());
        }
    }
    names
}

/// Which definition of the outputs' schema is a command's.
fn place(outputs: &Value, command: &str) -> String {
    let branches = outputs["allOf"].as_array().expect("a branch for each command");
    let own = branches.iter().find(|branch| branch["if"]["properties"]["command"]["const"] == *command);
    let own = own.unwrap_or_else(|| panic!("docs/schemas/outputs.json does not describe {command}"));
    own["then"]["$ref"].as_str().expect("a reference").trim_start_matches('#').to_owned()
}

/// The outputs' schema, and the commands whose output was compared with it.
struct Outputs {
    schema: Value,
    seen: BTreeSet<String>,
}

impl Outputs {
    /// Runs a command, and compares what it prints.
    async fn compare(&mut self, invocation: Invocation, codes: &[i32]) -> Value {
        let finished = invocation.and(["--output", "json"]).finish().await;
        assert!(finished.code.is_some_and(|code| codes.contains(&code)), "{finished}");
        let output: Value =
            serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"));

        let command = output["command"].as_str().unwrap_or_else(|| panic!("no envelope: {output}")).to_owned();
        let faults = Schema::at(&self.schema, &place(&self.schema, &command)).faults(&output);
        assert!(faults.is_empty(), "{command}:\n{}\nin {output}", faults.join("\n"));
        self.seen.insert(command);
        output
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_each_command_is_what_its_schema_says_and_nothing_besides() {
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let mut outputs = Outputs { schema: schema("outputs").await, seen: BTreeSet::new() };
    let run = |arguments: &[&str]| store.given_to(cluster.lifeboat([]).and(arguments));
    outputs.compare(run(&["list"]), &[0]).await;

    for message in [recorded::first(), recorded::after_change()] {
        cluster.control_plane.push(message);
        outputs.compare(run(&["export"]), &[0]).await;
    }
    outputs.compare(run(&["rollback", "1"]), &[0]).await;
    outputs.compare(run(&["pin"]), &[0]).await;
    outputs.compare(run(&["unpin"]), &[0]).await;
    // It is held, and later released.
    cluster.control_plane.push(recorded::lost_database());
    let held = run(&["export"]).finish().await;
    assert_eq!(held.code, Some(1), "{held}");
    let listed = outputs.compare(run(&["list"]), &[0]).await;
    assert!(
        listed["versions"][0]["snapshots"].as_array().unwrap().iter().any(|one| one["state"] == "held"),
        "{listed}"
    );

    outputs.compare(run(&["show"]), &[0]).await;
    outputs.compare(run(&["diff", "1", "2"]), &[0]).await;
    outputs.compare(run(&["verify", "--all"]), &[0, 1]).await;
    outputs.compare(run(&["doctor", "--export", "on"]), &[0, 1]).await;
    outputs.compare(run(&["drill", "--no-kong"]), &ON_A_BUSY_MACHINE).await;
    outputs.compare(run(&["presign"]), &[0]).await;
    outputs.compare(run(&["release"]), &[0]).await;
    outputs.compare(run(&["prune", "--history", "2"]), &[0]).await;
    // Nobody listens there.
    outputs.compare(lifeboat(["status", "127.0.0.1:1"]), &[1]).await;
    outputs.compare(lifeboat(["keygen", "encryption"]), &[0]).await;
    let keys = cluster.path("keys").display().to_string();
    outputs.compare(lifeboat(["keygen", "signing", "--folder"]).and([&keys]), &[0]).await;

    // What people write, and what differs in all ways.
    let file = cluster.path("kong.yml");
    std::fs::write(&file, "_format_version: '3.0'\nservices:\n- {name: a, host: a.test}\n").unwrap();
    let file = format!("file:{}", file.display());
    outputs.compare(run(&["export", "--pin", "--from", &file]), &[0]).await;
    outputs.compare(run(&["diff", "2", "published"]), &[0]).await;
    outputs.compare(run(&["show"]), &[0]).await;
    outputs.compare(run(&["drill", "--no-kong"]), &ON_A_BUSY_MACHINE).await;

    // A store that has only what Kong's own exporter writes, and one that lost a payload.
    let bare = Store::folder();
    std::fs::create_dir_all(bare.config_json().parent().unwrap()).unwrap();
    std::fs::copy(store.config_json(), bare.config_json()).unwrap();
    for command in ["show", "verify"] {
        outputs.compare(bare.given_to(cluster.lifeboat([command])), &[0, 1]).await;
    }
    for file in super::stored::files(&store.objects) {
        if file.to_string_lossy().ends_with(".json.gz") {
            std::fs::write(file, b"damaged").unwrap();
        }
    }
    outputs.compare(run(&["show"]), &[1]).await;
    outputs.compare(run(&["verify", "--all"]), &[1]).await;
    outputs.compare(run(&["drill", "--no-kong"]), &[1]).await;

    assert_eq!(outputs.seen, commands_with_output(), "each command's output was looked at");
    let described: BTreeSet<String> =
        serde_json::from_value(outputs.schema["properties"]["command"]["enum"].clone()).unwrap();
    assert_eq!(described, outputs.seen, "docs/schemas/outputs.json names the commands");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_over_http_is_what_its_description_says() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let start = cluster.lifeboat(["run", "--export", "on", "--import", "on", "--drill-every", "1s"]);
    let running = store.given_to(start.with("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", "1")).start();
    let at = http_address(&running).await;
    let node = cluster.node(relay_address(&running).await);
    node.wait_for(|state| state.configuration.is_some()).await;
    let is_whole = |status: &Value| {
        let export = &status["export"][0];
        export["drill"].is_object() && export["published"].is_object() && !status["relay"]["nodes"][0].is_null()
    };
    let whole = page_until(at, "/status", |found| is_whole(&serde_json::from_str(&found.body).unwrap())).await;

    let described = schema("http").await;
    let status: Value = serde_json::from_str(&whole.body).unwrap();
    let faults = Schema::at(&described, "/components/schemas/status").faults(&status);
    assert!(faults.is_empty(), "{}\nin {status}", faults.join("\n"));

    // Each path is one that the program has, and the other way round.
    let paths = described["paths"].as_object().unwrap();
    let listed = page(at, "/no-such-page").await;
    assert_eq!(listed.status, 404);
    let there: BTreeSet<&str> = listed.body.lines().filter(|line| line.starts_with('/')).collect();
    let read: BTreeSet<&str> =
        paths.iter().filter(|(_, methods)| methods["get"].is_object()).map(|(path, _)| path.as_str()).collect();
    assert_eq!(there, read, "docs/schemas/http.json has the paths that are answered");
    for (path, methods) in paths {
        let found = page(at, path).await;
        let answers = methods["get"]["responses"].as_object();
        let is_described = answers.map_or(found.status == 405, |all| all.contains_key(&found.status.to_string()));
        assert!(is_described, "{path}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_described_with_all_states() {
    let described = schema("http").await;
    let states = &described["components"]["schemas"]["notification"]["properties"]["state"]["enum"];
    assert_eq!(*states, json!(State::ALL.map(State::name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_schema_is_the_programs_own() {
    let settings = schema("settings").await;
    let properties = settings["properties"].as_object().unwrap();
    // What the schema refuses, the program refuses as well.
    let words = properties.iter().filter_map(|(name, property)| Some((name, property["enum"].as_array()?)));
    // How S3 is spoken to is read for S3 alone.
    let (cluster, store) = (Cluster::start().await, Store::s3().await);
    let start = store.given_to(cluster.lifeboat(["run", "--export", "on", "--import", "on"]));
    let (mut invocation, mut expected) = (start, Vec::new());
    for (name, _) in words.filter(|(name, _)| name.starts_with("LIFEBOAT_")) {
        invocation = invocation.with(name, "no-such-word");
        expected.push(name.clone());
    }
    let refused = invocation.with("LIFEBOAT_STORAGE", "x").finish().await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(expected.len() > 4, "{expected:?}");
    for name in expected {
        assert!(refused.stderr.contains(&name), "{name} takes any word: {refused}");
    }
    assert!(!properties.contains_key("LIFEBOAT_STORAGE"), "which the program takes for misspelt");
}
