//! The environment that a scratch data plane gets: made from nothing, so that no setting of a live Kong reaches it but those
//! that a configuration may depend on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::scratch::Scratch;
use crate::drill::outcome::{DrillFailure, Step};
use crate::settings::names::{self, Name};
use crate::settings::{DrillSettings, Reader, Source, Trust};

/// What programs need to be found, and to find their parts.
const OF_PROGRAMS: &[&str] = &["PATH", "LUA_PATH", "LUA_CPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ"];

/// Kong's settings without which a configuration may not load, or not as on a live data plane. None of them names a file
/// that is written, or an address that is listened on.
const KEPT: &[&str] = &[
    "KONG_PLUGINS",
    "KONG_VAULTS",
    "KONG_LUA_PACKAGE_PATH",
    "KONG_LUA_PACKAGE_CPATH",
    "KONG_UNTRUSTED_LUA",
    "KONG_UNTRUSTED_LUA_SANDBOX_REQUIRES",
    "KONG_UNTRUSTED_LUA_SANDBOX_ENVIRONMENT",
    "KONG_WASM",
    "KONG_WASM_FILTERS",
    "KONG_WASM_FILTERS_PATH",
    "KONG_ROUTER_FLAVOR",
    "KONG_DNS_RESOLVER",
    "KONG_DNS_HOSTSFILE",
    "KONG_LMDB_MAP_SIZE",
    "KONG_MEM_CACHE_SIZE",
    "KONG_NGINX_HTTP_LUA_SHARED_DICT",
    "KONG_CLUSTER_MAX_PAYLOAD",
    "KONG_LICENSE_DATA",
    "KONG_LICENSE_PATH",
];

/// What any program gets from `source`.
pub(super) fn of_programs(source: &Source) -> impl Iterator<Item = (String, String)> {
    kept(source, OF_PROGRAMS).into_iter()
}

/// All variables of a data plane whose control plane is the relay at `relay`; its certificate is written into its folder.
pub(super) fn environment(
    settings: &DrillSettings,
    scratch: &Scratch,
    relay: SocketAddr,
) -> Result<BTreeMap<String, String>, DrillFailure> {
    let source = &settings.kong.source;
    let mut variables: BTreeMap<String, String> = kept(source, OF_PROGRAMS).into_iter().collect();
    variables.extend(kept(source, KEPT));
    let has_plugins = Reader::new(source).is_given(Name::of_others("KONG_PLUGINS"));
    if let Some(custom) = settings.kong.plugins.as_ref().filter(|_| !has_plugins) {
        variables.insert("KONG_PLUGINS".to_owned(), format!("bundled,{}", custom.trim()));
    }

    let folder = text(scratch.folder());
    let own = [
        ("HOME", folder.clone()),
        ("TMPDIR", folder),
        ("KONG_PREFIX", text(scratch.prefix())),
        ("KONG_ROLE", "data_plane".to_owned()),
        ("KONG_DATABASE", "off".to_owned()),
        ("KONG_CLUSTER_CONTROL_PLANE", relay.to_string()),
        ("KONG_CLUSTER_RPC", "off".to_owned()),
        ("KONG_CLUSTER_INCREMENTAL_SYNC", "off".to_owned()),
        ("KONG_CLUSTER_CERT", certificate(source, scratch, names::KONG_CLUSTER_CERT, "cluster.crt")?),
        ("KONG_CLUSTER_CERT_KEY", certificate(source, scratch, names::KONG_CLUSTER_CERT_KEY, "cluster.key")?),
        ("KONG_PROXY_LISTEN", scratch.proxy_address().to_string()),
        ("KONG_STATUS_LISTEN", scratch.status_address().to_string()),
        ("KONG_ADMIN_LISTEN", "off".to_owned()),
        ("KONG_ADMIN_GUI_LISTEN", "off".to_owned()),
        ("KONG_STREAM_LISTEN", "off".to_owned()),
        ("KONG_PROXY_ACCESS_LOG", "off".to_owned()),
        ("KONG_STATUS_ACCESS_LOG", "off".to_owned()),
        ("KONG_PROXY_ERROR_LOG", text(&scratch.error_log())),
        ("KONG_STATUS_ERROR_LOG", text(&scratch.error_log())),
        ("KONG_NGINX_WORKER_PROCESSES", "1".to_owned()),
        ("KONG_NGINX_DAEMON", "on".to_owned()),
        ("KONG_ANONYMOUS_REPORTS", "off".to_owned()),
    ];
    variables.extend(own.map(|(name, value)| (name.to_owned(), value)));

    // Kong's packages let workers be the user `kong`, which can't read what only root may.
    if rustix::process::geteuid().is_root() {
        variables.insert("KONG_NGINX_MAIN_USER".to_owned(), "root root".to_owned());
    }
    if let Trust::Pki(_) = settings.cluster.trust {
        variables.extend(of_authority(settings, scratch)?);
    }

    Ok(variables)
}

// The relay shows the certificate that live nodes see; this node asks for the name that stands in it.
fn of_authority(settings: &DrillSettings, scratch: &Scratch) -> Result<Vec<(String, String)>, DrillFailure> {
    let source = &settings.kong.source;
    let mut reader = Reader::new(source);
    let authority = match reader.is_given(names::KONG_CLUSTER_CA_CERT) {
        true => certificate(source, scratch, names::KONG_CLUSTER_CA_CERT, "ca.crt")?,
        false => reader.text(names::KONG_LUA_SSL_TRUSTED_CERTIFICATE).map_or("system".to_owned(), |given| given.value),
    };

    let relay = settings.relay_identity();
    let leaf = relay.leaf();
    let name = leaf.dns_names().first().map(String::as_str).or_else(|| leaf.common_name()).unwrap_or_default();
    let variables = [
        ("KONG_CLUSTER_MTLS", "pki"),
        ("KONG_CLUSTER_SERVER_NAME", name),
        ("KONG_LUA_SSL_TRUSTED_CERTIFICATE", &authority),
    ];
    Ok(variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

// A path that the data plane can read, whatever form the setting has.
fn certificate(source: &Source, scratch: &Scratch, setting: Name, file: &str) -> Result<String, DrillFailure> {
    let mut reader = Reader::new(source);
    let pem = reader.text(setting).and_then(|given| reader.pem(&given));
    let written = pem.ok_or_else(|| reader.into_problems().to_string()).and_then(|pem| {
        let path = scratch.folder().join(file);
        scratch.write(&path, &pem).map(|()| text(&path)).map_err(|error| error.to_string())
    });
    written.map_err(|why| {
        DrillFailure::new(
            Step::Kong,
            format!("{setting}: {why}"),
            "it must be there when a drill is made: see that it can be read",
        )
    })
}

fn kept(source: &Source, names: &[&'static str]) -> Vec<(String, String)> {
    // Files and references read: the data plane's environment has none of what they refer to.
    let mut reader = Reader::new(source);
    names.iter().filter_map(|name| Some(((*name).to_owned(), reader.text(Name::of_others(name))?.value))).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
