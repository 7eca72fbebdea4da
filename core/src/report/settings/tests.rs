//! That every mistake is named, and that what is right is used nevertheless.

use proptest::prelude::*;

use super::problem::EXAMPLE;
use super::*;

fn problems(json: &str) -> Vec<String> {
    FilterSettings::read(json.as_bytes()).problems.iter().map(ToString::to_string).collect()
}

fn addresses(more: &str) -> String {
    format!(r#"{{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100"{more}}}"#)
}

#[test]
fn the_example_in_the_messages_is_valid_and_reports_every_ten_seconds() {
    let settings = FilterSettings::read(EXAMPLE.as_bytes());
    assert_eq!(settings.companion.as_ref().map(Upstream::as_str), Some("10.0.0.5:8115"));
    assert_eq!(settings.status_api.as_ref().map(Upstream::as_str), Some("127.0.0.1:8100"));
    assert_eq!((settings.interval, settings.tick_period()), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!((settings.node, settings.problems), (None, Vec::new()));
}

#[test]
fn everything_that_can_be_set_is_read() {
    let json = addresses(
        r#","control_plane":"10.0.0.9:8005","interval_s":30,"node":"dp-1","response_header":"X-Lifeboat",
           "report_key":"0123456789abcdef0123456789abcdef","probe":"on","host":"kong-3.10""#,
    );
    let settings = FilterSettings::read(json.as_bytes());
    assert_eq!((settings.problems, settings.host), (vec![], Some(NamedHost::Kong310)));
    assert_eq!(settings.control_plane.as_ref().map(Upstream::as_str), Some("10.0.0.9:8005"));
    assert_eq!((settings.interval, settings.node.as_deref()), (Duration::from_secs(30), Some("dp-1")));
    assert_eq!(settings.response_header.as_deref(), Some("x-lifeboat"));
    assert_eq!(settings.report_key, ReportKey::new("0123456789abcdef0123456789abcdef"));
}

#[test]
fn settings_that_are_not_known_are_ignored_and_null_is_not_set() {
    let json = addresses(r#","interval_s":null,"node":"dp-1","of_a_later_version":["?"]"#);
    let settings = FilterSettings::read(json.as_bytes());
    assert_eq!((settings.node.as_deref(), settings.interval), (Some("dp-1"), FilterSettings::DEFAULT_INTERVAL));
    assert_eq!(settings.problems, []);
}

#[test]
fn every_mistake_is_named_at_once_with_its_setting_and_an_example() {
    let json = r#"{"companion":"lifeboat.svc:8115","status_api":8100,"control_plane":"kong","interval_s":0,"node":"",
                   "response_header":"content-length","report_key":17,"host":"kong","probe":"never"}"#;
    let found = problems(json);
    assert_eq!(found.len(), 9, "{found:?}");
    for (problem, (setting, example)) in found.iter().zip([
        ("host is \"kong\"", "\"kong-3.10\""),
        ("probe is \"never\"", "\"off\""),
        ("companion is \"lifeboat.svc:8115\"", "10.0.0.5:8115"),
        ("status_api is 8100", "127.0.0.1:8100"),
        ("control_plane is \"kong\"", "set host to \"envoy\""),
        ("interval_s is 0", "10"),
        ("report_key can't be used", "openssl rand -hex 32"),
        ("node is \"\"", "dp-eu-1"),
        ("response_header is \"content-length\"", "x-lifeboat"),
    ]) {
        assert!(problem.starts_with(setting), "{problem}");
        assert!(problem.contains(example), "{problem}");
    }
}

/// A text is all that Kong 3.4 takes for a filter's settings. What it holds is what others give as an object.
#[test]
fn settings_in_a_text_are_those_in_the_text() {
    let object = addresses(r#","interval_s":30,"node":"dp-\"1\"""#);
    let text = serde_json::to_string(&object).unwrap();
    let read = FilterSettings::read(text.as_bytes());
    assert_eq!((&read, read.problems.len()), (&FilterSettings::read(object.as_bytes()), 0));
    let twice = serde_json::to_string(&text).unwrap();
    assert!(problems(&twice)[0].contains("not a JSON object"), "no deeper than that");
}

#[test]
fn in_envoy_clusters_are_called_and_elsewhere_addresses() {
    let clusters = |host: &str| format!(r#"{{"companion":"lifeboat","status_api":"status","host":"{host}"}}"#);
    let settings = FilterSettings::read(clusters("envoy").as_bytes());
    assert_eq!((settings.problems, settings.host), (vec![], Some(NamedHost::Envoy)));
    assert_eq!(problems(&clusters("kong-3.10")).len(), 2);
}

/// In Kong 3.4 requests know no more than Envoy's, so nothing else could tell that this is a mistake.
#[test]
fn a_host_that_calls_anything_but_clusters_is_not_believed_to_be_envoy() {
    let clusters = r#"{"host":"envoy","companion":"lifeboat","status_api":"status","control_plane":"control_plane"}"#;
    assert_eq!(FilterSettings::read(clusters.as_bytes()).host, Some(NamedHost::Envoy));
    for (json, setting) in [
        (addresses(r#","host":"envoy""#), "companion"),
        (r#"{"host":"envoy"}"#.to_owned(), "companion"),
        (r#"{"host":"envoy","companion":"lifeboat"}"#.to_owned(), "status_api"),
        (clusters.replace("\"status\"", "\"127.0.0.1:8100\""), "status_api"),
        (clusters.replace("\"control_plane\"}", "\"10.0.0.9:8005\"}"), "control_plane"),
    ] {
        let settings = FilterSettings::read(json.as_bytes());
        assert_eq!(settings.host, None, "{json}");
        let reason = format!("{setting} is not the name of a cluster");
        assert!(settings.problems[0].to_string().contains(&reason), "{:?}", settings.problems);
    }
}

#[test]
fn a_control_plane_is_not_looked_for_where_the_probe_is_off() {
    for (probe, is_off) in [(r#""off""#, true), ("false", true), (r#""on""#, false), ("true", false), ("null", false)] {
        let json = addresses(&format!(r#","control_plane":"10.0.0.9:8005","probe":{probe}"#));
        let settings = FilterSettings::read(json.as_bytes());
        assert_eq!((settings.control_plane.is_none(), settings.problems.len()), (is_off, 0), "{probe}");
    }
}

#[test]
fn what_is_right_is_used_beside_what_is_wrong() {
    let settings = FilterSettings::read(br#"{"companion":"10.0.0.5:8115","status_api":"localhost:8100"}"#);
    assert!(settings.companion.is_some() && settings.status_api.is_none());
    assert_eq!(settings.problems.len(), 1);
}

#[test]
fn an_interval_outside_its_bounds_is_refused() {
    for (interval, accepted) in [
        ("1", true),
        ("3600", true),
        ("0", false),
        ("3601", false),
        ("-5", false),
        ("2.5", false),
        ("1e400", false),
        ("\"10\"", false),
        ("18446744073709551616", false),
    ] {
        let json = addresses(&format!(r#","interval_s":{interval}"#));
        assert_eq!(problems(&json).is_empty(), accepted, "{interval}");
    }
}

#[test]
fn a_header_that_could_mean_something_else_is_refused() {
    for (name, accepted) in
        [("x-lifeboat", true), ("X-A1", true), ("x-", false), (":status", false), ("x-a b", false), ("location", false)]
    {
        let json = addresses(&format!(r#","response_header":"{name}""#));
        assert_eq!(problems(&json).is_empty(), accepted, "{name}");
    }
}

#[test]
fn settings_that_are_absent_or_no_object_or_too_many_have_a_reason() {
    assert_eq!(problems("  "), [SettingsProblem::Absent.to_string()]);
    for json in ["[]", "3", "{", "\"x\"", "\"[]\"", "nonsense"] {
        assert!(problems(json)[0].contains("not a JSON object"), "{json}");
    }
    let huge = " ".repeat(FilterSettings::MAX_BYTES + 1);
    assert!(problems(&huge)[0].contains("16385 bytes"));
}

#[test]
fn a_key_is_printed_neither_by_its_settings_nor_by_a_problem() {
    let secret = "0123456789abcdef0123456789abcdef";
    for more in [format!(r#","report_key":"{secret}""#), format!(r#","report_key":"{secret} x""#)] {
        let settings = FilterSettings::read(addresses(&more).as_bytes());
        let printed = format!("{settings:?} {:?}", problems(&addresses(&more)));
        assert!(!printed.contains("0123456789"), "{printed}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = FilterSettings::read(&bytes);
    }

    #[test]
    fn a_wrong_value_of_any_length_makes_a_short_message(value in ".{0,4000}") {
        let json = serde_json::json!({"companion": value, "status_api": "127.0.0.1:8100"});
        for problem in FilterSettings::read(json.to_string().as_bytes()).problems {
            prop_assert!(problem.to_string().chars().count() < 400);
        }
    }
}
