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
        "where configurations are kept: `s3://bucket/prefix`, `gs://bucket/prefix`, `azure://account/container/prefix` \
         or `file:///path`",
    ),
    setting(
        "LIFEBOAT_FALLBACK_STORAGE",
        "fallback-storage",
        "none",
        "further stores, comma separated: exporting gives them what is published in the first, and restoring asks all of them \
         at once: the newest snapshot that verifies wins",
    ),
    setting("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "export", "off", "`on`: keep what the control plane sends"),
    setting(
        "KONG_CLUSTER_FALLBACK_CONFIG_IMPORT",
        "import",
        "off",
        "`on`: be the relay that new nodes are restored by",
    ),
    setting(
        "KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY",
        "export-delay",
        "60",
        "seconds between two exports; while they run, only the newest configuration waits",
    ),
    setting(
        "KONG_CLUSTER_FALLBACK_EXPORT_S3_CONFIG",
        "export-s3-config",
        "none",
        "parameters of S3's PutObject for every object that is written, as JSON, such as \
         `{\"ServerSideEncryption\":\"aws:kms\"}`",
    ),
    setting(
        "KONG_VERSION",
        "kong-version",
        "none",
        "the version of Kong whose configurations are kept, such as `3.9.1`",
    ),
    setting(
        "LIFEBOAT_KONG_VERSIONS",
        "kong-versions",
        "`KONG_VERSION`",
        "the same, and wins over it; several, comma separated, are kept side by side: a session, a path and an election \
         each",
    ),
    setting(
        "LIFEBOAT_CONTROL_PLANE",
        "control-plane",
        "`KONG_CLUSTER_CONTROL_PLANE`",
        "the control plane's cluster listener, `host:port`",
    ),
    setting("KONG_CLUSTER_CONTROL_PLANE", "cluster-control-plane", "none", "the same, where no relay stands between"),
    setting("KONG_CLUSTER_CERT", "cluster-cert", "none", "the cluster certificate: a path, PEM, or base64 of PEM"),
    setting(
        "KONG_CLUSTER_CERT_KEY",
        "cluster-cert-key",
        "none",
        "its private key, likewise; as a flag a path only, since arguments are public",
    ),
    setting("KONG_CLUSTER_MTLS", "cluster-mtls", "shared", "`shared`, `pki` or `pki_check_cn`"),
    setting("KONG_CLUSTER_CA_CERT", "cluster-ca-cert", "none", "pki: the authority of the cluster's certificates"),
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
        "pki: whether the relay asks if a node's certificate was revoked: `on`, `optional` (a responder that does not answer \
         is no reason to turn a node away) or `off`",
    ),
    setting(
        "KONG_LUA_SSL_TRUSTED_CERTIFICATE",
        "lua-ssl-trusted-certificate",
        "`system`, for Kong 2.x none",
        "pki: further authorities for the control plane's certificate, comma separated; `system` for the machine's own",
    ),
    setting(
        "KONG_CLUSTER_DP_LABELS",
        "cluster-dp-labels",
        "none",
        "labels of the backup node, `key:value`, comma separated",
    ),
    setting(
        "KONG_CLUSTER_MAX_PAYLOAD",
        "cluster-max-payload",
        "16777216",
        "the longest message from the control plane, in bytes, compressed",
    ),
    setting(
        "KONG_LMDB_MAP_SIZE",
        "lmdb-map-size",
        "2048m",
        "the data planes' own, by which it is judged how near a configuration is to what they can load",
    ),
    setting(
        "KONG_CLUSTER_USE_PROXY",
        "cluster-use-proxy",
        "off",
        "`on`: the control plane is reached through `KONG_PROXY_SERVER`",
    ),
    secret(
        "KONG_PROXY_SERVER",
        "none",
        "that proxy, asked by HTTP CONNECT: `http://proxy.example.com:3128`, with `user:password@` before its host if it \
         wants that",
    ),
    setting(
        "LIFEBOAT_PLUGINS",
        "plugins",
        "none",
        "custom plugins of the control plane, comma separated, besides the bundled ones",
    ),
    setting("LIFEBOAT_FILTERS", "filters", "none", "Wasm filters of the control plane, comma separated"),
    setting(
        "LIFEBOAT_ADMIN_URL",
        "admin-url",
        "none",
        "the control plane's Admin API, from which plugins, filters and `sync_status` are read instead, and its schemas kept",
    ),
    setting("KONG_PREFIX", "prefix", "/usr/local/kong", "the prefix of a Kong on this host or on a shared volume"),
    setting(
        "LIFEBOAT_CACHE_IMAGE",
        "cache-image",
        "off",
        "`on`: keep an image of that Kong's LMDB cache with each snapshot that it runs (3.4 and later); the prefix may be \
         read-only",
    ),
    setting("LIFEBOAT_RELAY_LISTEN", "relay-listen", "127.0.0.1:8005", "where the relay listens for nodes"),
    setting("LIFEBOAT_RELAY_CERT", "relay-cert", "`KONG_CLUSTER_CERT`", "pki: the certificate that nodes see"),
    setting(
        "LIFEBOAT_RELAY_CERT_KEY",
        "relay-cert-key",
        "`KONG_CLUSTER_CERT_KEY`",
        "pki: its private key; as a flag a path only",
    ),
    setting(
        "LIFEBOAT_RELAY_CLIENT_CA",
        "relay-client-ca",
        "`KONG_CLUSTER_CA_CERT`",
        "pki: the authority of the nodes' certificates",
    ),
    setting(
        "LIFEBOAT_VERSION_MATCH",
        "version-match",
        "minor",
        "`minor`: where there is no backup of a node's own version, the newest of the same major.minor is restored; `exact` \
         forbids that",
    ),
    setting(
        "LIFEBOAT_MAX_AGE",
        "max-age",
        "off",
        "how long ago the control plane may last have had a snapshot that is restored, such as `30d`; outages last, so by \
         default any",
    ),
    setting(
        "LIFEBOAT_PREFER",
        "prefer",
        "manifest",
        "what is restored where another exporter, such as Kong's own, has written `config.json` since: `manifest`, what \
         Lifeboat has published, or `newest`, that one; without keys only",
    ),
    setting(
        "LIFEBOAT_CP_CONFIG_TIMEOUT",
        "cp-config-timeout",
        "10s",
        "how long a connected control plane may be silent",
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
        "`on`: while the control plane is gone, the relay looks every 10 to 15 s whether something newer is published, such \
         as an emergency change, and gives it to all nodes; needs `LIFEBOAT_TRUSTED_KEYS` or `LIFEBOAT_ENCRYPTION_KEYS`",
    ),
    setting(
        "LIFEBOAT_ELECTION",
        "election",
        "auto",
        "how one of several exporters is found that leads: `lease` (needs conditional writes), `registry`, `none` (there is \
         one exporter only), or `auto`: what the store allows",
    ),
    setting(
        "LIFEBOAT_MAX_SHRINK",
        "max-shrink",
        "50",
        "how many percent of its services or routes a configuration may lose; one that loses more, or all routes, is held \
         until `lifeboat release`",
    ),
    setting(
        "LIFEBOAT_HISTORY",
        "history",
        "500",
        "how many snapshots of each version of Kong stay in the store at most; `all` deletes none",
    ),
    setting("LIFEBOAT_MAX_CONFIG", "max-config", "536870912", "the largest configuration in bytes, decompressed"),
    secret(
        "LIFEBOAT_ENCRYPTION_KEYS",
        "none",
        "what snapshots are sealed with: `NAME:ek1_…`, comma separated; new ones with the first, old ones open with any",
    ),
    secret("LIFEBOAT_SIGNING_KEY", "none", "what an exporter signs manifests with: `NAME:sk1_…`"),
    setting(
        "LIFEBOAT_TRUSTED_KEYS",
        "trusted-keys",
        "none",
        "whose manifests are accepted: `NAME:pk1_…`, comma separated, the public halves of signing keys",
    ),
    secret(
        "LIFEBOAT_REPORT_KEYS",
        "none",
        "what the filter's reports are signed with, comma separated; without it they are only counted",
    ),
    setting(
        "LIFEBOAT_STORAGE_CA",
        "storage-ca",
        "none",
        "authorities that the store's certificate may come from, besides the system's: a path, PEM, or base64 of PEM",
    ),
    secret(
        "LIFEBOAT_TICKET",
        "none",
        "a ticket of `lifeboat presign`: what importing restores from instead of a store",
    ),
    setting(
        "AWS_CONFIG_STORAGE_ENDPOINT",
        "aws-config-storage-endpoint",
        "Amazon S3",
        "the URL of an S3-compatible store; plain http only where it says so",
    ),
    setting("AWS_REGION", "aws-region", "`AWS_DEFAULT_REGION`, else us-east-1", "the bucket's region"),
    setting("AWS_DEFAULT_REGION", "aws-default-region", "us-east-1", "the same, if `AWS_REGION` is not set"),
    secret("AWS_ACCESS_KEY_ID", "none", "the access key's name"),
    secret("AWS_SECRET_ACCESS_KEY", "none", "the access key's secret"),
    secret("AWS_SESSION_TOKEN", "none", "the session token of temporary credentials"),
    setting(
        "AWS_CREDENTIAL_EXPIRATION",
        "aws-credential-expiration",
        "not known",
        "when these temporary credentials end, as `aws configure export-credentials` says it: tickets end with them",
    ),
    setting(
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "aws-web-identity-token-file",
        "none",
        "the file of an identity provider's token (IAM roles for service accounts)",
    ),
    setting("AWS_ROLE_ARN", "aws-role-arn", "none", "the role that is taken with that token"),
    setting("AWS_ROLE_SESSION_NAME", "aws-role-session-name", "lifeboat", "what that session is called in AWS's logs"),
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
    secret("AWS_CONTAINER_AUTHORIZATION_TOKEN", "none", "what that endpoint wants to see"),
    setting(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "aws-ec2-metadata-service-endpoint",
        "http://169.254.169.254",
        "the instance metadata service, which is asked where nothing else is set",
    ),
    setting("AWS_EC2_METADATA_DISABLED", "aws-ec2-metadata-disabled", "false", "`true`: it is not asked"),
    secret(
        "GCP_SERVICE_ACCOUNT",
        "`GOOGLE_APPLICATION_CREDENTIALS`, else the metadata server",
        "Google: the JSON of a service account's key, or its path",
    ),
    setting(
        "GOOGLE_APPLICATION_CREDENTIALS",
        "google-application-credentials",
        "the metadata server",
        "Google: the path of the JSON of a key, a service account's or a user's",
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
        "Google: another endpoint of Cloud Storage; without credentials it is spoken to as an emulator",
    ),
    secret("AZURE_STORAGE_KEY", "none", "Azure: a key of the storage account"),
    secret("AZURE_STORAGE_ACCOUNT_KEY", "none", "the same, if `AZURE_STORAGE_KEY` is not set"),
    secret("AZURE_STORAGE_SAS_TOKEN", "none", "Azure: a shared access signature"),
    setting("AZURE_TENANT_ID", "azure-tenant-id", "none", "Azure: the application's directory"),
    setting("AZURE_CLIENT_ID", "azure-client-id", "none", "Azure: the application, or which managed identity"),
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
        "Azure: where the application's tokens are made",
    ),
    setting(
        "IDENTITY_ENDPOINT",
        "identity-endpoint",
        "the machine's",
        "Azure: where tokens of a managed identity are made; App Service sets it",
    ),
    secret("IDENTITY_HEADER", "none", "what that endpoint wants to see"),
    setting(
        "AZURE_POD_IDENTITY_AUTHORITY_HOST",
        "azure-pod-identity-authority-host",
        "http://169.254.169.254",
        "Azure: the machine's metadata service, which is asked where nothing else is set",
    ),
    setting(
        "AZURE_STORAGE_ENDPOINT",
        "azure-storage-endpoint",
        "https://account.blob.core.windows.net",
        "Azure: the URL of the blob service; plain http only where it says so",
    ),
    setting(
        "LIFEBOAT_HTTP_LISTEN",
        "http-listen",
        "127.0.0.1:8115",
        "where metrics, health and status are read, in plain HTTP without a password; `off`: nowhere",
    ),
    setting(
        "LIFEBOAT_HEALTH_LISTEN",
        "health-listen",
        "none",
        "a further address, on which health alone is answered, for probes: then `LIFEBOAT_HTTP_LISTEN` can stay with those \
         who read metrics",
    ),
    setting(
        "LIFEBOAT_DRILL_EVERY",
        "drill-every",
        "off",
        "how often the exporter that leads rehearses an outage, such as `24h`: what `lifeboat drill` does",
    ),
    setting(
        "LIFEBOAT_SETTINGS_FILE",
        "settings",
        "none",
        "a file with any of these settings as lines `NAME=value`; the environment and flags win over it, and SIGHUP has it read \
         again",
    ),
    setting("LIFEBOAT_LOG", "log", "info", "what is logged: a level, or `target=level` pairs"),
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
