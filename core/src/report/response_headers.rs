//! Which response header each root context of a worker has asked for, and which requests are to get one. Bounded: Kong
//! never frees a root, and a host might forget to say that a request is over. Not here: what the header says.

use std::collections::{BTreeMap, VecDeque};

/// The headers that root contexts ask for, and the requests that are under way through such a root.
#[derive(Debug, Default)]
pub struct ResponseHeaders {
    roots: VecDeque<(u32, String)>,
    requests: BTreeMap<u32, u32>,
}

impl ResponseHeaders {
    /// So many roots with a header are remembered; of more, the oldest is forgotten.
    const ROOTS: usize = 64;
    /// So many requests at once get a header; more pass without one.
    const REQUESTS: usize = 16 * 1024;

    /// A root was configured.
    pub fn configure(&mut self, root: u32, header: Option<String>) {
        self.roots.retain(|(known, _)| *known != root);
        if let Some(header) = header {
            if self.roots.len() >= Self::ROOTS {
                self.roots.pop_front();
            }
            self.roots.push_back((root, header));
        }
    }

    /// A request has begun. Costs nothing where no root asks for a header.
    pub fn begin(&mut self, request: u32, root: u32) {
        if self.of_root(root).is_some() && self.requests.len() < Self::REQUESTS {
            self.requests.insert(request, root);
        }
    }

    /// A request is over.
    pub fn end(&mut self, request: u32) {
        if !self.requests.is_empty() {
            self.requests.remove(&request);
        }
    }

    /// The header that the response to this request gets, if one.
    pub fn of(&self, request: u32) -> Option<&str> {
        self.of_root(*self.requests.get(&request)?)
    }

    fn of_root(&self, root: u32) -> Option<&str> {
        self.roots.iter().find(|(asking, _)| *asking == root).map(|(_, header)| header.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn each_request_gets_the_header_of_its_own_root() {
        let mut headers = ResponseHeaders::default();
        headers.configure(100, header("x-a"));
        headers.configure(101, None);
        headers.configure(102, header("x-c"));
        for (request, root) in [(1, 100), (2, 101), (3, 102)] {
            headers.begin(request, root);
        }
        assert_eq!([1, 2, 3, 4].map(|request| headers.of(request)), [Some("x-a"), None, Some("x-c"), None]);
        headers.end(1);
        assert_eq!(headers.of(1), None);
        headers.configure(102, None);
        assert_eq!(headers.of(3), None, "what a root asks for now counts");
    }

    #[test]
    fn neither_leaked_roots_nor_requests_that_never_end_grow_without_bound() {
        let mut headers = ResponseHeaders::default();
        for root in 0..10_000 {
            headers.configure(root, header("x-a"));
        }
        for request in 0..100_000 {
            headers.begin(request, 9_999);
        }
        assert_eq!((headers.roots.len(), headers.requests.len()), (ResponseHeaders::ROOTS, ResponseHeaders::REQUESTS));
        assert_eq!(headers.of_root(9_999), Some("x-a"), "the newest is not the one that is forgotten");
    }
}
