//! Which command reads which settings: what its help lists and which flags it takes. A test runs each command and compares
//! what it has read; in a debug build, reading anything else ends the program.

use super::StoreSettings;
use super::names::{self, Name, SETTINGS, Setting};

/// Where settings stand, and the log.
const ALWAYS: &[Name] = &[names::LIFEBOAT_SETTINGS_FILE, names::LIFEBOAT_LOG, names::LIFEBOAT_LOG_FORMAT];

/// Beside how one gets in: [`StoreSettings::ACCESS`].
const STORE: &[Name] = &[
    names::KONG_CLUSTER_FALLBACK_CONFIG_STORAGE,
    names::LIFEBOAT_FALLBACK_STORAGE,
    names::LIFEBOAT_VERSION_MATCH,
    names::LIFEBOAT_MAX_AGE,
    names::LIFEBOAT_PREFER,
    names::LIFEBOAT_HISTORY,
    names::LIFEBOAT_MAX_CONFIG,
    names::LIFEBOAT_ENCRYPTION_KEYS,
    names::LIFEBOAT_SIGNING_KEY,
    names::LIFEBOAT_TRUSTED_KEYS,
    names::LIFEBOAT_ELECTION,
    names::LIFEBOAT_ELECTION_STORAGE,
];

const VERSION: &[Name] = &[names::KONG_VERSION, names::LIFEBOAT_KONG_VERSIONS];

const CERTIFICATE: &[Name] = &[
    names::KONG_CLUSTER_CERT,
    names::KONG_CLUSTER_CERT_KEY,
    names::KONG_CLUSTER_MTLS,
    names::KONG_CLUSTER_CA_CERT,
    names::KONG_CLUSTER_SERVER_NAME,
    names::KONG_CLUSTER_ALLOWED_COMMON_NAMES,
    names::KONG_CLUSTER_OCSP,
    names::KONG_LUA_SSL_TRUSTED_CERTIFICATE,
];

/// What nodes take.
const LIMITS: &[Name] = &[names::KONG_CLUSTER_MAX_PAYLOAD, names::KONG_LMDB_MAP_SIZE];

const CONTROL_PLANE: &[Name] = &[
    names::LIFEBOAT_CONTROL_PLANE,
    names::KONG_CLUSTER_CONTROL_PLANE,
    names::KONG_CLUSTER_USE_PROXY,
    names::KONG_PROXY_SERVER,
];

/// A control plane's Admin API, and how one gets in there.
const ADMIN: &[Name] = &[
    names::LIFEBOAT_ADMIN_URL,
    names::LIFEBOAT_ADMIN_TOKEN,
    names::LIFEBOAT_ADMIN_CA,
    names::LIFEBOAT_ADMIN_CERT,
    names::LIFEBOAT_ADMIN_CERT_KEY,
];

const EXPORTER: &[Name] = &[
    names::LIFEBOAT_PLUGINS,
    names::LIFEBOAT_FILTERS,
    names::KONG_CLUSTER_DP_LABELS,
    names::KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY,
    names::LIFEBOAT_CP_CONFIG_TIMEOUT,
    names::LIFEBOAT_CACHE_IMAGE,
    names::KONG_PREFIX,
    names::LIFEBOAT_MAX_SHRINK,
];

/// What nodes see of a relay.
const SHOWN: &[Name] = &[names::LIFEBOAT_RELAY_CERT, names::LIFEBOAT_RELAY_CERT_KEY];

const RELAY: &[Name] = &[names::LIFEBOAT_RELAY_LISTEN, names::LIFEBOAT_RELAY_CLIENT_CA, names::LIFEBOAT_FOLLOW];

/// What a restore may do.
const RESTORE: &[Name] = &[names::LIFEBOAT_TICKET, names::LIFEBOAT_FEED_ON_REFUSAL];

const ROLE: &[Name] = &[names::KONG_CLUSTER_FALLBACK_CONFIG_EXPORT, names::KONG_CLUSTER_FALLBACK_CONFIG_IMPORT];

/// What only parts of a running lifeboat need.
const OF_ITS_PARTS: &[Name] = &[
    names::LIFEBOAT_REPORT_KEYS,
    names::LIFEBOAT_DRILL_EVERY,
    names::LIFEBOAT_HEARTBEAT_URL,
    names::LIFEBOAT_DRILL_HEARTBEAT_URL,
    names::LIFEBOAT_WEBHOOK_URL,
    names::LIFEBOAT_WEBHOOK_KEY,
];

const PAGES: &[Name] = &[names::LIFEBOAT_HTTP_LISTEN, names::LIFEBOAT_HEALTH_LISTEN];

/// The page for browsers.
const BROWSERS: &[Name] = &[names::LIFEBOAT_HTTP_HOSTS, names::LIFEBOAT_HTTP_PAGE];

/// Every list: `run` reads all that there is.
const ALL: [&[Name]; 16] = [
    ALWAYS,
    ROLE,
    STORE,
    StoreSettings::ACCESS,
    VERSION,
    CERTIFICATE,
    CONTROL_PLANE,
    LIMITS,
    ADMIN,
    EXPORTER,
    SHOWN,
    RELAY,
    RESTORE,
    PAGES,
    BROWSERS,
    OF_ITS_PARTS,
];

/// What a command reads, by its name as it is typed after `lifeboat`.
pub fn read_by(command: &str) -> Vec<Name> {
    let access = StoreSettings::ACCESS;
    let parts: &[&[Name]] = match command {
        "run" => &ALL,
        "doctor" => &[
            ALWAYS,
            ROLE,
            STORE,
            access,
            VERSION,
            CERTIFICATE,
            CONTROL_PLANE,
            LIMITS,
            ADMIN,
            EXPORTER,
            SHOWN,
            RELAY,
            RESTORE,
        ],
        "status" => &[&[names::LIFEBOAT_SETTINGS_FILE, names::LIFEBOAT_HTTP_LISTEN]],
        "healthcheck" => &[&[names::LIFEBOAT_SETTINGS_FILE], PAGES],
        "export" => &[
            ALWAYS,
            STORE,
            access,
            VERSION,
            CERTIFICATE,
            CONTROL_PLANE,
            ADMIN,
            EXPORTER,
            &[names::KONG_CLUSTER_MAX_PAYLOAD],
        ],
        "import" => &[
            ALWAYS,
            STORE,
            access,
            VERSION,
            CERTIFICATE,
            CONTROL_PLANE,
            ADMIN,
            EXPORTER,
            RESTORE,
            &[names::KONG_CLUSTER_MAX_PAYLOAD],
        ],
        "exec" => &[
            ALWAYS,
            STORE,
            access,
            VERSION,
            CERTIFICATE,
            CONTROL_PLANE,
            ADMIN,
            EXPORTER,
            RESTORE,
            &[names::KONG_CLUSTER_MAX_PAYLOAD, names::KONG_CLUSTER_FALLBACK_CONFIG_IMPORT],
        ],
        "drill" => &[
            ALWAYS,
            STORE,
            access,
            VERSION,
            CERTIFICATE,
            LIMITS,
            SHOWN,
            &[names::LIFEBOAT_TICKET, names::LIFEBOAT_CP_CONFIG_TIMEOUT, names::LIFEBOAT_PLUGINS],
        ],
        "list" => &[ALWAYS, STORE, access],
        "show" | "diff" | "verify" | "presign" => &[ALWAYS, STORE, access, VERSION, LIMITS, ADMIN],
        "release" | "rollback" | "pin" | "unpin" | "prune" => &[ALWAYS, STORE, access, VERSION],
        "demo" => &[ALWAYS, &[names::KONG_CLUSTER_FALLBACK_CONFIG_STORAGE], access],
        "keygen" | "demo control-plane" | "demo node" => &[ALWAYS],
        _ => &[],
    };
    [parts.concat(), unlisted()].concat()
}

/// Those that no list names yet, which may be any command's until the test has said where they belong.
fn unlisted() -> Vec<Name> {
    let is_listed = |name: &Name| ALL.iter().any(|list| list.contains(name));
    SETTINGS.iter().map(Setting::name).filter(|name| !is_listed(name)).collect()
}

#[cfg(test)]
mod tests;
