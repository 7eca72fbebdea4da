//! What Lifeboat computes. Nothing here does IO: no clock, no environment, no sockets, no async. Time and randomness
//! are arguments, so every state machine can be tested as a table, natively and under `wasm32-wasip1`.

pub mod digest;
pub mod report;
