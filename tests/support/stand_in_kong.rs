//! Plays Kong's program for drills: `kong version`, `kong start`, `kong stop`, and the data plane that they are about, as
//! docs/KONG.md describes it. It is a program of its own, since a drill starts, signals and ends processes. Its tester tells
//! it what to do in variables that begin with `STAND_IN_`, which a script on the tester's `PATH` sets: the drill gives it a
//! new environment.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::{EMPTY_HASH, Node, NodeOptions};
use lifeboat_link::tls::{Authorities, AuthoritySource, Identity, client_config_pki, client_config_shared};
use rustix::process::{Pid, Signal, kill_process, setsid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    note(&arguments);
    let done = match arguments.first().map(String::as_str) {
        Some("version") => version(),
        Some("start") => start(&arguments),
        Some("stop") => stop(&arguments),
        Some("data-plane") => data_plane(),
        _ => Err(io::Error::other("Usage: kong COMMAND [OPTIONS]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn version() -> io::Result<()> {
    writeln!(io::stdout(), "{}", told("STAND_IN_VERSION").unwrap_or_else(|| "3.9.1".to_owned()))
}

fn start(arguments: &[String]) -> io::Result<()> {
    match fault().as_deref() {
        Some("refuses") => return Err(io::Error::other("plugin 'my-auth' is in use but not installed")),
        Some("hangs") => loop {
            sleep(Duration::from_secs(1));
        },
        _ => {}
    }
    let ["start", "--conf", conf] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return Err(io::Error::other("/etc/kong/kong.conf would be read: it is a live data plane's"));
    };
    if fs::read_to_string(conf)?.lines().any(|line| !line.is_empty() && !line.starts_with('#')) {
        return Err(io::Error::other("kong.conf has settings"));
    }
    let pids = prefix().join("pids");
    fs::create_dir_all(&pids)?;
    let nothing = || Stdio::null();
    let mut command = Command::new(std::env::current_exe()?);
    let child = command.arg("data-plane").stdin(nothing()).stdout(nothing()).stderr(nothing()).spawn()?;
    fs::write(pids.join("nginx.pid"), format!("{}\n", child.id()))?;
    while TcpStream::connect(setting("KONG_STATUS_LISTEN")?).is_err() && fault().is_none() {
        sleep(Duration::from_millis(10));
    }
    writeln!(io::stdout(), "Kong started")
}

fn stop(arguments: &[String]) -> io::Result<()> {
    let ["stop", "--prefix", prefix] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return Err(io::Error::other("no prefix"));
    };
    let pid = fs::read_to_string(Path::new(prefix).join("pids/nginx.pid"))?;
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("no pid"))?;
    kill_process(pid, Signal::TERM)?;
    // Whoever is to wait for it may take its time.
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        sleep(Duration::from_millis(10));
    }
    writeln!(io::stdout(), "Kong stopped")
}

fn data_plane() -> io::Result<()> {
    setsid()?;
    let mut log = OpenOptions::new().create(true).append(true).open(setting("KONG_PROXY_ERROR_LOG")?)?;
    if fault().as_deref() == Some("dies") {
        writeln!(log, "2026/11/21 10:00:00 [error] 7#0: in 'key': alice-secret-key is not unique")?;
        return Err(io::Error::other("it died"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = Arc::new(Node::start(options()?));
        let status = TcpListener::bind(setting("KONG_STATUS_LISTEN")?).await?;
        let _proxy = TcpListener::bind(setting("KONG_PROXY_LISTEN")?).await?;
        loop {
            let (mut stream, _) = status.accept().await?;
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await?;
            let answer = answer(&String::from_utf8_lossy(&request[..read]), &node);
            stream.write_all(answer.as_bytes()).await?;
        }
    })
}

// KONG.md section 3.
fn answer(request: &str, node: &Node) -> String {
    let state = node.state();
    let (status, body) = match request.split(' ').nth(1) {
        Some("/status/ready") if state.hash() == EMPTY_HASH => ("503 Service Unavailable", "{}".to_owned()),
        Some("/status/ready") => ("200 OK", "{}".to_owned()),
        Some("/status") => ("200 OK", format!("{{\"configuration_hash\":\"{}\"}}", state.hash())),
        _ => ("404 Not Found", "{}".to_owned()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

// As Kong reads its settings: both modes of `cluster_mtls`, certificates as paths.
fn options() -> io::Result<NodeOptions> {
    let file = |name| fs::read(setting(name)?);
    let identity = Identity::from_pem(&file("KONG_CLUSTER_CERT")?, &file("KONG_CLUSTER_CERT_KEY")?);
    let identity = identity.map_err(io::Error::other)?;
    let tls = match std::env::var("KONG_CLUSTER_MTLS").as_deref() {
        Ok("pki") => {
            let pem = file("KONG_LUA_SSL_TRUSTED_CERTIFICATE")?;
            client_config_pki(&Authorities::new([AuthoritySource::Pem(&pem)]).map_err(io::Error::other)?, &identity)
        }
        _ => client_config_shared(&identity),
    };
    let address = setting("KONG_CLUSTER_CONTROL_PLANE")?.parse().map_err(io::Error::other)?;
    let mut options = NodeOptions::new(address, tls);
    if let Ok(name) = std::env::var("KONG_CLUSTER_SERVER_NAME") {
        options.server_name = name;
    }
    options.hostname = "stand-in-kong".to_owned();
    // The race of KONG.md section 1: what comes at once is dropped.
    options.database_ready_after = Duration::from_millis(100);
    options.rejects = (fault().as_deref() == Some("rejects")).then(|| Arc::new(|_: &Configuration| true) as _);
    Ok(options)
}

// What it was called with, for its tester to read.
fn note(arguments: &[String]) {
    let Some(folder) = told("STAND_IN_NOTES") else { return };
    let variables: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| !name.starts_with("STAND_IN_")).collect();
    let note = serde_json::json!({ "arguments": arguments, "environment": variables, "pid": std::process::id() });
    let name = arguments.first().map_or("nothing", String::as_str);
    fs::write(Path::new(&folder).join(name), note.to_string()).expect("its tester can read what it writes");
}

fn fault() -> Option<String> {
    told("STAND_IN_FAULT")
}

fn told(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn setting(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|_| io::Error::other(format!("{name} is not set")))
}

fn prefix() -> PathBuf {
    std::env::var_os("KONG_PREFIX").map_or_else(|| "/usr/local/kong".into(), PathBuf::from)
}
