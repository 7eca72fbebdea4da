//! Lifeboat's scenarios, each named as a sentence. One binary, so that what they share is linked once.

mod filter;
mod program;
mod tidy;
