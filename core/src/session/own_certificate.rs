//! Whether a control plane accepts the certificate that we show it, as all attempts to link show together. This matters
//! beyond the link: a replaced certificate may have leaked, and someone else who has it must get nothing from us.

use super::answer::{ConnectFailure, Verdict};
use super::reconnect::SECOND_LOOK;
use crate::digest::Sha256Digest;
use crate::time::Moment;

/// How a control plane refused our certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// By an HTTP answer that says so: nginx in `pki` mode.
    Answered,
    /// By ending the connection after TLS, without an HTTP answer, more than once: Kong in `shared` mode (nginx's 444).
    EndedTwice,
}

/// What is known of one certificate. If another certificate is shown, this begins anew.
#[derive(Debug, Default)]
pub struct OwnCertificate {
    shown: Option<Sha256Digest>,
    known: Known,
}

#[derive(Clone, Copy, Debug, Default)]
enum Known {
    /// Nothing speaks against it.
    #[default]
    Nothing,
    /// Connections end without an answer; the first of them in a row ended at this moment.
    Suspected(Moment),
    /// It is not accepted. An outage changes nothing about that: neither a blip nor the end of the control plane makes a
    /// certificate good.
    Refused(CertificateRefusal),
}

impl OwnCertificate {
    /// A link was made: the certificate is accepted.
    pub fn linked(&mut self) {
        self.known = Known::Nothing;
    }

    /// What it means that an attempt to link failed in which the certificate `shown` was shown.
    pub fn judge(&mut self, failure: ConnectFailure, shown: Sha256Digest, now: Moment) -> Verdict {
        if self.shown.replace(shown) != Some(shown) {
            self.known = Known::Nothing;
        }
        self.known = self.known.after(failure, now);

        match (self.known, failure) {
            (Known::Refused(refusal), _) => Verdict::RefusesCertificate(refusal),
            (Known::Suspected(_), _) => Verdict::Unclear,
            (Known::Nothing, ConnectFailure::Answered(answer)) => match answer.refusal() {
                Some(refusal) => Verdict::RefusesNode(refusal),
                None => Verdict::Outage { retry_after: answer.retry_after },
            },
            (Known::Nothing, _) => Verdict::Outage { retry_after: None },
        }
    }

    /// Why it is not accepted, if it is not.
    pub fn refusal(&self) -> Option<CertificateRefusal> {
        match self.known {
            Known::Refused(refusal) => Some(refusal),
            Known::Nothing | Known::Suspected(_) => None,
        }
    }
}

impl Known {
    fn after(self, failure: ConnectFailure, now: Moment) -> Self {
        match (self, failure) {
            (Self::Refused(_), _) => self,
            (_, ConnectFailure::Answered(answer)) if answer.is_about_the_certificate() => {
                Self::Refused(CertificateRefusal::Answered)
            }
            (Self::Suspected(since), ConnectFailure::EndedWithoutAnswer) if now - since >= SECOND_LOOK => {
                Self::Refused(CertificateRefusal::EndedTwice)
            }
            (Self::Suspected(_), ConnectFailure::EndedWithoutAnswer) => self,
            (Self::Nothing, ConnectFailure::EndedWithoutAnswer) => Self::Suspected(now),
            (_, ConnectFailure::Unreachable | ConnectFailure::Answered(_)) => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::answer::{AnswerBody, HttpAnswer, Refusal};
    use super::*;

    const ENDED: ConnectFailure = ConnectFailure::EndedWithoutAnswer;
    const OUTAGE: Verdict = Verdict::Outage { retry_after: None };
    const REFUSED: Verdict = Verdict::RefusesCertificate(CertificateRefusal::EndedTwice);

    fn at(millis: u64) -> Moment {
        Moment::after_start(Duration::from_millis(millis))
    }

    fn certificate(name: &str) -> Sha256Digest {
        Sha256Digest::of(name.as_bytes())
    }

    fn answered(status: u16, body: AnswerBody) -> ConnectFailure {
        ConnectFailure::Answered(HttpAnswer { status, body, retry_after: None })
    }

    /// What each of these failures means, at these milliseconds.
    fn verdicts(failures: &[(u64, ConnectFailure)]) -> Vec<Verdict> {
        let mut own = OwnCertificate::default();
        failures.iter().map(|(millis, failure)| own.judge(*failure, certificate("ours"), at(*millis))).collect()
    }

    #[test]
    fn two_ends_without_an_answer_are_a_refusal_only_when_they_are_far_apart() {
        assert_eq!(verdicts(&[(0, ENDED), (4_999, ENDED)]), [Verdict::Unclear; 2]);
        assert_eq!(
            verdicts(&[(0, ENDED), (4_000, ENDED), (5_000, ENDED)]),
            [Verdict::Unclear, Verdict::Unclear, REFUSED]
        );
    }

    #[test]
    fn any_other_answer_in_between_ends_the_suspicion() {
        for between in [ConnectFailure::Unreachable, answered(503, AnswerBody::Else)] {
            assert_eq!(
                verdicts(&[(0, ENDED), (3_000, between), (6_000, ENDED)]),
                [Verdict::Unclear, OUTAGE, Verdict::Unclear]
            );
        }
        let mut own = OwnCertificate::default();
        own.judge(ENDED, certificate("ours"), at(0));
        own.linked();
        assert_eq!(own.judge(ENDED, certificate("ours"), at(9_000)), Verdict::Unclear);
    }

    #[test]
    fn a_400_about_the_certificate_is_a_refusal_at_once() {
        let refused = Verdict::RefusesCertificate(CertificateRefusal::Answered);
        assert_eq!(verdicts(&[(0, answered(400, AnswerBody::Certificate))]), [refused]);
        let of_the_node = Verdict::RefusesNode(Refusal::Status(400));
        assert_eq!(verdicts(&[(0, answered(400, AnswerBody::Else))]), [of_the_node]);
    }

    #[test]
    fn a_refused_certificate_stays_refused_through_an_outage_until_a_link_or_another_certificate() {
        let mut own = OwnCertificate::default();
        for millis in [0, 5_000] {
            own.judge(ENDED, certificate("ours"), at(millis));
        }
        assert_eq!(own.refusal(), Some(CertificateRefusal::EndedTwice));
        for failure in [ConnectFailure::Unreachable, answered(429, AnswerBody::Else), answered(403, AnswerBody::Else)] {
            assert_eq!(own.judge(failure, certificate("ours"), at(60_000)), REFUSED);
        }
        assert_eq!(own.judge(ConnectFailure::Unreachable, certificate("renewed"), at(61_000)), OUTAGE);

        own.judge(answered(400, AnswerBody::Certificate), certificate("renewed"), at(62_000));
        own.linked();
        assert_eq!(own.refusal(), None);
        assert_eq!(own.judge(ConnectFailure::Unreachable, certificate("renewed"), at(63_000)), OUTAGE);
    }
}
