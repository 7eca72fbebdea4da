//! A value that holds private keys or credentials, such as a configuration's bytes: it can be used, and not printed.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A value whose `Debug` says nothing of it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Sensitive<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Sensitive<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_used_and_not_printed() {
        let key = Sensitive::from("wonderful-secret");
        assert_eq!((key.len(), format!("{key:?}").as_str()), (16, ".."));
    }
}
