//! Every setting that this version has: one table. From it come the names by which settings are read, the flags, the table of
//! docs/settings.md (a test compares), the search for misspelt names, and what is named beside a variable in a message.
//!
//! A setting can't be read by a name that isn't here, and a row that nothing reads is a warning of the compiler.

use std::fmt;

/// A setting.
#[derive(Debug)]
pub struct Setting {
    /// Its variable: Kong's own settings as `KONG_…`.
    pub variable: &'static str,
    /// Its flag without the dashes, unless it is a secret.
    pub flag: Option<&'static str>,
    /// What it is if nobody sets it.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// What it is about.
    pub group: Group,
}

/// What settings are about: under which heading the help of a command lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What is done, and for which versions of Kong.
    What,
    /// The control plane: where it is, and how it is reached.
    ControlPlane,
    /// How configurations are exported.
    Export,
    /// How nodes are restored.
    Restore,
    /// A Kong on this host.
    Node,
    /// Where backups are kept.
    Store,
    /// Amazon S3 and stores like it.
    Aws,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// Certificates, their keys, and which authorities are trusted.
    Tls,
    /// Keys of Lifeboat's own.
    Keys,
    /// What it says of itself, and where its settings stand.
    Logging,
}

impl Group {
    /// All of them, in the order in which the help shows them.
    pub const ALL: [Self; 12] = [
        Self::What,
        Self::ControlPlane,
        Self::Store,
        Self::Aws,
        Self::Google,
        Self::Azure,
        Self::Tls,
        Self::Keys,
        Self::Export,
        Self::Restore,
        Self::Node,
        Self::Logging,
    ];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::What => "What to do",
            Self::ControlPlane => "Control plane",
            Self::Export => "Exporting",
            Self::Restore => "Restoring",
            Self::Node => "A Kong on this host",
            Self::Store => "Store",
            Self::Aws => "Store: Amazon S3, and what speaks its protocol",
            Self::Google => "Store: Google Cloud Storage",
            Self::Azure => "Store: Azure Blob Storage",
            Self::Tls => "TLS: certificates, keys, trusted authorities",
            Self::Keys => "Keys that sign and encrypt backups",
            Self::Logging => "Logging, HTTP, settings file",
        }
    }
}

impl Setting {
    /// The name by which it is read.
    pub(crate) fn name(&self) -> Name {
        Name(self.variable)
    }

    /// Whether `_FILE` after its name names a file that holds the value.
    pub fn may_be_in_file(&self) -> bool {
        self.flag.is_none() || self.name().is_kongs() || self.name() == LIFEBOAT_TRUSTED_KEYS
    }
}

/// The name by which a setting is read: only the table makes one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name(&'static str);

impl Name {
    /// A variable that is not a setting of ours, but one of Kong's or of a cloud's own tools.
    pub(crate) const fn of_others(variable: &'static str) -> Self {
        Self(variable)
    }

    /// The variable.
    pub const fn variable(self) -> &'static str {
        self.0
    }

    pub(super) fn is_kongs(self) -> bool {
        self.0.starts_with("KONG_")
    }

    /// The variable that names a file which holds the value.
    pub(crate) fn in_file(self) -> String {
        format!("{self}_FILE")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const fn setting(
    group: Group,
    variable: &'static str,
    flag: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { variable, flag: Some(flag), default, meaning, group }
}

const fn secret(group: Group, variable: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { variable, flag: None, default, meaning, group }
}

/// What Kong is told about itself, which Lifeboat only looks at.
pub(crate) const KONG_ROLE: Name = Name("KONG_ROLE");
pub(crate) const KONG_DATABASE: Name = Name("KONG_DATABASE");
pub(crate) const KONG_VAULT_ENV_PREFIX: Name = Name("KONG_VAULT_ENV_PREFIX");

// Each row makes a constant, by which the setting is read, and an entry of the table, which doesn't use that constant: so the
// compiler notices when nothing else does.
macro_rules! settings {
    ($([$group:ident] $($name:ident = $form:ident($($column:literal),*);)*)*) => {
        $($(pub(crate) const $name: Name = Name(stringify!($name));)*)*

        /// The settings, in the order in which they are documented.
        pub const SETTINGS: &[Setting] = &[$($($form(Group::$group, stringify!($name), $($column),*)),*),*];
    };
}

// NAME = setting(flag, default, meaning) or secret(default, meaning), below the group that it belongs to. A group may come
// several times: the help shows all of it in one place.
settings! {
    [Store]
    KONG_CLUSTER_FALLBACK_CONFIG_STORAGE = setting("storage", "none",
        "the store: `s3://bucket/prefix`, `gs://bucket/prefix`, `azure://account/container/prefix` or `file:///path`");
    LIFEBOAT_FALLBACK_STORAGE = setting("fallback-storage", "none",
        "further stores, comma separated: an exporter copies to them what it publishes in the first one; a restore \
         asks all stores at once and takes the newest snapshot that verifies");
    [What]
    KONG_CLUSTER_FALLBACK_CONFIG_EXPORT = setting("export", "off",
        "`on`: export what the control plane sends to the store");
    KONG_CLUSTER_FALLBACK_CONFIG_IMPORT = setting("import", "off",
        "`on`: be the relay that restores new data planes");
    [Export]
    KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY = setting("export-delay", "60",
        "least time between two exports, in seconds or with a unit (`2m`); of what arrives meanwhile, only the newest \
         configuration is exported");
    [Aws]
    KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG = setting("export-s3-config", "none",
        "parameters of S3's PutObject for every object that Lifeboat writes, as JSON, such as \
         `{\"ServerSideEncryption\":\"aws:kms\"}`");
    [What]
    KONG_VERSION = setting("kong-version", "none", "the version of your data planes, such as `3.9.1`");
    LIFEBOAT_KONG_VERSIONS = setting("kong-versions", "`KONG_VERSION`",
        "the same for several versions, comma separated; wins over `KONG_VERSION`. One exporter backs up all of \
         them, each with its own connection, folder and election");
    [ControlPlane]
    LIFEBOAT_CONTROL_PLANE = setting("control-plane", "`KONG_CLUSTER_CONTROL_PLANE`",
        "the control plane's cluster listener, `host:port`");
    KONG_CLUSTER_CONTROL_PLANE = setting("cluster-control-plane", "none",
        "the same; used if `LIFEBOAT_CONTROL_PLANE` is not set");
    [Tls]
    KONG_CLUSTER_CERT = setting("cluster-cert", "none",
        "the cluster certificate: a path, PEM, or base64 of PEM");
    KONG_CLUSTER_CERT_KEY = setting("cluster-cert-key", "none",
        "its private key: a path, PEM, or base64 of PEM; as a flag only a path, because arguments are public");
    KONG_CLUSTER_MTLS = setting("cluster-mtls", "shared", "`shared`, `pki` or `pki_check_cn`");
    KONG_CLUSTER_CA_CERT = setting("cluster-ca-cert", "none",
        "pki: the certificate authority of the cluster's certificates");
    KONG_CLUSTER_SERVER_NAME = setting("cluster-server-name", "the host",
        "pki: the name that the control plane's certificate must have");
    KONG_CLUSTER_ALLOWED_COMMON_NAMES = setting("cluster-allowed-common-names", "same parent domain",
        "pki_check_cn: the common names that nodes may have, comma separated");
    KONG_CLUSTER_OCSP = setting("cluster-ocsp", "off",
        "pki: whether the relay checks if a node's certificate was revoked: `on`, `optional` (accept the node if \
         the responder does not answer) or `off`");
    KONG_LUA_SSL_TRUSTED_CERTIFICATE = setting("lua-ssl-trusted-certificate", "`system`, for Kong 2.x none",
        "pki: further authorities for the control plane's certificate, comma separated; `system` for those of the \
         operating system");
    [ControlPlane]
    KONG_CLUSTER_DP_LABELS = setting("cluster-dp-labels", "none",
        "labels under which the control plane lists the exporter, `key:value`, comma separated");
    KONG_CLUSTER_MAX_PAYLOAD = setting("cluster-max-payload", "16777216",
        "the largest message that is accepted from the control plane, compressed: bytes, or with a unit (`32m`)");
    KONG_LMDB_MAP_SIZE = setting("lmdb-map-size", "2048m",
        "the data planes' own value: Lifeboat warns when a configuration comes close to it");
    KONG_CLUSTER_USE_PROXY = setting("cluster-use-proxy", "off",
        "`on`: connect to the control plane through `KONG_PROXY_SERVER`");
    KONG_PROXY_SERVER = secret("none",
        "the HTTP proxy (CONNECT), such as `http://proxy.example.com:3128`, with `user:password@` before the host \
         if it needs that");
    LIFEBOAT_PLUGINS = setting("plugins", "none",
        "custom plugins that the control plane's configuration uses, comma separated; the bundled ones are known");
    LIFEBOAT_FILTERS = setting("filters", "none", "Wasm filters that the control plane has, comma separated");
    LIFEBOAT_ADMIN_URL = setting("admin-url", "none",
        "the control plane's Admin API: Lifeboat reads plugins, filters and `sync_status` from there, and backs up \
         its schemas");
    LIFEBOAT_ADMIN_TOKEN = secret("none",
        "what is sent as `Kong-Admin-Token` to the Admin API of a control plane, or of a node without a database");
    [Tls]
    LIFEBOAT_ADMIN_CA = setting("admin-ca", "none",
        "further authorities for an Admin API's certificate, besides those of the operating system: a path, PEM, or \
         base64 of PEM");
    LIFEBOAT_ADMIN_CERT = setting("admin-cert", "none",
        "the certificate that Lifeboat shows to an Admin API that asks for one: a path, PEM, or base64 of PEM");
    LIFEBOAT_ADMIN_CERT_KEY = setting("admin-cert-key", "none", "its private key; as a flag only a path");
    [Node]
    KONG_PREFIX = setting("prefix", "/usr/local/kong",
        "the prefix of a Kong on this host or on a shared volume");
    [Export]
    LIFEBOAT_CACHE_IMAGE = setting("cache-image", "off",
        "`on`: store with each snapshot an image of the LMDB cache of the Kong in `KONG_PREFIX`, once that Kong \
         runs it (3.4 and later); the prefix may be read-only");
    [Restore]
    LIFEBOAT_RELAY_LISTEN = setting("relay-listen", "127.0.0.1:8005", "where the relay listens for nodes");
    [Tls]
    LIFEBOAT_RELAY_CERT = setting("relay-cert", "`KONG_CLUSTER_CERT`",
        "pki: the certificate that the relay shows to nodes");
    LIFEBOAT_RELAY_CERT_KEY = setting("relay-cert-key", "`KONG_CLUSTER_CERT_KEY`",
        "pki: its private key; as a flag only a path");
    LIFEBOAT_RELAY_CLIENT_CA = setting("relay-client-ca", "`KONG_CLUSTER_CA_CERT`",
        "pki: the certificate authority of the nodes' certificates");
    [Restore]
    LIFEBOAT_VERSION_MATCH = setting("version-match", "minor",
        "`minor`: if there is no backup for a node's own version, restore the newest of the same major.minor; \
         `exact`: never");
    LIFEBOAT_MAX_AGE = setting("max-age", "off",
        "restore no snapshot that the control plane last had longer ago than this, such as `30d`; off by default, \
         because outages can last");
    LIFEBOAT_PREFER = setting("prefer", "manifest",
        "what to restore if another exporter, such as Kong's own, has written `config.json` since: `manifest`, what \
         Lifeboat has published, or `newest`, that file; without keys only");
    LIFEBOAT_CP_CONFIG_TIMEOUT = setting("cp-config-timeout", "10s",
        "how long a connected control plane may send a node nothing before the relay restores it");
    LIFEBOAT_FEED_ON_REFUSAL = setting("feed-on-refusal", "off",
        "`on`: also restore a node that the control plane refuses");
    LIFEBOAT_FOLLOW = setting("follow", "off",
        "`on`: while the control plane is gone, the relay checks every 10 to 15 s for a newer snapshot, such as an \
         emergency change, and gives it to all nodes; needs `LIFEBOAT_TRUSTED_KEYS` or `LIFEBOAT_ENCRYPTION_KEYS`");
    [Export]
    LIFEBOAT_ELECTION = setting("election", "auto",
        "how several exporters choose a leader: `lease` (needs conditional writes), `registry`, `none` (there is \
         only one exporter), or `auto`: what the store supports");
    LIFEBOAT_ELECTION_STORAGE = setting("election-storage", "the store itself",
        "another store in which exporters elect their leader, such as `s3://bucket/prefix`, for a store that keeps every \
         version of an object; the same for all exporters, and credentials as for the store");
    LIFEBOAT_MAX_SHRINK = setting("max-shrink", "50",
        "how many percent of its services or routes a configuration may lose; one that loses more, or all routes, \
         is held until `lifeboat release`");
    LIFEBOAT_HISTORY = setting("history", "500",
        "how many snapshots of each version of Kong stay in the store at most; `all`: delete none");
    LIFEBOAT_MAX_CONFIG = setting("max-config", "536870912",
        "the largest configuration that is accepted, decompressed: bytes, or with a unit (`64MiB`); at a relay also \
         what different large messages in transit may have together, compressed");
    [Keys]
    LIFEBOAT_ENCRYPTION_KEYS = secret("none",
        "keys that snapshots are sealed with: `NAME:ek1_…`, comma separated; the first one seals, all of them open");
    LIFEBOAT_SIGNING_KEY = secret("none", "the key that an exporter signs manifests with: `NAME:sk1_…`");
    LIFEBOAT_TRUSTED_KEYS = setting("trusted-keys", "none",
        "public halves of signing keys, `NAME:pk1_…`, comma separated: only manifests that one of them has signed \
         are accepted");
    LIFEBOAT_REPORT_KEYS = secret("none",
        "keys that the filter signs its reports with, comma separated; without them reports are only counted");
    [Tls]
    LIFEBOAT_STORAGE_CA = setting("storage-ca", "none",
        "further authorities for the store's certificate, besides those of the operating system: a path, PEM, or \
         base64 of PEM");
    [Store]
    LIFEBOAT_TICKET = secret("none", "a ticket from `lifeboat presign`, to restore from instead of a store");
    [Aws]
    AWS_CONFIG_STORAGE_ENDPOINT = setting("aws-config-storage-endpoint", "Amazon S3",
        "the URL of an S3-compatible store; plain HTTP only if the URL says `http://`");
    LIFEBOAT_STORAGE_ADDRESSING = setting("storage-addressing", "`virtual` for Amazon S3, else `path`",
        "S3: where the bucket's name stands: `path` (`https://store/bucket/key`) or `virtual` \
         (`https://bucket.store/key`)");
    AWS_REGION = setting("aws-region", "`AWS_DEFAULT_REGION`, else us-east-1", "the bucket's region");
    AWS_DEFAULT_REGION = setting("aws-default-region", "us-east-1", "the same, if `AWS_REGION` is not set");
    AWS_USE_DUALSTACK_ENDPOINT = setting("aws-use-dualstack-endpoint", "false",
        "`true`: Amazon's endpoints that have IPv6 addresses as well, for S3 and STS");
    AWS_USE_FIPS_ENDPOINT = setting("aws-use-fips-endpoint", "false",
        "`true`: Amazon's endpoints with cryptography validated by FIPS 140, for S3 and STS");
    AWS_ACCESS_KEY_ID = secret("none", "the access key's id");
    AWS_SECRET_ACCESS_KEY = secret("none", "the access key's secret");
    AWS_SESSION_TOKEN = secret("none", "the session token of temporary credentials");
    AWS_CREDENTIAL_EXPIRATION = setting("aws-credential-expiration", "not known",
        "when these temporary credentials expire, as `aws configure export-credentials` prints it; tickets expire \
         with them");
    AWS_WEB_IDENTITY_TOKEN_FILE = setting("aws-web-identity-token-file", "none",
        "the file of an identity provider's token (IAM roles for service accounts)");
    AWS_ROLE_ARN = setting("aws-role-arn", "none", "the role to assume with that token");
    AWS_ROLE_SESSION_NAME = setting("aws-role-session-name", "lifeboat",
        "the name of that session in AWS's logs");
    AWS_ENDPOINT_URL_STS = setting("aws-endpoint-url-sts", "the region's",
        "the URL of the security token service");
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI = setting("aws-container-credentials-relative-uri", "none",
        "a path of the task's credential endpoint; ECS sets it");
    AWS_CONTAINER_CREDENTIALS_FULL_URI = setting("aws-container-credentials-full-uri", "none",
        "the container's credential endpoint; EKS Pod Identity sets it");
    AWS_CONTAINER_AUTHORIZATION_TOKEN = secret("none", "the token that this endpoint requires");
    AWS_EC2_METADATA_SERVICE_ENDPOINT = setting("aws-ec2-metadata-service-endpoint", "http://169.254.169.254",
        "the instance metadata service, which is used if no other credentials are set");
    AWS_EC2_METADATA_DISABLED = setting("aws-ec2-metadata-disabled", "false", "`true`: don't use it");
    [Google]
    GCP_SERVICE_ACCOUNT = secret("`GOOGLE_APPLICATION_CREDENTIALS`, else the metadata server",
        "Google: a service account's key as JSON, or the path of that file");
    GOOGLE_APPLICATION_CREDENTIALS = setting("google-application-credentials", "the metadata server",
        "Google: the path of a JSON file with the key of a service account or of a user");
    GCE_METADATA_HOST = setting("gce-metadata-host", "metadata.google.internal",
        "Google: the metadata server, `host` or `host:port`");
    STORAGE_EMULATOR_HOST = setting("storage-emulator-host", "https://storage.googleapis.com",
        "Google: another endpoint for Cloud Storage; without credentials Lifeboat treats it as an emulator");
    [Azure]
    AZURE_STORAGE_KEY = secret("none", "Azure: a key of the storage account");
    AZURE_STORAGE_ACCOUNT_KEY = secret("none", "the same, if `AZURE_STORAGE_KEY` is not set");
    AZURE_STORAGE_SAS_TOKEN = secret("none", "Azure: a shared access signature");
    AZURE_TENANT_ID = setting("azure-tenant-id", "none", "Azure: the application's directory");
    AZURE_CLIENT_ID = setting("azure-client-id", "none",
        "Azure: the application, or the managed identity to use");
    AZURE_CLIENT_SECRET = secret("none", "Azure: the application's secret");
    AZURE_FEDERATED_TOKEN_FILE = setting("azure-federated-token-file", "none",
        "Azure: the file of another identity provider's token; workload identity sets it");
    AZURE_AUTHORITY_HOST = setting("azure-authority-host", "https://login.microsoftonline.com",
        "Azure: where the application gets its tokens");
    IDENTITY_ENDPOINT = setting("identity-endpoint", "the machine's",
        "Azure: where a managed identity gets its tokens; App Service sets it");
    IDENTITY_HEADER = secret("none", "the header value that this endpoint requires");
    AZURE_POD_IDENTITY_AUTHORITY_HOST = setting("azure-pod-identity-authority-host", "http://169.254.169.254",
        "Azure: the machine's metadata service, which is used if no other credentials are set");
    AZURE_STORAGE_ENDPOINT = setting("azure-storage-endpoint", "https://account.blob.core.windows.net",
        "Azure: the URL of the blob service; plain HTTP only if the URL says `http://`");
    [Logging]
    LIFEBOAT_HTTP_LISTEN = setting("http-listen", "127.0.0.1:8115",
        "where metrics, health and status are served, in plain HTTP without a password; `off`: nowhere");
    LIFEBOAT_HEALTH_LISTEN = setting("health-listen", "none",
        "a second address, which serves only health, for probes: `LIFEBOAT_HTTP_LISTEN` can then stay private to \
         your monitoring");
    LIFEBOAT_HTTP_HOSTS = setting("http-hosts", "none",
        "names under which browsers and others may ask for the page and for `/status`, comma separated; IP addresses \
         and `localhost` always pass");
    LIFEBOAT_HTTP_PAGE = setting("http-page", "off",
        "`on`: the page also compares snapshots, for which their configurations leave this process with their \
         secrets masked");
    [Export]
    LIFEBOAT_DRILL_EVERY = setting("drill-every", "off",
        "how often the leading exporter rehearses an outage as `lifeboat drill` does, such as `24h`");
    [Logging]
    LIFEBOAT_HEARTBEAT_URL = secret("none",
        "a URL that the leading exporter requests every 5 minutes while `/readyz/export` is 200: for a dead man's switch. \
         `{kong_version}` in it stands for the version, if each one has its own");
    LIFEBOAT_DRILL_HEARTBEAT_URL = secret("none",
        "a URL that is requested after each drill of `LIFEBOAT_DRILL_EVERY` that passed");
    LIFEBOAT_WEBHOOK_URL = secret("none",
        "a URL to which the leading exporter and relays POST what begins and ends, such as a configuration that is held");
    LIFEBOAT_WEBHOOK_KEY = secret("none",
        "the key that signs these messages: 16 to 256 characters, such as `openssl rand -hex 32` prints");
    LIFEBOAT_SETTINGS_FILE = setting("settings", "none",
        "a file with any of these settings as lines `NAME=value`; the environment and flags win over it. Lifeboat \
         reads it again at SIGHUP");
    LIFEBOAT_LOG = setting("log", "info", "what to log: a level, or `target=level` pairs");
    LIFEBOAT_LOG_FORMAT = setting("log-format", "text", "`text` or `json`");
}

#[cfg(test)]
mod tests {
    use lifeboat_core::export::guard::ShrinkGuard;
    use lifeboat_core::export::retention::DEFAULT_LIMIT;

    use super::*;

    #[test]
    fn the_table_shows_the_numbers_that_are_used() {
        let shown = |name: Name| SETTINGS.iter().find(|setting| setting.variable == name.0).unwrap().default;
        for (name, used) in
            [(LIFEBOAT_HISTORY, DEFAULT_LIMIT as u64), (LIFEBOAT_MAX_SHRINK, ShrinkGuard::DEFAULT_PERCENT.into())]
        {
            assert_eq!(shown(name), used.to_string(), "{name:?}");
        }
    }

    #[test]
    fn no_two_settings_share_a_variable_or_a_flag() {
        for (i, setting) in SETTINGS.iter().enumerate() {
            for other in &SETTINGS[i + 1..] {
                assert_ne!(setting.variable, other.variable);
                assert!(setting.flag.is_none() || setting.flag != other.flag, "{:?}", setting.flag);
            }
        }
    }
}
