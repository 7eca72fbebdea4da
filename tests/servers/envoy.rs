//! Envoy 1.40 with the V8 runtime: it loads the same `lifeboat.wasm` as Kong, requests flow through it, and reports
//! arrive at a real companion. Started without a port of its own choosing: it says where it listens.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command as Build, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::installed::{installed, of_repository};

const HUNG: Duration = Duration::from_secs(120);

/// A running Envoy.
pub(crate) struct Envoy {
    admin: String,
    /// Where requests go in.
    pub(crate) listener: String,
    folder: TempDir,
    _child: Child,
}

/// Where the filter's clusters are. None has TLS: the control plane is looked for in plain HTTP.
pub(crate) struct Clusters {
    pub(crate) companion: SocketAddr,
    /// It is the Status API, and the service behind the gateway.
    pub(crate) service: SocketAddr,
    pub(crate) control_plane: SocketAddr,
}

impl Envoy {
    /// Starts one with this filter, which has these settings, and waits until it is ready.
    pub(crate) async fn start(wasm: &str, settings: &Value, clusters: &Clusters) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("envoy.json"), configuration(settings, clusters, wasm).to_string()).expect("a new file");
        let log = std::fs::File::create(at("log")).expect("a new file");
        let mut command = Command::new(installed("python/bin/envoy"));
        command.arg("-c").arg(at("envoy.json")).arg("--admin-address-path").arg(at("admin"));
        command.args(["--concurrency", "2", "--use-dynamic-base-id", "--log-level", "warning"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let child = command.spawn().expect("tests/servers/run has installed envoy");
        let ready = async {
            loop {
                let admin = std::fs::read_to_string(at("admin")).unwrap_or_default();
                if let Some(listener) = listener(&admin).await {
                    break (admin, listener);
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let ready = timeout(HUNG, ready).await;
        let (admin, listener) = ready.unwrap_or_else(|_| panic!("it is never ready:\n{}", log_in(folder.path())));
        Self { admin, listener, folder, _child: child }
    }

    /// A number of its `/stats`; none if there is no such.
    pub(crate) async fn stat(&self, name: &str) -> Option<u64> {
        let stats = get(&format!("http://{}/stats?filter=^{name}$", self.admin)).await?;
        stats.trim().rsplit(' ').next()?.parse().ok()
    }

    /// What it has logged: warnings and worse, its filters' among them.
    pub(crate) fn log(&self) -> String {
        log_in(self.folder.path())
    }
}

fn log_in(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

async fn listener(admin: &str) -> Option<String> {
    get(&format!("http://{admin}/ready")).await.filter(|answer| answer.contains("LIVE"))?;
    let listeners: Value = serde_json::from_str(&get(&format!("http://{admin}/listeners?format=json")).await?).ok()?;
    let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
    Some(format!("{}:{}", address["address"].as_str()?, address["port_value"].as_u64()?))
}

async fn get(url: &str) -> Option<String> {
    reqwest::get(url).await.ok()?.text().await.ok()
}

/// The path of what wasm-build.sh builds. It may take a while.
pub(crate) fn filter() -> String {
    let built = Build::new(of_repository("wasm-build.sh")).arg("filter").output().expect("wasm-build.sh starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    String::from_utf8_lossy(&built.stdout).lines().last().expect("it prints a path").to_owned()
}

fn configuration(settings: &Value, clusters: &Clusters, wasm: &str) -> Value {
    const TYPE: &str = "type.googleapis.com/envoy.extensions";
    let filter = json!({
        "name": "lifeboat",
        "typed_config": {
            "@type": format!("{TYPE}.filters.http.wasm.v3.Wasm"),
            "config": {
                "name": "lifeboat",
                "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": wasm}}},
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": settings.to_string()}
            }
        }
    });
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": format!("{TYPE}.filters.http.router.v3.Router")}
    });
    let manager = json!({
        "@type": format!("{TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "ingress",
        "route_config": {"virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "service"}}]}
        ]},
        "http_filters": [filter, router]
    });
    json!({
        "admin": {"address": address("127.0.0.1:0".parse().expect("an address"))},
        "static_resources": {
            "listeners": [{
                "address": address("127.0.0.1:0".parse().expect("an address")),
                "filter_chains": [{"filters": [
                    {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                ]}]
            }],
            "clusters": [
                cluster("companion", clusters.companion), cluster("service", clusters.service),
                cluster("control_plane", clusters.control_plane)
            ]
        }
    })
}

fn cluster(name: &str, to: SocketAddr) -> Value {
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(to)}}]}]}
    })
}

fn address(of: SocketAddr) -> Value {
    json!({"socket_address": {"address": of.ip().to_string(), "port_value": of.port()}})
}
