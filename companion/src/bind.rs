//! Addresses to listen on, and what to do where one can't be.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// How many connections the system may hold until they are taken: after a restart of the relay all its nodes come at once.
const BACKLOG: u32 = 4096;

/// An address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {address} can't be listened on ({error}): {}", self.cure())]
pub struct BindError {
    setting: &'static str,
    address: SocketAddr,
    error: std::io::Error,
}

impl BindError {
    fn cure(&self) -> &'static str {
        match self.error.kind() {
            ErrorKind::AddrInUse => {
                "another program, or another lifeboat, listens there. Stop it, or choose another port"
            }
            ErrorKind::AddrNotAvailable => "this host has no such address. Choose one of its own, or 0.0.0.0 for all",
            ErrorKind::PermissionDenied => "a port below 1024 needs a right of its own. Choose a higher one",
            _ => "choose another address",
        }
    }
}

/// Listens on the address that `setting` names, and tells which it is: port 0 is any that is free.
pub async fn listen(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |error| BindError { setting, address, error };
    let listener = bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As tokio's own listeners do: a program that is restarted finds its port free.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
