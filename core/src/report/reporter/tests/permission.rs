//! That nothing is done where the filter may not act, and what makes it act.

use super::*;

/// Whatever a host does, as long as no request has told that this is Kong 3.9.
#[test]
fn nothing_comes_of_ticks_until_a_request_has_told_that_the_filter_may_act() {
    let mut reporter = Reporter::new(0xff);
    assert!(!reporter.wants_version(), "there is no chain yet");
    assert_eq!(reporter.configure(ROOT, everything()), None);
    for second in 0..100 {
        assert_eq!(reporter.on_tick(ROOT, at(second)), [], "no call, no metric");
        assert_eq!(reporter.on_answer(1, &answer("200", STATUS)), None);
    }
    assert_eq!((reporter.header_value(), reporter.wants_version(), reporter.wants_node_id()), (None, true, false));
    assert_eq!(reporter.learn_version(None), None, "the next one may know");
    assert_eq!(reporter.on_tick(ROOT, at(105)), []);
    assert_eq!(reporter.learn_version(Some(b"3.9.1")), None);
    assert_eq!(calls(&reporter.on_tick(ROOT, at(110))).len(), 2);
    assert!(reporter.header_value().is_some() && !reporter.wants_version());
}

#[test]
fn where_it_may_not_act_it_stays_passive_for_ever_and_says_so_once() {
    for version in ["", "3.4.2", "3.6.1", "3.7.1", "3.8.0", "3.10.0.1", "3.11.0.0"] {
        let mut reporter = Reporter::new(0xff);
        let mut said = Vec::new();
        for change in 0..10 {
            said.extend(reporter.configure(change, everything()));
            while reporter.wants_version() {
                said.extend(reporter.learn_version(Some(version.as_bytes())));
            }
            for second in 0..100 {
                assert_eq!(reporter.on_tick(change, at(second)), [], "{version}");
            }
            assert_eq!((reporter.header_value(), reporter.wants_node_id()), (None, false), "{version}");
            assert_eq!(reporter.configure(change, FilterSettings::read(b"{")), None, "wrong settings change nothing");
        }
        assert_eq!(said.len(), 1, "{version}: {said:?}");
    }
}

#[test]
fn what_settings_say_of_the_host_counts_as_long_as_they_say_it() {
    let text = r#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100","host":"kong-3.10"}"#;
    let named = || FilterSettings::read(text.as_bytes());
    let mut reporter = Reporter::new(0xff);
    reporter.configure(1, named());
    assert_eq!(reporter.on_tick(1, at(0)), [], "a request must tell that it is so");
    assert_eq!(reporter.learn_version(Some(b"3.10.0.1-enterprise-edition")), None);
    assert!(!reporter.on_tick(1, at(5)).is_empty());
    reporter.configure(2, settings());
    assert_eq!(reporter.on_tick(2, at(10)), []);
    reporter.configure(3, named());
    assert!(!reporter.on_tick(3, at(15)).is_empty());

    let clusters = br#"{"companion":"lifeboat","status_api":"status","host":"envoy"}"#;
    let mut reporter = Reporter::new(0xff);
    reporter.configure(1, FilterSettings::read(clusters));
    assert!(!reporter.on_tick(1, at(0)).is_empty(), "nothing in Envoy could tell");
    assert!(!reporter.wants_version() && !reporter.wants_node_id());
}
