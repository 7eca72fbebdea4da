//! A slot for one configuration, the newest, and for the state of the link that it came over. So a slow store never
//! builds a queue. Once the configuration is taken, no copy stays here, so a large one leaves memory after it was
//! published.

use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::export::Received;
use lifeboat_core::export::publisher::Event;
use lifeboat_runtime::lock::Locked;
use tokio::sync::Notify;

/// The newest configuration that nobody has taken yet. Clones share the slot.
#[derive(Clone, Debug, Default)]
pub struct Newest(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    news: Mutex<News>,
    arrived: Notify,
    reconnect: Notify,
}

#[derive(Debug, Default)]
struct News {
    /// With the line as it was when this came.
    received: Option<(Received, Line)>,
    line: Line,
}

/// The link to the control plane. Links are numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// It is down.
    #[default]
    Down,
    /// It is up, as the link of this number.
    Up(u64),
}

impl Newest {
    /// A slot for a configuration that doesn't come over a link, and that its source has at that moment.
    pub fn without_a_link() -> Self {
        let newest = Self::default();
        newest.set_line(Line::Up(0));
        newest
    }

    /// Puts a configuration there. It replaces an older one that was not taken.
    pub fn put(&self, received: Received) {
        let mut news = self.lock();
        news.received = Some((received, news.line));
        drop(news);
        self.0.arrived.notify_one();
    }

    /// The link has come up or gone down.
    pub fn set_line(&self, line: Line) {
        self.lock().line = line;
        self.0.arrived.notify_one();
    }

    /// Takes the next configuration, as soon as there is one.
    pub async fn next(&self) -> Received {
        loop {
            if let Some((received, _)) = self.lock().received.take() {
                return received;
            }
            self.0.arrived.notified().await;
        }
    }

    /// Waits for news and takes them, in the order in which they came; `told` is the state of the link that was
    /// returned last. Loses nothing when dropped before it is ready.
    pub(super) async fn events(&self, told: &mut Line) -> Vec<Event> {
        self.0.arrived.notified().await;
        let mut news = self.lock();
        let mut events = Vec::new();
        if let Some((received, line)) = news.received.take() {
            change(told, line, &mut events);
            events.push(Event::Received(received));
        }
        change(told, news.line, &mut events);
        events
    }

    /// Asks for a new link in the place of the present one.
    pub(super) fn reconnect(&self) {
        self.0.reconnect.notify_one();
    }

    /// Ends when a new link is asked for.
    pub async fn is_asked_to_reconnect(&self) {
        self.0.reconnect.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.0.news.locked()
    }
}

fn change(told: &mut Line, line: Line, events: &mut Vec<Event>) {
    if *told == line {
        return;
    }
    if let Line::Up(_) = told {
        events.push(Event::LinkDown);
    }
    if let Line::Up(_) = line {
        events.push(Event::LinkUp);
    }
    *told = line;
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use lifeboat_core::digest::ConfigHash;
    use lifeboat_core::kong::Configuration;
    use lifeboat_core::time::WallTime;

    use super::*;

    fn received(digit: u8) -> Received {
        Received {
            configuration: Configuration::from_json(Bytes::from_static(b"{}")).unwrap(),
            config_hash: ConfigHash::from_bytes([digit; 16]),
            hashes: None,
            at: WallTime::from_system(SystemTime::UNIX_EPOCH),
            source: None,
        }
    }

    async fn told(newest: &Newest, told: &mut Line) -> Vec<String> {
        let name = |event: &Event| match event {
            Event::LinkUp => "up".to_owned(),
            Event::LinkDown => "down".to_owned(),
            Event::Received(received) => received.config_hash.to_string()[..2].to_owned(),
            other => panic!("{other:?}"),
        };
        newest.events(told).await.iter().map(name).collect()
    }

    #[tokio::test]
    async fn a_configuration_is_told_of_with_the_link_that_it_came_over() {
        let (newest, mut line) = (Newest::default(), Line::Down);
        newest.set_line(Line::Up(1));
        newest.put(received(0x11));
        assert_eq!(told(&newest, &mut line).await, ["up", "11"]);
        // Nobody looked for a while.
        newest.set_line(Line::Down);
        newest.set_line(Line::Up(2));
        newest.put(received(0x22));
        newest.put(received(0x33));
        newest.set_line(Line::Down);
        newest.set_line(Line::Up(3));
        assert_eq!(told(&newest, &mut line).await, ["down", "up", "33", "down", "up"]);
        // It was still being decoded when its link ended.
        newest.set_line(Line::Down);
        newest.put(received(0x44));
        assert_eq!(told(&newest, &mut line).await, ["down", "44"]);
    }
}
