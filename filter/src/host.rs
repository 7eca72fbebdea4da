//! The host calls that the filter makes, in the words of `core`, and the only place of it that reads a clock. Each is one
//! that Kong allows where it is made (KONG.md section 4).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime};

use lifeboat_core::report::{Answer, AnswerBody, Call, FilterSettings, LogLevel, LogLine, SettingsProblem};
use lifeboat_filter_abi as abi;
use lifeboat_filter_abi::{Buffer, HeaderMap};

/// A number that tells this worker from the others. `RandomState` takes it from WASI's `random_get`, which Kong and
/// Envoy have; the clock would not do, as workers that start together read the same millisecond.
pub(crate) fn random_number() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// The gateway's wall clock.
pub(crate) fn now() -> SystemTime {
    abi::current_time().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A line in the gateway's log.
pub(crate) fn log(line: &LogLine) {
    let level = match line.level {
        LogLevel::Info => abi::LogLevel::Info,
        LogLevel::Warn => abi::LogLevel::Warn,
    };
    abi::log(level, &format!("lifeboat: {}", line.text));
}

/// Asks for a tick each `period`. A host that refuses leaves the filter without ticks, which hurts nobody.
pub(crate) fn set_tick_period(period: Duration) {
    abi::set_tick_period(period);
}

/// The settings of the root context that is being configured, `size` bytes of them.
pub(crate) fn settings(size: usize) -> FilterSettings {
    match size {
        0 => FilterSettings::unreadable(SettingsProblem::Absent),
        1..=FilterSettings::MAX_BYTES => {
            FilterSettings::read(&abi::buffer(Buffer::PluginConfiguration, size).unwrap_or_default())
        }
        _ => FilterSettings::unreadable(SettingsProblem::TooLarge(size)),
    }
}

/// Dispatches a call; its token, or nothing if the host refuses. Only in ticks: elsewhere Kong traps,
/// or has not been seen not to.
pub(crate) fn dispatch(call: &Call) -> Option<u32> {
    let body = call.body.as_deref().unwrap_or_default();
    abi::dispatch(call.upstream.as_str(), &call.headers(), body, call.timeout)
}

/// The answer that the host is calling back for, whose body has `body_size` bytes.
pub(crate) fn answer(body_size: usize) -> Answer {
    let header = |name| abi::header(HeaderMap::CallResponse, name);
    Answer {
        status: header(":status"),
        dispatch_status: header(":dispatch_status"),
        server: header("server"),
        upstream_time: header("x-envoy-upstream-service-time"),
        body: match body_size {
            0 => AnswerBody::default(),
            1..=Answer::MAX_BODY => {
                AnswerBody::Whole(abi::buffer(Buffer::CallResponseBody, body_size).unwrap_or_default())
            }
            _ => AnswerBody::TooLarge(body_size),
        },
    }
}

/// What a request knows of `kong.version`. Only in a request: in a root context this is an error, and other properties
/// crash the worker. In Kong 3.4 the answer is empty, and asking is harmless.
pub(crate) fn kong_version() -> Option<Vec<u8>> {
    abi::property(&["kong", "version"])
}

/// What a request knows of `kong.node.id`, likewise.
pub(crate) fn kong_node_id() -> Option<Vec<u8>> {
    abi::property(&["kong", "node", "id"])
}

/// Sets a header of the response that is under way.
pub(crate) fn set_response_header(name: &str, value: &str) {
    abi::replace_header(HeaderMap::Response, name, value);
}
