//! What requests see of the filter: nothing, or one header. And what it learns from the first of them.

use super::*;

#[test]
fn nothing_is_done_until_a_request_has_told_who_the_node_is_and_no_later_one_is_asked() {
    let mut host = WasmHost::start(&filter()).unwrap();
    assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true));
    host.advance(INTERVAL * 100).unwrap();
    assert_eq!((host.dispatched(), host.metrics(), host.log()), (0, 0, &[][..]), "a node without traffic");
    assert_eq!(host.property_reads(), 0, "no property is read in a root context");
    for _ in 0..50 {
        assert_eq!(host.request(), Ok(vec![0, 0]));
    }
    assert_eq!(host.property_reads(), 2);
    assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true));
    host.advance(TICK).unwrap();
    let (_, report) = report_after(&mut host, Reply::http(200, STATUS));
    assert_eq!(report.kong_node_id.as_deref(), Some("0b1c6b0c-7b1a-4a56-9d9e-0c8f3f0f2f11"));
    assert_eq!(report.kong_version.as_deref(), Some("3.9.1"));
}

#[test]
fn a_response_gets_a_header_if_its_own_chain_asks_for_one() {
    let mut host = configured_with(&settings_with(r#""response_header":"X-Lifeboat","control_plane":"10.0.0.9:8005""#));
    let asking = host.newest_root().unwrap();
    assert_eq!(host.request(), Ok(vec![0, 0]));
    let header = |host: &WasmHost| host.response_headers().to_vec();
    let said = |value: &str| vec![("x-lifeboat".to_owned(), value.to_owned())];
    assert_eq!(header(&host), said("config=unknown, control-plane=unknown"));
    host.advance(TICK).unwrap();
    for call in calls(&host, "GET /") {
        host.reply(call.token, Reply::failed("broken connection")).unwrap();
    }
    report_after(&mut host, Reply::http(200, STATUS));
    host.request().unwrap();
    assert_eq!(header(&host), said(&format!("config={HASH}, control-plane=refused")));

    assert_eq!(host.configure(SETTINGS.as_bytes()), Ok(true));
    host.request().unwrap();
    assert_eq!(header(&host), [], "the new chain asks for none");
    host.request_through(asking).unwrap();
    assert_eq!(header(&host).len(), 1, "a request through the old one gets its header");
}
