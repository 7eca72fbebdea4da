//! Every host call that the filter makes, and the only place of it that reads a clock. Each is one that Kong allows
//! where it is made (KONG.md section 4); none reads a property.
//!
//! `proxy_wasm::hostcalls` panics on a status code that it doesn't expect, so each call is made only in a phase and
//! with arguments for which hosts return none of those.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

use lifeboat_core::report::{Answer, AnswerBody, Call, FilterSettings, LogLevel, LogLine, SettingsProblem};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{self, BufferType, MapType};

/// A number that tells this worker from the others. `RandomState` takes it from WASI's `random_get`, which Kong and
/// Envoy have; the clock would not do, as workers that start together read the same millisecond.
pub(crate) fn random_number() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// The gateway's wall clock.
pub(crate) fn now() -> SystemTime {
    hostcalls::get_current_time().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A line in the gateway's log. Nobody can be told if that fails.
pub(crate) fn log(line: &LogLine) {
    let level = match line.level {
        LogLevel::Info => types::LogLevel::Info,
        LogLevel::Warn => types::LogLevel::Warn,
    };
    let _ = hostcalls::log(level, &format!("lifeboat: {}", line.text));
}

/// Asks for a tick each `period`. A host that refuses leaves the filter without ticks, which hurts nobody.
pub(crate) fn set_tick_period(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

/// The settings of the root context that is being configured, `size` bytes of them.
pub(crate) fn settings(size: usize) -> Result<FilterSettings, Vec<SettingsProblem>> {
    if size > FilterSettings::MAX_BYTES {
        return Err(vec![SettingsProblem::TooLarge(size)]);
    }
    let json = match size {
        0 => Vec::new(),
        _ => read(BufferType::PluginConfiguration, size),
    };
    FilterSettings::parse(&json)
}

/// Dispatches a call; its token, or nothing if the host refuses. Only in ticks: elsewhere Kong traps,
/// or has not been seen not to.
pub(crate) fn dispatch(call: &Call) -> Option<u32> {
    let (upstream, body) = (call.upstream.as_str(), call.body.as_deref());
    hostcalls::dispatch_http_call(upstream, call.headers(), body, Vec::new(), call.timeout).ok()
}

/// The answer that the host is calling back for, whose body has `body_size` bytes.
pub(crate) fn answer(body_size: usize) -> Answer {
    Answer {
        status: header(":status"),
        dispatch_status: header(":dispatch_status"),
        server: header("server"),
        body: match body_size {
            0 => AnswerBody::default(),
            1..=Answer::MAX_BODY => AnswerBody::Whole(read(BufferType::HttpCallResponseBody, body_size)),
            _ => AnswerBody::TooLarge(body_size),
        },
    }
}

fn header(name: &str) -> Option<Vec<u8>> {
    hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten()
}

fn read(buffer: BufferType, size: usize) -> Vec<u8> {
    hostcalls::get_buffer(buffer, 0, size).ok().flatten().unwrap_or_default()
}
