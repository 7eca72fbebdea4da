//! For how long a control plane asked not to be dialled (`Retry-After`): one answer counts for all who would dial it.

use std::sync::{Arc, Mutex};

use lifeboat_core::session::answer::HttpAnswer;
use lifeboat_core::session::reconnect::bounded_retry_after;
use lifeboat_runtime::lock::Locked;
use tokio::time::Instant;

/// Until when nobody dials. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct PutOff(Arc<Mutex<Option<Until>>>);

#[derive(Clone, Copy, Debug)]
struct Until {
    until: Instant,
    answer: HttpAnswer,
}

impl PutOff {
    /// The control plane, or what stands in front of it, gave this answer. A refusal is a decision about one node.
    pub(crate) fn answered(&self, answer: HttpAnswer) {
        if let (None, Some(asked)) = (answer.refusal(), answer.retry_after) {
            let until = Instant::now() + bounded_retry_after(asked);
            *self.0.locked() = Some(Until { until, answer });
        }
    }

    /// The answer that forbids to dial now, with what is left of its time.
    pub(crate) fn forbids(&self) -> Option<HttpAnswer> {
        let put_off = *self.0.locked();
        let Until { until, answer } = put_off?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(HttpAnswer { retry_after: Some(left), ..answer })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_core::session::answer::AnswerBody;
    use lifeboat_core::session::reconnect::LONGEST_RETRY_AFTER;
    use tokio::time::advance;

    use super::*;

    fn answer(seconds: Option<u64>) -> HttpAnswer {
        HttpAnswer { status: 429, body: AnswerBody::Else, retry_after: seconds.map(Duration::from_secs) }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_dials_until_the_time_is_over_and_all_know_how_much_is_left() {
        let put_off = PutOff::default();
        put_off.answered(answer(None));
        put_off.answered(HttpAnswer { status: 403, ..answer(Some(60)) });
        assert_eq!(put_off.forbids(), None);
        put_off.answered(answer(Some(60)));
        advance(Duration::from_secs(45)).await;
        assert_eq!(put_off.clone().forbids(), Some(answer(Some(15))));
        advance(Duration::from_secs(15)).await;
        assert_eq!(put_off.forbids(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_puts_off_for_longer_than_five_minutes() {
        let put_off = PutOff::default();
        put_off.answered(answer(Some(86_400)));
        advance(LONGEST_RETRY_AFTER).await;
        assert_eq!(put_off.forbids(), None);
    }
}
