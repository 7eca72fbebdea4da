//! What sealing a payload of 64 MiB costs, beside the least that it could: a plain copy of the same bytes, and one bare
//! pass of AES-256-GCM over them, in the same run. Opening is measured along.
//!
//! Run by `cargo bench`. Rounds are interleaved and medians are compared, since other programs disturb a run of seconds.
//! Ends with an error if sealing takes more than 1.5 times as long as the two together.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use bytes::Bytes;
use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::keys::EncryptionKey;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Nonce, PlainObject};
use lifeboat_core::payload::TAG_BYTES;
use lifeboat_core::seal::{Binding, Content, open, seal};

const SIZE: usize = 64 << 20;
const ROUNDS: usize = 11;
const LIMIT: f64 = 1.5;

#[expect(clippy::disallowed_methods, reason = "a benchmark is no part of core: it measures it")]
fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = black_box(work());
    times.push(start.elapsed());
    result
}

fn milliseconds(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

// As `Payload::compress` leaves it: with room for the tag, and nobody else using it.
fn payload() -> Bytes {
    let mut bytes = Vec::with_capacity(SIZE + TAG_BYTES);
    bytes.extend((0..SIZE).map(|at| (at * 31) as u8));
    bytes.into()
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn main() -> ExitCode {
    let key = EncryptionKey::from_secret("bench".parse().expect("a name"), [7; 32]);
    let config = PlainObject { sha256: Sha256Digest::of(b""), bytes: 0 };
    let (kong_version, config_hash) = (KongVersion::new(3, 9, 1), ConfigHash::EMPTY);
    let binding = Binding { kong_version, sequence: 1, config_hash, content: Content::Configuration(config) };
    let bare = Aes256Gcm::new(&[7; 32].into());
    let [mut copying, mut passing, mut sealing, mut opening] = [const { Vec::new() }; 4];
    let mut copy = vec![1_u8; SIZE];
    for round in 0..ROUNDS {
        let nonce = [round as u8; 12];
        let plain = payload();
        timed(&mut copying, || copy.copy_from_slice(&plain));
        let pass = || bare.encrypt_inout_detached(&nonce.into(), b"", (&mut copy[..]).into());
        let _: Tag = timed(&mut passing, pass).expect("64 MiB are allowed");
        let (sealed, how) = timed(&mut sealing, || seal(plain, &key, Nonce::from_random(nonce), &binding));
        let opened = timed(&mut opening, || open(sealed, &key, how.nonce, &binding)).expect("it was sealed so");
        assert!(opened == payload(), "what was opened is not what was sealed");
    }
    let [copying, passing, sealing, opening] =
        [&mut copying, &mut passing, &mut sealing, &mut opening].map(|times| milliseconds(times));
    let ratio = sealing / (copying + passing);
    println!("{} MiB, medians of {ROUNDS} interleaved rounds\n", SIZE >> 20);
    println!("plain copy                  {copying:7.1} ms\nAES-256-GCM, one bare pass  {passing:7.1} ms");
    println!("sealing                     {sealing:7.1} ms\nopening                     {opening:7.1} ms\n");
    println!("sealing takes {ratio:.2} times a copy and a pass (limit {LIMIT})");
    if ratio < LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
