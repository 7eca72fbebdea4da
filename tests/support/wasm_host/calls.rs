//! The Proxy-Wasm calls (ABI 0.2.1) that this host offers, with Kong's answers and Kong's traps. Each trap names its
//! source: KONG.md section 4, or ngx_wasm_module's Apache-2.0 source.

use std::time::Duration;

use wasmtime::{Caller, FuncType, Linker, Result, ValType, bail};

use super::Behaviour;
use super::memory::{give, pairs, read, write, write_u32};
use super::world::{DispatchedCall, LogLine, Phase, World};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;
const INTERNAL_FAILURE: u32 = 10;

const BODY_OF_ANSWER: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;
const HEADERS_OF_RESPONSE: u32 = 2;
const HEADERS_OF_ANSWER: u32 = 6;

/// Reading one of these in a root context crashes the nginx worker (KONG.md section 4, point 3).
const CRASHING: [&str; 5] = ["plugin_name", "request.id", "connection.id", "upstream.address", "request.time"];

/// What Kong offers and the filter imports, since the SDK's defaults mention it, but has no business calling; and how
/// many parameters each has.
const UNUSED: [(&str, usize); 21] = [
    ("proxy_add_header_map_value", 5),
    ("proxy_call_foreign_function", 6),
    ("proxy_close_stream", 1),
    ("proxy_continue_stream", 1),
    ("proxy_dequeue_shared_queue", 3),
    ("proxy_done", 0),
    ("proxy_enqueue_shared_queue", 3),
    ("proxy_get_header_map_pairs", 3),
    ("proxy_get_status", 3),
    ("proxy_grpc_call", 12),
    ("proxy_grpc_cancel", 1),
    ("proxy_grpc_close", 1),
    ("proxy_grpc_send", 4),
    ("proxy_grpc_stream", 9),
    ("proxy_register_shared_queue", 3),
    ("proxy_remove_header_map_value", 3),
    ("proxy_resolve_shared_queue", 5),
    ("proxy_send_local_response", 8),
    ("proxy_set_buffer_bytes", 5),
    ("proxy_set_header_map_pairs", 3),
    ("proxy_set_property", 4),
];

pub(super) fn offer(linker: &mut Linker<World>) -> Result<()> {
    linker.func_wrap("env", "proxy_log", log)?;
    linker.func_wrap("env", "proxy_set_effective_context", |_: u32| OK)?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", current_time)?;
    linker.func_wrap("env", "proxy_set_tick_period_milliseconds", set_tick_period)?;
    linker.func_wrap("env", "proxy_get_buffer_bytes", get_buffer)?;
    linker.func_wrap("env", "proxy_get_header_map_value", get_header)?;
    linker.func_wrap("env", "proxy_replace_header_map_value", replace_header)?;
    linker.func_wrap("env", "proxy_http_call", dispatch)?;
    linker.func_wrap("env", "proxy_get_property", get_property)?;
    linker.func_wrap("env", "proxy_get_shared_data", shared_data)?;
    linker.func_wrap("env", "proxy_set_shared_data", shared_data)?;
    super::metrics::offer(linker)?;
    for (name, parameters) in UNUSED {
        let signature = FuncType::new(linker.engine(), vec![ValType::I32; parameters], [ValType::I32]);
        linker
            .func_new("env", name, signature, move |_, _, _| bail!("{name} is not a call that the filter may make"))?;
    }
    Ok(())
}

fn log(mut caller: Caller<'_, World>, level: u32, text: u32, size: u32) -> Result<u32> {
    let text = read(&mut caller, text, size)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    caller.data_mut().log.push(LogLine { level, text });
    Ok(OK)
}

/// nginx's cached time, in whole milliseconds.
fn current_time(mut caller: Caller<'_, World>, time: u32) -> Result<u32> {
    let now = caller.data().now.as_millis() as u64 * 1_000_000;
    write(&mut caller, time, &now.to_le_bytes())?;
    Ok(OK)
}

/// A second period for the same root traps, and one in a request (`ngx_proxy_wasm_hfuncs_set_tick_period`).
fn set_tick_period(mut caller: Caller<'_, World>, milliseconds: u32) -> Result<u32> {
    let period = Duration::from_millis(milliseconds.max(1).into());
    match caller.data_mut().start_timer(period) {
        Ok(()) => Ok(OK),
        Err(reason) => bail!("{reason}"),
    }
}

/// A body that arrived in pieces is copied past the end of a buffer that is too small for it
/// (`ngx_proxy_wasm_hfuncs_get_buffer`): here that is a trap, so that a test sees it.
fn get_buffer(
    mut caller: Caller<'_, World>,
    buffer: u32,
    _start: u32,
    max_size: u32,
    data: u32,
    size: u32,
) -> Result<u32> {
    let world = caller.data();
    let bytes = match (buffer, &world.reply) {
        (PLUGIN_CONFIGURATION, _) => world.configuration().to_vec(),
        (BODY_OF_ANSWER, Some(reply)) if world.behaviour.is_kong() && reply.body.len() > max_size as usize => {
            bail!("{} bytes copied into a buffer of {max_size}", reply.body.len())
        }
        (BODY_OF_ANSWER, Some(reply)) => reply.body.clone(),
        _ => bail!("buffer {buffer} is not there in {:?}", world.phase),
    };
    let bytes = bytes.get(..max_size as usize).unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(NOT_FOUND);
    }
    give(&mut caller, bytes, data, size)?;
    Ok(OK)
}

fn get_header(mut caller: Caller<'_, World>, map: u32, key: u32, key_size: u32, data: u32, size: u32) -> Result<u32> {
    let key = String::from_utf8_lossy(&read(&mut caller, key, key_size)?).into_owned();
    let value = match (map, &caller.data().reply) {
        (HEADERS_OF_ANSWER, Some(reply)) => reply.header(&key).map(<[u8]>::to_vec),
        _ => bail!("header map {map} is not there in {:?}", caller.data().phase),
    };
    match value {
        Some(value) => {
            give(&mut caller, &value, data, size)?;
            Ok(OK)
        }
        None => Ok(NOT_FOUND),
    }
}

/// Only of a response, while its headers are there.
fn replace_header(
    mut caller: Caller<'_, World>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    let name = String::from_utf8(read(&mut caller, name, name_size)?)?;
    let value = String::from_utf8(read(&mut caller, value, value_size)?)?;
    let world = caller.data_mut();
    if map != HEADERS_OF_RESPONSE || world.phase != Phase::ResponseHeaders {
        bail!("header map {map} can't be changed in {:?}", world.phase);
    }
    world.response_headers.retain(|(present, _)| *present != name);
    world.response_headers.push((name, value));
    Ok(OK)
}

/// Traps outside ticks and requests (KONG.md section 4, point 2). What Kong does in the callback of another call is not
/// known, so the strictest is assumed: a trap there too. `:method` and `:path` are required. Versions of Kong before 3.8 may
/// lose the worker.
#[expect(clippy::too_many_arguments, reason = "the ABI has ten")]
fn dispatch(
    mut caller: Caller<'_, World>,
    upstream: u32,
    upstream_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    _trailers: u32,
    _trailers_size: u32,
    timeout: u32,
    token: u32,
) -> Result<u32> {
    let (phase, behaviour) = (caller.data().phase, caller.data().behaviour);
    if behaviour.is_kong() && !matches!(phase, Phase::Tick | Phase::RequestHeaders) {
        bail!("can only send HTTP dispatch in requests and ticks, not in {phase:?}");
    }
    let upstream = String::from_utf8_lossy(&read(&mut caller, upstream, upstream_size)?).into_owned();
    let Some(headers) = pairs(&read(&mut caller, headers, headers_size)?) else {
        return Ok(INTERNAL_FAILURE);
    };
    let body = read(&mut caller, body, body_size)?;
    let world = caller.data_mut();
    let call = DispatchedCall {
        token: world.dispatched as u32,
        upstream,
        headers,
        body,
        timeout: Duration::from_millis(timeout.into()),
        root: world.context,
        since: world.now,
    };
    if behaviour == Behaviour::Envoy && (call.is_to_an_address() || call.header(":authority").is_empty()) {
        return Ok(BAD_ARGUMENT);
    }
    for required in [":method", ":path"] {
        if call.header(required).is_empty() {
            world.log.push(LogLine { level: 4, text: format!("dispatch failed: no {required}") });
            return Ok(INTERNAL_FAILURE);
        }
    }
    if behaviour.dies_of_a_call(world.under_way.len()) {
        world.worker_crashed = true;
        bail!("signal 11: a call was dispatched beside {} others", world.under_way.len());
    }
    world.dispatched += 1;
    let number = call.token;
    world.under_way.push(call);
    write_u32(&mut caller, token, number)?;
    Ok(OK)
}

/// In a root context only `plugin_root_id` is safe; `kong.*` and `ngx.*` give an error, and what is not known to be
/// harmless there counts as crashing.
fn get_property(mut caller: Caller<'_, World>, path: u32, path_size: u32, data: u32, size: u32) -> Result<u32> {
    let path = String::from_utf8_lossy(&read(&mut caller, path, path_size)?).replace('\0', ".");
    caller.data_mut().property_reads += 1;
    if caller.data().behaviour == Behaviour::Envoy {
        return Ok(NOT_FOUND);
    }
    let value = match path.as_str() {
        "plugin_root_id" => caller.data().context.to_string(),
        _ if !caller.data().in_root() => match path.as_str() {
            "kong.version" => caller.data().behaviour.kong_version().unwrap_or_default().to_owned(),
            "kong.node.id" if caller.data().behaviour == Behaviour::Kong34 => String::new(),
            "kong.node.id" => "0b1c6b0c-7b1a-4a56-9d9e-0c8f3f0f2f11".to_owned(),
            _ => return Ok(NOT_FOUND),
        },
        path if path.starts_with("kong.") || path.starts_with("ngx.") => {
            return Ok(INTERNAL_FAILURE);
        }
        path => {
            caller.data_mut().worker_crashed = true;
            let known = if CRASHING.contains(&path) { "crashes" } else { "is not known not to crash" };
            bail!("reading {path} in a root context {known} the worker");
        }
    };
    give(&mut caller, value.as_bytes(), data, size)?;
    Ok(OK)
}

/// The node has no `nginx_wasm_shm_kv` (KONG.md section 4, point 7). In Envoy there is nothing under the key.
fn shared_data(caller: Caller<'_, World>, _: u32, _: u32, _: u32, _: u32, _: u32) -> Result<u32> {
    match caller.data().behaviour {
        Behaviour::Envoy => Ok(NOT_FOUND),
        _ => bail!("shared data: could not resolve namespace"),
    }
}
