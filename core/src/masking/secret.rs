//! Which values of an entity are secret: known places first, then names that look like it, then values that do. Kong marks
//! such fields in its schemas (`encrypted`, `referenceable`), which `mod.rs` asks besides; Enterprise's and a custom
//! plugin's are not among those, so the rules are wider.

use serde_json::Value;

use crate::kong::plugins::BUNDLED;

/// What applies to one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// Something that proves who a consumer is: everything but these fields is secret.
    Credential,
    /// A key, also inside of a set: its material is secret.
    KeyMaterial,
    /// A vault: its whole configuration is secret.
    Vault,
    /// Its value is secret, its name isn't.
    Parameter,
    /// A plugin that comes with Kong: its fields are called what they are.
    BundledPlugin,
    /// A plugin with code of the user's own in its configuration.
    CodePlugin,
    /// Any other plugin: its fields may be called anything.
    CustomPlugin,
    /// All others.
    Ordinary,
}

/// What may be shown of credentials.
const PLAIN_IN_CREDENTIALS: [&str; 14] = [
    "id",
    "consumer",
    "service",
    "credential",
    "created_at",
    "updated_at",
    "tags",
    "ttl",
    "username",
    "name",
    "algorithm",
    "ws_id",
    "expires_in",
    "hash_secret",
];

/// Kinds of credentials that can't be told by their name's ending.
const CREDENTIALS: [&str; 4] = ["acme_storage", "sessions", "jwt_signers", "mtls_auth_credentials"];

/// Words of a field's name that make it look secret.
const SECRET_WORDS: [&str; 24] = [
    "secret",
    "secrets",
    "password",
    "passwords",
    "passwd",
    "pwd",
    "pass",
    "passphrase",
    "token",
    "tokens",
    "credential",
    "credentials",
    "apikey",
    "authorization",
    "bearer",
    "jwk",
    "jwks",
    "jwt",
    "pem",
    "private",
    "salt",
    "seed",
    "signature",
    "dsn",
];

/// Members of a plugin's configuration whose values go out with requests, and often carry a token.
const SENT_ALONG: [&str; 5] = ["headers", "querystring", "body", "cookies", "custom_fields_by_lua"];

impl Rules {
    pub(super) fn of(kind: &str, name: Option<&str>) -> Self {
        let ends = |endings: &[&str]| endings.iter().any(|ending| kind.ends_with(ending));
        match kind {
            "keys" => Self::KeyMaterial,
            "vaults" | "vaults_beta" => Self::Vault,
            "parameters" => Self::Parameter,
            "plugins" | "consumer_group_plugins" => match name {
                Some("pre-function" | "post-function" | "exit-transformer" | "jq") => Self::CodePlugin,
                Some(name) if BUNDLED.contains(&name) => Self::BundledPlugin,
                _ => Self::CustomPlugin,
            },
            _ if CREDENTIALS.contains(&kind) || ends(&["_credentials", "_secrets", "_tokens", "_codes"]) => {
                Self::Credential
            }
            _ => Self::Ordinary,
        }
    }

    /// Whether nothing of this value may be shown. A value of which a part is secret isn't.
    pub(super) fn is_secret(self, path: &[&str], value: &Value) -> bool {
        let Some((&first, inside)) = path.split_first() else { return false };
        if is_harmless(value) {
            return false;
        }
        match self {
            Self::Credential => !PLAIN_IN_CREDENTIALS.contains(&first),
            Self::KeyMaterial => !matches!(first, "id" | "name" | "kid" | "set" | "tags" | "created_at" | "updated_at"),
            Self::Vault => first == "config",
            Self::Parameter => first != "key" && first != "created_at",
            _ if !inside.is_empty() && first == "config" => self.is_secret_setting(inside, value),
            _ => looks_secret(path, value),
        }
    }

    /// The same of a plugin's own settings.
    fn is_secret_setting(self, path: &[&str], value: &Value) -> bool {
        match self {
            Self::CodePlugin => true,
            Self::CustomPlugin if value.is_string() => true,
            _ => path.iter().any(|name| SENT_ALONG.contains(name)) && !is_container(value) || looks_secret(path, value),
        }
    }
}

/// What can't be a secret, or says itself that it is only a reference to one.
pub(super) fn is_harmless(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => text.is_empty() || text.starts_with("{vault://") && text.ends_with('}'),
        Value::Array(elements) => elements.iter().all(is_harmless),
        Value::Object(members) => members.is_empty(),
        Value::Number(_) => false,
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}

fn looks_secret(path: &[&str], value: &Value) -> bool {
    path.iter().any(|name| is_secret_name(name)) || value.as_str().is_some_and(is_secret_text)
}

/// `client_secret`, `api-key`, `awsSecretAccessKey`; neither `key_names` nor `key_in_header`.
fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let last = words.last().map_or("", String::as_str);
    words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
        || matches!(last, "key" | "keys")
        || (last == "alt" && words.iter().any(|word| word == "key"))
        || (last == "value" && words.len() > 1)
}

fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in name.chars() {
        let begins = character.is_uppercase() && before.is_lowercase();
        if begins || !character.is_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A private key, a token with its scheme, or a URL with a password or a query.
fn is_secret_text(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    let in_url = || {
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.contains('@') || rest.contains('?')
    };
    text.contains("PRIVATE KEY-----") || begins("bearer ") || begins("basic ") || begins("eyJ") || in_url()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::masking::{MASK, Mask};

    fn covered(kind: &str, entity: Value) -> Value {
        let Value::Object(members) = &entity else { panic!("an entity is an object") };
        Mask::of(kind, members).cover(&[], &entity)
    }

    #[test]
    fn of_every_credential_only_what_names_it_is_left() {
        for kind in [
            "keyauth_credentials",
            "keyauth_enc_credentials",
            "basicauth_credentials",
            "hmacauth_credentials",
            "jwt_secrets",
            "oauth2_credentials",
            "oauth2_tokens",
            "oauth2_authorization_codes",
            "sessions",
            "acme_storage",
            "anything_credentials",
        ] {
            let entity = json!({"id": "i", "consumer": "c", "username": "alice", "tags": ["t"], "ttl": null,
                "key": "s", "secret": "s", "password": "s", "client_id": "s", "value": {"deep": ["s"]}, "new": 5});
            let expected = json!({"id": "i", "consumer": "c", "username": "alice", "tags": ["t"], "ttl": null,
                "key": MASK, "secret": MASK, "password": MASK, "client_id": MASK, "value": MASK, "new": MASK});
            assert_eq!(covered(kind, entity), expected, "{kind}");
        }
    }

    #[test]
    fn keys_of_certificates_and_sets_and_a_vaults_configuration_are_covered() {
        let certificate = json!({"id": "i", "cert": "public", "key": "s", "cert_alt": "public", "key_alt": "s"});
        let expected = json!({"id": "i", "cert": "public", "key": MASK, "cert_alt": "public", "key_alt": MASK});
        assert_eq!(covered("certificates", certificate), expected);
        let key =
            json!({"id": "i", "kid": "k", "set": "s", "jwk": "{}", "pem": {"private_key": "s", "public_key": "p"}});
        assert_eq!(covered("keys", key), json!({"id": "i", "kid": "k", "set": "s", "jwk": MASK, "pem": MASK}));
        let vault = json!({"name": "aws", "prefix": "p", "config": {"region": "eu", "access": "s"}});
        assert_eq!(covered("vaults", vault), json!({"name": "aws", "prefix": "p", "config": MASK}));
        let parameter = json!({"key": "cluster_id", "value": "x", "created_at": null});
        assert_eq!(covered("parameters", parameter), json!({"key": "cluster_id", "value": MASK, "created_at": null}));
    }

    #[test]
    fn a_bundled_plugin_shows_what_is_not_called_a_secret() {
        let plugin = json!({"name": "openid-connect", "config": {"minute": 5, "client_secret": ["s"], "api_key": "s",
            "key_names": ["apikey"], "key_in_header": true, "redis": {"host": "h", "password": "s", "port": 6379},
            "hide_credentials": false, "auth": {"header_name": "Authorization", "header_value": "Bearer s"}}});
        let expected = json!({"name": "openid-connect", "config": {"minute": 5, "client_secret": MASK, "api_key": MASK,
            "key_names": ["apikey"], "key_in_header": true, "redis": {"host": "h", "password": MASK, "port": 6379},
            "hide_credentials": false, "auth": {"header_name": "Authorization", "header_value": MASK}}});
        assert_eq!(covered("plugins", plugin), expected);
    }

    #[test]
    fn what_a_plugin_sends_along_and_urls_with_a_password_are_covered() {
        let plugin = json!({"name": "http-log", "config": {"http_endpoint": "https://u:p@log/", "method": "POST",
            "headers": {"X-Team": "s"}, "other": "https://log.internal/path", "hook": "https://log/?t=s"}});
        let expected = json!({"name": "http-log", "config": {"http_endpoint": MASK, "method": "POST",
            "headers": {"X-Team": MASK}, "other": "https://log.internal/path", "hook": MASK}});
        assert_eq!(covered("plugins", plugin), expected);
        let plugin = json!({"name": "request-transformer", "config": {"add": {"headers": ["A:s"], "body": []}}});
        let expected = json!({"name": "request-transformer", "config": {"add": {"headers": [MASK], "body": []}}});
        assert_eq!(covered("plugins", plugin), expected);
    }

    #[test]
    fn of_a_plugin_that_nobody_knows_every_text_is_covered_and_of_code_everything() {
        let plugin = json!({"name": "our-own", "config": {"minute": 5, "on": true, "words": ["s"], "where": "s"}});
        let expected = json!({"name": "our-own", "config": {"minute": 5, "on": true, "words": [MASK], "where": MASK}});
        assert_eq!(covered("plugins", plugin), expected);
        let plugin = json!({"name": "pre-function", "config": {"access": ["return 's'"], "n": 5}});
        let expected = json!({"name": "pre-function", "config": {"access": MASK, "n": MASK}});
        assert_eq!(covered("plugins", plugin), expected);
    }

    #[test]
    fn a_reference_to_a_vault_is_no_secret() {
        let entity = json!({"consumer": "c", "key": "{vault://env/alice-key}"});
        assert_eq!(covered("keyauth_credentials", entity.clone()), entity);
        let half = json!({"key": "{vault://env/alice-key} s"});
        assert_eq!(covered("keyauth_credentials", half), json!({"key": MASK}));
    }

    #[test]
    fn ordinary_entities_are_shown_but_for_what_looks_secret() {
        let route = json!({"name": "r", "paths": ["/a"], "headers": {"x-env": ["blue"], "x-api-key": ["s"]}});
        let expected = json!({"name": "r", "paths": ["/a"], "headers": {"x-env": ["blue"], "x-api-key": MASK}});
        assert_eq!(covered("routes", route), expected);
    }

    #[test]
    fn names_are_read_word_by_word() {
        for secret in
            ["key", "api_key", "apiKey", "awsSecretAccessKey", "X-Api-Key", "token", "access_token_ttl", "key_alt"]
        {
            assert!(is_secret_name(secret), "{secret}");
        }
        for plain in
            ["key_names", "key_in_body", "keepalive", "monkey", "tokenizer", "passive", "author", "value", "cert"]
        {
            assert!(!is_secret_name(plain), "{plain}");
        }
    }
}
