//! What a started program writes, gathered while it runs. Nothing is interpreted here.

use std::fs::File;
use std::io::{PipeReader, Read};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::HUNG;

/// What a program writes into one of its outputs.
pub(super) struct Captured(watch::Receiver<Text>);

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    is_complete: bool,
}

impl Captured {
    pub(super) fn nothing() -> Self {
        Self(watch::channel(Text { bytes: Vec::new(), is_complete: true }).1)
    }

    pub(super) fn of(mut output: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Text::default());
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = output.read(&mut buffer).await {
                sender.send_modify(|text| text.bytes.extend_from_slice(&buffer[..count]));
            }
            sender.send_modify(|text| text.is_complete = true);
        });
        Self(receiver)
    }

    // Whoever reads from a terminal that nobody writes to any more gets an error.
    pub(super) fn of_terminal(mut terminal: File) -> Self {
        let (sender, receiver) = watch::channel(Text::default());
        tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = terminal.read(&mut buffer) {
                sender.send_modify(|text| text.bytes.extend_from_slice(&buffer[..count]));
            }
            sender.send_modify(|text| text.is_complete = true);
        });
        Self(receiver)
    }

    // What filled the pipe before the program began is not its own.
    pub(super) fn of_held(mut held: PipeReader) -> Self {
        let (sender, receiver) = watch::channel(Text::default());
        tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let _ = held.read_to_end(&mut bytes);
            bytes.retain(|byte| *byte != 0);
            sender.send_replace(Text { bytes, is_complete: true });
        });
        Self(receiver)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow().bytes).into_owned()
    }

    pub(super) async fn complete(&self) -> String {
        let mut receiver = self.0.clone();
        let complete = timeout(HUNG, receiver.wait_for(|text| text.is_complete)).await;
        assert!(matches!(complete, Ok(Ok(_))), "the output does not end");
        self.text()
    }

    pub(super) async fn part(&self, part: &str) {
        let has_it = |text: &Text| String::from_utf8_lossy(&text.bytes).contains(part);
        let mut receiver = self.0.clone();
        let _ = timeout(HUNG, receiver.wait_for(|text| text.is_complete || has_it(text))).await;
        assert!(has_it(&self.0.borrow()), "lifeboat never showed {part:?}, but:\n{}", self.text());
    }

    pub(super) async fn line(&self, part: &str, limit: Duration) -> String {
        let find = |text: &Text| {
            let text = String::from_utf8_lossy(&text.bytes);
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            whole.lines().find(|line| line.contains(part)).map(str::to_owned)
        };
        let mut receiver = self.0.clone();
        let _ = timeout(limit, receiver.wait_for(|text| text.is_complete || find(text).is_some())).await;
        let found = find(&self.0.borrow());
        found.unwrap_or_else(|| panic!("lifeboat never said {part:?}, but:\n{}", self.text()))
    }
}
