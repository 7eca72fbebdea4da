//! The cluster link: TLS with Kong's certificates in both roles, WebSocket frames, and the way to a control plane, by a
//! forward proxy if need be. What the frames mean is `lifeboat-core`'s; the settings are `lifeboat`'s.

mod address;
pub mod dial;
mod proxy;
mod put_off;
pub mod tls;
pub mod websocket;

pub use address::Address;
pub use dial::ControlPlane;
pub use proxy::Proxy;
pub use put_off::PutOff;
