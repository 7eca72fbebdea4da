//! The host calls. Each returns nothing, or an option: a host that refuses, for whatever reason, has not answered.

use std::time::{Duration, SystemTime};

use crate::header_map::serialised;
use crate::memory;

/// The status of a call that succeeded. Any other number means that it did not.
const OK: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_http_call(
        upstream: *const u8,
        upstream_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, metric: *mut u32) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
    fn proxy_increment_metric(metric: u32, offset: i64) -> u32;
}

/// How loud a line in the gateway's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For who looks.
    Info = 2,
    /// Somebody should look.
    Warn = 3,
}

/// Bytes that the host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffer {
    /// The body of an answer, in its callback.
    CallResponseBody = 4,
    /// The settings, in `on_configure`.
    PluginConfiguration = 7,
}

/// Headers that the host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderMap {
    /// Those of a response, in `on_response_headers`.
    Response = 2,
    /// Those of an answer, in its callback.
    CallResponse = 6,
}

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter = 0,
    /// It is what was recorded last.
    Gauge = 1,
}

/// Writes a line to the gateway's log.
pub fn log(level: LogLevel, text: &str) {
    // SAFETY: the host reads `text.len()` bytes at that address before the call returns.
    unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// The gateway's wall clock.
pub fn current_time() -> Option<SystemTime> {
    let mut nanoseconds = 0;
    // SAFETY: the host writes eight bytes at that address before the call returns.
    let status = unsafe { proxy_get_current_time_nanoseconds(&mut nanoseconds) };
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds));
    time.filter(|_| status == OK)
}

/// Asks for a tick of the current root context each `period`. Kong traps when it is asked twice for one root.
pub fn set_tick_period(period: Duration) {
    let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no memory is involved.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
}

/// The first `size` bytes of a buffer. `size` must not be less than the buffer has: Kong copies a body that came in
/// pieces past the end of what is smaller (ngx_wasm_module, Apache-2.0, `ngx_proxy_wasm_hfuncs_get_buffer`).
pub fn buffer(buffer: Buffer, size: usize) -> Option<Vec<u8>> {
    // SAFETY: the host writes an address and a size before the call returns.
    answer(|data, length| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, size, data, length) })
}

/// A header's value.
pub fn header(map: HeaderMap, name: &str) -> Option<Vec<u8>> {
    // SAFETY: the host reads the name and writes an address and a size before the call returns.
    answer(|data, size| unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) })
}

/// Sets a header, whether it is there or not.
pub fn replace_header(map: HeaderMap, name: &str, value: &str) {
    // SAFETY: the host reads name and value before the call returns.
    unsafe {
        proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len());
    }
}

/// A property. Only in a request: in a root context most of them trap in Kong, or crash the worker (KONG.md section 4,
/// point 3).
pub fn property(path: &[&str]) -> Option<Vec<u8>> {
    let path = path.join("\0");
    // SAFETY: the host reads the path and writes an address and a size before the call returns.
    answer(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// Dispatches a call and gives its token, unless the host refuses. Only in ticks: from `on_configure` and `on_vm_start`
/// Kong traps (KONG.md section 4, point 2).
pub fn dispatch(upstream: &str, headers: &[(&str, &str)], body: &[u8], timeout: Duration) -> Option<u32> {
    let (headers, trailers) = (serialised(headers), serialised(&[]));
    let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let mut token = 0;

    // SAFETY: the host reads what stands at these addresses and writes four bytes before the call returns.
    let status = unsafe {
        proxy_http_call(
            upstream.as_ptr(),
            upstream.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            milliseconds,
            &mut token,
        )
    };
    (status == OK).then_some(token)
}

/// Defines a metric, or finds the one of that name.
pub fn define_metric(kind: MetricKind, name: &str) -> Option<u32> {
    let mut metric = 0;
    // SAFETY: the host reads the name and writes four bytes before the call returns.
    let status = unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &mut metric) };
    (status == OK).then_some(metric)
}

/// Sets a gauge.
pub fn record_metric(metric: u32, value: u64) {
    // SAFETY: no memory is involved.
    unsafe { proxy_record_metric(metric, value) };
}

/// Adds to a counter.
pub fn add_to_metric(metric: u32, gain: u64) {
    let gain = i64::try_from(gain).unwrap_or(i64::MAX);
    // SAFETY: no memory is involved.
    unsafe { proxy_increment_metric(metric, gain) };
}

/// What a call answers in memory that it asks for.
fn answer(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    let status = call(&mut data, &mut size);
    // Also after a failure: what was given for this call is freed.
    let answer = memory::take(data, size);
    answer.filter(|_| status == OK)
}
