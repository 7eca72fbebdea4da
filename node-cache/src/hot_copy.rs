//! Copying a data file while its node writes to it. The node's environment isn't opened and its `lock.mdb` isn't touched:
//! another build of LMDB in there can make Kong throw away a healthy node's configuration (KONG.md section 2).
//!
//! Why that is enough: LMDB never writes to a page that the newest committed state uses. It may do so once another state
//! has been committed, and committing changes a meta page. So a copy between two equal looks at both meta pages is whole.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use lifeboat_core::backoff::Backoff;

use super::CacheError;
use super::file_space::check_space;
use super::lmdb::{LmdbError, MetaPages};

const PIECE: usize = 1 << 20;

/// How long a node that is writing is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// How often it is tried.
    pub tries: u32,
    /// The waits between.
    pub backoff: Backoff,
}

impl Default for Patience {
    /// Half a minute: a node writes for seconds when it loads a configuration, and is quiet for long after that.
    fn default() -> Self {
        Self { tries: 10, backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)) }
    }
}

/// Copies the data file `source` to the empty file `target` in `folder`, as one state.
///
/// # Errors
/// [`CacheError::Busy`] when the node wrote during each try.
pub fn copy_data_file(source: &Path, folder: &Path, target: &File, patience: Patience) -> Result<(), CacheError> {
    patience.until_one_state(source, || {
        let look = Look::at(source)?;
        check_space(folder, look.length())?;
        look.copy_to(target)?;
        look.still_holds()
    })
}

impl Patience {
    // Tries until a try gives one state.
    fn until_one_state(
        self,
        source: &Path,
        mut try_once: impl FnMut() -> Result<bool, CacheError>,
    ) -> Result<(), CacheError> {
        let Self { tries, mut backoff } = self;
        let mut problem = CacheError::Busy { path: source.to_owned(), tries };

        for tried in 1..=tries {
            match try_once() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // What is read while it is written may look like anything.
                Err(error @ CacheError::Unreadable { problem: LmdbError::Damaged(_), .. }) => problem = error,
                Err(error) => return Err(error),
            }
            if tried < tries {
                thread::sleep(backoff.next_wait(rand::random()));
            }
        }
        Err(problem)
    }
}

/// A look at a data file: which file, how long, and both meta pages.
struct Look<'s> {
    source: &'s Path,
    file: File,
    found: Metadata,
    meta: MetaPages,
}

impl<'s> Look<'s> {
    fn at(source: &'s Path) -> Result<Self, CacheError> {
        let file = File::open(source).map_err(CacheError::io(source))?;
        let found = file.metadata().map_err(CacheError::io(source))?;
        let meta = MetaPages::read(&file).map_err(CacheError::unreadable(source))?;
        Ok(Self { source, file, found, meta })
    }

    fn length(&self) -> u64 {
        self.found.len()
    }

    // The meta pages that were seen, and what follows them now.
    fn copy_to(&self, target: &File) -> Result<(), CacheError> {
        let io = || CacheError::io(self.source);
        let head = self.meta.bytes();

        target.set_len(0).and_then(|()| target.write_all_at(head, 0)).map_err(io())?;
        let mut at = head.len() as u64;
        let mut piece = vec![0; PIECE];
        while at < self.length() {
            let wanted = (self.length() - at).min(PIECE as u64) as usize;
            match self.file.read_at(&mut piece[..wanted], at).map_err(io())? {
                // It has become shorter, which is seen next.
                0 => break,
                read => {
                    target.write_all_at(&piece[..read], at).map_err(io())?;
                    at += read as u64;
                }
            }
        }
        Ok(())
    }

    // A node that throws its cache away makes a new file under the name.
    fn still_holds(&self) -> Result<bool, CacheError> {
        let now = std::fs::metadata(self.source).map_err(CacheError::io(self.source))?;
        let identity = |found: &Metadata| (found.dev(), found.ino(), found.len());
        let same_file = identity(&now) == identity(&self.found);
        Ok(same_file && MetaPages::read(&self.file).is_ok_and(|meta| meta == self.meta))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tests::recorded::{RECORDED, prefix_with};

    const QUICK: Patience =
        Patience { tries: 4, backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(2)) };

    #[test]
    fn a_copy_counts_only_if_nothing_was_committed_and_the_file_is_the_same() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 5] = [
            ("the first meta page", |path| overwrite(path, 144)),
            ("the second meta page", |path| overwrite(path, 4096 + 144)),
            ("longer", |path| fs::write(path, [RECORDED, b"more"].concat()).unwrap()),
            ("shorter", |path| fs::write(path, &RECORDED[..8192]).unwrap()),
            ("another file", |path| {
                fs::rename(path, path.with_extension("old")).unwrap();
                fs::write(path, RECORDED).unwrap();
            }),
        ];
        for (name, change) in changes {
            let (_folder, prefix) = prefix_with(RECORDED);
            let path = prefix.data_file();
            let look = Look::at(&path).unwrap();
            look.copy_to(&tempfile::tempfile().unwrap()).unwrap();
            assert!(look.still_holds().unwrap(), "{name}");
            change(&path);
            assert!(!look.still_holds().unwrap(), "{name}");
        }
    }

    fn overwrite(path: &Path, at: u64) {
        File::options().write(true).open(path).unwrap().write_all_at(&[77], at).unwrap();
    }

    #[test]
    fn a_node_that_writes_during_each_try_is_left_alone_until_later() {
        let mut tries = 0;
        let error = QUICK.until_one_state(Path::new("data.mdb"), || {
            tries += 1;
            Ok(false)
        });
        let error = error.unwrap_err();
        assert!(matches!(error, CacheError::Busy { tries: 4, .. }) && error.is_transient(), "{error}");
        assert_eq!(tries, 4);
    }

    #[test]
    fn what_looks_damaged_once_is_looked_at_again() {
        let damaged = || CacheError::unreadable(Path::new("data.mdb"))(LmdbError::Damaged("torn".into()));
        let mut results = vec![Ok(true), Err(damaged()), Ok(false)];
        QUICK.until_one_state(Path::new("data.mdb"), || results.pop().unwrap()).unwrap();
        let error = QUICK.until_one_state(Path::new("data.mdb"), || Err(damaged())).unwrap_err();
        assert!(error.to_string().contains("torn"), "{error}");
        let mut missing = vec![Err(CacheError::unreadable(Path::new("data.mdb"))(LmdbError::NotLmdb))];
        QUICK.until_one_state(Path::new("data.mdb"), || missing.pop().unwrap()).unwrap_err();
    }
}
