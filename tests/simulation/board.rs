//! A value that others look at and wait for. They are woken in the order in which they began to wait: tokio's own channel
//! for this wakes them in an order that is drawn anew in each run.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// A value that others see. Clones show the same.
#[derive(Clone)]
pub(crate) struct Board<T>(Rc<Shown<T>>);

struct Shown<T> {
    value: Cell<T>,
    changed: Notify,
}

impl<T: Copy + PartialEq> Board<T> {
    pub(crate) fn showing(value: T) -> Self {
        Self(Rc::new(Shown { value: Cell::new(value), changed: Notify::new() }))
    }

    pub(crate) fn get(&self) -> T {
        self.0.value.get()
    }

    pub(crate) fn show(&self, value: T) {
        if self.0.value.replace(value) != value {
            self.0.changed.notify_waiters();
        }
    }

    /// Waits until something else is shown.
    pub(crate) async fn is_not(&self, value: T) -> T {
        loop {
            let changed = self.0.changed.notified();
            match self.get() {
                other if other != value => return other,
                _ => changed.await,
            }
        }
    }

    /// Waits until this is shown.
    pub(crate) async fn is(&self, value: T) {
        loop {
            let changed = self.0.changed.notified();
            if self.get() == value {
                return;
            }
            changed.await;
        }
    }
}
