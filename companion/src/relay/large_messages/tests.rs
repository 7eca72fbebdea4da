//! Links that bring messages piece by piece, in any order, alike or not.

use std::future::pending;

use futures::FutureExt;
use proptest::prelude::*;

use super::*;

const MIB: usize = 1 << 20;

fn messages(room: usize) -> Arc<LargeMessages> {
    Arc::new(LargeMessages::new(&RelayLimits { large_messages: room, ..RelayLimits::default() }))
}

/// Brings as many bytes as there are, waiting for room where that is needed.
async fn bring(arriving: &mut Arriving, bytes: &[u8]) -> Result<(), LinkError> {
    loop {
        arriving.has_room().await?;
        if arriving.take(bytes) {
            return Ok(());
        }
    }
}

async fn whole(messages: &Arc<LargeMessages>, message: &[u8]) -> Bytes {
    let mut arriving = messages.expect(message.len() as u64);
    bring(&mut arriving, message).await.unwrap();
    arriving.whole().unwrap()
}

fn free(messages: &LargeMessages) -> usize {
    messages.room.available_permits() * UNIT
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Messages that are equal up to somewhere, brought by several links in pieces of any size in any order: each link gets
    /// what it brought, and equal ones are there once.
    #[test]
    fn each_link_gets_the_message_that_it_brought(
        differ_at in prop::collection::vec((0..100_000_usize, any::<u8>()), 1..4),
        links in prop::collection::vec(0..4_usize, 1..8),
        order in prop::collection::vec((0..8_usize, 1..30_000_usize), 1..60),
    ) {
        // Waiting has a limit, and a limit needs a clock.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _runtime = runtime.enter();
        let original: Vec<u8> = (0..100_000_usize).map(|at| (at * 7 % 251) as u8).collect();
        let variants: Vec<Vec<u8>> = differ_at.iter().map(|(at, with)| {
            let mut message = original.clone();
            message[*at] = *with;
            message
        }).collect();
        let messages = messages(16 * MIB);
        let mut arriving: Vec<_> = links.iter().map(|variant| {
            (&variants[variant % variants.len()], messages.expect(100_000))
        }).collect();
        let to_the_end = (0..links.len()).map(|link| (link, usize::MAX));
        for (link, bytes) in order.into_iter().chain(to_the_end) {
            let count = arriving.len();
            let (message, link) = &mut arriving[link % count];
            let piece = &message[link.taken..];
            bring(link, &piece[..bytes.min(piece.len())]).now_or_never().unwrap().unwrap();
        }

        let got: Vec<_> = arriving.iter().map(|(message, link)| (*message, link.whole().unwrap())).collect();
        for (message, bytes) in &got {
            prop_assert!(bytes == message);
        }
        for (one, other) in got.iter().zip(got.iter().skip(1)) {
            prop_assert_eq!(one.1 == other.1, one.1.as_ptr() == other.1.as_ptr());
        }
        drop((arriving, got));
        prop_assert_eq!(free(&messages), 16 * MIB);
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_links_with_one_message_take_the_room_of_one() {
    let (messages, message) = (messages(MIB), vec![7; MIB]);
    let mut all = Vec::new();
    for _ in 0..1000 {
        all.push(whole(&messages, &message).await);
    }
    assert_eq!(free(&messages), 0);
    all.truncate(1);
    assert_eq!(free(&messages), 0);
    all.clear();
    assert_eq!(free(&messages), MIB);
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_room_and_one_that_is_larger_than_all_of_it_gets_all() {
    let messages = messages(MIB);
    let first = whole(&messages, &vec![1; 900_000]).await;
    let mut second = messages.expect(900_001);
    assert_eq!([second.begins_to_wait(), second.begins_to_wait()], [true, false], "said once");
    assert!(second.has_room().now_or_never().is_none());
    // Whoever looks at other things meanwhile, and comes back, has waited all the same.
    for _ in 0..10 {
        assert!(timeout(Duration::from_millis(500), second.has_room()).await.is_err());
    }
    drop(first);
    assert!(second.has_room().await.unwrap(), "it has waited");
    assert!(!second.begins_to_wait() && !second.has_room().await.unwrap());
    drop(second);
    messages.expect(1 << 40).has_room().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_slowly_for_the_longest_time_makes_room_and_only_when_it_is_needed() {
    let messages = messages(2 * MIB);
    let mut slow = Vec::new();
    for content in 0..2 {
        let payload = whole(&messages, &vec![content; MIB]).await;
        let messages = messages.clone();
        slow.push(tokio::spawn(async move { messages.deliver(&payload, pending()).await }));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert!(slow.iter().all(|slow| !slow.is_finished()), "there is room for both");

    // Its driver has other things to do, more often than anybody is slow.
    let mut third = messages.expect(MIB as u64);
    while timeout(Duration::from_millis(500), third.has_room()).await.is_err() {}
    bring(&mut third, &vec![2; MIB]).await.unwrap();
    let third = third.whole().unwrap();
    let (newer, oldest) = (slow.pop().unwrap(), slow.pop().unwrap());
    assert!(matches!(oldest.await.unwrap(), Err(LinkError::Stuck)));
    assert!(!newer.is_finished());
    messages.deliver(&third, async { Ok(()) }).await.unwrap();
    newer.abort();
}

#[tokio::test(start_paused = true)]
async fn who_holds_a_beginning_and_waits_for_the_room_of_another_message_gives_up() {
    let messages = messages(MIB);
    let (mut first, mut second) = (messages.expect(MIB as u64), messages.expect(MIB as u64));
    bring(&mut first, &[1; 100]).await.unwrap();
    bring(&mut second, &[1; 100]).await.unwrap();
    bring(&mut first, &[2; 100]).await.unwrap();
    assert!(matches!(bring(&mut second, &[3; 100]).await, Err(LinkError::Stuck)));
}
