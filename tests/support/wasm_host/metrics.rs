//! Metrics as a host keeps them: defined once under a name, then counted or set. In Kong they are the workers' in common;
//! here each worker has its own.

use wasmtime::{Caller, Linker, Result, bail};

use super::memory::{read, write_u32};
use super::world::{MetricValue, World};

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;

/// The longest name that Kong takes (ngx_wasm_module, Apache-2.0, `NGX_WA_METRICS_DEFAULT_MAX_NAME_LEN`), less the
/// filter's own, which Kong puts before it.
const LONGEST_NAME: usize = 256 - "pw.lifeboat.".len();

pub(super) fn offer(linker: &mut Linker<World>) -> Result<()> {
    linker.func_wrap("env", "proxy_define_metric", define)?;
    linker.func_wrap("env", "proxy_record_metric", record)?;
    linker.func_wrap("env", "proxy_increment_metric", increment)?;
    linker.func_wrap("env", "proxy_get_metric", |_: u32, _: u32| NOT_FOUND)?;
    Ok(())
}

fn define(mut caller: Caller<'_, World>, kind: u32, name: u32, name_size: u32, metric: u32) -> Result<u32> {
    refuse_where_there_are_none(&caller)?;
    let name = String::from_utf8(read(&mut caller, name, name_size)?)?;
    let value = match kind {
        0 => MetricValue::Counter(0),
        1 => MetricValue::Gauge(0),
        _ => return Ok(BAD_ARGUMENT),
    };
    if name.len() > LONGEST_NAME {
        return Ok(BAD_ARGUMENT);
    }
    let metrics = &mut caller.data_mut().metrics;
    let number = metrics.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        metrics.push((name, value));
        metrics.len() - 1
    });
    write_u32(&mut caller, metric, number as u32)?;
    Ok(OK)
}

/// Before Kong 3.8 (seen on 3.4.2).
fn refuse_where_there_are_none(caller: &Caller<'_, World>) -> Result<()> {
    if caller.data().behaviour.traps_at_metrics() {
        bail!("metrics: not yet implemented");
    }
    Ok(())
}

fn record(mut caller: Caller<'_, World>, metric: u32, value: u64) -> Result<u32> {
    refuse_where_there_are_none(&caller)?;
    Ok(change(&mut caller, metric, |metric| match metric {
        MetricValue::Gauge(_) => Some(MetricValue::Gauge(value)),
        MetricValue::Counter(_) => None,
    }))
}

fn increment(mut caller: Caller<'_, World>, metric: u32, gain: i64) -> Result<u32> {
    refuse_where_there_are_none(&caller)?;
    Ok(change(&mut caller, metric, |metric| match metric {
        MetricValue::Counter(value) => Some(MetricValue::Counter(value + gain)),
        MetricValue::Gauge(_) => None,
    }))
}

fn change(caller: &mut Caller<'_, World>, metric: u32, change: impl FnOnce(MetricValue) -> Option<MetricValue>) -> u32 {
    let Some((_, value)) = caller.data_mut().metrics.get_mut(metric as usize) else { return NOT_FOUND };
    match change(*value) {
        Some(changed) => {
            *value = changed;
            OK
        }
        None => BAD_ARGUMENT,
    }
}
