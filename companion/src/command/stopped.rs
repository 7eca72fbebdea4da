//! Signals that end a command: a container's first process gets none that it does not ask for, and would be waited for until
//! it is killed.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// SIGTERM and SIGINT, listened for from its making on.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

/// SIGHUP, listened for from its making on: a service manager's reload, which would end a process that does not.
pub(super) struct Hangup(Signal);

impl Hangup {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the system gives no signal handler.
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self(listen_for(SignalKind::hangup())?))
    }

    /// Returns when it comes.
    pub(super) async fn came(&mut self) {
        self.0.recv().await;
    }
}

impl Stop {
    /// Listens from now on; neither signal ends the process by itself any more.
    ///
    /// # Errors
    /// If the system gives no signal handler.
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self { terminate: listen_for(SignalKind::terminate())?, interrupt: listen_for(SignalKind::interrupt())? })
    }

    /// What `work`, the writing of what is waiting, comes to, unless either signal comes again meanwhile.
    ///
    /// # Errors
    /// What a shell ends with after such a signal.
    pub(super) async fn unless_told_again<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let again = "again while it was stopping: it ended at once, and what was waiting may not be written";
        tokio::select! {
            done = work => Ok(done),
            _ = self.terminate.recv() => Err(by_signal(SignalKind::terminate(), format!("SIGTERM came {again}"))),
            _ = self.interrupt.recv() => Err(by_signal(SignalKind::interrupt(), format!("SIGINT came {again}"))),
        }
    }

    /// Returns when either signal comes.
    pub(super) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What `work` comes to, unless a container's runtime, or somebody at a terminal, wants it to end before. Kong's image names
/// SIGQUIT.
///
/// # Errors
/// What `work` fails with, or what a shell ends with after such a signal.
pub async fn unless_stopped<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let (mut terminate, mut interrupt) = (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);
    let mut quit = listen_for(SignalKind::quit())?;
    tokio::select! {
        done = work => done,
        failure = stopped(&mut terminate, "SIGTERM", SignalKind::terminate()) => Err(failure),
        failure = stopped(&mut interrupt, "SIGINT", SignalKind::interrupt()) => Err(failure),
        failure = stopped(&mut quit, "SIGQUIT", SignalKind::quit()) => Err(failure),
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, Failure> {
    Ok(signal(kind).map_err(anyhow::Error::from)?)
}

async fn stopped(signal: &mut Signal, name: &str, kind: SignalKind) -> Failure {
    signal.recv().await;
    by_signal(kind, format!("{name} came before it was done"))
}

fn by_signal(kind: SignalKind, why: String) -> Failure {
    let code = u8::try_from(128 + kind.as_raw_value()).unwrap_or(u8::MAX);
    Failure::AsAShell { code, why }
}
