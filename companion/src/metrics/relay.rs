//! The relay's facts as metrics, written when somebody looks.

use std::fmt;

use lifeboat_core::time::WallTime;
use lifeboat_link::tls::FailureClass;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};

use super::names;
use super::series::{Number, write_by_version, write_count, write_counter, write_number};
use crate::observation::RelayFacts;

#[derive(EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

pub(super) fn write_all(encoder: &mut DescriptorEncoder<'_>, facts: &RelayFacts, now: WallTime) -> fmt::Result {
    // What has not happened yet has happened 0 times: otherwise its first time would look like none.
    let refused = |reason| {
        let count = facts.refused.get(&reason).copied().unwrap_or_default();
        (RefusalLabels { reason: reason_name(reason) }, count)
    };
    write_counter(encoder, &names::RELAY_REFUSED, REASONS.map(refused))?;
    for (metric, count) in [
        (&names::RELAY_RESTORED, facts.restored),
        (&names::RELAY_NOT_ADOPTED, facts.not_adopted),
        (&names::RELAY_GIVEN_NOTHING, facts.given_nothing),
    ] {
        write_count(encoder, metric, count)?;
    }

    write_number(encoder, &names::RELAY_READY, facts.check_ready(now).is_ok().into())?;
    write_number(encoder, &names::RELAY_NODES, Number::Whole(facts.nodes))?;
    write_number(encoder, &names::RELAY_NODES_FROM_STORE, Number::Whole(facts.nodes_from_store))?;
    write_by_version(encoder, &names::RELAY_WITHOUT_BACKUP, &facts.without_backup)?;
    match facts.reaches_control_plane {
        Some(is_reached) => write_number(encoder, &names::RELAY_CONTROL_PLANE, is_reached.into()),
        None => Ok(()),
    }
}

const REASONS: [FailureClass; 15] = [
    FailureClass::OtherCertificate,
    FailureClass::UnknownAuthority,
    FailureClass::NotValidNow,
    FailureClass::WrongName,
    FailureClass::NameNotAllowed,
    FailureClass::NoCertificate,
    FailureClass::NotItsKey,
    FailureClass::BadCertificate,
    FailureClass::Revoked,
    FailureClass::RefusedByPeer,
    FailureClass::NothingInCommon,
    FailureClass::Closed,
    FailureClass::NotTls,
    FailureClass::TimedOut,
    FailureClass::Other,
];

fn reason_name(reason: FailureClass) -> &'static str {
    match reason {
        FailureClass::OtherCertificate => "other_certificate",
        FailureClass::UnknownAuthority => "unknown_authority",
        FailureClass::NotValidNow => "not_valid_now",
        FailureClass::WrongName => "wrong_name",
        FailureClass::NameNotAllowed => "name_not_allowed",
        FailureClass::NoCertificate => "no_certificate",
        FailureClass::NotItsKey => "not_its_key",
        FailureClass::BadCertificate => "bad_certificate",
        FailureClass::Revoked => "revoked",
        FailureClass::RefusedByPeer => "refused_by_peer",
        FailureClass::NothingInCommon => "nothing_in_common",
        FailureClass::Closed => "closed",
        FailureClass::NotTls => "not_tls",
        FailureClass::TimedOut => "timed_out",
        FailureClass::Other => "other",
    }
}
