//! The fuzz target: bytes that libFuzzer makes up are played. `fuzz/run requests 600` runs it for ten minutes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lifeboat_fuzz::play_requests(bytes));
