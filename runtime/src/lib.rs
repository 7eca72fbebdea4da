//! What every part of Lifeboat that does IO shares: the clock, random numbers, work in the background, what is shown as
//! progress, and points in time as HTTP writes them.

pub mod background;
pub mod clock;
pub mod http_time;
pub mod lock;
pub mod progress;
pub mod rng;
