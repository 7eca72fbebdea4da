//! Addresses to listen on, and what to do where one can't be.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

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
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
