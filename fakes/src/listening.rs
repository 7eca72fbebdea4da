//! A listening socket that can go away with all its connections and come back at the same address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};

type Serve = Arc<dyn Fn(TcpStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// Serves each connection in a task of its own. Dropping it ends all of them.
pub(super) struct Listening {
    address: SocketAddr,
    serve: Serve,
    running: Mutex<Option<Running>>,
}

struct Running {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listening {
    pub(super) async fn start(
        address: SocketAddr,
        serve: impl Fn(TcpStream) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let listening = Self { address: listener.local_addr()?, serve: Arc::new(serve), running: Mutex::new(None) };
        listening.run(listener).await;
        Ok(listening)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when the listener and all connections are gone.
    pub(super) async fn stop(&self) {
        if let Some(mut running) = self.running.lock().await.take() {
            running.stop.send_replace(());
            // An error would mean that the task was aborted, which is as gone.
            let _ = (&mut running.task).await;
        }
    }

    pub(super) async fn come_back(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.run(listener).await;
        Ok(())
    }

    async fn run(&self, listener: TcpListener) {
        let (stop, stopped) = watch::channel(());
        let task = tokio::spawn(accept(listener, self.serve.clone(), stopped));
        *self.running.lock().await = Some(Running { stop, task });
    }
}

async fn accept(listener: TcpListener, serve: Serve, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream));
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}
