//! Locks whose holders never panic.

use std::sync::{Mutex, MutexGuard};

/// A lock that is taken without asking whether somebody panicked while holding it.
pub trait Locked<T: ?Sized> {
    /// The value, for as long as the guard lives.
    ///
    /// # Panics
    /// If another thread panicked while it held the lock, which is a bug.
    fn locked(&self) -> MutexGuard<'_, T>;
}

impl<T: ?Sized> Locked<T> for Mutex<T> {
    fn locked(&self) -> MutexGuard<'_, T> {
        self.lock().expect("nothing panics while it holds this lock")
    }
}
