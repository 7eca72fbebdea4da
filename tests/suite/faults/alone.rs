//! Each fault by itself: what is reported when it lasts, and that nothing is when it passes.

use std::time::Duration;

use bytes::Bytes;
use lifeboat_storage::{Storage, StorageError, Write};
use lifeboat_tests::faulty::{Fault, MemoryS3, PREFIX, Weather};
use tokio::time::Instant;

use super::{LONGEST, storage_in};

const KEY: &str = "3.9.1/config.json";
const LIMIT: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

fn content() -> Bytes {
    Bytes::from_static(b"{\"_format_version\":\"3.0\"}")
}

/// A store with one object, and the same one in bad weather.
async fn store_in(weather: &Weather) -> (MemoryS3, Storage) {
    let s3 = MemoryS3::default();
    storage_in(&Weather::fair(), &s3).write(KEY, content(), Write::Create).await.unwrap();
    let storage = storage_in(weather, &s3);
    (s3, storage)
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_lasts_is_reported_in_its_class_with_store_key_and_cure_and_never_hangs() {
    for (fault, expected, words) in [
        (Fault::UnknownHost, "unavailable", "can't be resolved (http://store.example.com:9000"),
        (Fault::Refused, "unavailable", "is refused (http://store.example.com:9000: is the store up"),
        (Fault::ResetBefore, "unavailable", "the connection was closed before there was an answer"),
        (Fault::ResetAfter, "unavailable", "the connection was closed before there was an answer"),
        (Fault::Ignored, "unavailable", "there was no answer within 30 s"),
        (Fault::NeverAnswered, "unavailable", "there was no answer within 30 s"),
        (Fault::Slow(40 * SECOND), "unavailable", "there was no answer within 30 s"),
        (Fault::Answers(429, "TooManyRequests"), "unavailable", "TooManyRequests"),
        (Fault::Answers(500, "InternalError"), "unavailable", "InternalError: This is InternalError."),
        (Fault::Answers(503, "SlowDown"), "unavailable", "SlowDown"),
        (Fault::AsksToWait(503, 90 * SECOND), "unavailable", "it asks to wait 90 s"),
        (Fault::FailsAfter(500), "unavailable", "InternalError"),
        (Fault::CutOff, "unavailable", "the answer ended after 12 of 25 bytes"),
        (Fault::ResetInBody, "unavailable", "the answer ended after 12 of 25 bytes"),
        (Fault::Stalled, "unavailable", "the answer stopped for 30 s"),
        (Fault::Trickling, "unavailable", "the answer came too slowly"),
        (Fault::Endless, "unavailable", "Content-Length"),
        (Fault::Answers(400, "ExpiredToken"), "denied", "AWS_SESSION_TOKEN has expired"),
        (Fault::ClockBehind(1_200 * SECOND), "denied", "this host's clock is 20m behind the store's: set it"),
        (Fault::Answers(403, "AccessDenied"), "denied", "s3:GetObject"),
        (Fault::Answers(301, "PermanentRedirect"), "misconfigured", "check AWS_REGION"),
        (Fault::Answers(404, "NoSuchBucket"), "misconfigured", "the bucket does not exist"),
    ] {
        let (_s3, storage) = store_in(&Weather::always(fault)).await;
        let began = Instant::now();
        let error = storage.read(KEY, LIMIT).await.expect_err(&format!("{fault:?}"));
        assert!(began.elapsed() < LONGEST, "{fault:?} took {:?}", began.elapsed());
        let text = error.to_string();
        assert_eq!(error.class(), expected, "{fault:?}: {text}");
        assert!(text.starts_with("s3://kong/backups: ") && text.contains(words), "{fault:?}: {text}");
        assert!(expected == "misconfigured" || text.contains(KEY), "{fault:?}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_announces_more_than_any_memory_has_is_read_as_far_as_it_comes() {
    let (_s3, storage) = store_in(&Weather::always(Fault::Announces(1 << 60))).await;
    let error = storage.read(KEY, u64::MAX).await.unwrap_err().to_string();
    assert!(error.contains("ended after 25 of 1152921504606846976 bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn writing_and_listing_end_in_time_too() {
    for fault in [Fault::Ignored, Fault::Refused, Fault::Trickling, Fault::Endless, Fault::Answers(503, "SlowDown")] {
        let (_s3, storage) = store_in(&Weather::always(fault)).await;
        let began = Instant::now();
        // The answer to a write has no body that could be spoilt: there the connection breaks instead.
        let written = storage.write(KEY, Bytes::from_static(b"other"), Write::Replace).await;
        assert_eq!(written.expect_err(&format!("{fault:?}")).class(), "unavailable");
        assert!(began.elapsed() < 2 * LONGEST, "{fault:?} took {:?}", began.elapsed());
        let began = Instant::now();
        let listed = storage.list("3.9.1", None).await.expect_err(&format!("{fault:?}"));
        assert_eq!(listed.class(), "unavailable", "{fault:?}: {listed}");
        assert!(began.elapsed() < 2 * LONGEST, "{fault:?} took {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_not_noticed() {
    for fault in [
        Fault::UnknownHost,
        Fault::Refused,
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Ignored,
        Fault::NeverAnswered,
        Fault::Slow(20 * SECOND),
        Fault::Answers(429, "TooManyRequests"),
        Fault::Answers(503, "SlowDown"),
        Fault::AsksToWait(503, 5 * SECOND),
        Fault::FailsAfter(502),
        Fault::CutOff,
        Fault::ResetInBody,
        Fault::Stalled,
        Fault::Answers(400, "ExpiredToken"),
        Fault::ClockBehind(1_200 * SECOND),
    ] {
        let (_s3, storage) = store_in(&Weather::first([fault])).await;
        let (bytes, tag) = storage.read(KEY, LIMIT).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(bytes, content());
        for write in [Write::Update(tag), Write::Create, Write::Replace] {
            let (s3, storage) = store_in(&Weather::first([fault])).await;
            let is_create = matches!(write, Write::Create);
            let key = if is_create { "3.9.1/other.json" } else { KEY };
            let written = storage.write(key, Bytes::from_static(b"new"), write).await;
            written.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert_eq!(s3.object(&format!("{PREFIX}/{key}")).unwrap(), "new", "{fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_store_asks_for_is_given_to_it() {
    for (fault, asked) in [
        (Fault::AsksToWait(503, 7 * SECOND), 7 * SECOND),
        (Fault::AsksToWait(429, 12 * SECOND), 12 * SECOND),
        (Fault::AsksToWaitUntil(9 * SECOND), 9 * SECOND),
    ] {
        let (_s3, storage) = store_in(&Weather::first([fault])).await;
        let began = Instant::now();
        storage.read(KEY, LIMIT).await.unwrap();
        assert!(began.elapsed() >= asked && began.elapsed() < asked + SECOND, "{fault:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_succeeded_unheard_is_found_by_reading_and_done_once() {
    for faults in [vec![Fault::ResetAfter], vec![Fault::NeverAnswered], vec![Fault::NeverAnswered; 2]] {
        let (s3, storage) = store_in(&Weather::first(faults.clone())).await;
        let (_, tag) = storage_in(&Weather::fair(), &s3).read(KEY, LIMIT).await.unwrap();
        let new = Bytes::from_static(b"new");
        let written = storage.write(KEY, new.clone(), Write::Update(tag)).await;
        let (_, there) = storage_in(&Weather::fair(), &s3).read(KEY, LIMIT).await.unwrap();
        assert_eq!(written.unwrap_or_else(|error| panic!("{faults:?}: {error}")), there);
        let writes = s3.writes().into_iter().filter(|(_, bytes)| *bytes == new).count();
        assert_eq!(writes, 1, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_somebody_else_stays_one_whatever_the_network_did() {
    for fault in [None, Some(Fault::ResetBefore), Some(Fault::ResetAfter), Some(Fault::FailsAfter(503))] {
        let (s3, storage) = store_in(&Weather::first(fault)).await;
        let other = storage_in(&Weather::fair(), &s3);
        let (_, stale) = other.read(KEY, LIMIT).await.unwrap();
        other.write(KEY, Bytes::from_static(b"somebody else's"), Write::Replace).await.unwrap();
        for write in [Write::Update(stale), Write::Create] {
            let written = storage.write(KEY, Bytes::from_static(b"ours"), write).await;
            assert!(matches!(written, Err(StorageError::Conflict { .. })), "{fault:?}: {written:?}");
        }
        assert_eq!(s3.object(&format!("{PREFIX}/{KEY}")).unwrap(), "somebody else's");
    }
}

#[tokio::test(start_paused = true)]
async fn two_who_write_at_the_same_moment_are_told_to_try_again_and_do() {
    let conflicts = [Fault::Answers(409, "ConditionalRequestConflict"), Fault::Answers(409, "OperationAborted")];
    let (_s3, storage) = store_in(&Weather::first(conflicts)).await;
    storage.write("3.9.1/new.json", content(), Write::Create).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_tells_its_time_with_every_answer() {
    let (_s3, storage) = store_in(&Weather::fair()).await;
    assert_eq!(storage.skew(std::time::SystemTime::now()), None);
    storage.read(KEY, LIMIT).await.unwrap();
    // This store takes its time from the request, which tells it by the second.
    let skew = storage.skew(std::time::SystemTime::now()).unwrap();
    assert!(skew.size() < 60 * SECOND, "{skew}");
    let hour = Duration::from_secs(60 * 60);
    let ahead = storage.skew(std::time::SystemTime::now() + hour).unwrap();
    assert!(!ahead.is_behind() && ahead.size() > hour - 60 * SECOND, "{ahead}");
}
