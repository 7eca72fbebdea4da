//! Control planes over one database, as KONG.md section 1 has them: each sends what it exported last, which may be old
//! where it looks seldom or can't reach its database, and nothing where it has just been started without one.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use lifeboat_core::time::WallTime;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::board::Board;
use super::database::Database;
use super::plan::Walls;
use super::site::Site;
use super::world::wall;

/// What a control plane does to the links of its nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outlet {
    /// It isn't there.
    #[default]
    Down,
    /// It is there and has nothing to send.
    Silent,
    /// It sends this configuration, to who connects too.
    Sends(usize),
}

/// Where one stands with its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Follows,
    CutOff { until: Instant },
}

/// All control planes.
pub(crate) struct ControlPlanes {
    all: Vec<ControlPlane>,
    random: RefCell<StdRng>,
}

/// One of them, as its nodes see it.
#[derive(Clone)]
pub(crate) struct ControlPlane {
    pub(crate) outlet: Board<Outlet>,
    /// What its clock on the wall showed at the world's begin.
    pub(crate) wall: WallTime,
}

impl ControlPlanes {
    pub(crate) fn new(count: usize, random: &mut StdRng) -> Self {
        let all =
            (0..count).map(|_| ControlPlane { outlet: Board::showing(Outlet::Down), wall: wall(Walls::Kept, random) });
        Self { all: all.collect(), random: RefCell::new(StdRng::seed_from_u64(random.random())) }
    }

    /// Connects to one of them, as a load balancer in front of them would.
    pub(crate) fn connect(&self) -> ControlPlane {
        let which = self.random.borrow_mut().random_range(0..self.all.len());
        self.all[which].clone()
    }

    /// All of them live, in trouble until `calm` is true.
    pub(crate) async fn live(self: Rc<Self>, database: Rc<Database>, site: Site, calm: Board<bool>) {
        let lives = (0..self.all.len()).map(|index| {
            let random = StdRng::seed_from_u64(self.random.borrow_mut().random());
            life(index, &self.all[index].outlet, &database, &site, calm.clone(), random)
        });
        futures::future::join_all(lives).await;
    }
}

async fn life(
    index: usize,
    outlet: &Board<Outlet>,
    database: &Database,
    site: &Site,
    calm: Board<bool>,
    mut random: StdRng,
) {
    // How often it looks whether its database has changed.
    let pace = Duration::from_millis(random.random_range(500..6_000));
    let mut reach = Reach::Follows;
    loop {
        let is_calm = calm.get();
        if is_calm || matches!(reach, Reach::CutOff { until } if until <= Instant::now()) {
            reach = Reach::Follows;
        }
        let seen = match (reach, outlet.get()) {
            (Reach::Follows, _) => Outlet::Sends(database.configuration()),
            (Reach::CutOff { .. }, Outlet::Down) => Outlet::Silent,
            (Reach::CutOff { .. }, as_before) => as_before,
        };
        outlet.show(seen);
        sleep(pace.mul_f64(random.random_range(0.8..1.2))).await;
        if is_calm {
            continue;
        }
        let length = Duration::from_millis(random.random_range(5_000..150_000));
        match random.random_range(0..400) {
            0..8 => {
                site.note(&format!("control plane {index} is cut off from its database for {length:?}"));
                reach = Reach::CutOff { until: Instant::now() + length };
            }
            8..14 => {
                site.note(&format!("control plane {index} starts anew"));
                outlet.show(Outlet::Down);
                sleep(length / 8).await;
            }
            _ => {}
        }
    }
}
