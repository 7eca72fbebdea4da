//! What the filter in the gateway says and when, and what the companion makes of it: the filter's settings, the report
//! (format 1) and its signature, whether the filter may act at all, the state machine that decides which call comes next,
//! and the ledger of reports. No host calls: `filter/` makes them.

// All of this but the ledger runs inside a gateway, where a panic would hurt traffic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod action;
mod call;
mod flight;
mod health;
mod key;
mod ledger;
mod message;
mod metric;
mod outcome;
mod permission;
mod reporter;
mod response_headers;
mod settings;
mod status;
mod stopwatch;

pub use action::{Action, LogLevel, LogLine};
pub use call::{Answer, AnswerBody, Call, CallFailure, CallKind};
pub use key::{InvalidReportKeys, ReportKey, SIGNATURE_HEADER};
pub use ledger::{Ledger, Refusal, Reporting, ReportingNode, Taken, Tally, WorkerName};
pub use message::{ControlPlane, Counters, FORMAT, MAX_REPORT, REPORT_PATH, Reachability, Report};
pub use metric::{Metric, MetricKind};
pub use permission::NamedHost;
pub use reporter::Reporter;
pub use response_headers::ResponseHeaders;
pub use settings::{FilterSettings, SettingsProblem, Upstream};
