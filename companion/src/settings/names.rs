//! Every setting that this version has: one table, from which come the flags, the README's table (a test compares) and
//! the search for misspelt names.

use strsim::levenshtein;

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
    setting("LIFEBOAT_LOG", "log", "info", "what is logged: a level, or `target=level` pairs"),
    setting("LIFEBOAT_LOG_FORMAT", "log-format", "text", "`text` or `json`"),
];

/// What is wrong with the names in an environment: a sentence for each that begins with `LIFEBOAT_` and means nothing,
/// with the name that was probably meant.
pub fn misspelt<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let is_in_file = |setting: &Setting| setting.flag.is_none() || setting.variable == "LIFEBOAT_TRUSTED_KEYS";
    let known = |name: &str| {
        let plain = name.strip_suffix("_FILE");
        let in_file = |setting: &Setting| plain == Some(setting.variable) && is_in_file(setting);
        SETTINGS.iter().any(|setting| setting.variable == name || in_file(setting))
    };
    let mut unknown: Vec<&str> = names
        .into_iter()
        .filter(|name| name.starts_with("LIFEBOAT_") && !known(name) && !is_service_link(name))
        .collect();
    unknown.sort_unstable();
    let sentence = |name: &&str| match by_flag(name).or_else(|| nearest(name)) {
        Some(nearest) => format!("{name} is not a setting: did you mean {nearest}?"),
        None => format!("{name} is not a setting of lifeboat {}: unset it", env!("CARGO_PKG_VERSION")),
    };
    unknown.iter().map(sentence).collect()
}

// Kubernetes tells every pod of a namespace where a Service named lifeboat or lifeboat-relay is, in variables of the form
// that Docker's links had: LIFEBOAT_SERVICE_HOST, LIFEBOAT_RELAY_PORT_8005_TCP_ADDR.
fn is_service_link(name: &str) -> bool {
    let is_port = |rest: &str| {
        let (number, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        number.bytes().all(|b| b.is_ascii_digit()) && ["TCP", "UDP", "SCTP"].iter().any(|p| protocol.starts_with(p))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || name.rsplit_once("_PORT_").is_some_and(|(_, rest)| is_port(rest))
}

// LIFEBOAT_STORAGE, of somebody who knows the flag --storage: not all settings are ours.
fn by_flag(name: &str) -> Option<&'static str> {
    let flag = name.strip_prefix("LIFEBOAT_")?.to_ascii_lowercase().replace('_', "-");
    SETTINGS.iter().find(|setting| setting.flag == Some(flag.as_str())).map(|setting| setting.variable)
}

fn nearest(name: &str) -> Option<&'static str> {
    let ours = SETTINGS.iter().map(|setting| setting.variable).filter(|known| known.starts_with("LIFEBOAT_"));
    let nearest = ours.map(|known| (levenshtein(name, known), known)).min();
    // Of a short name three letters are all that tell it from others.
    let own_part = name.len() - "LIFEBOAT_".len();
    nearest.filter(|(distance, _)| *distance <= 3 && 2 * distance <= own_part).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_right_one() {
        let names = ["LIFEBOAT_LOG", "LIFEBOAT_PLUGIN", "LIFEBOAT_SIGNING_KEY", "LIFEBOAT_XYZZY", "PATH"];
        let problems = misspelt(names);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(misspelt(["LIFEBOAT_SIGNING_KEY_FILE", "LIFEBOAT_TRUSTED_KEYS_FILE"]), [""; 0]);
        assert_eq!(misspelt(["LIFEBOAT_LOG_FILE"]).len(), 1, "nothing is read from there");
        assert_eq!(problems[0], "LIFEBOAT_PLUGIN is not a setting: did you mean LIFEBOAT_PLUGINS?");
        let by_flag = misspelt(["LIFEBOAT_STORAGE"]);
        assert!(by_flag[0].ends_with("did you mean KONG_CLUSTER_FALLBACK_CONFIG_STORAGE?"), "{by_flag:?}");
        assert!(problems[1].starts_with("LIFEBOAT_XYZZY is not a setting of lifeboat"), "{problems:?}");
    }

    #[test]
    fn what_kubernetes_says_of_a_service_named_lifeboat_is_no_setting() {
        let links = [
            "LIFEBOAT_SERVICE_HOST",
            "LIFEBOAT_SERVICE_PORT_RELAY",
            "LIFEBOAT_PORT",
            "LIFEBOAT_RELAY_PORT_8005_TCP",
            "LIFEBOAT_RELAY_PORT_8005_TCP_ADDR",
        ];
        assert_eq!(misspelt(links), Vec::<String>::new());
        assert_eq!(misspelt(["LIFEBOAT_PORT_OF_CALL"]).len(), 1);
    }

    #[test]
    fn nothing_is_suggested_for_a_name_that_is_like_none() {
        assert!(misspelt(["LIFEBOAT_X"])[0].ends_with("unset it"), "{:?}", misspelt(["LIFEBOAT_X"]));
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
