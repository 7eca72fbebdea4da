//! What commands read and what is said of it: the same, for each command and each setting.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::ArgMatches;
use futures::FutureExt;
use lifeboat_fakes::certificate::{Authority, ClusterCertificate};
use tempfile::TempDir;

use super::*;
use crate::cli::{self, definition};
use crate::command::perform;
use crate::logging::{self, Log};
use crate::settings::LogSettings;
use crate::settings::names::SETTINGS;

/// Arguments with which each command reads something else than with others.
const FORMS: &[&str] = &[
    "run",
    "status",
    "healthcheck",
    "export --from cp",
    "export --from file:FOLDER/kong.yml",
    "export --from file:FOLDER/kong.yml --pin",
    "export --from dbless:http://127.0.0.1:9",
    "import --always",
    "import --if-cp-unreachable",
    "import --dbless http://127.0.0.1:9",
    "exec --check -- kong start",
    "presign",
    "doctor",
    "list",
    "show",
    "verify",
    "diff 1",
    "release",
    "rollback 1",
    "pin",
    "unpin",
    "prune",
    "drill --no-kong",
    "demo",
    "keygen signing --folder FOLDER/keys",
];

/// Settings with which others are read that are not read without them.
fn circumstances() -> Vec<Vec<(&'static str, &'static str)>> {
    let roles = [("on", "off"), ("off", "on"), ("on", "on")];
    let of_roles = roles.into_iter().flat_map(|(export, import)| {
        ["shared", "pki", "pki_check_cn"].into_iter().map(move |mtls| {
            vec![
                ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "file://FOLDER/store"),
                ("KONG_CLUSTER_MTLS", mtls),
                ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", export),
                ("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", import),
            ]
        })
    });
    // With the cluster's settings, which nothing else depends on.
    let further = [
        vec![("KONG_CLUSTER_USE_PROXY", "on"), ("KONG_PROXY_SERVER", "http://127.0.0.1:9")],
        vec![("LIFEBOAT_RELAY_CERT", "FOLDER/cluster.crt"), ("LIFEBOAT_RELAY_CERT_KEY", "FOLDER/cluster.key")],
        vec![("LIFEBOAT_DRILL_EVERY", "24h"), ("LIFEBOAT_WEBHOOK_URL", "http://127.0.0.1:9/")],
        vec![("LIFEBOAT_ELECTION_STORAGE", "file://FOLDER/election")],
        at("gs://bucket/prefix", &[]),
        at("azure://account/container/prefix", &[]),
        at("azure://account/container/prefix", &[("AZURE_CLIENT_SECRET", "x")]),
        at("s3://bucket/prefix", &[]),
        at("s3://bucket/prefix", &[("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")]),
        at("s3://bucket/prefix", &[("AWS_WEB_IDENTITY_TOKEN_FILE", "FOLDER/cluster.crt"), ("AWS_ROLE_ARN", "x")]),
        at("s3://bucket/prefix", &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")]),
        at("s3://bucket/prefix", &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/x")]),
    ];
    let on = [
        ("KONG_CLUSTER_MTLS", "pki"),
        ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "on"),
        ("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "on"),
    ];
    let further = further.into_iter().map(|given| [at("file://FOLDER/store", &on), given].concat());
    of_roles.chain(further).collect()
}

fn at(storage: &'static str, more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&[("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", storage)], more].concat()
}

/// A form's arguments, understood.
fn understood(form: &str, folder: &str) -> ArgMatches {
    let words = format!("lifeboat {}", form.replace("FOLDER", folder));
    let arguments: Vec<OsString> = words.split(' ').map(OsString::from).collect();
    cli::matches(&arguments).unwrap_or_else(|error| panic!("{form}: {error}"))
}

/// What a command reads before it waits for anything, in these circumstances.
fn read_in(matches: &ArgMatches, given: &[(&str, &str)], folder: &str) -> BTreeSet<String> {
    let base = [
        ("KONG_VERSION", "3.9.1"),
        ("KONG_ROLE", "data_plane"),
        ("KONG_DATABASE", "off"),
        ("KONG_CLUSTER_CERT", "FOLDER/cluster.crt"),
        ("KONG_CLUSTER_CERT_KEY", "FOLDER/cluster.key"),
        ("KONG_CLUSTER_CA_CERT", "FOLDER/authority.crt"),
        ("KONG_CLUSTER_CONTROL_PLANE", "127.0.0.1:9"),
        ("LIFEBOAT_HTTP_LISTEN", "127.0.0.1:0"),
        ("LIFEBOAT_RELAY_LISTEN", "127.0.0.1:0"),
    ];
    let given = base.iter().chain(given).map(|(name, value)| ((*name).to_owned(), value.replace("FOLDER", folder)));

    let request = cli::read(matches, given);
    let source = request.source.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if logging::default_level(&request.task).is_some() {
        LogSettings::of(&source, "off");
    }
    // One look: what is read is read before anything is done.
    let _ = runtime.block_on(async { perform(request, &Log::none()).now_or_never() });
    runtime.shutdown_background();
    source.read_so_far()
}

/// A folder with what the forms and the circumstances name.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let certificate = ClusterCertificate::version_1(std::time::SystemTime::now());
    let authority = Authority::new("authority").certificate_pem();
    let files = [
        ("authority.crt", authority.as_str()),
        ("cluster.crt", certificate.certificate_pem.as_str()),
        ("cluster.key", certificate.key_pem.as_str()),
        ("kong.yml", "_format_version: '3.0'\n"),
    ];
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn of_ours(read: BTreeSet<String>) -> BTreeSet<String> {
    read.into_iter().filter(|name| SETTINGS.iter().any(|setting| setting.variable == name)).collect()
}

#[test]
fn each_command_reads_what_its_help_lists_and_nothing_else() {
    // A test's own thread has less stack than a program's first one, and without optimisation commands need more than that.
    let first = std::thread::Builder::new().stack_size(8 * 1024 * 1024);
    let compared = first.spawn(compare_what_is_read_with_the_lists).unwrap().join();
    compared.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn compare_what_is_read_with_the_lists() {
    let (files, circumstances) = (folder(), circumstances());
    let folder = files.path().display().to_string();
    let mut differ = Vec::new();
    let definition = definition();

    for command in definition.get_subcommands().map(clap::Command::get_name) {
        let forms = FORMS.iter().filter(|form| form.split(' ').next() == Some(command));
        let mut read = BTreeSet::new();
        for form in forms {
            let matches = understood(form, &folder);
            for given in &circumstances {
                read.extend(of_ours(read_in(&matches, given, &folder)));
            }
        }
        let listed: BTreeSet<String> = read_by(command).iter().map(ToString::to_string).collect();
        differ.extend(listed.difference(&read).map(|name| format!("{command} never reads {name}, which is listed")));
        differ.extend(read.difference(&listed).map(|name| format!("{command} reads {name}, which is not listed")));
    }
    assert!(differ.is_empty(), "companion/src/settings/read_by.rs:\n{}", differ.join("\n"));
}
