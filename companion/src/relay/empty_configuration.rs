//! Notices when the control plane sends nodes a configuration without a single route, as one that has lost its database
//! does (KONG.md section 1). It is passed on: a living control plane is never overruled. Holding back is the exporter's.

use std::sync::Mutex;
use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::frame::Frame;
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_runtime::lock::Locked;
use tokio::time::Instant;
use tracing::error;

/// Longer messages are not checked. A control plane that has lost everything has little to send: 336 bytes were seen.
const SHORT: usize = 4 * 1024;
/// A short message that expands to more is not checked either.
const EXPANDED: usize = 256 * 1024;
/// How long the alarm is not repeated. Thousands of nodes get the configuration at about the same time, and some of
/// them still get the one before it.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What was last said about it.
#[derive(Debug, Default)]
pub(super) struct EmptyConfigurationAlarm(Mutex<Option<Said>>);

#[derive(Debug)]
struct Said {
    hash: ConfigHash,
    when: Instant,
    /// A configuration with routes has come since.
    is_over: bool,
}

impl EmptyConfigurationAlarm {
    /// Looks at what was passed to a node, and says whether it is a configuration without routes. That is logged once, not
    /// once per node, and again when another configuration came between.
    pub(super) fn saw(&self, frame: &Frame) -> bool {
        if !frame.is_whole_message() {
            return false;
        }

        let empty = (frame.payload.len() <= SHORT).then(|| without_routes(&frame.payload)).flatten();
        if let Some(hash) = empty.filter(|hash| self.is_news(*hash)) {
            error!(
                "the control plane sends nodes a configuration without a single route ({hash}): a node that loads it \
                 answers every request with 404. It was passed on, since a living control plane is never overruled. \
                 If that is not meant, it has lost its database or has another one: restore that, or stop the control \
                 plane; lifeboat list shows the backups, from which new nodes are then restored"
            );
        }

        if empty.is_none()
            && let Some(said) = self.0.locked().as_mut()
        {
            said.is_over = true;
        }
        empty.is_some()
    }

    fn is_news(&self, hash: ConfigHash) -> bool {
        let mut said = self.0.locked();
        let is_known = |said: &Said| said.hash == hash && (!said.is_over || said.when.elapsed() < SAY_AGAIN);
        if said.as_ref().is_some_and(is_known) {
            return false;
        }
        *said = Some(Said { hash, when: Instant::now(), is_over: false });
        true
    }
}

fn without_routes(message: &[u8]) -> Option<ConfigHash> {
    let message = decode(message, EXPANDED).ok()?;
    (message.configuration.counts().get("routes") == 0).then_some(message.config_hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifeboat_fakes::recorded;

    #[test]
    fn a_configuration_without_routes_is_told_from_one_with_some_and_from_what_is_none() {
        let empty_configurations = EmptyConfigurationAlarm::default();
        assert!(empty_configurations.saw(&Frame::binary(recorded::lost_database())));
        assert!(!empty_configurations.saw(&Frame::binary(recorded::first())));
        assert!(!empty_configurations.saw(&Frame::binary(vec![0; 100])));
        assert!(!empty_configurations.saw(&Frame::empty_pong()));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_news_once_and_again_when_another_one_was_there_for_a_while() {
        let (empty_configurations, full) = (EmptyConfigurationAlarm::default(), Frame::binary(recorded::first()));
        assert!(empty_configurations.is_news(ConfigHash::EMPTY));
        assert!(!empty_configurations.is_news(ConfigHash::EMPTY));
        empty_configurations.saw(&full);
        assert!(!empty_configurations.is_news(ConfigHash::EMPTY), "some nodes still get the one before");
        tokio::time::advance(SAY_AGAIN).await;
        assert!(empty_configurations.is_news(ConfigHash::EMPTY));
    }
}
