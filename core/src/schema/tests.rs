//! Schemas against what real Kongs said and sent.

use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::kong::Configuration;
use crate::time::WallTime;

/// A configuration with a real Kong's verdict.
#[derive(Deserialize)]
struct Judged {
    id: u64,
    config: Map<String, Value>,
    accepted: bool,
    message: Option<String>,
}

fn judged() -> Vec<Judged> {
    let gzip = include_bytes!("../../../tests/data/kong-3.9.1/acceptance.jsonl.gz");
    let text = std::io::read_to_string(GzDecoder::new(&gzip[..])).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn recorded(version: &str) -> &'static SchemaSet {
    SchemaSet::recorded(version.parse().unwrap()).unwrap()
}

/// A node of 3.9.1 with the plugins that come with it.
fn bundled() -> CheckScope<'static> {
    CheckScope { unknown_plugins: UnknownPlugins::Refused, ..CheckScope::default() }
}

fn violations(set: &SchemaSet, document: &Value, scope: &CheckScope<'_>) -> Vec<String> {
    let mut document = document.as_object().unwrap().clone();
    document.entry("_format_version").or_insert("1.1".into());
    set.check(&document, scope).violations.iter().map(ToString::to_string).collect()
}

fn refused(document: &Value) -> Vec<String> {
    violations(recorded("3.9.1"), document, &bundled())
}

#[test]
fn verdicts_are_those_of_a_real_kong() {
    let set = recorded("3.9.1");
    let (mut agreed, mut wrongly_refused, mut wrongly_taken) = (0, Vec::new(), Vec::new());
    for judged in judged() {
        let findings = set.check(&judged.config, &bundled());
        match (findings.is_accepted(), judged.accepted) {
            (ours, kongs) if ours == kongs => agreed += 1,
            (false, _) => wrongly_refused.push((judged.id, findings.violations)),
            (true, _) => wrongly_taken.push((judged.id, judged.message)),
        }
    }
    assert_eq!((agreed, wrongly_refused, wrongly_taken), (300, vec![], vec![]));
}

#[test]
fn a_reason_is_kongs_own_where_kong_names_the_field() {
    // Each place that Kong names with one of the reasons that it gives for unknown and missing fields and wrong types.
    for judged in judged().into_iter().filter(|judged| !judged.accepted) {
        let kongs = judged.message.unwrap();
        let ours = recorded("3.9.1").check(&judged.config, &bundled()).violations;
        for field in kongs
            .match_indices("=\"unknown field\"")
            .map(|(at, _)| kongs[..at].rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap())
        {
            let is_named = |violation: &Violation| {
                violation.reason == "unknown field" && violation.field.rsplit('.').next() == Some(field)
            };
            assert!(ours.iter().any(is_named), "{}: {field} in {kongs}, ours {ours:#?}", judged.id);
        }
    }
}

#[test]
fn what_control_planes_sent_is_never_refused() {
    let message = include_bytes!("../../../tests/data/kong-3.9.1/reconfigure-last.json.gz");
    let text = std::io::read_to_string(GzDecoder::new(&message[..])).unwrap();
    let sent: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(violations(recorded("3.9.1"), &sent["config_table"], &bundled()), Vec::<String>::new());

    for (version, kept) in [
        ("3.4.2", &include_bytes!("../../../tests/data/kong-3.4.2/config.json")[..]),
        ("2.8.5", &include_bytes!("../../../tests/data/kong-2.8.5/config.json")[..]),
    ] {
        let kept: Value = serde_json::from_slice(kept).unwrap();
        assert_eq!(violations(recorded(version), &kept, &bundled()), Vec::<String>::new(), "{version}");
    }
}

#[test]
fn all_mistakes_are_named_at_once_with_entity_field_and_reason() {
    let mistakes = refused(&json!({
        "services": [{"name": "a", "ulr": "http://a", "port": 70000},
            {"name": "b", "host": "${{ env \"X\" }}", "tags": ["a,b"]}],
        "routes": [{"name": "r", "paths": ["a", "~/a(", "/x//y"], "protocols": ["http", "tcp"], "service": "c"}],
        "plugins": [{"name": "rate-limiting", "config": {"minute": 0, "policy": "cluster"}}],
        "consumer_groups": [],
    }));
    assert_eq!(
        mistakes,
        [
            "consumer_groups: unknown field",
            "plugins \"rate-limiting (global)\": config.minute: value must be greater than 0",
            "plugins \"rate-limiting (global)\": config.policy: expected one of: local, redis",
            "routes \"r\": paths[0]: should start with: / (fixed path) or ~/ (regex path)",
            "routes \"r\": paths[1]: invalid regex: '/a(' (PCRE: missing closing parenthesis)",
            "routes \"r\": paths[2]: must not have empty segments",
            "routes \"r\": protocols: these sets are mutually exclusive: ('http', 'https'), ('tcp', 'tls', 'udp')",
            "routes \"r\": service: invalid reference 'service: c' (no such entry in 'services')",
            "services \"a\": port: value should be between 0 and 65535",
            "services \"a\": ulr: unknown field",
            "services \"a\": host: required field missing",
            "services \"b\": host: invalid value: ${{ env \"X\" }}",
            "services \"b\": tags[0]: invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 \
             sequences",
        ]
    );
}

#[test]
fn what_is_nested_is_checked_and_belongs_to_what_it_is_nested_in() {
    let nested = |consumer: Value| json!({ "consumers": [consumer] });
    let fine = nested(json!({"username": "u", "keyauth_credentials": [{"key": "k", "ttl": 60}],
        "plugins": [{"name": "ip-restriction", "config": {"allow": ["10.0.0.0/8"]}}]}));
    assert_eq!(refused(&fine), Vec::<String>::new());

    let wrong = nested(json!({"username": "u", "keyauth_credentials": [{"kye": "k"}], "plugins": [{"name": "cors"}]}));
    assert_eq!(
        refused(&wrong),
        [
            "keyauth_credentials \"(without a name)\": kye: unknown field",
            "plugins \"cors (global)\": consumer: value must be null"
        ]
    );
}

#[test]
fn fields_are_looked_at_together_with_defaults_filled_in() {
    for (document, expected) in [
        (json!({"upstreams": [{"name": "u", "hash_on": "header"}]}), "hash_on_header: required field missing"),
        (
            json!({"plugins": [{"name": "jwt", "config": {"maximum_expiration": 5, "claims_to_verify": ["nbf"]}}]}),
            "expected to contain: exp",
        ),
        (
            json!({"plugins": [{"name": "acl", "config": {"allow": ["a"], "deny": ["b"]}}]}),
            "exactly one of these fields",
        ),
        (
            json!({"plugins": [{"name": "rate-limiting", "config": {"minute": 1, "policy": "redis"}}]}),
            "config.redis.host",
        ),
        (json!({"services": [{"host": "a", "protocol": "tcp", "path": "/a"}]}), "value must be null"),
        (json!({"services": [{"host": "a", "tls_verify": true}]}), "tls_verify: value must be null"),
        (json!({"routes": [{"snis": ["a"], "protocols": ["http"], "paths": ["/"]}]}), "'snis' can only be set when"),
        (json!({"routes": [{"protocols": ["http"]}]}), "must set one of 'methods', 'hosts', 'headers', 'paths' when"),
        (json!({"routes": [{"protocols": ["tcp"], "hosts": ["a"], "snis": ["b"]}]}), "'snis' can only be set when"),
        (
            json!({"certificates": [{"cert": "{vault://env/a}", "key": "{vault://env/b}", "cert_alt": "{vault://env/c}"}]}),
            "all or none of these fields must be set: 'cert_alt', 'key_alt'",
        ),
        (json!({"keys": [{"kid": "a", "jwk": "{}", "pem": {"public_key": "{vault://env/a}"}}]}), "only one or none"),
        (
            json!({"upstreams": [{"name": "u", "hash_on": "header", "hash_on_header": "a", "hash_fallback": "header",
            "hash_fallback_header": "a"}]}),
            "must be distinct",
        ),
        (json!({"plugins": [{"name": "opentelemetry", "config": {}}]}), "'traces_endpoint', 'logs_endpoint'"),
        (json!({"filter_chains": [{"filters": []}]}), "length must be at least 1"),
        (json!({"vaults": [{"prefix": "env", "name": "env"}]}), "must not be one of: env"),
        (json!({"vaults": [{"prefix": "A", "name": "env"}]}), "prefix: invalid value"),
        (json!({"certificates": [{"cert": "x", "key": "y"}]}), "cert: invalid certificate"),
        (json!({"consumers": [{}]}), "at least one of these fields must be non-empty: 'custom_id', 'username'"),
        (json!({"services": [{"host": "a", "ca_certificates": ["x"]}]}), "ca_certificates[0]: expected a valid UUID"),
        (json!({"services": [{"host": "a", "created_at": -1}]}), "expected a valid timestamp"),
        (json!({"services": [{"host": "a", "tags": [null]}]}), "tags[0]: required field missing"),
        (json!({"services": [{"host": "a", "name": ""}]}), "name: length must be at least 1"),
        (json!({"services": [{"host": "a", "path": "/a b"}]}), "characters outside of the reserved list of RFC 3986"),
        (json!({"services": [{"host": "a", "path": "/%zz"}]}), "invalid url-encoded value: '%zz'"),
        (json!({"plugins": [{"name": "http-log", "config": {"http_endpoint": "a"}}]}), "missing host in url"),
        (
            json!({"plugins": [{"name": "http-log", "config": {"http_endpoint": "http://a", "headers": {"Host": "a"}}}]}),
            "config.headers.Host: cannot contain 'Host' header",
        ),
        (json!({"plugins": [{"name": "bot-detection", "config": {"allow": ["("]}}]}), "not a valid regex"),
        (json!({"plugins": [{"name": "my-plugin"}]}), "plugin 'my-plugin' not enabled"),
        (json!({"plugins": [{"config": {}}]}), "name: required field missing"),
        (
            json!({"plugins": [{"name": "ai-prompt-decorator", "config": {"prompts": {"append":
            [{"content": "x".repeat(501)}]}}}]}),
            "length must be at most 500",
        ),
    ] {
        let found = refused(&document);
        assert!(found.iter().any(|violation| violation.contains(expected)), "{document}: {found:?}, not {expected}");
    }
}

#[test]
fn what_kong_takes_in_a_looser_form_is_taken() {
    for document in [
        json!({"services": {}, "routes": null}),
        json!({"services": [{"host": "a", "path": null, "client_certificate": null, "retries": 3.0}]}),
        json!({"services": [{"url": "http://example.com", "host": "other.test"}]}),
        json!({"services": [{"name": "дом-ü", "url": "https://example.org:8443/p?q#f"}]}),
        json!({"upstreams": [{"name": "u", "healthchecks": {"active": {"healthy": false}}}]}),
        json!({"plugins": [{"name": "rate-limiting", "config": {"minute": 5, "policy": "redis", "redis_host": "a"}}]}),
        json!({"consumers": [{"username": "u", "keyauth_credentials": [{"key": "{vault://env/my-key}"}]}]}),
        json!({"certificates": [{"cert": "{vault://env/a}", "key": "{vault://env/b}"}]}),
        json!({"filter_chains": [{"service": "s", "filters": [{"name": "another", "config": {"a": 1}}]}],
            "services": [{"name": "s", "host": "a"}]}),
        json!({"routes": [{"protocols": ["tcp"], "sources": [{"ip": "10.0.0.0/8"}, {"port": 80}]}]}),
        json!({"routes": [{"protocols": ["grpc"], "hosts": ["a:80", "*.b.c", "b.*"]}]}),
        json!({"_comment": "a", "_ignore": [1], "_transform": false}),
        json!({"services": [{"host": "a", "routes": [{"name": "r", "paths": ["/"], "plugins": [{"name": "cors"}]}]}]}),
    ] {
        assert_eq!(refused(&document), Vec::<String>::new(), "{document}");
    }
}

#[test]
fn what_nodes_already_run_is_never_refused_but_its_references_are() {
    let published = json!({"_format_version": "3.0", "services": [{"id": "1", "host": "a b", "path": null}],
        "routes": [{"id": "2", "service": "1", "unknown": 1}]});
    let configuration = Configuration::from_json(published.to_string().into()).unwrap();
    let published_entities = Published::of(&configuration);
    let scope = CheckScope { published: Some(&published_entities), ..bundled() };
    assert_eq!(violations(recorded("3.9.1"), &published, &scope), Vec::<String>::new());
    assert_ne!(refused(&published), Vec::<String>::new());

    let mut without_the_service = published.clone();
    without_the_service["services"] = json!([]);
    let found = violations(recorded("3.9.1"), &without_the_service, &scope);
    assert_eq!(
        found,
        ["routes \"of service 1\": service: invalid reference 'service: 1' (no such entry in 'services')"]
    );

    let mut changed = published;
    changed["services"][0]["port"] = json!(1);
    assert_eq!(violations(recorded("3.9.1"), &changed, &scope).len(), 2);
}

#[test]
fn what_nobody_has_looked_at_is_said() {
    let document = json!({"_format_version": "3.0", "degraphql_routes": [{}], "plugins": [
        {"name": "mine"}, {"name": "pre-function", "config": {"access": ["not Lua"]}},
        {"name": "aws-lambda", "config": {"proxy_url": "http://a", "function_name": "f"}}]});
    let plugins = ["mine".to_owned()];
    let scope = CheckScope { plugins: &plugins, ..CheckScope::default() };
    let findings = recorded("3.9.1").check(document.as_object().unwrap(), &scope);
    assert_eq!(findings.violations, []);
    let unchecked: Vec<String> = findings.unchecked.iter().map(ToString::to_string).collect();
    assert_eq!(
        unchecked,
        [
            "plugin mine: there is no schema of it",
            "degraphql_routes: there is no schema of it",
            "plugin pre-function: the code in config.access",
            "plugin aws-lambda: custom_entity_check of config.proxy_url",
        ]
    );
}

#[test]
fn a_secret_is_never_in_a_reason() {
    let found = refused(&json!({"consumers": [{"username": "u"}], "keyauth_credentials": [
        {"key": "hidden", "consumer": "u"}, {"key": "hidden", "consumer": "u"}],
        "plugins": [{"name": "request-transformer", "config": {"add": {"headers": ["hidden"]}}}],
        "certificates": [{"cert": "hidden", "key": "hidden"}]}));
    assert_eq!(found.len(), 4);
    assert!(!found.concat().contains("hidden"), "{found:?}");
}

#[test]
fn an_expired_ca_certificate_is_refused_and_another_one_is_not() {
    let certificate = include_str!("../../../tests/data/kong-3.9.1/cluster.crt");
    let document = json!({"ca_certificates": [{"cert": certificate}], "certificates": [{"cert": certificate,
        "key": "{vault://env/key}"}]});
    let at = |seconds| {
        let now = Some(WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
        violations(recorded("3.9.1"), &document, &CheckScope { now, ..bundled() })
    };
    assert_eq!(at(1_795_000_000), Vec::<String>::new());
    assert_eq!(
        at(1_999_000_000),
        [
            "ca_certificates \"(without a name)\": cert: certificate expired: it was valid until 2029-11-19T09:31:18.000Z"
        ]
    );
}

#[test]
fn fields_that_kong_encrypts_or_lets_be_references_are_secrets() {
    let set = recorded("3.9.1");
    assert!(set.marks_secret("certificates", None, &["key"]));
    assert!(set.marks_secret("basicauth_credentials", None, &["password"]));
    assert!(set.marks_secret("plugins", Some("ai-proxy"), &["config", "auth", "gcp_service_account_json"]));
    assert!(set.marks_secret("plugins", Some("http-log"), &["config", "headers", "authorization"]));
    assert!(!set.marks_secret("plugins", Some("cors"), &["config", "origins"]));
    assert!(!set.marks_secret("services", None, &["host"]));
}

#[test]
fn schemas_of_a_control_plane_bring_its_own_plugins_and_entities() {
    let own = json!({"entities": {"plugins": {"fields": [{"name": {"type": "string", "required": true}},
        {"config": {"type": "record", "abstract": true}}]}, "things": {"fields": [{"size": {"type": "integer"}}]}},
        "plugins": {"mine": {"fields": [{"config": {"type": "record", "required": true, "fields": [
            {"mode": {"type": "string", "one_of": ["a", "b"], "later_rule": {"a": 1}}}]}}]}}});
    let set = SchemaSet::from_json(own.to_string().as_bytes()).unwrap();
    assert_eq!(set.source(), SchemaSource::ControlPlane);
    let document = json!({"things": [{"size": "big", "ws_id": "x"}],
        "plugins": [{"name": "mine", "config": {"mode": "c"}}]});
    assert_eq!(
        violations(&set, &document, &CheckScope::default()),
        [
            "plugins \"mine (global)\": config.mode: expected one of: a, b",
            "things \"(without a name)\": size: expected an integer"
        ]
    );
    for wrong in ["", "[]", "{}", r#"{"entities": {}, "plugins": {}}"#, r#"{"entities": {"a": 1}, "plugins": {}}"#] {
        assert!(SchemaSet::from_json(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

/// A JSON value of few kinds, so that schemas and configurations made of it meet.
fn anything() -> impl Strategy<Value = Value> {
    let words = [
        "type",
        "fields",
        "string",
        "record",
        "array",
        "services",
        "plugins",
        "name",
        "config",
        "elements",
        "one_of",
        "match",
        "entity_checks",
        "conditional",
        "required",
        "a",
        "(",
        "%",
        "foreign",
        "reference",
        "keys",
    ];
    let word = proptest::sample::select(words.map(str::to_owned).to_vec());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        word.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(word.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_configuration_of_a_stranger_panics(document in anything(), at in 0..3_usize) {
        let set = recorded(["3.9.1", "3.4.2", "2.8.5"][at]);
        if let Value::Object(document) = &document {
            let _ = set.check(document, &bundled());
        }
        let entities = json!({"services": [document.clone()], "plugins": [document]});
        let _ = set.check(entities.as_object().unwrap(), &bundled());
    }

    #[test]
    fn no_schema_of_a_stranger_panics(fields in proptest::collection::vec(anything(), 0..6), checks in anything(), document in anything()) {
        let schema = json!({"fields": fields, "entity_checks": checks});
        let set = json!({"entities": {"services": schema, "plugins": schema}, "plugins": {"a": schema}});
        let set = SchemaSet::from_json(set.to_string().as_bytes()).unwrap();
        let entities = json!({"services": [document], "plugins": [{"name": "a", "config": document}]});
        let _ = set.check(entities.as_object().unwrap(), &CheckScope::default());
    }
}

#[test]
fn a_vault_that_open_source_kong_lacks_is_said_to_be_unchecked() {
    let found = |name: &str| {
        let document = json!({"_format_version": "3.0", "vaults": [{"name": name, "prefix": "secrets", "config": {}}]});
        recorded("3.9.1").check(document.as_object().unwrap(), &bundled())
    };
    assert_eq!(found("env").unchecked, []);
    let of_another = found("hcv");
    assert!(of_another.is_accepted());
    assert_eq!(of_another.unchecked[0].to_string(), "vault hcv: whether nodes have it, and what its config may be");
}
