//! How long a configuration of 58 MB (50,000 services and routes) takes to decode and to hash, beside yardsticks that
//! are measured in the same run: a plain parse of the same bytes, and one MD5 pass over them.
//!
//! Run by `cargo bench`. Rounds are interleaved and medians are printed, since other programs disturb a run of seconds.
//! With the argument `instructions` it counts instructions for each byte of JSON by Valgrind's callgrind instead, which
//! nothing on the machine disturbs.

use std::hint::black_box;
use std::process::Command;
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
/// Callgrind takes some fifty times as long.
const SERVICES_TO_COUNT: usize = 5_000;
/// What is prepared for each work, without a work.
const NOTHING: &str = "nothing";

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
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => with_works(SERVICES, |works, json, message| {
            for _ in 0..ROUNDS {
                works.iter_mut().for_each(Work::round);
            }
            report(works, json, message);
        }),
        ["instructions"] => count(),
        ["once", name] => with_works(SERVICES_TO_COUNT, |works, _, _| {
            works.iter().filter(|work| work.name == name).for_each(|work| (work.run)());
        }),
        _ => panic!("these arguments mean nothing here: {arguments:?}; there is `instructions`"),
    }
}

/// Hands over all works on a configuration of that many services and routes, and the sizes of its JSON and its message.
fn with_works(services: usize, measure: impl FnOnce(&mut [Work<'_>], usize, usize)) {
    let vector = generator::configuration(services);
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
    measure(&mut works, json.len(), message.len());
}

/// Prints how many instructions each work takes for each byte of JSON.
#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
fn count() {
    with_works(SERVICES_TO_COUNT, |works, json, _| {
        println!("{SERVICES_TO_COUNT} services and routes, {:.1} MB of JSON", json as f64 / 1e6);
        let prepared = instructions(NOTHING);
        for work in works {
            let taken = (instructions(work.name) - prepared) as f64 / json as f64;
            println!("{:30} {taken:6.2} instructions for each byte", work.name);
        }
    });
}

/// How many instructions this program takes to run one work once.
fn instructions(work: &str) -> u64 {
    let program = std::env::current_exe().expect("it runs");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["once", work])
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.and_then(|(_, number)| number.trim().parse().ok()).unwrap_or_else(|| panic!("callgrind said: {said}"))
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
