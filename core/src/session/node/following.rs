//! Following what is published (`LIFEBOAT_FOLLOW`): while its control plane is gone, a node that has a configuration is given
//! a newly published one. The rule is in `follow`; empty nodes are fed by the session itself.

use std::sync::Arc;

use super::{ATTEMPTS_BEFORE_NOTICE, Action, Fed, NodeHolds, NodeSession, Notice, ReadySnapshot, Trouble};
use crate::digest::ConfigHash;
use crate::session::follow::{Has, Publication, StoreView};
use crate::session::restore::ControlPlaneIs;
use crate::time::Moment;

/// How far a node is on its way to what is published.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// Unknown until the store was read for the first time.
    has: Option<Has>,
    /// The control plane has given it a configuration in this session.
    was_given: bool,
    way: Way,
}

#[derive(Debug, Default)]
enum Way {
    #[default]
    Nowhere,
    Fetching(Publication),
    /// It is to be sent, or was sent and doesn't run it yet.
    Sending(Publication, Fed),
    /// It doesn't take this one.
    TooLarge {
        publication: Publication,
        message: u64,
    },
}

impl Following {
    /// The node runs the snapshot that it was fed when it was empty.
    pub(super) fn was_restored(&mut self, snapshot: &ReadySnapshot) {
        self.has = Some(Has::Snapshot(snapshot.publication.unwrap_or(Publication::NOTHING)));
    }

    /// The control plane has sent the node a configuration. Everything that is published until the node loses the control
    /// plane counts as older than that.
    pub(super) fn was_given(&mut self) {
        (self.has, self.was_given, self.way) = (None, true, Way::Nowhere);
    }

    pub(super) fn awaits_delivery(&self) -> bool {
        matches!(&self.way, Way::Sending(_, Fed { attempts: 1.., next: None, .. }))
    }

    pub(super) fn delivered(&mut self, now: Moment) -> Option<Notice> {
        let Way::Sending(_, fed) = &mut self.way else { return None };
        fed.delivered(now);
        Some(Notice::Fed { attempt: fed.attempts })
    }

    pub(super) fn trouble(&self, max_payload: Option<u64>) -> Option<Trouble> {
        match &self.way {
            Way::Sending(_, Fed { attempts, .. }) if *attempts >= ATTEMPTS_BEFORE_NOTICE => {
                Some(Trouble::NotAdopted { attempts: *attempts })
            }
            Way::TooLarge { message, .. } => {
                Some(Trouble::TooLarge { message: *message, limit: max_payload.unwrap_or_default() })
            }
            Way::Nowhere | Way::Fetching(_) | Way::Sending(..) => None,
        }
    }

    pub(super) fn wake_at(&self) -> Option<Moment> {
        match &self.way {
            Way::Sending(_, fed) => fed.next,
            Way::Nowhere | Way::Fetching(_) | Way::TooLarge { .. } => None,
        }
    }

    /// The node says that it runs this. Returns whether that is what it was sent.
    pub(super) fn runs(&mut self, hash: ConfigHash, now: Moment) -> bool {
        match &mut self.way {
            Way::Sending(publication, fed) if fed.attempts > 0 && fed.snapshot.message.config_hash() == hash => {
                self.has = Some(Has::Snapshot(*publication));
                self.way = Way::Nowhere;
                true
            }
            Way::Sending(_, fed) => {
                fed.is_not_run(now);
                false
            }
            Way::Nowhere | Way::Fetching(_) | Way::TooLarge { .. } => false,
        }
    }

    /// The node says that it could not apply what it was sent.
    pub(super) fn was_not_applied(&mut self, now: Moment) {
        if let Way::Sending(_, fed) = &mut self.way {
            fed.was_not_applied(now);
        }
    }

    /// Takes what is published, and returns what is to be fetched.
    fn published(&mut self, view: StoreView, runs: ConfigHash) -> Option<Publication> {
        let StoreView { newest, at_first, .. } = view;
        let has = self.has.get_or_insert(Has::Another { published: view.published_before(self.was_given) });
        if let Has::Another { published } = has
            && at_first.is_newer_than(published)
        {
            // A store could not be asked at first, and has come back. What it has may be just as old.
            *published = at_first;
        }

        let (Has::Snapshot(known) | Has::Another { published: known }) = has;
        if known.is_same_snapshot(&newest) {
            // A new leader has written its manifest anew.
            *known = newest;
            return None;
        }
        if !has.gives_way_to(&newest) {
            return None;
        }

        if newest.config_hash == runs {
            *has = Has::Snapshot(newest);
            self.way = Way::Nowhere;
            return None;
        }

        match &self.way {
            Way::Sending(publication, _) | Way::TooLarge { publication, .. }
                if publication.is_same_snapshot(&newest) =>
            {
                None
            }
            _ => {
                self.way = Way::Fetching(newest);
                Some(newest)
            }
        }
    }

    /// Takes a fetched snapshot, if one was awaited here, and returns whether that was so. It may be another one than was asked
    /// for: the newest one may be damaged, or an even newer one may be published.
    pub(super) fn fetched(&mut self, snapshot: &Arc<ReadySnapshot>) -> bool {
        let Way::Fetching(wanted) = self.way else { return false };
        let is_wanted = snapshot.message.config_hash() == wanted.config_hash;
        let fetched = if is_wanted { Some(wanted) } else { snapshot.publication };
        let given = fetched.filter(|fetched| self.has.is_some_and(|has| has.gives_way_to(fetched)));
        self.way = given.map_or(Way::Nowhere, |given| Way::Sending(given, Fed::new(snapshot.clone())));
        true
    }
}

impl NodeSession {
    /// Whether the node's control plane is gone, so that what is published meanwhile is of interest to it.
    pub fn is_in_fallback(&self) -> bool {
        self.basic_info.is_some() && self.link_is_lost()
    }

    /// Following is switched off. A snapshot that is meant for the node and was not sent yet is not sent. What the node is known
    /// to have stays known.
    pub fn stop_following(&mut self) {
        self.following.way = Way::Nowhere;
    }

    pub(super) fn published(&mut self, view: StoreView, actions: &mut Vec<Action>) {
        let (NodeHolds::Something, true, Some(runs)) = (self.node_holds(), self.link_is_lost(), self.runs) else {
            return;
        };
        actions.extend(self.following.published(view, runs).map(Action::FetchPublished));
    }

    // After every event: is there something to send, or to send again?
    pub(super) fn follow(&mut self, control_plane: ControlPlaneIs, now: Moment, actions: &mut Vec<Action>) {
        let Some(max_payload) = self.max_payload() else { return };
        if self.node_holds() != NodeHolds::Something || control_plane != ControlPlaneIs::Gone {
            self.following.way = Way::Nowhere;
            return;
        }

        let Way::Sending(publication, fed) = &mut self.following.way else { return };
        if fed.attempts > 0 && fed.next.is_none_or(|next| next > now) {
            return;
        }
        let (message, runs) = (fed.snapshot.message.len(), self.runs.unwrap_or(ConfigHash::EMPTY));
        if message > max_payload {
            actions.push(Action::Notify(Notice::TooLarge { message, limit: max_payload }));
            self.following.way = Way::TooLarge { publication: *publication, message };
            return;
        }

        if fed.attempts == ATTEMPTS_BEFORE_NOTICE {
            actions.push(Action::Notify(Notice::NotFollowing { attempts: fed.attempts, runs }));
        }
        fed.send();
        actions.push(Action::Feed(fed.snapshot.clone()));
    }
}
