//! Every setting that this version has: one table, from which come the flags, the table of docs/settings.md (a test compares), the
//! search for misspelt names, and what is named beside a variable in a message.

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
}

const fn setting(variable: &'static str, flag: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { variable, flag: Some(flag), default, meaning }
}

const fn secret(variable: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { variable, flag: None, default, meaning }
}

/// The settings, in the order in which they are documented.
pub const SETTINGS: &[Setting] = &[
    setting(
        "KONG_CLUSTER_FALLBACK_CONFIG_STORAGE",
        "storage",
        "none",
        "the store: `s3://bucket/prefix`, `gs://bucket/prefix`, `azure://account/container/prefix` or \
         `file:///path`",
    ),
    setting(
        "LIFEBOAT_FALLBACK_STORAGE",
        "fallback-storage",
        "none",
        "further stores, comma separated: an exporter copies to them what it publishes in the first one; a restore \
         asks all stores at once and takes the newest snapshot that verifies",
    ),
    setting(
        "KONG_CLUSTER_FALLBACK_CONFIG_EXPORT",
        "export",
        "off",
        "`on`: export what the control plane sends to the store",
    ),
    setting("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "import", "off", "`on`: be the relay that restores new data planes"),
    setting(
        "KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY",
        "export-delay",
        "60",
        "least number of seconds between two exports; of what arrives meanwhile, only the newest configuration is \
         exported",
    ),
    setting(
        "KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG",
        "export-s3-config",
        "none",
        "parameters of S3's PutObject for every object that Lifeboat writes, as JSON, such as \
         `{\"ServerSideEncryption\":\"aws:kms\"}`",
    ),
    setting("KONG_VERSION", "kong-version", "none", "the version of your data planes, such as `3.9.1`"),
    setting(
        "LIFEBOAT_KONG_VERSIONS",
        "kong-versions",
        "`KONG_VERSION`",
        "the same for several versions, comma separated; wins over `KONG_VERSION`. One exporter backs up all of \
         them, each with its own connection, folder and election",
    ),
    setting(
        "LIFEBOAT_CONTROL_PLANE",
        "control-plane",
        "`KONG_CLUSTER_CONTROL_PLANE`",
        "the control plane's cluster listener, `host:port`",
    ),
    setting(
        "KONG_CLUSTER_CONTROL_PLANE",
        "cluster-control-plane",
        "none",
        "the same; used if `LIFEBOAT_CONTROL_PLANE` is not set",
    ),
    setting("KONG_CLUSTER_CERT", "cluster-cert", "none", "the cluster certificate: a path, PEM, or base64 of PEM"),
    setting(
        "KONG_CLUSTER_CERT_KEY",
        "cluster-cert-key",
        "none",
        "its private key: a path, PEM, or base64 of PEM; as a flag only a path, because arguments are public",
    ),
    setting("KONG_CLUSTER_MTLS", "cluster-mtls", "shared", "`shared`, `pki` or `pki_check_cn`"),
    setting(
        "KONG_CLUSTER_CA_CERT",
        "cluster-ca-cert",
        "none",
        "pki: the certificate authority of the cluster's certificates",
    ),
    setting(
        "KONG_CLUSTER_SERVER_NAME",
        "cluster-server-name",
        "the host",
        "pki: the name that the control plane's certificate must have",
    ),
    setting(
        "KONG_CLUSTER_ALLOWED_COMMON_NAMES",
        "cluster-allowed-common-names",
        "same parent domain",
        "pki_check_cn: the common names that nodes may have, comma separated",
    ),
    setting(
        "KONG_CLUSTER_OCSP",
        "cluster-ocsp",
        "off",
        "pki: whether the relay checks if a node's certificate was revoked: `on`, `optional` (accept the node if \
         the responder does not answer) or `off`",
    ),
    setting(
        "KONG_LUA_SSL_TRUSTED_CERTIFICATE",
        "lua-ssl-trusted-certificate",
        "`system`, for Kong 2.x none",
        "pki: further authorities for the control plane's certificate, comma separated; `system` for those of the \
         operating system",
    ),
    setting(
        "KONG_CLUSTER_DP_LABELS",
        "cluster-dp-labels",
        "none",
        "labels under which the control plane lists the exporter, `key:value`, comma separated",
    ),
    setting(
        "KONG_CLUSTER_MAX_PAYLOAD",
        "cluster-max-payload",
        "16777216",
        "the largest message that is accepted from the control plane, in bytes, compressed",
    ),
    setting(
        "KONG_LMDB_MAP_SIZE",
        "lmdb-map-size",
        "2048m",
        "the data planes' own value: Lifeboat warns when a configuration comes close to it",
    ),
    setting(
        "KONG_CLUSTER_USE_PROXY",
        "cluster-use-proxy",
        "off",
        "`on`: connect to the control plane through `KONG_PROXY_SERVER`",
    ),
    secret(
        "KONG_PROXY_SERVER",
        "none",
        "the HTTP proxy (CONNECT), such as `http://proxy.example.com:3128`, with `user:password@` before the host \
         if it needs that",
    ),
    setting(
        "LIFEBOAT_PLUGINS",
        "plugins",
        "none",
        "custom plugins that the control plane's configuration uses, comma separated; the bundled ones are known",
    ),
    setting("LIFEBOAT_FILTERS", "filters", "none", "Wasm filters that the control plane has, comma separated"),
    setting(
        "LIFEBOAT_ADMIN_URL",
        "admin-url",
        "none",
        "the control plane's Admin API: Lifeboat reads plugins, filters and `sync_status` from there, and backs up \
         its schemas",
    ),
    setting("KONG_PREFIX", "prefix", "/usr/local/kong", "the prefix of a Kong on this host or on a shared volume"),
    setting(
        "LIFEBOAT_CACHE_IMAGE",
        "cache-image",
        "off",
        "`on`: store with each snapshot an image of the LMDB cache of the Kong in `KONG_PREFIX`, once that Kong \
         runs it (3.4 and later); the prefix may be read-only",
    ),
    setting("LIFEBOAT_RELAY_LISTEN", "relay-listen", "127.0.0.1:8005", "where the relay listens for nodes"),
    setting(
        "LIFEBOAT_RELAY_CERT",
        "relay-cert",
        "`KONG_CLUSTER_CERT`",
        "pki: the certificate that the relay shows to nodes",
    ),
    setting(
        "LIFEBOAT_RELAY_CERT_KEY",
        "relay-cert-key",
        "`KONG_CLUSTER_CERT_KEY`",
        "pki: its private key; as a flag only a path",
    ),
    setting(
        "LIFEBOAT_RELAY_CLIENT_CA",
        "relay-client-ca",
        "`KONG_CLUSTER_CA_CERT`",
        "pki: the certificate authority of the nodes' certificates",
    ),
    setting(
        "LIFEBOAT_VERSION_MATCH",
        "version-match",
        "minor",
        "`minor`: if there is no backup for a node's own version, restore the newest of the same major.minor; \
         `exact`: never",
    ),
    setting(
        "LIFEBOAT_MAX_AGE",
        "max-age",
        "off",
        "restore no snapshot that the control plane last had longer ago than this, such as `30d`; off by default, \
         because outages can last",
    ),
    setting(
        "LIFEBOAT_PREFER",
        "prefer",
        "manifest",
        "what to restore if another exporter, such as Kong's own, has written `config.json` since: `manifest`, \
         what Lifeboat has published, or `newest`, that file; without keys only",
    ),
    setting(
        "LIFEBOAT_CP_CONFIG_TIMEOUT",
        "cp-config-timeout",
        "10s",
        "how long a connected control plane may send a node nothing before the relay restores it",
    ),
    setting(
        "LIFEBOAT_FEED_ON_REFUSAL",
        "feed-on-refusal",
        "off",
        "`on`: also restore a node that the control plane refuses",
    ),
    setting(
        "LIFEBOAT_FOLLOW",
        "follow",
        "off",
        "`on`: while the control plane is gone, the relay checks every 10 to 15 s for a newer snapshot, such as an \
         emergency change, and gives it to all nodes; needs `LIFEBOAT_TRUSTED_KEYS` or `LIFEBOAT_ENCRYPTION_KEYS`",
    ),
    setting(
        "LIFEBOAT_ELECTION",
        "election",
        "auto",
        "how several exporters choose a leader: `lease` (needs conditional writes), `registry`, `none` (there is \
         only one exporter), or `auto`: what the store supports",
    ),
    setting(
        "LIFEBOAT_MAX_SHRINK",
        "max-shrink",
        "50",
        "how many percent of its services or routes a configuration may lose; one that loses more, or all routes, \
         is held until `lifeboat release`",
    ),
    setting(
        "LIFEBOAT_HISTORY",
        "history",
        "500",
        "how many snapshots of each version of Kong stay in the store at most; `all`: delete none",
    ),
    setting(
        "LIFEBOAT_MAX_CONFIG",
        "max-config",
        "536870912",
        "the largest configuration that is accepted, in bytes, decompressed",
    ),
    secret(
        "LIFEBOAT_ENCRYPTION_KEYS",
        "none",
        "keys that snapshots are sealed with: `NAME:ek1_…`, comma separated; the first one seals, all of them open",
    ),
    secret("LIFEBOAT_SIGNING_KEY", "none", "the key that an exporter signs manifests with: `NAME:sk1_…`"),
    setting(
        "LIFEBOAT_TRUSTED_KEYS",
        "trusted-keys",
        "none",
        "public halves of signing keys, `NAME:pk1_…`, comma separated: only manifests that one of them has signed \
         are accepted",
    ),
    secret(
        "LIFEBOAT_REPORT_KEYS",
        "none",
        "keys that the filter signs its reports with, comma separated; without them reports are only counted",
    ),
    setting(
        "LIFEBOAT_STORAGE_CA",
        "storage-ca",
        "none",
        "further authorities for the store's certificate, besides those of the operating system: a path, PEM, or \
         base64 of PEM",
    ),
    secret("LIFEBOAT_TICKET", "none", "a ticket from `lifeboat presign`, to restore from instead of a store"),
    setting(
        "AWS_CONFIG_STORAGE_ENDPOINT",
        "aws-config-storage-endpoint",
        "Amazon S3",
        "the URL of an S3-compatible store; plain HTTP only if the URL says `http://`",
    ),
    setting("AWS_REGION", "aws-region", "`AWS_DEFAULT_REGION`, else us-east-1", "the bucket's region"),
    setting("AWS_DEFAULT_REGION", "aws-default-region", "us-east-1", "the same, if `AWS_REGION` is not set"),
    secret("AWS_ACCESS_KEY_ID", "none", "the access key's id"),
    secret("AWS_SECRET_ACCESS_KEY", "none", "the access key's secret"),
    secret("AWS_SESSION_TOKEN", "none", "the session token of temporary credentials"),
    setting(
        "AWS_CREDENTIAL_EXPIRATION",
        "aws-credential-expiration",
        "not known",
        "when these temporary credentials expire, as `aws configure export-credentials` prints it; tickets expire \
         with them",
    ),
    setting(
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "aws-web-identity-token-file",
        "none",
        "the file of an identity provider's token (IAM roles for service accounts)",
    ),
    setting("AWS_ROLE_ARN", "aws-role-arn", "none", "the role to assume with that token"),
    setting("AWS_ROLE_SESSION_NAME", "aws-role-session-name", "lifeboat", "the name of that session in AWS's logs"),
    setting("AWS_ENDPOINT_URL_STS", "aws-endpoint-url-sts", "the region's", "the URL of the security token service"),
    setting(
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "aws-container-credentials-relative-uri",
        "none",
        "a path of the task's credential endpoint; ECS sets it",
    ),
    setting(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "aws-container-credentials-full-uri",
        "none",
        "the container's credential endpoint; EKS Pod Identity sets it",
    ),
    secret("AWS_CONTAINER_AUTHORIZATION_TOKEN", "none", "the token that this endpoint requires"),
    setting(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "aws-ec2-metadata-service-endpoint",
        "http://169.254.169.254",
        "the instance metadata service, which is used if no other credentials are set",
    ),
    setting("AWS_EC2_METADATA_DISABLED", "aws-ec2-metadata-disabled", "false", "`true`: don't use it"),
    secret(
        "GCP_SERVICE_ACCOUNT",
        "`GOOGLE_APPLICATION_CREDENTIALS`, else the metadata server",
        "Google: a service account's key as JSON, or the path of that file",
    ),
    setting(
        "GOOGLE_APPLICATION_CREDENTIALS",
        "google-application-credentials",
        "the metadata server",
        "Google: the path of a JSON file with the key of a service account or of a user",
    ),
    setting(
        "GCE_METADATA_HOST",
        "gce-metadata-host",
        "metadata.google.internal",
        "Google: the metadata server, `host` or `host:port`",
    ),
    setting(
        "STORAGE_EMULATOR_HOST",
        "storage-emulator-host",
        "https://storage.googleapis.com",
        "Google: another endpoint for Cloud Storage; without credentials Lifeboat treats it as an emulator",
    ),
    secret("AZURE_STORAGE_KEY", "none", "Azure: a key of the storage account"),
    secret("AZURE_STORAGE_ACCOUNT_KEY", "none", "the same, if `AZURE_STORAGE_KEY` is not set"),
    secret("AZURE_STORAGE_SAS_TOKEN", "none", "Azure: a shared access signature"),
    setting("AZURE_TENANT_ID", "azure-tenant-id", "none", "Azure: the application's directory"),
    setting("AZURE_CLIENT_ID", "azure-client-id", "none", "Azure: the application, or the managed identity to use"),
    secret("AZURE_CLIENT_SECRET", "none", "Azure: the application's secret"),
    setting(
        "AZURE_FEDERATED_TOKEN_FILE",
        "azure-federated-token-file",
        "none",
        "Azure: the file of another identity provider's token; workload identity sets it",
    ),
    setting(
        "AZURE_AUTHORITY_HOST",
        "azure-authority-host",
        "https://login.microsoftonline.com",
        "Azure: where the application gets its tokens",
    ),
    setting(
        "IDENTITY_ENDPOINT",
        "identity-endpoint",
        "the machine's",
        "Azure: where a managed identity gets its tokens; App Service sets it",
    ),
    secret("IDENTITY_HEADER", "none", "the header value that this endpoint requires"),
    setting(
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "azure-pod-identity-authority-host",
        "http://169.254.169.254",
        "Azure: the machine's metadata service, which is used if no other credentials are set",
    ),
    setting(
        "AZURE_STORAGE_ENDPOINT",
        "azure-storage-endpoint",
        "https://account.blob.core.windows.net",
        "Azure: the URL of the blob service; plain HTTP only if the URL says `http://`",
    ),
    setting(
        "LIFEBOAT_HTTP_LISTEN",
        "http-listen",
        "127.0.0.1:8115",
        "where metrics, health and status are served, in plain HTTP without a password; `off`: nowhere",
    ),
    setting(
        "LIFEBOAT_HEALTH_LISTEN",
        "health-listen",
        "none",
        "a second address, which serves only health, for probes: `LIFEBOAT_HTTP_LISTEN` can then stay private to \
         your monitoring",
    ),
    setting(
        "LIFEBOAT_DRILL_EVERY",
        "drill-every",
        "off",
        "how often the leading exporter rehearses an outage as `lifeboat drill` does, such as `24h`",
    ),
    setting(
        "LIFEBOAT_SETTINGS_FILE",
        "settings",
        "none",
        "a file with any of these settings as lines `NAME=value`; the environment and flags win over it. Lifeboat \
         reads it again at SIGHUP",
    ),
    setting("LIFEBOAT_LOG", "log", "info", "what to log: a level, or `target=level` pairs"),
    setting("LIFEBOAT_LOG_FORMAT", "log-format", "text", "`text` or `json`"),
];

/// A text about settings, with each one's flag beside its variable where it is first named. `place` gives what is said there
/// instead, such as the line of a file in which it is set.
pub(super) fn with_flag(text: &str, place: impl Fn(&str) -> Option<String>) -> String {
    SETTINGS.iter().fold(text.to_owned(), |text, setting| {
        let Some(end) = mention(&text, setting.variable) else { return text };
        let (before, after) = text.split_at(end);
        let beside = match place(setting.variable) {
            Some(place) => place,
            None => match setting.flag {
                Some(flag) => format!("--{flag}"),
                None => return text,
            },
        };
        // Where it stands, or its flag, may have been said already.
        if [" (", " in "].iter().any(|said| after.starts_with(said)) {
            return text;
        }
        format!("{before} ({beside}){after}")
    })
}

// Where the first mention of a variable ends: AWS_REGION is none of LIFEBOAT_AWS_REGION, nor of AWS_REGION_FILE. What stands
// in parentheses doesn't count: others inside them would be hard to read.
fn mention(text: &str, variable: &str) -> Option<usize> {
    let is_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    let is_whole = |at: usize| {
        let before = at.checked_sub(1).map(|at| &bytes[at]);
        !is_name(before) && !is_name(bytes.get(at + variable.len()))
    };
    let is_apart = |at: usize| text[..at].matches('(').count() == text[..at].matches(')').count();
    let at = text.match_indices(variable).map(|(at, _)| at).find(|at| is_whole(*at) && is_apart(*at))?;
    Some(at + variable.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_followed_by_its_flag_where_it_is_first_named() {
        let nowhere = |_: &str| None;
        for (text, said) in [
            ("LIFEBOAT_MAX_SHRINK: x", "LIFEBOAT_MAX_SHRINK (--max-shrink): x"),
            ("KONG_PREFIX or KONG_PREFIX", "KONG_PREFIX (--prefix) or KONG_PREFIX"),
            ("AWS_ACCESS_KEY_ID: a secret has no flag", "AWS_ACCESS_KEY_ID: a secret has no flag"),
            ("KONG_CLUSTER_CERT_FILE: another name", "KONG_CLUSTER_CERT_FILE: another name"),
            ("MY_KONG_PREFIX: another name", "MY_KONG_PREFIX: another name"),
            ("KONG_VERSION (--kong-version 3.9.1)", "KONG_VERSION (--kong-version 3.9.1)"),
            ("it is itself (KONG_VERSION 3.9.1)", "it is itself (KONG_VERSION 3.9.1)"),
        ] {
            assert_eq!(with_flag(text, nowhere), said);
        }
        let line = |variable: &str| (variable == "KONG_PREFIX").then(|| "/etc/x line 3".to_owned());
        let said = with_flag("KONG_PREFIX and KONG_VERSION", line);
        assert_eq!(said, "KONG_PREFIX (/etc/x line 3) and KONG_VERSION (--kong-version)");
        assert_eq!(with_flag("KONG_PREFIX in /etc/x line 3: no", line), "KONG_PREFIX in /etc/x line 3: no");
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
