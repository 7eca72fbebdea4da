//! What an answer means: yes, no and why, the hash that it holds, or whether somebody is there. Not here: what the
//! filter does about it.

use super::{Answer, AnswerBody, CallFailure, Reachability, Upstream};
use crate::digest::ConfigHash;

/// Why a call brought nothing, as a class and in words.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) class: CallFailure,
    pub(super) words: String,
}

impl From<CallFailure> for Failure {
    fn from(class: CallFailure) -> Self {
        let words = class.to_string();
        Self { class, words }
    }
}

/// Whether the answer says yes.
pub(super) fn accepted(answer: &Answer, upstream: &Upstream) -> Result<(), Failure> {
    match answer.http_status(upstream)? {
        200..=299 => Ok(()),
        other => Err(Failure { class: CallFailure::BadStatus, words: format!("it answered {other}") }),
    }
}

/// The hash in an answer of the Status API.
pub(super) fn status(answer: &Answer, upstream: &Upstream) -> Result<ConfigHash, Failure> {
    accepted(answer, upstream)?;
    match &answer.body {
        AnswerBody::TooLarge(bytes) => Err(Failure {
            class: CallFailure::TooLarge,
            words: format!("its answer has {bytes} bytes, at most {} are read", Answer::MAX_BODY),
        }),
        AnswerBody::Whole(body) => super::status::configuration_hash(body).map_err(|reason| Failure {
            class: CallFailure::Unreadable,
            words: format!("its answer could not be read: {reason}"),
        }),
    }
}

/// What a probe has shown: any HTTP answer means that somebody is there. Kong's listener, asked without TLS, says 400.
pub(super) fn probe(answer: &Answer, upstream: &Upstream) -> Result<Reachability, Failure> {
    match answer.http_status(upstream) {
        Ok(_) => Ok(Reachability::Reachable),
        Err(CallFailure::Unreadable) => Err(CallFailure::Unanswered.into()),
        Err(class) => Err(class.into()),
    }
}

/// What a probe that failed says of the control plane. Nothing, if the gateway never made it. Envoy doesn't tell a
/// connection that was refused from a TLS handshake that failed.
pub(super) fn unreachable(class: CallFailure, upstream: &Upstream) -> Option<Reachability> {
    match class {
        CallFailure::BrokenConnection if upstream.is_cluster() => Some(Reachability::Unreachable),
        CallFailure::BrokenConnection => Some(Reachability::Refused),
        CallFailure::Unanswered => Some(Reachability::AcceptedNoAnswer),
        CallFailure::TlsHandshakeFailure => Some(Reachability::TlsHandshakeFailed),
        CallFailure::Timeout => Some(Reachability::TimedOut),
        CallFailure::ResolverFailure => Some(Reachability::Unresolved),
        CallFailure::NotSent | CallFailure::NoAnswer => None,
        _ => Some(Reachability::Unreachable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream() -> Upstream {
        Upstream::parse("127.0.0.1:8100").unwrap()
    }

    fn answer(status: &str, body: AnswerBody) -> Answer {
        Answer { status: Some(status.into()), body, ..Answer::default() }
    }

    #[test]
    fn every_answer_below_300_is_a_yes_and_any_other_a_no_with_its_number() {
        for (number, yes) in
            [("200", true), ("204", true), ("299", true), ("199", false), ("301", false), ("503", false)]
        {
            let result = accepted(&answer(number, AnswerBody::default()), &upstream());
            assert_eq!(result.is_ok(), yes, "{number}");
            if let Err(failure) = result {
                assert_eq!(failure.class, CallFailure::BadStatus);
                assert!(failure.words.contains(number));
            }
        }
    }

    #[test]
    fn an_answer_that_was_not_read_is_too_large_and_says_how_large() {
        let failure = status(&answer("200", AnswerBody::TooLarge(300_000)), &upstream()).err().unwrap();
        assert_eq!(failure.class, CallFailure::TooLarge);
        assert!(failure.words.contains("300000 bytes"), "{}", failure.words);
    }

    #[test]
    fn a_hash_in_a_refusal_is_not_believed() {
        let body = br#"{"configuration_hash":"3ff47162e7a7ce1344f336316b66484e"}"#.to_vec();
        assert!(status(&answer("500", AnswerBody::Whole(body.clone())), &upstream()).is_err());
        assert!(status(&answer("200", AnswerBody::Whole(body)), &upstream()).is_ok());
    }

    #[test]
    fn any_http_answer_means_that_somebody_is_there_and_each_failure_is_told_apart() {
        for number in ["200", "400", "503"] {
            let seen = probe(&answer(number, AnswerBody::default()), &upstream());
            assert_eq!(seen.ok(), Some(Reachability::Reachable), "{number}");
        }
        for (reason, state) in [
            ("tls handshake failure", Reachability::TlsHandshakeFailed),
            ("reader failure", Reachability::AcceptedNoAnswer),
            ("broken connection", Reachability::Refused),
            ("timeout", Reachability::TimedOut),
            ("resolver failure", Reachability::Unresolved),
            ("something new", Reachability::Unreachable),
        ] {
            let failed = Answer { dispatch_status: Some(reason.into()), ..Answer::default() };
            let seen = probe(&failed, &upstream()).or_else(|failure| unreachable(failure.class, &upstream()).ok_or(()));
            assert_eq!(seen, Ok(state), "{reason}");
        }
        let no_status = probe(&answer("?", AnswerBody::default()), &upstream());
        assert_eq!(no_status.err().map(|failure| failure.class), Some(CallFailure::Unanswered));
        assert_eq!(unreachable(CallFailure::NoAnswer, &upstream()), None, "what the gateway didn't try is not known");
        let cluster = Upstream::parse("control_plane").unwrap();
        assert_eq!(unreachable(CallFailure::BrokenConnection, &cluster), Some(Reachability::Unreachable));
    }
}
