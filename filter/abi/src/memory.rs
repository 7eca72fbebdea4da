//! Memory that the host writes answers into: it asks for some in the middle of a call, and the call tells where the
//! answer is. Each piece is kept here until the call has ended, so that whatever address a host tells, only bytes that
//! were given to it are read, and what it doesn't tell of is freed. All of it is safe code.

use std::cell::RefCell;

/// The longest answer that is taken, in bytes. A host that wants more room gets none, and the call fails.
const LONGEST: usize = 1024 * 1024;

thread_local! {
    static GIVEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Room for so many bytes, or null.
pub(crate) fn give(size: usize) -> *mut u8 {
    let mut room = Vec::new();
    if size > LONGEST || room.try_reserve_exact(size.max(1)).is_err() {
        return std::ptr::null_mut();
    }
    room.resize(size.max(1), 0_u8);
    let address = room.as_mut_ptr();
    let kept = GIVEN.try_with(|given| given.try_borrow_mut().map(|mut given| given.push(room)));
    // Nobody holds it in between, but if somebody did, the room would be gone by now.
    if matches!(kept, Ok(Ok(()))) { address } else { std::ptr::null_mut() }
}

/// The first `size` bytes at an address that was given since the last call of this function. Everything else that was
/// given is freed: the call that it was given for is over.
pub(crate) fn take(address: *const u8, size: usize) -> Option<Vec<u8>> {
    let given = GIVEN.try_with(|given| given.try_borrow_mut().map(|mut given| std::mem::take(&mut *given)));
    let mut given = given.ok()?.ok()?;
    let position = given.iter().position(|room| room.as_ptr() == address && size <= room.len())?;
    let mut answer = given.swap_remove(position);
    answer.truncate(size);
    Some(answer)
}
