//! `lifeboat exec`: an entry point that is the gateway from the moment on at which it is decided with what it starts.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lifeboat_fakes::recorded;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use rustix::process::Signal;

use super::images::RECORDED;
use super::{Cluster, Store, configuration};

/// What a gateway's start would read, and how hard that is to read for others.
const SHOW: &str = r#"if [ -n "$KONG_DECLARATIVE_CONFIG" ]; then stat -c %a "$KONG_DECLARATIVE_CONFIG"; cat "$KONG_DECLARATIVE_CONFIG"; fi"#;

/// A cluster that has kept a configuration, and whose control plane is gone.
async fn outage(store: &Store) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    cluster.control_plane.stop().await;
    cluster
}

/// A start of `sh -c script` on this prefix.
fn exec(cluster: &Cluster, store: &Store, prefix: &Path, script: &str) -> Invocation {
    let arguments = ["exec", "--", "sh", "-c", script];
    as_data_plane(store.given_to(cluster.lifeboat(arguments))).with("KONG_PREFIX", prefix)
}

fn as_data_plane(invocation: Invocation) -> Invocation {
    invocation.with("KONG_ROLE", "data_plane").with("KONG_DATABASE", "off")
}

fn empty_prefix(cluster: &Cluster) -> PathBuf {
    let prefix = cluster.path("kong");
    fs::create_dir(&prefix).unwrap();
    prefix
}

fn file_in(prefix: &Path) -> PathBuf {
    prefix.join("lifeboat-declarative.json")
}

fn configure(prefix: &Path) {
    fs::create_dir(prefix.join("dbless.lmdb")).unwrap();
    fs::write(prefix.join("dbless.lmdb/data.mdb"), RECORDED).unwrap();
}

/// It was started as it is, and this is said in one line.
fn assert_as_it_is(started: &Finished, why: &str) {
    assert_eq!((started.code, started.stdout.as_str()), (Some(0), ""), "{started}");
    let lines: Vec<_> = started.stderr.lines().filter(|line| line.contains("sh is started")).collect();
    assert!(lines.len() == 1 && lines[0].contains(why), "{why:?} is not said once: {started}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_node_in_an_outage_is_started_with_what_was_kept_and_later_with_its_own() {
    for store in [Store::folder(), Store::s3().await] {
        let cluster = outage(&store).await;
        // Kong makes the prefix where it isn't there yet, and so do we.
        let prefix = cluster.path("volume/kong");
        let started = exec(&cluster, &store, &prefix, SHOW).finish().await;
        assert_eq!(started.code, Some(0), "{started}");
        let (mode, json) = started.stdout.split_once('\n').unwrap();
        assert_eq!(mode, "600");
        assert!(json.as_bytes() == configuration(&recorded::first()).table, "it is not what the control plane sent");
        let names: Vec<_> = fs::read_dir(&prefix).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["lifeboat-declarative.json"], "{started}");

        // What Kong has made of it by the next start. Neither the store nor the control plane is asked any more.
        configure(&prefix);
        let again = exec(&cluster, &store, &prefix, SHOW).with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "file:///none");
        let again = again.finish().await;
        assert_as_it_is(&again, "the node has a configuration (configuration 3ff47162e7a7ce1344f336316b66484e");
        assert!(!file_in(&prefix).exists(), "private keys are left over");
        assert!(fs::read(prefix.join("dbless.lmdb/data.mdb")).unwrap() == RECORDED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_control_plane_gives_it_something_is_started_as_it_is() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    cluster.control_plane.push(recorded::first());
    let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let prefix = empty_prefix(&cluster);
    let started = exec(&cluster, &store, &prefix, SHOW).finish().await;
    assert_as_it_is(&started, "the control plane gives configuration");
    assert_eq!(fs::read_dir(&prefix).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_starts_whatever_happens() {
    let (cluster, nothing) = (Cluster::start().await, Store::folder());
    cluster.control_plane.stop().await;
    let prefix = empty_prefix(&cluster);
    let without = exec(&cluster, &nothing, &prefix, SHOW).finish().await;
    assert_as_it_is(&without, "WITHOUT A CONFIGURATION");
    assert!(without.stderr.contains("there is no such folder"), "{without}");

    // A volume that can't be written to.
    let store = Store::folder();
    let cluster = outage(&store).await;
    let file = cluster.path("file");
    fs::write(&file, "").unwrap();
    let unwritable = exec(&cluster, &store, &file.join("kong"), SHOW).finish().await;
    assert_as_it_is(&unwritable, "file/kong");

    // Somebody's own file.
    let own = exec(&cluster, &store, &cluster.path("own"), "exit 0").with("KONG_DECLARATIVE_CONFIG", "/etc/kong.yml");
    assert_as_it_is(&own.finish().await, "KONG_DECLARATIVE_CONFIG is set");

    // Wrong settings, of a node that has nothing and of one that has something.
    let prefix = empty_prefix(&cluster);
    let wrong = || exec(&cluster, &store, &prefix, SHOW).with("LIFEBOAT_MAX_AGE", "soon");
    let started = wrong().finish().await;
    assert_as_it_is(&started, "it stays empty in an outage");
    assert!(started.stderr.contains("LIFEBOAT_MAX_AGE"), "{started}");
    configure(&prefix);
    let started = wrong().finish().await;
    assert_as_it_is(&started, "the node has a configuration");
    assert!(started.stderr.contains("LIFEBOAT_MAX_AGE"), "{started}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_kongs_settings_may_be_references_or_stand_in_files() {
    let store = Store::folder();
    let cluster = outage(&store).await;
    let start = exec(&cluster, &store, &cluster.path("kong"), SHOW);
    let role = cluster.path("role");
    fs::write(&role, "data_plane\n").unwrap();
    let storage = store.settings[0].1.clone();
    let start = start
        .without("KONG_ROLE")
        .with("KONG_ROLE_FILE", role)
        .with("KONG_DATABASE", "{vault://env/the-database}")
        .with("THE_DATABASE", "off")
        .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "{vault://env/storage}")
        .with("STORAGE", storage);
    let started = start.finish().await;
    assert!(started.code == Some(0) && started.stdout.starts_with("600\n{"), "{started}");
}

#[tokio::test(flavor = "multi_thread")]
async fn process_signals_exit_code_and_environment_are_the_programs() {
    let store = Store::s3().await;
    let cluster = outage(&store).await;
    let prefix = empty_prefix(&cluster);
    let script = "trap 'exit 9' TERM; umask; env; echo \"process $$\"; while true; do sleep 0.05; done";
    let key = "wonderful-report-key";
    let invocation = exec(&cluster, &store, &prefix, script);
    let running = invocation
        .with("LIFEBOAT_REPORT_KEYS", key)
        .with("KONG_PROXY_LISTEN", "0.0.0.0:8000")
        .with("EMPTY", "")
        .start();
    let process = running.prints("process ").await;
    assert_eq!(process, format!("process {}", running.id()));
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(9), "{ended}");
    let printed: Vec<_> = ended.stdout.lines().collect();
    // That of this test, which the program inherits.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let umask = own.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    assert_eq!(printed[0], umask.trim(), "{ended}");
    let file = format!("KONG_DECLARATIVE_CONFIG={}", file_in(&prefix).display());
    for kept in ["KONG_PROXY_LISTEN=0.0.0.0:8000", "EMPTY=", "AWS_SECRET_ACCESS_KEY=wonderful-storage-secret", &file] {
        assert!(printed.contains(&kept), "{kept} is gone: {ended}");
    }
    assert!(!ended.to_string().contains(key), "the program has a key of ours: {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_be_started_ends_as_in_a_shell_and_leaves_no_keys() {
    let store = Store::folder();
    let cluster = outage(&store).await;
    let prefix = empty_prefix(&cluster);
    let plain = cluster.path("plain");
    fs::write(&plain, "no program").unwrap();
    for (name, code) in [("no-such-program-anywhere".into(), 127), (plain.display().to_string(), 126)] {
        let start = as_data_plane(store.given_to(cluster.lifeboat(["exec", "--", &name])));
        let start = start.with("KONG_PREFIX", &prefix);
        let ended = start.finish().await;
        assert!(ended.code == Some(code) && ended.stderr.contains("can't be started"), "{ended}");
        assert_eq!(fs::read_dir(&prefix).unwrap().count(), 0, "{ended}");
    }
    for arguments in [&["exec"][..], &["exec", "--"], &["exec", "kong", "start"]] {
        let wrong = lifeboat(arguments).finish().await;
        assert_eq!(wrong.code, Some(2), "{arguments:?}: {wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_stopped_while_the_control_plane_hangs_ends_at_once() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    // It takes connections, by the kernel, and never says anything.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hanging.local_addr().unwrap().to_string();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::QUIT, 131)] {
        let prefix = cluster.path("kong");
        let start = exec(&cluster, &store, &prefix, "echo started").with("KONG_CLUSTER_CONTROL_PLANE", &address);
        let running = start.start();
        // Once it is connected, signals are waited for.
        let waiting = hanging.try_clone().unwrap();
        let link = tokio::task::spawn_blocking(move || waiting.accept().unwrap().0).await.unwrap();
        running.signal(signal);
        let ended = running.ends().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended}");
        drop(link);
    }
    // An init container likewise.
    let import = store.given_to(cluster.lifeboat(["import"])).with("KONG_PREFIX", cluster.path("kong"));
    let running = import.with("KONG_CLUSTER_CONTROL_PLANE", &address).start();
    let link = tokio::task::spawn_blocking(move || hanging.accept().unwrap().0).await.unwrap();
    running.signal(Signal::TERM);
    let ended = running.ends().await;
    assert_eq!(ended.code, Some(143), "{ended}");
    drop(link);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_user_of_roots_group_will_do_where_only_the_prefix_can_be_written_to() {
    let store = Store::folder();
    let cluster = outage(&store).await;
    let prefix = empty_prefix(&cluster);
    // As an image has it that runs under arbitrary users: the folder is another's, and its group may write.
    fs::set_permissions(&prefix, fs::Permissions::from_mode(0o775)).unwrap();
    let others = rustix::process::geteuid().is_root();
    if others {
        std::os::unix::fs::chown(&prefix, Some(1000), Some(0)).unwrap();
        make_readable(prefix.parent().unwrap());
        make_readable(store.objects.parent().unwrap());
    }
    let mut start = exec(&cluster, &store, &prefix, SHOW).with("TMPDIR", "/nonexistent");
    let user = start.as_another_user(123_456);
    let started = start.finish().await;
    assert!(started.code == Some(0) && started.stdout.starts_with("600\n{"), "{started}");
    assert_eq!(fs::metadata(file_in(&prefix)).unwrap().uid(), user);
}

/// For everybody, but not to write to.
fn make_readable(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("kong") => {}
            true => make_readable(&path),
            false => fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap(),
        }
    }
}
