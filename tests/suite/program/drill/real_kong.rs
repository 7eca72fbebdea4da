//! A data plane of its own: what it is given, what is made of its answers, and that nothing of it stays.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use lifeboat_fakes::certificate::Authority;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::World;
use rustix::process::Signal;
use tempfile::TempDir;

use super::*;

/// A folder for the `PATH` with a `kong` in it, and what that notes.
struct StandIn {
    folder: TempDir,
}

impl StandIn {
    fn new(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        std::fs::create_dir(&notes).unwrap();
        let set = |(name, value): &(&str, &str)| format!("export {name}='{value}'\n");
        let settings: String = settings.iter().map(set).collect();
        let (notes, program) = (notes.display(), env!("CARGO_BIN_EXE_stand-in-kong"));
        let script = format!("#!/bin/sh\nexport STAND_IN_NOTES='{notes}'\n{settings}exec '{program}' \"$@\"\n");
        let path = folder.path().join("kong");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn on_path_of(&self, drill: Invocation) -> Invocation {
        let path = std::env::var("PATH").unwrap();
        drill.with("PATH", format!("{}:{path}", self.folder.path().display()))
    }

    fn noted(&self, command: &str) -> Option<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("notes").join(command)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Waits until it was called so.
    async fn notes(&self, command: &str) {
        while self.noted(command).is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nothing of the data plane that was started is there any more.
    fn assert_gone(&self) {
        let folder = self.noted("start").expect("it was started")["environment"]["HOME"].as_str().unwrap().to_owned();
        assert!(!Path::new(&folder).exists(), "{folder} is still there");
        for command in ["start", "data-plane"] {
            let Some(noted) = self.noted(command) else { continue };
            // One that has ended may not have been waited for yet.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", noted["pid"])).unwrap_or_default();
            let is_there = stat.rsplit_once(") ").is_some_and(|(_, after)| !after.starts_with('Z'));
            assert!(!is_there, "the process of {command} is still there: {stat}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_plane_comes_to_run_the_configuration_on_its_own_prefix_and_is_stopped() {
    let (site, kong) = (Site::in_a_folder().await, StandIn::new(&[]));
    let drill = kong.on_path_of(site.drill(["--output", "json"]));
    // As they stand in a live node's environment.
    let drill = drill
        .with("KONG_PREFIX", "/usr/local/kong")
        .with("KONG_PROXY_LISTEN", "0.0.0.0:8000")
        .with("KONG_ADMIN_LISTEN", "127.0.0.1:8001")
        .with("KONG_CLUSTER_CONTROL_PLANE", "cp.example.com:8005")
        .with("KONG_DECLARATIVE_CONFIG", "/etc/kong/kong.json")
        .with("KONG_PG_PASSWORD", "of-the-database")
        .with("AWS_SECRET_ACCESS_KEY", "of-the-store")
        .with("KONG_LUA_PACKAGE_PATH", "/opt/plugins/?.lua")
        .with("LIFEBOAT_PLUGINS", "my-auth,my-log");
    let passed = json(&ends(drill, 0).await);
    let real = &passed["versions"][0]["kong"];
    assert_eq!(
        (&passed["verdict"], &real["result"], &real["version"]),
        (&"pass".into(), &"passed".into(), &VERSION.into())
    );
    let times: Vec<f64> = ["start_s", "ready_s"].iter().map(|name| real[name].as_f64().unwrap()).collect();
    assert!(times[0] > 0.0 && times[1] >= times[0], "{passed}");

    let start = kong.noted("start").unwrap();
    let given = |name: &str| start["environment"][name].as_str().unwrap_or_default().to_owned();
    let folder = given("HOME");
    for (name, value) in [
        ("KONG_ROLE", "data_plane"),
        ("KONG_DATABASE", "off"),
        ("KONG_ADMIN_LISTEN", "off"),
        ("KONG_NGINX_WORKER_PROCESSES", "1"),
        ("KONG_LUA_PACKAGE_PATH", "/opt/plugins/?.lua"),
        ("KONG_PLUGINS", "bundled,my-auth,my-log"),
    ] {
        assert_eq!(given(name), value, "{name}");
    }
    for own in ["KONG_PREFIX", "KONG_CLUSTER_CERT", "KONG_CLUSTER_CERT_KEY", "KONG_PROXY_ERROR_LOG"] {
        assert!(given(own).starts_with(&format!("{folder}/")), "{own} is {}", given(own));
    }
    for listens in ["KONG_PROXY_LISTEN", "KONG_STATUS_LISTEN", "KONG_CLUSTER_CONTROL_PLANE"] {
        assert!(given(listens).starts_with("127.0.0.1:") && !given(listens).ends_with(":0"), "{}", given(listens));
    }
    let environment = start["environment"].to_string();
    for others in
        ["of-the-database", "of-the-store", "KONG_DECLARATIVE_CONFIG", "cp.example.com", "LIFEBOAT_", "8005\""]
    {
        assert!(!environment.contains(others), "{others} reached it: {environment}");
    }
    let stop = kong.noted("stop").expect("it is stopped as Kong is");
    assert_eq!(stop["arguments"], serde_json::json!(["stop", "--prefix", given("KONG_PREFIX")]));
    kong.assert_gone();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_plane_that_fails_is_told_with_what_it_logged_without_secrets() {
    let site = Site::in_a_folder().await;
    for (fault, says) in [
        ("refuses", ["kong start failed", "plugin 'my-auth' is in use but not installed"]),
        ("dies", ["has ended by itself", "in 'key': (masked) is not unique"]),
    ] {
        let kong = StandIn::new(&[("STAND_IN_FAULT", fault)]);
        let failed = ends(kong.on_path_of(site.drill([])), 1).await;
        for part in says {
            assert!(failed.stdout.contains(part), "{part} is not said: {failed}");
        }
        assert!(flat(&failed.stdout).contains("fail 2 ") && failed.stdout.contains("--no-kong"), "{failed}");
        assert!(!failed.stdout.contains("alice-secret-key"), "{failed}");
        kong.assert_gone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_in_the_middle_leaves_no_process_and_no_folder() {
    let site = Site::in_a_folder().await;
    for (fault, begun, signal, code) in
        [("hangs", "start", Signal::TERM, 143), ("rejects", "data-plane", Signal::INT, 130)]
    {
        let kong = StandIn::new(&[("STAND_IN_FAULT", fault)]);
        let running = kong.on_path_of(site.drill([])).start();
        kong.notes(begun).await;
        running.signal(signal);
        let ended = running.ends().await;
        assert_eq!(ended.code, Some(code), "{ended}");
        kong.assert_gone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_stopped_in_the_middle_of_its_drill_leaves_nothing_either() {
    let (site, kong) = (Site::in_a_folder().await, StandIn::new(&[("STAND_IN_FAULT", "rejects")]));
    let exporter = site.cluster.lifeboat(["run", "--export", "on", "--drill-every", "1s"]);
    let exporter = kong.on_path_of(site.store.given_to(exporter)).start();
    kong.notes("data-plane").await;
    exporter.signal(Signal::TERM);
    let ended = exporter.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    kong.assert_gone();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kong_of_another_version_is_not_started_and_one_that_was_asked_for_must_be_the_right_one() {
    let (site, kong) = (Site::in_a_folder().await, StandIn::new(&[("STAND_IN_VERSION", "Kong Enterprise 3.8.0.1")]));
    let other = json(&ends(kong.on_path_of(site.drill(["--output", "json"])), 0).await);
    let real = &other["versions"][0]["kong"];
    assert_eq!((&real["result"], &other["verdict"]), (&"not_started".into(), &"warn".into()), "{other}");
    assert!(real["reason"].as_str().unwrap().contains("is Kong 3.8.0.1"), "{other}");
    let unwanted = json(&ends(kong.on_path_of(site.drill(["--no-kong", "--output", "json"])), 0).await);
    assert_eq!((&unwanted["verdict"], &unwanted["versions"][0]["kong"]), (&"pass".into(), &Value::Null));
    let path = kong.folder.path().join("kong");
    let asked = ends(site.drill(["--kong", path.to_str().unwrap()]), 1).await;
    assert!(flat(&asked.stdout).contains("drill with --kong-version 3.8.0.1"), "{asked}");
    let missing = ends(site.drill(["--kong", "/usr/local/bin/no-such-kong"]), 2).await;
    assert!(missing.stderr.contains("--kong: /usr/local/bin/no-such-kong can't be started"), "{missing}");
    assert!(kong.noted("start").is_none());
}

#[test]
fn with_an_authority_a_data_plane_believes_the_certificate_that_live_ones_see() {
    play(async {
        let world = World::with_authority(&Authority::new("drill")).await;
        world.keep(&recorded::first()).await;
        let kong = StandIn::new(&[]);
        let passed = json(&ends(kong.on_path_of(world.program(["drill", "--output", "json"])), 0).await);
        assert_eq!(passed["versions"][0]["kong"]["result"], "passed", "{passed}");
        let given = kong.noted("start").unwrap()["environment"].clone();
        assert_eq!(
            (&given["KONG_CLUSTER_MTLS"], &given["KONG_CLUSTER_SERVER_NAME"]),
            (&"pki".into(), &"relay.example.com".into())
        );
        kong.assert_gone();
    });
}
