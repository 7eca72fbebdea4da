//! One connection of a node while the control plane is there: everything passes unchanged in both directions. Only the
//! first message of each side is read before it passes. A node that was restored is then told that there is something
//! newer, so that it gets the control plane's own configuration without waiting for its next tick.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use hyper::upgrade::OnUpgrade;
use lifeboat_core::frame::Frame;
use lifeboat_core::kong::rpc::{FromNode, Hello, NotHello, SyncVersion, lists_sync, notify};
use lifeboat_link::websocket::header::Mask;
use lifeboat_link::websocket::{Cut, FrameCutter, frame_of_a_server};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::nodes::{NodeEntry, join};
use super::outage::ControlPlaneSync;
use super::{Caller, HELLO_LIMIT, HELLO_SIZE, log_lines};
use crate::relay::Shared;
use crate::relay::nodes::ControlPlaneLink;
use crate::relay::tunnel::{self, SILENCE, Stream, write};

/// Only frames of up to so many bytes are read. A node's own frames have about a hundred.
const SMALL: u64 = 4 * 1024;
/// An answer without deltas for the node is shorter than this.
const NO_DELTAS: u64 = 512;

/// Passes what both sides say, until one of them ends it.
pub(super) async fn serve(shared: Arc<Shared>, both: [OnUpgrade; 2], speaks: bool, caller: Caller) {
    let [node, control_plane] = both;
    let (Ok(node), Ok(control_plane)) = (node.await, control_plane.await) else {
        debug!(peer = %caller.peer, "what the control plane agreed to did not open");
        return;
    };
    let (mut node, ahead_of_node) = tunnel::parts(node);
    let (mut control_plane, ahead) = tunnel::parts(control_plane);

    let passed = if speaks {
        pass(&shared, &caller, (&mut node, ahead_of_node), (&mut control_plane, ahead)).await
    } else {
        tunnel::pass_bytes((&mut node, &ahead_of_node), (&mut control_plane, &ahead)).await
    };
    debug!(peer = %caller.peer, "what passed through /v2/outlet has ended: {passed:?}");
    tunnel::close([node, control_plane]).await;
}

async fn pass(
    shared: &Arc<Shared>,
    caller: &Caller,
    (node, from_node): (&mut Stream, BytesMut),
    (control_plane, from_control_plane): (&mut Stream, BytesMut),
) -> io::Result<()> {
    let mut from_node = FrameCutter::new(Mask::Theirs, from_node, HELLO_SIZE);
    let (bytes, hello) = match recv_hello(node, &mut from_node).await? {
        Ok(hello) => hello,
        Err(problem) => {
            log_lines::not_hello(caller, problem);
            return Ok(());
        }
    };
    write(control_plane, &bytes).await?;

    // If the node takes its configuration elsewhere, or speaks another protocol, everything just passes.
    let connection = hello.can_be_synced().then(|| join(shared, &hello, caller, ControlPlaneLink::Linked));
    let Some(connection) = &connection else {
        let passing = tunnel::pass_bytes((node, from_node.buffer()), (control_plane, &from_control_plane));
        tokio::select! {
            passed = passing => return passed,
            () = shared.incremental.linked_for_ever(caller.peer.ip(), &hello) => unreachable!("it waits for ever"),
        }
    };

    let mut from_control_plane = FrameCutter::new(Mask::Ours, from_control_plane, SMALL);
    greet(shared, &connection.entry, node, control_plane, &mut from_control_plane).await?;
    both_ways(shared, &connection.entry, (node, from_node), (control_plane, from_control_plane)).await
}

// As it came, and what it says.
async fn recv_hello(node: &mut Stream, from_node: &mut FrameCutter) -> io::Result<Result<(Bytes, Hello), NotHello>> {
    let until = Instant::now() + HELLO_LIMIT;
    let cut = timeout_at(until, first(node, from_node)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(match cut {
        Cut::Frame { bytes, frame } if frame.is_whole_message() => {
            Hello::decode(&frame.payload).map(|hello| (bytes, hello))
        }
        Cut::Frame { .. } | Cut::Part(_) => Err(NotHello::Form),
    })
}

async fn first(stream: &mut Stream, cutter: &mut FrameCutter) -> io::Result<Cut> {
    loop {
        if let Some(cut) = cutter.cut().map_err(io::Error::other)? {
            return Ok(cut);
        }
        if stream.read_buf(cutter.buffer()).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

// Passes the control plane's answer to the hello on, and tells a node that was restored here to ask at once.
async fn greet(
    shared: &Arc<Shared>,
    entry: &NodeEntry,
    node: &mut Stream,
    control_plane: &mut Stream,
    from_control_plane: &mut FrameCutter,
) -> io::Result<()> {
    let answer =
        timeout(SILENCE, first(control_plane, from_control_plane)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let (bytes, speaks) = match &answer {
        Cut::Frame { bytes, frame } => (bytes, lists_sync(&frame.payload)),
        Cut::Part(bytes) => (bytes, None),
    };
    write(node, bytes).await?;

    if let Some(speaks) = speaks {
        shared.sync_outage.answers_hello(shared, speaks);
    }
    if speaks == Some(true) && entry.take_notification() {
        write(node, &frame_of_a_server(&Frame::binary(notify()))).await?;
    }
    Ok(())
}

async fn both_ways(
    shared: &Arc<Shared>,
    entry: &NodeEntry,
    (node, from_node): (&mut Stream, FrameCutter),
    (control_plane, mut from_control_plane): (&mut Stream, FrameCutter),
) -> io::Result<()> {
    let (mut read_node, mut write_node) = tokio::io::split(node);
    let (mut read_control_plane, mut write_control_plane) = tokio::io::split(control_plane);
    // How many bytes the control plane has sent since the node last asked.
    let given = AtomicU64::new(0);
    let heard = Heard { shared, entry, given: &given };

    let up = async {
        let mut from_node = from_node;
        loop {
            while let Some(cut) = from_node.cut().map_err(io::Error::other)? {
                if let Some(bytes) = heard.passes(&cut) {
                    write(&mut write_control_plane, bytes).await?;
                }
            }
            read(&mut read_node, from_node.buffer()).await?;
        }
    };
    let down = async {
        loop {
            let ahead = from_control_plane.buffer();
            if !ahead.is_empty() {
                given.fetch_add(ahead.len() as u64, Ordering::Relaxed);
                write(&mut write_node, ahead).await?;
                ahead.clear();
            }
            read(&mut read_control_plane, ahead).await?;
        }
    };

    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

// Both sides ping when nothing else is sent.
async fn read(from: &mut (impl AsyncReadExt + Unpin), into: &mut BytesMut) -> io::Result<()> {
    match timeout(SILENCE, from.read_buf(into)).await.map_err(|_| io::ErrorKind::TimedOut)?? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Reads what a node sends while it passes to the control plane.
struct Heard<'a> {
    shared: &'a Arc<Shared>,
    entry: &'a NodeEntry,
    given: &'a AtomicU64,
}

impl Heard<'_> {
    // The bytes that pass on: all except the answer to the relay's own question.
    fn passes<'c>(&self, cut: &'c Cut) -> Option<&'c [u8]> {
        let (bytes, frame) = match cut {
            Cut::Part(bytes) => return Some(bytes),
            Cut::Frame { bytes, frame } => (bytes, frame),
        };
        if !frame.is_whole_message() {
            return Some(bytes);
        }
        match FromNode::decode(&frame.payload) {
            Some(FromNode::NotifyAnswered) => return None,
            Some(FromNode::GetDelta { version, .. }) => self.asked(version),
            _ => {}
        }
        Some(bytes)
    }

    fn asked(&self, version: i64) {
        let was_given = self.given.swap(0, Ordering::Relaxed) > NO_DELTAS;
        let before = self.entry.with(|node| {
            let before = node.has();
            node.asked_control_plane(version, was_given);
            before
        });

        if was_given && version >= 0 {
            self.entry.given();
        }
        let was_restored = before.is_some_and(|before| SyncVersion::sequence(before).is_some());
        match version {
            0 if was_restored => self.shared.sync_outage.sees(self.shared, ControlPlaneSync::VersionZero),
            1.. => self.shared.sync_outage.sees(self.shared, ControlPlaneSync::On),
            _ => {}
        }
    }
}
