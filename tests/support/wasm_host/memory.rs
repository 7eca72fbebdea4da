//! The filter's linear memory: reading what it passes, and handing it bytes through its own allocator, as the ABI has
//! it. Not here: what the bytes mean.

use wasmtime::{Caller, Error, Extern, Memory, Result};

use super::world::World;

fn memory(caller: &mut Caller<'_, World>) -> Result<Memory> {
    let export = caller.get_export("memory").and_then(Extern::into_memory);
    export.ok_or_else(|| Error::msg("the filter exports no memory"))
}

pub(super) fn read(caller: &mut Caller<'_, World>, start: u32, size: u32) -> Result<Vec<u8>> {
    let memory = memory(caller)?;
    let mut bytes = Vec::new();
    let end = (start as usize).saturating_add(size as usize);
    let slice = memory.data(&caller).get(start as usize..end);
    bytes.extend_from_slice(slice.ok_or_else(|| Error::msg("invalid memory access"))?);
    Ok(bytes)
}

pub(super) fn write(caller: &mut Caller<'_, World>, start: u32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    memory.write(caller, start as usize, bytes).map_err(|_| Error::msg("invalid memory access"))
}

pub(super) fn write_u32(caller: &mut Caller<'_, World>, start: u32, value: u32) -> Result<()> {
    write(caller, start, &value.to_le_bytes())
}

/// Copies bytes into memory that the filter allocates, and tells it where and how many.
pub(super) fn give(caller: &mut Caller<'_, World>, bytes: &[u8], data: u32, size: u32) -> Result<()> {
    let exports = ["proxy_on_memory_allocate", "malloc"];
    let allocator = exports.iter().find_map(|name| caller.get_export(name)?.into_func());
    let allocator = allocator.ok_or_else(|| Error::msg("the filter exports no allocator"))?;
    let allocate = allocator.typed::<u32, u32>(&caller)?;
    let start = allocate.call(&mut *caller, bytes.len() as u32)?;
    write(caller, start, bytes)?;
    write_u32(caller, data, start)?;
    write_u32(caller, size, bytes.len() as u32)
}

/// The pairs of a serialised header map: their number, all sizes, then all names and values, each with a zero byte.
pub(super) fn pairs(map: &[u8]) -> Option<Vec<(String, String)>> {
    let number = |at: usize| Some(u32::from_le_bytes(map.get(at..at + 4)?.try_into().ok()?) as usize);
    if map.is_empty() {
        return Some(Vec::new());
    }
    let count = number(0)?;
    let mut at = 4 + 8 * count;
    let mut text = |size: usize| {
        let text = String::from_utf8(map.get(at..at + size)?.to_vec()).ok()?;
        at += size + 1;
        Some(text)
    };
    (0..count).map(|pair| Some((text(number(4 + 8 * pair)?)?, text(number(8 + 8 * pair)?)?))).collect()
}
