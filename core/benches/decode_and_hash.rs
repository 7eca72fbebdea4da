//! How long a configuration of 58 MB (50,000 services and routes) takes to decode and to hash, beside yardsticks that
//! are measured in the same run: a plain parse of the same bytes, and one MD5 pass over them.
//!
//! Run by `cargo bench`. Rounds are interleaved and medians are printed, since other programs disturb a run of seconds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress};
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};
use md5::{Digest, Md5};
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

// A whole library would be linked for one file: the tests' support knows wasmtime and the companion.
#[allow(dead_code, unreachable_pub, unused_imports, reason = "this file belongs to the tests' support")]
#[path = "../../tests/support/generator.rs"]
mod generator;

const SERVICES: usize = 50_000;
const ROUNDS: usize = 11;

/// What Kong's own LuaJIT needs for 50,000 services and routes, decoding and hashing (KONG.md section 1, "Times of a
/// real DP on a 2-core machine").
const LUAJIT: Duration = Duration::from_millis(870 + 650);

/// The aim: less than a fifth of LuaJIT's time.
const AIM: Duration = Duration::from_millis(300);

struct Work<'a> {
    name: &'static str,
    run: Box<dyn Fn() + 'a>,
    times: Vec<Duration>,
}

impl<'a> Work<'a> {
    fn new<T>(name: &'static str, run: impl Fn() -> T + 'a) -> Self {
        // `black_box` also drops the result: freeing what was built belongs to building it.
        Self { name, run: Box::new(move || drop(black_box(run()))), times: Vec::new() }
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark is no part of core: it measures it")]
    fn round(&mut self) {
        let start = Instant::now();
        (self.run)();
        self.times.push(start.elapsed());
    }

    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() / 2]
    }
}

fn gunzip(message: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size);
    Decompress::new_gzip(15).decompress_vec(message, &mut out, FlushDecompress::Finish).expect("our own gzip");
    out
}

fn main() {
    let vector = generator::configuration(SERVICES);
    let message = generator::reconfigure_message(&vector);
    let json = Bytes::from(vector);
    let configuration = Configuration::from_json(json.clone()).expect("generated");
    let whole = gunzip(&message, json.len() + 1000).len();

    let mut works = [
        Work::new("decode", || Configuration::from_json(json.clone())),
        Work::new("hash", || configuration.hashes()),
        Work::new("decode + hash", || Configuration::from_json_with_hashes(json.clone())),
        Work::new("serde_json to Value", || serde_json::from_slice::<Value>(&json)),
        Work::new("serde_json to &RawValue", || serde_json::from_slice::<&RawValue>(&json).map(|raw| raw.get().len())),
        Work::new("serde_json to IgnoredAny", || serde_json::from_slice::<IgnoredAny>(&json)),
        Work::new("MD5, one pass", || Md5::digest(&json)),
        Work::new("gunzip", || gunzip(&message, whole)),
        Work::new("whole message: gunzip, decode", || decode(&message, DEFAULT_MAX_CONFIG)),
    ];
    for _ in 0..ROUNDS {
        works.iter_mut().for_each(Work::round);
    }
    report(&works, json.len(), message.len());
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn report(works: &[Work], json: usize, message: usize) {
    let megabytes = json as f64 / 1e6;
    println!("{SERVICES} services and routes: {megabytes:.1} MB of JSON, {:.1} MB compressed", message as f64 / 1e6);
    println!("medians of {ROUNDS} interleaved rounds\n");
    for work in works {
        let median = work.median().as_secs_f64();
        println!("{:30} {:7.1} ms {:7.0} MB/s", work.name, median * 1e3, megabytes / median);
    }
    let median = |name: &str| works.iter().find(|work| work.name == name).expect(name).median();
    let subject = median("decode + hash").as_secs_f64();
    println!("\ndecode + hash takes");
    for yardstick in ["serde_json to Value", "serde_json to IgnoredAny", "MD5, one pass"] {
        println!("  {:5.2} × {yardstick}", subject / median(yardstick).as_secs_f64());
    }
    println!("  {:5.2} × LuaJIT in Kong ({} ms, KONG.md)", subject / LUAJIT.as_secs_f64(), LUAJIT.as_millis());
    println!("  {:5.2} × the aim ({} ms)", subject / AIM.as_secs_f64(), AIM.as_millis());
}
