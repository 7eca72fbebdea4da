//! Files that a Kong and LMDB itself have written, whole, compacted and damaged in every way.

use std::io::{Read, Seek};

use proptest::prelude::*;

use super::{LmdbError, Pages, Row, compact};
use crate::tests::recorded::{RECORDED, deep, file_of, fresh_node, never_written};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// All rows of all tables, those of a table after its name.
fn rows(bytes: &[u8]) -> Result<Rows, LmdbError> {
    let file = file_of(bytes);
    let mut pages = Pages::open(&file)?;
    let (mut rows, mut tables) = (Rows::new(), Vec::new());
    let main = pages.meta().main;
    main.for_each(&mut pages, &mut |key, row| match row {
        Row::Value(value) => rows.push((key.to_vec(), value.to_vec())),
        Row::Table(table) => {
            rows.push((key.to_vec(), b"a table".to_vec()));
            tables.push(table);
        }
    })?;
    for table in tables {
        table.for_each(&mut pages, &mut |key, row| match row {
            Row::Value(value) => rows.push((key.to_vec(), value.to_vec())),
            Row::Table(_) => rows.push((key.to_vec(), b"a table".to_vec())),
        })?;
    }
    Ok(rows)
}

fn compacted(bytes: &[u8]) -> Result<Vec<u8>, LmdbError> {
    let (source, mut target) = (file_of(bytes), file_of(b""));
    compact(&source, &target)?;
    let mut bytes = Vec::new();
    target.rewind()?;
    target.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_recorded_cache_is_read_whole() {
    let rows = rows(RECORDED).unwrap();
    // As LMDB's own library lists them: two in the main table and 111 in Kong's.
    assert_eq!(rows.len(), 113);
    assert_eq!(rows[1], (b"validation_tag".to_vec(), b"3.9".to_vec()));
    assert!(rows.contains(&(b"declarative_config:hash".to_vec(), b"3ff47162e7a7ce1344f336316b66484e".to_vec())));
}

#[test]
fn branches_of_branches_and_long_values_are_read_whole() {
    let rows = rows(&deep()).unwrap();
    assert_eq!(rows.len(), 2 + 153);
    let value = |key: &[u8]| &rows.iter().find(|(found, _)| found == key).unwrap().1;
    assert_eq!(*value(b"plugins|long"), [b'x'; 10_000]);
    assert_eq!(*value(b"plugins|longer"), (0..=255).collect::<Vec<u8>>().repeat(200));
    let routes: Vec<String> = (0..300).skip(1).step_by(2).map(|number| format!("value {number}")).collect();
    let found = rows.iter().filter(|(key, _)| key.starts_with(b"routes|"));
    assert_eq!(found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>(), routes);
}

#[test]
fn an_environment_without_rows_has_none() {
    assert_eq!(rows(&never_written()).unwrap(), []);
    assert_eq!(rows(&fresh_node()).unwrap(), [(b"validation_tag".to_vec(), b"3.9".to_vec())]);
}

#[test]
fn compacting_keeps_the_rows_and_drops_what_is_free() {
    for original in [RECORDED.to_vec(), deep(), fresh_node(), never_written()] {
        let small = compacted(&original).unwrap();
        assert_eq!(rows(&small).unwrap(), rows(&original).unwrap());
        assert!(small.len() <= original.len());
        assert_eq!(compacted(&small).unwrap(), small, "there is nothing more to drop");
    }
    // 43 leaves, 7 branches and 16 pages of long values, as LMDB counts them, one page for the main table, two meta pages.
    assert_eq!(compacted(&deep()).unwrap().len(), 4096 * (43 + 7 + 16 + 1 + 2));
}

#[test]
fn what_was_deleted_is_not_in_a_compacted_file() {
    let has = |bytes: &[u8], key: &[u8]| bytes.windows(key.len()).any(|part| part == key);
    let (deleted, kept) = (b"routes|000100|k", b"routes|000101|k");
    assert!(has(&deep(), deleted), "LMDB leaves it in free pages and gaps");
    let small = compacted(&deep()).unwrap();
    assert!(has(&small, kept) && !has(&small, deleted));
}

#[test]
fn a_file_cut_off_anywhere_is_damaged_or_has_lost_only_what_is_free() {
    for original in [RECORDED.to_vec(), deep()] {
        let whole = rows(&original).unwrap();
        let mut refused = 0;
        for length in (0..original.len()).step_by(512) {
            match rows(&original[..length]) {
                Ok(rows) => assert_eq!(rows, whole, "{length} bytes"),
                Err(LmdbError::NotLmdb | LmdbError::Damaged(_)) => refused += 1,
                Err(error) => panic!("{length} bytes: {error}"),
            }
            if let Ok(small) = compacted(&original[..length]) {
                assert_eq!(rows(&small).unwrap(), whole, "{length} bytes");
            }
        }
        assert!(refused > original.len() / 1024, "{refused}");
    }
}

#[test]
fn a_page_that_leads_to_itself_is_not_followed() {
    let mut bytes = compacted(&deep()).unwrap();
    // The root of Kong's table is the last page but one; its first child becomes the root itself.
    let root = bytes.len() / 4096 - 2;
    let node = root * 4096 + usize::from(u16::from_le_bytes([bytes[root * 4096 + 16], bytes[root * 4096 + 17]]));
    bytes[node..node + 2].copy_from_slice(&(root as u16).to_le_bytes());
    for error in [rows(&bytes).unwrap_err(), compacted(&bytes).unwrap_err()] {
        assert!(error.to_string().contains("used in two places"), "{error}");
    }
}

#[test]
fn other_files_are_told_from_damaged_ones() {
    for other in [vec![], b"garbage".to_vec(), vec![0; 10_000], RECORDED[..4096].to_vec()] {
        assert!(matches!(rows(&other), Err(LmdbError::NotLmdb)), "{} bytes", other.len());
    }
    let mut newer = RECORDED.to_vec();
    newer[20] = 2;
    assert!(matches!(rows(&newer), Err(LmdbError::OtherDataVersion(2))));
}

proptest! {
    #[test]
    fn no_change_to_a_file_makes_reading_it_panic_or_go_on_forever(
        changes in prop::collection::vec((0usize..RECORDED.len(), any::<u8>()), 1..40),
    ) {
        let mut bytes = RECORDED.to_vec();
        for (at, byte) in changes {
            // Half of the changes where they hurt: in the headers of pages and in the meta pages.
            let at = if byte % 2 == 0 { at / 4096 * 4096 + at % 160 } else { at };
            bytes[at] = byte;
        }
        let read = rows(&bytes);
        if let Ok(small) = compacted(&bytes) {
            // What can't be read isn't made readable, and what can stays the same.
            if let Ok(read) = read {
                prop_assert_eq!(rows(&small).unwrap(), read);
            }
        }
    }
}
