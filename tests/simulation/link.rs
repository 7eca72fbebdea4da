//! An exporter's link to the control planes: what its headless session would tell the exporter, and when.

use std::rc::Rc;
use std::time::Duration;

use lifeboat::export::{Line, Newest};
use lifeboat_core::export::Received;
use lifeboat_core::time::WallTime;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{sleep, timeout};

use super::board::Board;
use super::configurations::configuration;
use super::control_planes::{ControlPlane, ControlPlanes, Outlet};
use super::mutations::Mistake;
use super::site::Site;

/// One exporter's side.
pub(crate) struct Link {
    pub(crate) control_planes: Rc<ControlPlanes>,
    pub(crate) newest: Newest,
    pub(crate) site: Site,
    pub(crate) random: StdRng,
    /// Whether this exporter's network lets nothing through to them.
    pub(crate) is_cut_off: Board<bool>,
    pub(crate) calm: Board<bool>,
    pub(crate) mistake: Option<Mistake>,
}

impl Link {
    /// Connects, and connects anew when a link is lost or a new one is asked for.
    pub(crate) async fn run(mut self) {
        let (mut links, mut newest_at) = (0, None);
        loop {
            self.pause(20..400).await;
            let control_plane = self.control_planes.connect();
            if control_plane.outlet.get() != Outlet::Down && !self.is_cut_off.get() {
                links += 1;
                self.newest.set_line(Line::Up(links));
                self.listen(&control_plane, &mut newest_at).await;
                self.newest.set_line(Line::Down);
            }
            // As Kong's nodes do, and the headless session.
            self.pause(1_000..10_000).await;
        }
    }

    // Ends with the link.
    async fn listen(&mut self, control_plane: &ControlPlane, newest_at: &mut Option<WallTime>) {
        let hour = Duration::from_secs(3600);
        let lasts =
            if self.calm.get() { hour } else { Duration::from_millis(self.random.random_range(2_000..600_000)) };
        let newest = self.newest.clone();
        let cut_off = self.is_cut_off.clone();
        tokio::select! {
            biased;
            () = newest.is_asked_to_reconnect() => {}
            () = cut_off.is(true) => {}
            _ = timeout(lasts, self.receive(control_plane, newest_at)) => {}
        }
    }

    async fn receive(&mut self, ControlPlane { outlet, wall }: &ControlPlane, newest_at: &mut Option<WallTime>) {
        let mut told = None;
        loop {
            let now = outlet.get();
            match now {
                Outlet::Down => return,
                Outlet::Sends(index) if told != Some(index) => {
                    // On its way, and decoded.
                    self.pause(5..500).await;
                    told = Some(index);
                    let received = self.received(index, *wall + self.site.now());
                    let is_older = newest_at.is_some_and(|newest| received.at < newest);
                    if is_older && self.mistake == Some(Mistake::TimestampsDecide) {
                        continue;
                    }
                    *newest_at = Some(received.at);
                    self.newest.put(received);
                    continue;
                }
                Outlet::Sends(_) | Outlet::Silent => {}
            }
            outlet.is_not(now).await;
        }
    }

    // Its time is that of the control plane which has sent it: nothing may be decided by that.
    fn received(&mut self, index: usize, at: WallTime) -> Received {
        let known = configuration(index);
        Received {
            configuration: known.form(self.random.random_range(0..100)).clone(),
            config_hash: known.hash,
            hashes: Some(known.hashes.clone()),
            at,
            source: None,
        }
    }

    async fn pause(&mut self, milliseconds: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(milliseconds))).await;
    }
}
