//! Images of a cache that LMDB's own library writes meanwhile, in another process: each is one state, that library reads
//! what is made of it, and nobody comes near the lock file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use flate2::read::GzDecoder;
use lifeboat_core::backoff::Backoff;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_node_cache::{CacheError, CacheId, Image, NodePrefix, Patience};
use rustix::fs::inotify;
use rustix::io::Errno;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::installed::{installed, of_repository};

/// Nothing that is waited for takes nearly as long, on a busy machine either.
const HUNG: Duration = Duration::from_secs(120);
const IMAGES: usize = 200;

/// A process that runs `lmdb_node.py`.
struct Lmdb {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Lmdb {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(of_repository("tests/servers/lmdb_node.py")).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("python starts");
        let stdin = process.stdin.take().expect("it was asked for");
        let lines = BufReader::new(process.stdout.take().expect("it was asked for")).lines();
        Self { stdin, lines, _process: process }
    }

    async fn line(&mut self) -> String {
        let line = timeout(HUNG, self.lines.next_line()).await.expect("it answers");
        line.expect("it prints text").expect("it goes on")
    }

    async fn asked(&mut self, question: &str) -> String {
        self.stdin.write_all(format!("{question}\n").as_bytes()).await.expect("it listens");
        self.line().await
    }
}

/// A node's prefix in which LMDB commits.
struct Node {
    prefix: NodePrefix,
    writer: Lmdb,
    folder: TempDir,
}

impl Node {
    async fn start(writer: [&str; 3]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = NodePrefix::new(folder.path().join("kong"));
        fs::create_dir_all(prefix.lmdb_folder()).unwrap();
        let path = prefix.lmdb_folder();
        let [commits, pause, unchanging] = writer;
        let mut writer = Lmdb::start(&["write", path.to_str().unwrap(), commits, pause, unchanging]);
        assert_eq!(writer.line().await, "ready");
        Self { prefix, writer, folder }
    }

    async fn image(&self) -> Result<Image, CacheError> {
        let (prefix, temporary) = (self.prefix.clone(), self.folder.path().to_owned());
        let config_hash = "3ff47162e7a7ce1344f336316b66484e".parse().unwrap();
        let wanted = CacheId { version: KongVersion::new(3, 9, 1), config_hash };
        let patience = Patience { tries: 10, backoff: Backoff::new(Duration::from_millis(5), Duration::from_secs(1)) };
        spawn_blocking(move || Image::take(&prefix, &wanted, &temporary, patience)).await.unwrap()
    }

    fn lock_file(&self) -> PathBuf {
        self.prefix.lmdb_folder().join("lock.mdb")
    }
}

/// Of which state an image is, by LMDB's own library.
async fn state(reader: &mut Lmdb, image: &Image) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let mut file = File::create(folder.path().join("data.mdb")).unwrap();
    let length = std::io::copy(&mut GzDecoder::new(&image.gzip()[..]), &mut file).unwrap();
    assert_eq!(length, image.expands_to());
    let answer = reader.asked(folder.path().to_str().unwrap()).await;
    let state = answer.strip_prefix("state ").and_then(|number| number.parse().ok());
    state.unwrap_or_else(|| panic!("an image is not one state: {answer}"))
}

/// Tells who opens, reads or changes a file, but for what happens in memory that is mapped.
struct Watch(std::os::fd::OwnedFd);

impl Watch {
    fn of(path: &Path) -> Self {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, path, inotify::WatchFlags::ALL_EVENTS).unwrap();
        Self(watch)
    }

    fn has_seen_something(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        match inotify::Reader::new(&self.0, &mut buffer).next() {
            Ok(_) => true,
            Err(Errno::AGAIN) => false,
            Err(error) => panic!("the watch can't be read: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_taken_while_lmdb_commits_are_one_state_each_and_its_lock_is_left_alone() {
    let (mut node, mut reader) = (Node::start(["1", "200", "0"]).await, Lmdb::start(&["read"]));
    let watch = Watch::of(&node.lock_file());
    let mut states = BTreeSet::new();
    for number in 0..IMAGES {
        let image = node.image().await.unwrap_or_else(|error| panic!("image {number}: {error}"));
        states.insert(state(&mut reader, &image).await);
    }
    assert!(states.len() > 5, "it was to be written meanwhile: {states:?}");
    assert!(!watch.has_seen_something(), "the node's lock file was opened");
    // That the watch would have told.
    fs::read(node.lock_file()).unwrap();
    assert!(watch.has_seen_something());

    let paused = node.writer.asked("pause").await;
    let newest: u64 = paused.strip_prefix("paused ").unwrap().parse().unwrap();
    let lock = fs::read(node.lock_file()).unwrap();
    let image = node.image().await.unwrap();
    assert_eq!(state(&mut reader, &image).await, newest);
    assert!(fs::read(node.lock_file()).unwrap() == lock, "the node's lock file was changed");
}

/// Many commits during each copy: what is copied in the middle of them must be told from what is copied in a pause.
#[tokio::test(flavor = "multi_thread")]
async fn images_taken_while_lmdb_commits_in_bursts_are_one_state_or_none() {
    let (node, mut reader) = (Node::start(["20", "100", "1500"]).await, Lmdb::start(&["read"]));
    let (mut taken, mut busy) = (0, 0);
    while taken < 10 {
        match node.image().await {
            Ok(image) => {
                state(&mut reader, &image).await;
                taken += 1;
            }
            Err(CacheError::Busy { .. }) if busy < 100 => busy += 1,
            Err(error) => panic!("after {taken} images: {error}"),
        }
    }
}
