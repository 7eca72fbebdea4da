//! What is logged in an hour without the store, and in one without the control plane.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat::archive::Archive;
use lifeboat::export::{BackupNode, Exporter, Headless, Newest};
use lifeboat_core::export::Received;
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_core::kong::reconfigure::decode;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_fakes::recorded;
use lifeboat_runtime::clock::Clock;
use lifeboat_tests::faulty::{Fault, MemoryS3, Weather};
use lifeboat_tests::generator;
use lifeboat_tests::log::Log;
use lifeboat_tests::stage::play_with_time;
use lifeboat_tests::world::World;
use tokio::time::{pause, resume, sleep};
use tokio_util::sync::CancellationToken;

use super::storage_in;

const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);
const MAX_CONFIG: usize = 1 << 20;
const MOST_LINES: usize = 20;

fn received(services: usize) -> Received {
    let message = generator::reconfigure_message(&generator::configuration(services));
    let message = decode(&message, MAX_CONFIG).expect("the generator's messages are valid");
    let at = WallTime::from_system(SystemTime::UNIX_EPOCH);
    let (configuration, hashes) = (message.configuration, message.hashes);
    Received { configuration, config_hash: message.config_hash, hashes, at, source: None }
}

/// What an operator sees: no finer levels than INFO.
fn seen(log: &Log) -> Vec<String> {
    let levels = [" INFO ", " WARN ", "ERROR "];
    log.text().lines().filter(|line| levels.iter().any(|level| line.contains(level))).map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_the_store_takes_twenty_lines_at_most() {
    let faults = [Fault::Refused, Fault::Ignored, Fault::Answers(503, "SlowDown"), Fault::Answers(403, "AccessDenied")];
    for fault in faults {
        let log = Log::default();
        log.attach();
        let (s3, weather) = (MemoryS3::default(), Weather::fair());
        let archive = Archive::over(storage_in(&weather, &s3), MAX_CONFIG);
        let rules = Rules { export_delay: Duration::ZERO, guard: ShrinkGuard::new(100), doubt: Doubt::Nothing };
        let node = BackupNode::new(KongVersion::new(3, 9, 1));
        let exporter = Exporter::new(archive, &node, rules, Clock::start());
        let (newest, stop) = (Newest::without_a_link(), CancellationToken::new());
        let running = tokio::spawn(exporter.run(newest.clone(), stop.clone()));
        newest.put(received(1));
        sleep(5 * MINUTE).await;
        assert_eq!(log.lines_with("published configuration").len(), 1, "{}", seen(&log).join("\n"));

        let before = seen(&log).len();
        weather.turn_to(fault);
        newest.put(received(2));
        sleep(HOUR).await;
        let outage = seen(&log).split_off(before);
        let text = outage.join("\n");
        assert!(outage.len() <= MOST_LINES, "{fault:?}: {} lines\n{text}", outage.len());
        assert!(
            text.contains("is not published yet") || text.contains("the leader can't be elected"),
            "{fault:?}:\n{text}"
        );
        // It is not forgotten towards the end of the hour.
        assert!((49..60).any(|minutes| text.contains(&format!("(for {minutes} min)"))), "{fault:?}:\n{text}");

        weather.clear_up();
        sleep(15 * MINUTE).await;
        assert_eq!(log.lines_with("published configuration").len(), 2, "{fault:?}:\n{}", seen(&log).join("\n"));
        // It begins when it is noticed.
        let ended = |line: &String| line.contains(", after 59 min") || line.contains(", after 1 h ");
        assert!(seen(&log).iter().any(ended), "{fault:?}:\n{}", seen(&log).join("\n"));
        stop.cancel();
        running.await.unwrap();
    }
}

#[test]
fn an_hour_without_the_control_plane_takes_twenty_lines_at_most() {
    play_with_time(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let settings = world.settings();
        let keep = settings.keep.into_iter().next().expect("export is on");
        let node = BackupNode::new(keep.version);
        let headless = Headless::new(Arc::new(settings.cluster), keep, node, MAX_CONFIG, Clock::start()).unwrap();
        let running = tokio::spawn(headless.run());
        world.log.wait_for(&["received a configuration"]).await;

        let before = seen(&world.log).len();
        world.control_plane.stop().await;
        pause();
        sleep(HOUR).await;
        resume();
        let outage = seen(&world.log).split_off(before);
        let text = outage.join("\n");
        assert!((5..=MOST_LINES).contains(&outage.len()), "{} lines\n{text}", outage.len());
        assert!((49..60).any(|minutes| text.contains(&format!("(for {minutes} min)"))), "{text}");

        world.control_plane_comes_back().await;
        world.control_plane.push(recorded::first());
        world.log.wait_for(&["INFO", "connected to control plane", ", after 1 h ", "without it"]).await;
        running.abort();
    });
}
