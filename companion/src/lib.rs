//! placeholder
pub mod rehearsal;
pub mod tls;
