//! placeholder

mod filter;
