//! Clouds at the socket, small and strict: they refuse what the real ones refuse. Each file names the published page that
//! it follows. Amazon's store itself is `lifeboat_fakes::store`.

pub mod aws;
pub mod azure;
pub mod gcs;
pub mod google;
pub mod http;
pub mod jwt;
