//! What an answer means: yes, no and why, or the hash that it holds. Not here: what the filter does about it.

use super::{Answer, AnswerBody, CallFailure};
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
pub(super) fn accepted(answer: &Answer) -> Result<(), Failure> {
    match answer.http_status()? {
        200..=299 => Ok(()),
        other => Err(Failure { class: CallFailure::BadStatus, words: format!("it answered {other}") }),
    }
}

/// The hash in an answer of the Status API.
pub(super) fn status(answer: &Answer) -> Result<ConfigHash, Failure> {
    accepted(answer)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: &str, body: AnswerBody) -> Answer {
        Answer { status: Some(status.into()), body, ..Answer::default() }
    }

    #[test]
    fn every_answer_below_300_is_a_yes_and_any_other_a_no_with_its_number() {
        for (number, yes) in
            [("200", true), ("204", true), ("299", true), ("199", false), ("301", false), ("503", false)]
        {
            let result = accepted(&answer(number, AnswerBody::default()));
            assert_eq!(result.is_ok(), yes, "{number}");
            if let Err(failure) = result {
                assert_eq!(failure.class, CallFailure::BadStatus);
                assert!(failure.words.contains(number));
            }
        }
    }

    #[test]
    fn an_answer_that_was_not_read_is_too_large_and_says_how_large() {
        let failure = status(&answer("200", AnswerBody::TooLarge(300_000))).err().unwrap();
        assert_eq!(failure.class, CallFailure::TooLarge);
        assert!(failure.words.contains("300000 bytes"), "{}", failure.words);
    }

    #[test]
    fn a_hash_in_a_refusal_is_not_believed() {
        let body = br#"{"configuration_hash":"3ff47162e7a7ce1344f336316b66484e"}"#.to_vec();
        assert!(status(&answer("500", AnswerBody::Whole(body.clone()))).is_err());
        assert!(status(&answer("200", AnswerBody::Whole(body))).is_ok());
    }
}
