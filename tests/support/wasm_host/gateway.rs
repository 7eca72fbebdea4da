//! A gateway of several nginx workers, each with an instance of the filter: everything that the control plane does to the
//! node happens in each of them (KONG.md section 4, point 1).

use std::time::Duration;

use super::{Behaviour, Filter, Reply, Trap, WasmHost};

/// Workers that live through the same.
pub struct Gateway {
    workers: Vec<WasmHost>,
}

impl Gateway {
    /// A gateway of so many workers.
    pub fn start(filter: &Filter, behaviour: Behaviour, workers: u64) -> Result<Self, Trap> {
        let workers: Result<_, _> =
            (1..=workers).map(|worker| WasmHost::start_worker(filter, behaviour, worker)).collect();
        Ok(Self { workers: workers? })
    }

    /// The chain's configuration changes. False if a worker's answer was not true.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<bool, Trap> {
        let mut is_good = true;
        for worker in &mut self.workers {
            is_good &= worker.configure(configuration)?;
        }
        Ok(is_good)
    }

    /// `kong reload`: workers of new processes take over, with the same chain.
    pub fn reload(&mut self, filter: &Filter, behaviour: Behaviour, configuration: &[u8]) -> Result<(), Trap> {
        let first = rand::random();
        for (number, worker) in (first..).zip(&mut self.workers) {
            *worker = WasmHost::start_worker(filter, behaviour, number)?;
            worker.configure(configuration)?;
        }
        Ok(())
    }

    /// Lets time pass, in steps of a tenth of a second, and answers each call as it is said here, at once.
    pub fn advance(&mut self, by: Duration, mut answer: impl FnMut(&super::DispatchedCall) -> Option<Reply>) {
        let step = Duration::from_millis(100);
        for _ in 0..by.as_millis() / step.as_millis() {
            for worker in &mut self.workers {
                worker.advance(step).expect("the filter does not trap");
                for call in worker.under_way().to_vec() {
                    if let Some(reply) = answer(&call) {
                        worker.reply(call.token, reply).expect("the filter does not trap");
                    }
                }
            }
        }
    }

    /// The workers.
    pub fn workers(&mut self) -> &mut [WasmHost] {
        &mut self.workers
    }
}
