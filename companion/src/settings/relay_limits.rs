//! How much of everything the relay takes on at once.

use std::time::Duration;

use lifeboat_core::kong::reconfigure::DEFAULT_MAX_CONFIG;

/// The relay's bounds; the same for all starts, and smaller in tests.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// How long a node's handshakes, TLS and HTTP each, may take. Kong's nodes close theirs after 5 s (KONG.md section 1).
    pub handshake: Duration,
    /// How many TLS handshakes compute at once, those of nodes and those with the control plane on their behalf together: as
    /// many as there are processors.
    pub handshakes: usize,
    /// A handshake that has waited in the queue for longer is dropped. It could hardly be finished in time, and newer
    /// ones would wait behind it in vain; its node tries again in 5 to 10 s.
    pub queue: Duration,
    /// How many connections may be open that have not sent a ClientHello. The oldest is closed for a new one, because a
    /// node sends its ClientHello at once.
    pub silent: usize,
    /// How many files nodes' connections, and those to the control plane on their behalf, may take together; `None`: what
    /// this process may have open, without what it needs for everything else.
    pub files: Option<usize>,
    /// After how long a node that is linked by `/v2/outlet` or asks for it is known not to ask for `/v1/outlet`: Kong's
    /// nodes ask for both within 5 to 10 s.
    pub only_v2: Duration,
    /// How many bytes of different large messages may be on their way from the control plane to nodes: as many as one
    /// configuration may have (`LIFEBOAT_MAX_CONFIG`).
    pub large_messages: usize,
    /// How many nodes are sent the snapshot at once.
    pub sends: usize,
    /// A node that takes longer than this to read a message may have to make room for others.
    pub slow: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            handshakes: std::thread::available_parallelism().map_or(1, usize::from),
            queue: Duration::from_millis(1500),
            silent: 1024,
            files: None,
            only_v2: Duration::from_secs(15),
            large_messages: DEFAULT_MAX_CONFIG,
            sends: 16,
            slow: Duration::from_secs(2),
        }
    }
}
