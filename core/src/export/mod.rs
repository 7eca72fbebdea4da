//! The state machines of the export: which snapshot the manifest names and why ([`publisher`]), who may write it
//! ([`election`]), what is held back ([`guard`], [`adoption`]), what of the history may go ([`retention`]), and when an outage
//! is rehearsed ([`drill`]). Nothing here reads, writes or waits.
//!
//! The driver of the two machines of a version must see to this:
//! - each action at the store is answered by exactly one event, even if it timed out ([`Event::Failed`]);
//! - each [`Action::Lead`] of the election is given to the publisher before anything else is done, each
//!   [`Action::Recheck`] of the publisher and each epoch that is read in a manifest to the election;
//! - before *each* request of a publication the leadership's `until` is compared with the clock, as it stands at that
//!   moment: a renewal may have moved it on, a pause may have passed it. Nothing is written after it;
//! - a manifest is replaced only if it is the one that was last read or written; anything else is a conflict;
//! - a held snapshot's manifest never has the name of a published one's, so that no reader takes it for published;
//! - when the program ends, the publisher is stopped first, and the election after the publisher has finished.
//!
//! [`Event::Failed`]: publisher::Event::Failed
//! [`Action::Lead`]: election::Action::Lead
//! [`Action::Recheck`]: publisher::Action::Recheck

pub mod adoption;
pub mod drill;
pub mod election;
pub mod guard;
pub mod history;
mod named;
pub mod publisher;
mod received;
pub mod retention;

pub use named::{Keys, Named};
pub use received::Received;
