//! A secret as it is given: the value itself, or the file that holds it. Read as often as it is used, so that a file
//! that is replaced is noticed.

use std::path::PathBuf;
use std::{fmt, io};

/// A secret, or where it stands.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The secret itself.
    Value(String),
    /// A file that holds it, blanks at its ends aside.
    File(PathBuf),
}

impl Secret {
    /// The secret as it is now.
    ///
    /// # Errors
    /// When its file can't be read.
    pub fn reveal(&self) -> io::Result<String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| {
                    io::Error::new(error.kind(), format!("{} can't be read: {error}", path.display()))
                })?;
                Ok(text.trim().to_owned())
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str(".."),
            Self::File(path) => write!(f, "in {}", path.display()),
        }
    }
}

/// A text that doesn't print.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_printed() {
        assert_eq!(format!("{:?}", Secret::Value("wonderful".into())), "..");
    }
}
