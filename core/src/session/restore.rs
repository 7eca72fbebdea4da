//! The one decision of the restore flow: may this node be given a configuration from the store now?
//!
//! A living control plane is never overruled, and only a node without a configuration is given one here. `follow` decides
//! whether a node that has a configuration is given a newly published one (`LIFEBOAT_FOLLOW`).

/// What is known of what the node runs, from its newest ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeHolds {
    /// It has not pinged yet.
    Unknown,
    /// 32 zeros.
    Nothing,
    /// Some configuration, however old.
    Something,
}

/// What is known of the control plane on this node's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlPlaneIs {
    /// Being asked; it still has time to answer.
    BeingAsked,
    /// Connected, and it has sent this node a message on this link.
    Giving,
    /// Connected, and silent for longer than `LIFEBOAT_CP_CONFIG_TIMEOUT`.
    Silent,
    /// Unreachable.
    Gone,
    /// There, and it refused this node.
    Refusing,
    /// There, and it does not accept the certificate that we show it. Someone else who has this certificate must get nothing
    /// from us.
    RefusingCertificate,
}

/// What to do when the control plane refuses a node (`LIFEBOAT_FEED_ON_REFUSAL`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRefusal {
    /// A control plane that refuses is not gone: leave the node alone.
    #[default]
    LeaveAlone,
    /// Feed the node all the same.
    Feed,
}

impl OnRefusal {
    /// Whether a node that the control plane refuses is fed, as if the control plane were gone. Besides
    /// [`decide`], a node's session asks this before it fetches the snapshot, the relay for all nodes with incremental sync
    /// together, and `import` and `exec`.
    pub fn feeds(self) -> bool {
        self == Self::Feed
    }
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Not now; more may become known.
    Wait,
    /// Give it the snapshot.
    Feed,
    /// Don't, for as long as nothing changes.
    LeaveAlone,
}

/// Decides.
pub fn decide(node: NodeHolds, control_plane: ControlPlaneIs, on_refusal: OnRefusal) -> Decision {
    match (node, control_plane) {
        (NodeHolds::Something, _) | (_, ControlPlaneIs::Giving | ControlPlaneIs::RefusingCertificate) => {
            Decision::LeaveAlone
        }
        (_, ControlPlaneIs::Refusing) if !on_refusal.feeds() => Decision::LeaveAlone,
        (NodeHolds::Unknown, _) | (_, ControlPlaneIs::BeingAsked) => Decision::Wait,
        (NodeHolds::Nothing, ControlPlaneIs::Silent | ControlPlaneIs::Gone | ControlPlaneIs::Refusing) => {
            Decision::Feed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ControlPlaneIs::*;
    use super::NodeHolds::*;
    use super::*;

    const EVERY_NODE: [NodeHolds; 3] = [Unknown, Nothing, Something];
    const EVERY_CONTROL_PLANE: [ControlPlaneIs; 6] = [BeingAsked, Giving, Silent, Gone, Refusing, RefusingCertificate];

    #[test]
    fn a_node_that_has_a_configuration_is_never_fed() {
        for control_plane in EVERY_CONTROL_PLANE {
            for on_refusal in [OnRefusal::LeaveAlone, OnRefusal::Feed] {
                assert_ne!(decide(Something, control_plane, on_refusal), Decision::Feed);
            }
        }
    }

    #[test]
    fn a_control_plane_that_gives_is_never_overruled() {
        for node in EVERY_NODE {
            assert_eq!(decide(node, Giving, OnRefusal::Feed), Decision::LeaveAlone);
        }
    }

    #[test]
    fn the_control_plane_is_always_asked_first() {
        for node in EVERY_NODE {
            assert_ne!(decide(node, BeingAsked, OnRefusal::Feed), Decision::Feed);
        }
    }

    #[test]
    fn only_an_empty_node_is_fed_and_only_while_the_control_plane_gives_nothing() {
        for control_plane in [Silent, Gone] {
            assert_eq!(decide(Nothing, control_plane, OnRefusal::LeaveAlone), Decision::Feed);
            assert_eq!(decide(Unknown, control_plane, OnRefusal::LeaveAlone), Decision::Wait);
        }
    }

    #[test]
    fn a_relay_whose_own_certificate_is_refused_feeds_no_node() {
        for node in EVERY_NODE {
            for on_refusal in [OnRefusal::LeaveAlone, OnRefusal::Feed] {
                assert_eq!(decide(node, RefusingCertificate, on_refusal), Decision::LeaveAlone);
            }
        }
    }

    #[test]
    fn a_refusal_is_not_an_outage_unless_the_operator_says_so() {
        assert_eq!(decide(Nothing, Refusing, OnRefusal::LeaveAlone), Decision::LeaveAlone);
        assert_eq!(decide(Nothing, Refusing, OnRefusal::Feed), Decision::Feed);
    }
}
