//! What a node with incremental sync is given, as a table.

use super::*;

const LATER: Duration = Duration::from_secs(30);

fn offer(sequence: u64) -> Offer {
    let version = SyncVersion::of_sequence(sequence);
    Offer { version, message_bytes: 1000, config_bytes: 5000, follow: false }
}

fn number(sequence: u64) -> i64 {
    SyncVersion::of_sequence(sequence).number()
}

fn node() -> SyncNode {
    SyncNode::new(16 << 20, Moment::default())
}

fn at(seconds: u64) -> Moment {
    Moment::default() + Duration::from_secs(seconds)
}

fn trouble(answer: (Answer, Option<SyncNotice>)) -> String {
    match answer {
        (Answer::NoDeltas, Some(SyncNotice::Trouble(trouble))) => trouble.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_node_gets_everything_and_says_that_it_runs_it() {
    let mut node = node();
    assert_eq!(node.asked(0, Some(&offer(10)), at(1)), (Answer::Everything, None));
    assert!(!node.is_restored());
    let adopted = SyncNotice::Adopted(SyncVersion::of_sequence(10));
    assert_eq!(node.asked(number(10), Some(&offer(10)), at(2)), (Answer::NoDeltas, Some(adopted)));
    assert!(node.is_restored());
    assert_eq!(node.asked(number(10), Some(&offer(10)), at(31)), (Answer::NoDeltas, None));
}

#[test]
fn nothing_is_given_before_it_is_known_that_the_control_plane_is_gone_and_then_the_node_is_notified() {
    let mut node = node();
    assert_eq!(node.asked(0, None, at(1)), (Answer::NoDeltas, None));
    assert_eq!(node.notify_at(None, at(1)), None);
    let offer = offer(10);
    assert_eq!(node.notify_at(Some(&offer), at(1)), Some(at(2)));
    assert!(!node.notify(Some(&offer), at(1)) && node.notify(Some(&offer), at(2)));
    // Another of its connections finds that it was told, until that can have been lost.
    assert!(!node.notify(Some(&offer), at(7)) && node.notify(Some(&offer), at(8)));
    assert_eq!(node.asked(0, Some(&offer), at(9)).0, Answer::Everything);
    assert_eq!(node.notify_at(Some(&offer), at(9)), Some(at(34)));
}

#[test]
fn a_node_that_comes_again_is_asked_what_it_has() {
    let mut node = node();
    node.came(16 << 20, at(100));
    assert_eq!(node.notify_at(Some(&offer(10)), at(100)), Some(at(100) + ASKS_BY_ITSELF));
}

#[test]
fn a_node_that_does_not_take_it_is_sent_it_once_more_at_its_next_tick_and_then_left_alone() {
    let (mut node, offer_10) = (node(), offer(10));
    assert_eq!(node.asked(0, Some(&offer_10), at(0)).0, Answer::Everything);
    // The second call of the same round.
    assert_eq!(node.asked(0, Some(&offer_10), at(5)), (Answer::NoDeltas, None));
    assert_eq!(node.asked(0, Some(&offer_10), at(30)), (Answer::Everything, None));
    assert_eq!(node.asked(0, Some(&offer_10), at(35)), (Answer::NoDeltas, None));
    assert!(trouble(node.asked(0, Some(&offer_10), at(60))).contains("2 times"));
    assert_eq!(node.asked(0, Some(&offer_10), at(90)), (Answer::NoDeltas, None), "it is said once");
    assert_eq!(node.notify_at(Some(&offer_10), at(90)), None);

    // A later snapshot may be one that it takes.
    assert!(node.notify(Some(&offer(11)), at(92)));
    assert_eq!(node.asked(0, Some(&offer(11)), at(93)), (Answer::Everything, None));
    assert!(matches!(node.asked(number(11), Some(&offer(11)), at(94)).1, Some(SyncNotice::Adopted(_))));
    assert_eq!(node.trouble(), None);
}

#[test]
fn a_node_that_takes_none_is_sent_three_and_no_more() {
    let mut node = node();
    let mut sent = 0;
    for round in 0..100 {
        let (answer, _) = node.asked(0, Some(&offer(10 + round / 10)), at(30 * round));
        sent += u32::from(answer == Answer::Everything);
    }
    assert_eq!(sent, ATTEMPTS * DIFFERENT_ONES);
}

#[test]
fn a_large_one_is_not_sent_again_within_a_minute() {
    let (mut node, large) = (node(), Offer { config_bytes: 58_000_000, ..offer(10) });
    let sent = |second| node.asked(0, Some(&large), at(second)).0 == Answer::Everything;
    assert_eq!([0, 5, 30, 59, 60].map(sent), [true, false, false, false, true]);
}

#[test]
fn a_restored_node_follows_only_where_that_is_set_and_never_backwards() {
    let follow = |sequence| Offer { follow: true, ..offer(sequence) };
    let mut node = node();
    assert_eq!(node.asked(number(9), Some(&offer(10)), at(1)), (Answer::NoDeltas, None));
    assert!(node.is_restored());
    assert_eq!(node.notify_at(Some(&offer(10)), at(1)), None);
    assert_eq!(node.notify_at(Some(&follow(10)), at(1)), Some(at(2)));
    assert_eq!(node.asked(number(9), Some(&follow(10)), at(2)), (Answer::Everything, None));
    assert!(matches!(node.asked(number(10), Some(&follow(10)), at(3)).1, Some(SyncNotice::Adopted(_))));

    assert!(trouble(node.asked(number(10), Some(&follow(7)), at(33))).contains("snapshot 10"));
    assert_eq!(node.notify_at(Some(&follow(7)), at(40)), None);
}

#[test]
fn a_node_with_a_control_planes_version_is_left_alone() {
    let mut node = node();
    let follow = Offer { follow: true, ..offer(10) };
    for version in [1, 16, 1_000_000, -1_000_000_001] {
        assert_eq!(node.asked(version, Some(&follow), at(1)), (Answer::NoDeltas, None), "{version}");
        assert_eq!(node.notify_at(Some(&follow), at(100)), None);
    }
}

#[test]
fn a_node_that_says_0_and_was_seen_with_a_configuration_is_left_alone() {
    for seen in [SyncNode::runs_by_outlet, |node: &mut SyncNode| node.asked_control_plane(0, true)] {
        let mut node = node();
        seen(&mut node);
        assert!(trouble(node.asked(0, Some(&offer(10)), at(1))).contains("/v1/outlet"));
    }
    let mut empty = node();
    empty.asked_control_plane(0, false);
    assert_eq!(empty.asked(0, Some(&offer(10)), at(1)).0, Answer::Everything);
}

#[test]
fn a_node_that_had_a_version_and_says_0_has_lost_it() {
    let mut node = node();
    node.runs_by_outlet();
    node.asked_control_plane(16, true);
    assert_eq!(node.asked(0, Some(&offer(10)), at(1)).0, Answer::Everything);
}

#[test]
fn what_the_node_can_not_take_is_not_sent() {
    let mut node = SyncNode::new(999, Moment::default());
    assert!(trouble(node.asked(0, Some(&offer(10)), at(1))).contains("raise cluster_max_payload"));
    node.came(1000, at(2));
    assert_eq!(node.asked(0, Some(&offer(10)), at(3)).0, Answer::Everything);
}

#[test]
fn what_could_not_be_sent_in_time_does_not_count_and_the_node_is_notified() {
    let (mut node, offer) = (node(), offer(10));
    assert_eq!(node.asked(0, Some(&offer), at(1)).0, Answer::Everything);
    node.not_sent(at(3));
    assert_eq!(node.notify_at(Some(&offer), at(3)), Some(at(9)));
    assert_eq!(node.asked(0, Some(&offer), at(9)).0, Answer::Everything);
    assert_eq!(node.asked(0, Some(&offer), at(9) + LATER).0, Answer::Everything);
}
