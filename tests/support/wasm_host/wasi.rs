//! The eight functions of WASI preview 1 that ngx_wasm_module offers (Apache-2.0, `ngx_wasi_host.c`), and no other: a
//! filter that imports another does not load there.

use rand::Rng;
use wasmtime::{Caller, Linker, Result, bail};

use super::memory::{read, write, write_u32};
use super::world::{LogLine, World};

const SUCCESS: u32 = 0;
const BAD_FILE_DESCRIPTOR: u32 = 8;
const NOT_SUPPORTED: u32 = 58;
const WASI: &str = "wasi_snapshot_preview1";

pub(super) fn offer(linker: &mut Linker<World>) -> Result<()> {
    for (get, sizes) in [("args_get", "args_sizes_get"), ("environ_get", "environ_sizes_get")] {
        linker.func_wrap(WASI, get, |_: u32, _: u32| SUCCESS)?;
        linker.func_wrap(WASI, sizes, |mut caller: Caller<'_, World>, count: u32, size: u32| -> Result<u32> {
            write_u32(&mut caller, count, 0)?;
            write_u32(&mut caller, size, 0)?;
            Ok(SUCCESS)
        })?;
    }
    linker.func_wrap(WASI, "clock_time_get", clock_time_get)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(WASI, "random_get", random_get)?;
    linker.func_wrap(WASI, "proc_exit", |_: u32| -> Result<()> { bail!("proc_exit is not implemented in Kong") })?;
    Ok(())
}

fn clock_time_get(mut caller: Caller<'_, World>, clock: u32, _precision: u64, time: u32) -> Result<u32> {
    if clock > 1 {
        return Ok(NOT_SUPPORTED);
    }
    let now = caller.data().now.as_nanos() as u64;
    write(&mut caller, time, &now.to_le_bytes())?;
    Ok(SUCCESS)
}

/// Standard output and error go to the log.
fn fd_write(mut caller: Caller<'_, World>, file: u32, vectors: u32, count: u32, written: u32) -> Result<u32> {
    let level = match file {
        1 => 2,
        2 => 4,
        _ => return Ok(BAD_FILE_DESCRIPTOR),
    };
    let mut bytes = Vec::new();
    for vector in read(&mut caller, vectors, count.saturating_mul(8))?.chunks_exact(8) {
        let number = |at: usize| u32::from_le_bytes([vector[at], vector[at + 1], vector[at + 2], vector[at + 3]]);
        bytes.extend(read(&mut caller, number(0), number(4))?);
    }
    write_u32(&mut caller, written, bytes.len() as u32)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    caller.data_mut().log.push(LogLine { level, text });
    Ok(SUCCESS)
}

fn random_get(mut caller: Caller<'_, World>, start: u32, size: u32) -> Result<u32> {
    let mut bytes = vec![0; size as usize];
    caller.data_mut().random.fill_bytes(&mut bytes);
    write(&mut caller, start, &bytes)?;
    Ok(SUCCESS)
}
