//! Commands that wait, and are a container's first process: such a one gets no signal that it doesn't ask for, and would be
//! waited for until it is killed.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// What `work` comes to, unless a container's runtime, or somebody at a terminal, wants it to end before. Kong's image names
/// SIGQUIT.
///
/// # Errors
/// What `work` fails with, or what a shell ends with after such a signal.
pub(super) async fn unless_stopped<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let listen = |kind: SignalKind| signal(kind).map_err(anyhow::Error::from);
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut quit = listen(SignalKind::quit())?;
    tokio::select! {
        done = work => done,
        failure = stopped(&mut terminate, "SIGTERM", SignalKind::terminate()) => Err(failure),
        failure = stopped(&mut interrupt, "SIGINT", SignalKind::interrupt()) => Err(failure),
        failure = stopped(&mut quit, "SIGQUIT", SignalKind::quit()) => Err(failure),
    }
}

async fn stopped(signal: &mut Signal, name: &str, kind: SignalKind) -> Failure {
    signal.recv().await;
    let code = u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX);
    Failure::AsAShell { code, why: format!("{name} came before it was done") }
}
