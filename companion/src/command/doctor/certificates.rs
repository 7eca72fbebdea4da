//! Checks of the certificates that are shown to others: until when, and for whom. That a key belongs to its certificate
//! is checked where settings are read; whether a peer accepts them is asked of the control plane.

use std::time::SystemTime;

use lifeboat_core::lifetimes;
use lifeboat_link::tls::Leaf;

use super::check::{Check, in_words};
use crate::settings::{ClusterSettings, RelaySettings};

const CLUSTER: &str = "certificate: cluster";
const AUTHORITY: &str = "certificate: authority";
const RELAY: &str = "certificate: relay";

pub(super) fn checks(cluster: &ClusterSettings, relay: Option<&RelaySettings>, now: SystemTime) -> Vec<Check> {
    let own = cluster.identity.leaf();
    let mut checks = vec![validity(CLUSTER, "KONG_CLUSTER_CERT", own, now)];
    checks.extend(cluster.authorities.iter().map(|leaf| validity(AUTHORITY, "KONG_CLUSTER_CA_CERT", leaf, now)));
    if let Some(leaf) = relay.map(|relay| relay.tls.certificate()).filter(|leaf| leaf != own) {
        checks.push(validity(RELAY, "LIFEBOAT_RELAY_CERT", &leaf, now));
    }
    checks
}

fn validity(name: &'static str, setting: &str, leaf: &Leaf, now: SystemTime) -> Check {
    let who = leaf.name().unwrap_or("without a name");
    let until = humantime::format_rfc3339_seconds(leaf.not_after());

    if now < leaf.not_before() {
        let from = humantime::format_rfc3339_seconds(leaf.not_before());
        let cure = format!("check this host's clock, or set {setting} to a certificate that is valid today");
        return Check::fail(name, format!("{who}: not valid before {from}"), cure);
    }
    match leaf.not_after().duration_since(now) {
        Err(_) => Check::fail(
            name,
            format!("{who}: expired at {until}"),
            format!("renew it, on the control plane and its nodes as well, and set {setting} to the new one"),
        ),
        Ok(left) if left < lifetimes::WARNING => Check::warn(
            name,
            format!("{who}: expires in {}, at {until}", in_words(left)),
            format!("renew it before, on the control plane and its nodes as well, and set {setting} to the new one"),
        ),
        Ok(_) => Check::pass(name, format!("{who}: valid until {until}")),
    }
}
