//! A bad network, and a bad store: each fault by itself, faults at real sockets, and a thousand histories full of them.

mod alone;
mod histories;
mod lasting;
mod permissions;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use lifeboat_storage::Storage;
use lifeboat_tests::faulty::{Faulty, MemoryS3, Weather, settings};

/// What no single operation may exceed: the last try begins within a minute, and then an answer and its body have theirs.
const LONGEST: Duration = Duration::from_secs(4 * 60);

fn storage_in(weather: &Weather, s3: &MemoryS3) -> Storage {
    let connector = Arc::new(Faulty::over(Arc::new(s3.clone()), weather.clone()));
    Storage::open_over(&settings().location(), connector).expect("a store in memory opens")
}
