//! The same with incremental sync: says hello, asks until it is given something, and says that it has it.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use lifeboat_fakes::recorded;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::{PING_EVERY, Shared, now, wire};

/// An answer with deltas is longer.
const NO_DELTAS: u64 = 512;

pub(super) async fn stay(shared: &Shared, mut link: TlsStream<tokio::net::TcpStream>, id: &str) -> io::Result<()> {
    link.write_all(&wire::masked(wire::BINARY, hello(id).to_string().as_bytes())).await?;
    link.flush().await?;
    let mut link = BufReader::with_capacity(512, link);
    let (mut calls, mut has) = (0, 0);
    let mut next_ping = Instant::now() + PING_EVERY;
    loop {
        let heard = tokio::select! {
            biased;
            heard = link.fill_buf() => heard?.len(),
            () = tokio::time::sleep_until(next_ping) => {
                next_ping = Instant::now() + PING_EVERY;
                link.write_all(&wire::masked(wire::PING, b"")).await?;
                link.flush().await?;
                continue;
            }
        };
        if heard == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }

        let (opcode, length) = wire::next(&mut link).await?;
        wire::skip(&mut link, length).await?;
        match opcode {
            wire::BINARY if length > NO_DELTAS => {
                shared.counts.last_message.fetch_max(now(), Relaxed);
                shared.counts.messages.fetch_add(1, Relaxed);
                has = -999_999_999;
                ask(&mut link, calls, has).await?;
                calls += 1;
            }
            // The answer to the hello, or a notification. Kong tells an answer without deltas from it and waits; to ask again
            // does no harm here.
            wire::BINARY if has == 0 => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                ask(&mut link, calls, has).await?;
                calls += 1;
            }
            wire::CLOSE => return Ok(()),
            _ => {}
        }
    }
}

async fn ask(link: &mut (impl AsyncWrite + Unpin), id: u64, version: i64) -> io::Result<()> {
    let call = json!({
        "jsonrpc": "2.0", "id": id, "method": "kong.sync.v2.get_delta", "params": [{ "default": { "version": version } }],
    });
    let block = snap::raw::Encoder::new().compress_vec(call.to_string().as_bytes()).map_err(io::Error::other)?;
    link.write_all(&wire::masked(wire::BINARY, &block)).await?;
    link.flush().await
}

fn hello(id: &str) -> Value {
    let mut hello: Value = serde_json::from_slice(recorded::hello()).expect("what was recorded is JSON");
    hello["params"][0]["kong_node_id"] = id.into();
    hello
}
