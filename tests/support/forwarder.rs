//! A TCP forwarder that can be cut: a network that loses everything and says nothing.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections to one address, until it is dropped.
pub struct Forwarder {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    Cut,
}

impl Forwarder {
    /// Starts one.
    ///
    /// # Panics
    /// When the system gives no port.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let state = watch::Sender::new(State::Whole);
        let seen = state.subscribe();
        let accepting = tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(forward(from, to, seen.clone()));
            }
        });
        Self { address, state, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on no byte passes, in either direction; connections stay open and are still accepted.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(mut from: TcpStream, to: SocketAddr, mut state: watch::Receiver<State>) {
    let is_cut = async |state: &mut watch::Receiver<State>| {
        // Who has cut it and is gone doesn't mend it.
        let _ = state.wait_for(|state| *state == State::Cut).await;
    };
    tokio::select! {
        biased;
        () = is_cut(&mut state) => {}
        _ = async {
            let mut onwards = TcpStream::connect(to).await?;
            copy_bidirectional(&mut from, &mut onwards).await
        } => return,
    }
    // Its socket stays open.
    std::future::pending::<()>().await;
}
