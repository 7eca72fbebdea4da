//! Data files of LMDB, damaged: what a node's cache may look like after a crash or in somebody's hands.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use flate2::read::GzDecoder;
use lifeboat_core::backoff::Backoff;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_node_cache::{CacheId, Contents, Image, LmdbError, NodePrefix, Patience, Present, present};
use tempfile::TempDir;

use super::choices::Choices;

const RECORDED: &[u8] = include_bytes!("../../tests/data/kong-3.9.1/dbless.lmdb/data.mdb");
const FRESH_NODE: &[u8] = include_bytes!("../../tests/data/lmdb-0.9.33/fresh-node.mdb.gz");
const DEEP: &[u8] = include_bytes!("../../tests/data/lmdb-0.9.33/deep.mdb.gz");
const VERSION: KongVersion = KongVersion::new(3, 9, 1);
/// What LMDB has given these files.
const PAGE: usize = 4_096;
const PAGE_HEADER: usize = 16;
/// A row has a header of eight bytes, and two that say where it is.
const SMALLEST_ROW: u64 = 10;

static GENUINE: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| [RECORDED.to_vec(), expanded(DEEP), expanded(FRESH_NODE)]);

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("there is room for a folder");
}

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: more is found than a file can hold, two ways of reading it disagree, or an image
/// that was made of it holds something else.
pub fn play_lmdb(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let data = match choices.byte() % 4 {
        0 => choices.rest().to_vec(),
        which => damaged(&GENUINE[usize::from(which) - 1], &mut choices),
    };
    FOLDER.with(|folder| is_read_in_one_way(folder.path(), &data));
}

/// A file of which some fields say something else; perhaps it is cut off.
fn damaged(genuine: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut data = genuine.to_vec();
    let pages = data.len() / PAGE;
    while !choices.0.is_empty() {
        let page = choices.below(pages) * PAGE;
        let at = match choices.byte() % 8 {
            0 => page + usize::from(choices.byte()) % PAGE_HEADER,
            // Where the rows of a page are.
            1 | 2 => page + PAGE_HEADER + usize::from(choices.byte()),
            // The meta pages.
            3 => choices.below(2) * PAGE + usize::from(choices.byte()) % 160,
            // The headers of rows, which stand at the end.
            4 | 5 => page + PAGE - 1 - choices.below(512),
            6 => page + choices.below(PAGE),
            _ => {
                data.truncate(PAGE / 8 * choices.below(8 * pages + 1));
                if data.is_empty() {
                    return data;
                }
                continue;
            }
        };
        let number = match choices.byte() % 3 {
            0 => u64::from(choices.byte()),
            1 => (choices.below(pages + 2)) as u64,
            _ => choices.number(),
        };
        let width = [1, 2, 8][usize::from(choices.byte() % 3)];
        for (to, byte) in data.iter_mut().skip(at).zip(number.to_le_bytes()).take(width) {
            *to = byte;
        }
    }
    data
}

fn is_read_in_one_way(folder: &Path, data: &[u8]) {
    let prefix = NodePrefix::new(folder.join("kong"));
    fs::create_dir_all(prefix.lmdb_folder()).expect("there is room for a folder");
    fs::write(prefix.data_file(), data).expect("there is room for a file");
    let file = File::open(prefix.data_file()).expect("it was just written");

    let contents = Contents::read(&file);
    let present = present(&prefix, VERSION).expect("nobody runs there");
    let Ok(contents) = contents else {
        let is_useless = matches!(contents, Err(LmdbError::NotLmdb | LmdbError::Damaged(_)));
        assert_eq!(matches!(present, Present::Useless(_)), is_useless, "{present:?}");
        let any = CacheId { version: VERSION, config_hash: ConfigHash::from_bytes([1; 16]) };
        assert!(taken(&prefix, folder, any).is_none(), "an image of what can't be read");
        return;
    };

    assert!(contents.rows * SMALLEST_ROW <= data.len() as u64, "{} rows in {} bytes", contents.rows, data.len());
    assert_eq!(matches!(present, Present::Nothing), contents.is_empty(), "{present:?}");
    let config_hash = contents.config_hash.unwrap_or(ConfigHash::EMPTY);
    if let Some(image) = taken(&prefix, folder, CacheId { version: VERSION, config_hash }) {
        assert!(image.len() <= data.len() + 2 * PAGE, "{} bytes of {}", image.len(), data.len());
        let mut file = tempfile::tempfile_in(folder).expect("there is room for a file");
        file.write_all(&image).expect("there is room for a file");
        assert_eq!(Contents::read(&file).expect("it was checked when it was made"), contents);
    }
}

/// The data file that an image expands to, if one can be taken.
fn taken(prefix: &NodePrefix, folder: &Path, wanted: CacheId) -> Option<Vec<u8>> {
    let patience = Patience { tries: 1, backoff: Backoff::new(Duration::ZERO, Duration::ZERO) };
    let image = Image::take(prefix, &wanted, folder, patience).ok()?;
    let data = expanded(image.gzip());
    assert_eq!(data.len() as u64, image.expands_to());
    Some(data)
}

fn expanded(gzip: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut data).expect("it is gzip");
    data
}
