//! What the host calls. Each export hands on to the one [`Filter`] of the instance, and does nothing if there is none or
//! if it is at work already. Contexts and tokens are numbers that the host may say twice, late, or never: none is looked
//! up here. Functions that Kong calls without looking whether they are there are all exported.

use std::cell::RefCell;

use crate::memory;

/// The answer "go on".
const CONTINUE: u32 = 0;
const TRUE: u32 = 1;

unsafe extern "C" {
    /// What the linker makes of everything that must run before the rest. To name it here also keeps the linker from
    /// running it again in each export.
    #[cfg(target_os = "wasi")]
    fn __wasm_call_ctors();
}

/// What an instance does. A context is a root (one configuration) or a request.
pub trait Filter {
    /// A request has begun, in the chain of a root.
    fn on_request(&mut self, request: u32, root: u32);
    /// A root has settings, of so many bytes. Whatever they are, the host is told that they are good.
    fn on_configure(&mut self, root: u32, size: usize);
    /// A root's timer ticked.
    fn on_tick(&mut self, root: u32);
    /// A call ended; its answer's body has so many bytes.
    fn on_call_response(&mut self, token: u32, body_size: usize);
    /// The headers of a request are there.
    fn on_request_headers(&mut self, request: u32);
    /// The headers of the response to a request are there.
    fn on_response_headers(&mut self, request: u32);
    /// A context is gone.
    fn on_delete(&mut self, context: u32);
}

thread_local! {
    static FILTER: RefCell<Option<Box<dyn Filter>>> = const { RefCell::new(None) };
}

/// Runs what must run first, and makes the instance's filter.
pub fn start(make: impl FnOnce() -> Box<dyn Filter>) {
    #[cfg(target_os = "wasi")]
    // SAFETY: this is called once, by `_initialize`, before anything else of the instance.
    unsafe {
        __wasm_call_ctors();
    }
    let filter = make();
    let _ = FILTER.try_with(|slot| slot.try_borrow_mut().map(|mut slot| *slot = Some(filter)));
}

fn with_filter(act: impl FnOnce(&mut dyn Filter)) {
    let _ = FILTER.try_with(|slot| {
        if let Ok(mut slot) = slot.try_borrow_mut()
            && let Some(filter) = slot.as_deref_mut()
        {
            act(filter);
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    memory::give(size)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    // A root has no parent. What it is to do, its settings say.
    if root != 0 {
        with_filter(|filter| filter.on_request(context, root));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_root: u32, _size: usize) -> u32 {
    TRUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, size: usize) -> u32 {
    with_filter(|filter| filter.on_configure(root, size));
    TRUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    with_filter(|filter| filter.on_tick(root));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    _context: u32,
    token: u32,
    _headers: usize,
    body_size: usize,
    _trailers: usize,
) {
    with_filter(|filter| filter.on_call_response(token, body_size));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(request: u32, _headers: usize, _is_last: u32) -> u32 {
    with_filter(|filter| filter.on_request_headers(request));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(_request: u32, _size: usize, _is_last: u32) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(_request: u32, _trailers: usize) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(request: u32, _headers: usize, _is_last: u32) -> u32 {
    with_filter(|filter| filter.on_response_headers(request));
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(_request: u32, _size: usize, _is_last: u32) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(_request: u32, _trailers: usize) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_foreign_function(_context: u32, _function: u32, _size: usize) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(_context: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_done(_context: u32) -> u32 {
    TRUE
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    with_filter(|filter| filter.on_delete(context));
}
