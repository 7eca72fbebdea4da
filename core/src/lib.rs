//! What Lifeboat computes. Nothing here does IO: no clock, no environment, no sockets, no async. Time and randomness
//! are arguments, so every state machine can be tested as a table, natively and under `wasm32-wasip1`.

pub mod backoff;
pub mod certificate;
pub mod declarative;
pub mod deltas;
pub mod difference;
pub mod digest;
pub mod export;
pub mod frame;
pub mod json;
pub mod keys;
pub mod kong;
pub mod lifetimes;
pub mod manifest;
pub mod masking;
pub mod notification;
pub mod object_key;
pub mod outage;
pub mod payload;
pub mod report;
pub mod room;
pub mod schema;
pub mod seal;
pub mod sensitive;
pub mod session;
pub mod storage_url;
pub mod ticket;
pub mod time;
pub mod verify;
