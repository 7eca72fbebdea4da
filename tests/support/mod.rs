//! placeholder

pub mod generator;
