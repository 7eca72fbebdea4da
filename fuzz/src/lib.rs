//! What strangers may send, drawn from bytes: each `play_…` reads such bytes with the product's own code and asserts what
//! must hold whatever they are. Not here: where the bytes come from (`targets/` for libFuzzer, the test below for the
//! committed seeds).

mod basic_info;
mod choices;
mod files;
mod frames;
mod lmdb;
mod manifests;
mod reconfigure;
mod reports;
mod requests;
mod sync;
mod wire;

pub use basic_info::play_basic_info;
pub use files::play_files;
pub use frames::play_frames;
pub use lmdb::play_lmdb;
pub use manifests::play_manifests;
pub use reconfigure::play_reconfigure;
pub use reports::play_reports;
pub use requests::play_requests;
pub use sync::play_sync;

/// Plays what some bytes say, and panics when something that must hold doesn't.
pub type Play = fn(&[u8]);

/// All of them, by the names of their targets and of their seeds' folders.
pub const TARGETS: [(&str, Play); 9] = [
    ("basic_info", play_basic_info),
    ("files", play_files),
    ("frames", play_frames),
    ("lmdb", play_lmdb),
    ("manifests", play_manifests),
    ("reconfigure", play_reconfigure),
    ("reports", play_reports),
    ("requests", play_requests),
    ("sync", play_sync),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::TARGETS;

    fn names_in(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_committed_seeds_find_nothing() {
        for (target, play) in TARGETS {
            let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
            let mut played = 0;
            for entry in fs::read_dir(seeds).unwrap() {
                let path = entry.unwrap().path();
                // Shown with a panic: which seed it was.
                eprintln!("{}", path.display());
                play(&fs::read(path).unwrap());
                played += 1;
            }
            assert!(played > 2, "{target} has seeds");
        }
    }

    #[test]
    fn each_target_has_its_program_and_its_seeds() {
        let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names_in("targets"), names);
        assert_eq!(names_in("seeds"), names);
    }

    #[test]
    fn nothing_is_wrong_with_what_has_no_bytes() {
        for (_, play) in TARGETS {
            play(b"");
        }
    }
}
