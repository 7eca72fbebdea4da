//! The keep flow's state machines: which snapshot the manifest names and why ([`keeper`]), who may write it
//! ([`election`]), what is held back ([`guard`], [`adoption`]), and what of the history may go ([`thinning`]). Nothing
//! here reads, writes or waits.

pub mod adoption;
pub mod election;
pub mod guard;
pub mod history;
pub mod keeper;
mod named;
mod received;
pub mod thinning;

pub use named::{Named, Pin};
pub use received::Received;
