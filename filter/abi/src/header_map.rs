//! Headers as Proxy-Wasm serialises them: their number, all sizes, then all names and values, each with a zero byte.

/// These headers, serialised. A map of more than 4 GiB would be cut off; the module has no room for one.
pub(crate) fn serialised(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend(number(headers.len()));
    for (name, value) in headers {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for (name, value) in headers {
        for text in [name, value] {
            bytes.extend(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes
}
