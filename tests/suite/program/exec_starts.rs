//! `lifeboat exec` starts the gateway: in each kind of environment, whatever is wrong with it, and also where nothing is but
//! the two programs. What stops it, `--strict` and `--check`, stops for settings alone.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_tests::cluster::{VERSION, write_credentials};
use lifeboat_tests::program::{Finished, lifeboat};
use tempfile::TempDir;

/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// A node's volume, whose control plane is gone, and whose store is empty.
struct Host {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

/// What is set, and what is to come of it.
struct Case {
    name: &'static str,
    /// Besides what a data plane has; an empty value takes something of that away.
    variables: Vec<(&'static str, String)>,
    arguments: Vec<String>,
    /// How the log's line begins, and what it says.
    level: &'static str,
    said: &'static str,
    /// What `--strict` and `--check` end with.
    strict: i32,
    check: i32,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials = lifeboat_fakes::certificate::ClusterCertificate::version_1(std::time::SystemTime::now());
        let (certificate, key) = write_credentials(folder.path(), "cluster", &credentials);
        Self { folder, certificate, key }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.folder.path().join(name), content).unwrap();
        self.path(name)
    }

    /// What a data plane's environment has.
    fn data_plane(&self) -> Vec<(&'static str, String)> {
        vec![
            ("KONG_ROLE", "data_plane".into()),
            ("KONG_DATABASE", "off".into()),
            ("KONG_PREFIX", self.path("kong")),
            ("KONG_VERSION", VERSION.to_string()),
            ("KONG_CLUSTER_CONTROL_PLANE", NOWHERE.into()),
            ("KONG_CLUSTER_CERT", self.certificate.display().to_string()),
            ("KONG_CLUSTER_CERT_KEY", self.key.display().to_string()),
            ("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("file://{}", self.path("backups"))),
            ("LIFEBOAT_CP_CONFIG_TIMEOUT", "1s".into()),
        ]
    }

    async fn runs(&self, case: &Case, flags: &[&str], command: &[&str]) -> Finished {
        let own = case.arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = ["exec"]
            .into_iter()
            .chain(flags.iter().copied())
            .chain(own)
            .chain(["--"])
            .chain(command.iter().copied())
            .collect();
        // As `env -i` has it: not even a PATH.
        let bare = lifeboat(arguments).without("PATH");
        let variables = self.data_plane().into_iter().chain(case.variables.iter().cloned());
        variables.fold(bare, |invocation, (name, value)| invocation.with(name, value)).finish().await
    }

    fn cases(&self) -> Vec<Case> {
        let case = |name, variables: Vec<(&'static str, String)>, level, said, strict, check| Case {
            name,
            variables,
            arguments: Vec::new(),
            level,
            said,
            strict,
            check,
        };
        let set =
            |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let key = fs::read_to_string(&self.key).unwrap();
        let pair = serde_json::json!({ "key": key }).to_string();
        let nothing: Vec<_> = self.data_plane().into_iter().map(|(name, _)| (name, String::new())).collect();
        let only_role: Vec<_> = nothing.iter().skip(2).cloned().collect();
        vec![
            case("nothing is set", nothing, "WARN", "KONG_ROLE is not set", 0, 3),
            case("no database", set(&[("KONG_DATABASE", "")]), "WARN", "KONG_DATABASE is not set", 0, 3),
            case("control plane", set(&[("KONG_ROLE", "control_plane")]), "INFO", "KONG_ROLE is control_plane", 0, 3),
            case("postgres", set(&[("KONG_DATABASE", "postgres")]), "INFO", "KONG_DATABASE is postgres", 0, 3),
            case("a role and nothing else", only_role, "ERROR", "KONG_CLUSTER_CERT", 2, 2),
            case("no backup", vec![], "ERROR", "WITHOUT A CONFIGURATION", 0, 0),
            case(
                "no such store",
                set(&[("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", "ftp://x/y")]),
                "ERROR",
                "ftp:// is not a store",
                2,
                2,
            ),
            case("a wrong duration", set(&[("LIFEBOAT_MAX_AGE", "soon")]), "ERROR", "LIFEBOAT_MAX_AGE", 2, 2),
            case("a misspelt name", set(&[("LIFEBOAT_PLUGIN", "x")]), "ERROR", "did you mean LIFEBOAT_PLUGINS", 2, 2),
            case("a wrong log level", set(&[("LIFEBOAT_LOG", "lifeboat=loud")]), "ERROR", "LIFEBOAT_LOG", 2, 2),
            case("a wrong log form", set(&[("LIFEBOAT_LOG_FORMAT", "xml")]), "ERROR", "neither text nor json", 2, 2),
            case("a version that is not served", set(&[("KONG_VERSION", "3.1.0")]), "ERROR", "KONG_VERSION", 2, 2),
            case(
                "no such certificate",
                set(&[("KONG_CLUSTER_CERT", "/no/such")]),
                "ERROR",
                "/no/such can't be read",
                2,
                2,
            ),
            case(
                "a good reference",
                vec![
                    ("KONG_CLUSTER_CERT_KEY", "{vault://env/the-pair/key}".into()),
                    ("KONG_VAULT_ENV_PREFIX", "secure_".into()),
                    ("SECURE_THE_PAIR", pair),
                ],
                "ERROR",
                "WITHOUT A CONFIGURATION",
                0,
                0,
            ),
            case(
                "a reference to nothing",
                set(&[("KONG_CLUSTER_CERT_KEY", "{vault://env/no-such}")]),
                "ERROR",
                "NO_SUCH, which is not set",
                2,
                2,
            ),
            case(
                "a reference of Kong's alone",
                set(&[("KONG_CLUSTER_CERT_KEY", "{vault://aws/kong/key}")]),
                "ERROR",
                "{vault://aws/kong/key} is a reference that only Kong can resolve",
                2,
                2,
            ),
            case(
                "a role that nobody can resolve",
                set(&[("KONG_ROLE", "{vault://hcv/role}")]),
                "ERROR",
                "only Kong can resolve",
                2,
                2,
            ),
            case(
                "a key from a file",
                vec![
                    ("KONG_CLUSTER_CERT_KEY", String::new()),
                    ("KONG_CLUSTER_CERT_KEY_FILE", self.key.display().to_string()),
                ],
                "ERROR",
                "WITHOUT A CONFIGURATION",
                0,
                0,
            ),
            case(
                "both forms",
                set(&[("KONG_CLUSTER_CONTROL_PLANE_FILE", "/run/secrets/cp")]),
                "ERROR",
                "KONG_CLUSTER_CONTROL_PLANE (--cluster-control-plane) and KONG_CLUSTER_CONTROL_PLANE_FILE are both set",
                2,
                2,
            ),
            case(
                "a file that is not there",
                set(&[("KONG_DATABASE", ""), ("KONG_DATABASE_FILE", "/no/such/file")]),
                "ERROR",
                "/no/such/file can't be read",
                2,
                2,
            ),
            case(
                "a file of one's own",
                set(&[("KONG_DECLARATIVE_CONFIG", "/kong.yml")]),
                "INFO",
                "stays as it is",
                0,
                3,
            ),
            case(
                "a file of one's own and a mistake",
                set(&[("KONG_DECLARATIVE_CONFIG", "/kong.yml"), ("LIFEBOAT_MAX_AGE", "soon")]),
                "ERROR",
                "KONG_DECLARATIVE_CONFIG is set",
                0,
                2,
            ),
            Case {
                arguments: vec!["--import".into(), "on".into()],
                ..case("import by flag", set(&[("KONG_ROLE", "")]), "ERROR", "WITHOUT A CONFIGURATION", 0, 0)
            },
            Case {
                arguments: vec!["--import".into(), "off".into()],
                ..case("no import by flag", vec![], "INFO", "--import is off", 0, 3)
            },
            Case {
                arguments: vec!["--import".into(), "maybe".into()],
                ..case("neither", vec![], "ERROR", "--import: \"maybe\" is neither on nor off", 2, 2)
            },
            Case {
                arguments: vec!["--kong-conf".into(), self.file("kong.conf", "role=data_plane\ndatabase=off\n")],
                ..case(
                    "a role in kong.conf",
                    set(&[("KONG_ROLE", ""), ("KONG_DATABASE", "")]),
                    "ERROR",
                    "WITHOUT A CONFIGURATION",
                    0,
                    0,
                )
            },
            Case {
                arguments: vec!["--kong-conf".into(), "/no/such/kong.conf".into()],
                ..case("no kong.conf", set(&[("KONG_ROLE", "")]), "ERROR", "/no/such/kong.conf can't be read", 2, 2)
            },
            Case {
                arguments: vec!["--kong-conf".into(), self.file("broken.conf", "role=data_plane\n{}\n")],
                ..case("a broken kong.conf", vec![], "ERROR", "broken.conf line 2", 2, 2)
            },
        ]
    }
}

/// It was started, and this line is in the log.
fn assert_started(case: &Case, started: &Finished) {
    assert_eq!((started.code, started.stdout.as_str()), (Some(0), "started\n"), "{}: {started}", case.name);
    // A line that names settings goes on below.
    let (before, _) = started.stderr.split_once(case.said).unwrap_or_else(|| panic!("{}: {started}", case.name));
    let line = before.lines().rfind(|line| line.contains("echo is started"));
    let level = line.and_then(|line| line.split_whitespace().nth(1));
    assert_eq!(level, Some(case.level), "{}: {started}", case.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_starts_in_each_kind_of_environment() {
    let host = Host::new();
    for case in host.cases() {
        assert_started(&case, &host.runs(&case, &[], &["/bin/echo", "started"]).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_is_to_stop_stops_over_settings_alone() {
    let host = Host::new();
    for case in host.cases() {
        let strict = host.runs(&case, &["--strict"], &["/bin/echo", "started"]).await;
        match case.strict {
            0 => assert_started(&case, &strict),
            code => {
                assert_eq!((strict.code, strict.stdout.as_str()), (Some(code), ""), "{}: {strict}", case.name);
                assert!(strict.stderr.contains(case.said), "{}: {strict}", case.name);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_the_same_and_starts_nothing() {
    let host = Host::new();
    for case in host.cases() {
        let checked = host.runs(&case, &["--check"], &["/bin/echo", "started"]).await;
        assert_eq!(checked.code, Some(case.check), "{}: {checked}", case.name);
        match case.check {
            0 => assert!(checked.stdout.contains("would be restored from file://"), "{}: {checked}", case.name),
            2 if case.strict == 0 => assert!(checked.stderr.contains("LIFEBOAT_MAX_AGE"), "{}: {checked}", case.name),
            _ => assert!(checked.stderr.contains(case.said) && checked.stdout.is_empty(), "{}: {checked}", case.name),
        }
    }
    assert!(!Path::new(&host.path("backups")).exists() && !Path::new(&host.path("kong")).exists(), "it has written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_kongs_that_starts_no_gateway_is_left_alone() {
    let host = Host::new();
    let kong = host.path("kong");
    std::os::unix::fs::symlink("/bin/echo", &kong).unwrap();
    let plain = Case {
        name: "a command",
        variables: vec![("KONG_PREFIX", host.path("prefix")), ("LIFEBOAT_MAX_AGE", "soon".into())],
        arguments: Vec::new(),
        level: "INFO",
        said: "",
        strict: 0,
        check: 3,
    };
    for command in ["migrations", "config", "reload", "quit", "health", "check", "version", "prepare"] {
        for flag in [&[][..], &["--strict"]] {
            let started = host.runs(&plain, flag, &[&kong, command]).await;
            assert_eq!((started.code, started.stdout.trim()), (Some(0), command), "{started}");
            assert!(started.stderr.contains(&format!("kong {command} starts no gateway")), "{started}");
        }
        let checked = host.runs(&plain, &["--check"], &[&kong, command]).await;
        assert_eq!(checked.code, Some(3), "{checked}");
    }
    let wrapped = host.runs(&plain, &[], &["/bin/echo", "kong", "start"]).await;
    assert!(
        wrapped.stderr.contains("LIFEBOAT_MAX_AGE"),
        "a wrapper is taken for none that starts a gateway: {wrapped}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_start_was_given_is_named_while_it_lies_there() {
    let host = Host::new();
    let left = PathBuf::from(host.path("kong")).join("lifeboat-declarative.json");
    let lie_there = || {
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(&left, "{}").unwrap();
    };
    lie_there();
    let named = "still holds what an earlier start was given";
    for case in host
        .cases()
        .iter()
        .filter(|case| case.level != "INFO" && !["nothing is set", "a role and nothing else"].contains(&case.name))
    {
        let started = host.runs(case, &[], &["/bin/echo", "started"]).await;
        assert!(started.stderr.contains(named) && left.exists(), "{}: {started}", case.name);
    }
    let doctor =
        host.data_plane().into_iter().fold(lifeboat(["doctor"]), |doctor, (name, value)| doctor.with(name, value));
    let examined = doctor.finish().await;
    assert!(examined.stdout.contains("node: declarative file"), "{examined}");

    // It goes at the first start that doesn't need it.
    let case = host.cases().into_iter().find(|case| case.name == "control plane").unwrap();
    let started = host.runs(&case, &[], &["/bin/echo", "started"]).await;
    assert!(started.stderr.contains("removed ") && !left.exists(), "{started}");
}
