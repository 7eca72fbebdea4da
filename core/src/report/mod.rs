//! What the filter in the gateway says and when: its settings, the report it sends (format 1), what it makes of the
//! Status API's answer, and the state machine that decides which call comes next. No host calls: `filter/` makes them.

mod action;
mod call;
mod flight;
mod health;
mod message;
mod outcome;
mod reporter;
mod settings;
mod status;
mod stopwatch;

pub use action::{Action, LogLevel, LogLine};
pub use call::{Answer, AnswerBody, Call, CallFailure, CallKind};
pub use message::{Counters, FORMAT, REPORT_PATH, Report};
pub use reporter::Reporter;
pub use settings::{FilterSettings, SettingsProblem, Upstream};
