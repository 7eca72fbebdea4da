//! A gateway of several workers, each a process with instances of the filter: everything that the control plane does to
//! the node happens in each of them (KONG.md section 4, points 1 and 10). One more takes no requests: Kong's privileged
//! agent, Envoy's main thread. What the filter does to them is counted, and goes on as it would: a worker that is killed is
//! started again.

use std::time::Duration;

use super::{Behaviour, DispatchedCall, Filter, Reply, Trap, WasmHost};

/// Processes that live through the same.
pub struct Gateway {
    filter: Filter,
    behaviour: Behaviour,
    configuration: Option<Vec<u8>>,
    processes: Vec<Process>,
    started: u64,
    harm: Harm,
}

/// The instance of the chain that is there now, and those that are left of chains that were deleted: they go on ticking
/// with their old settings until the process ends.
struct Process {
    takes_requests: bool,
    now: WasmHost,
    left_over: Vec<WasmHost>,
}

/// What a filter has done to a gateway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Harm {
    /// Workers that ended, with all that they were serving.
    pub workers_lost: usize,
    /// Instances that trapped, with all that they knew.
    pub traps: usize,
    /// Reconfigurations of a worker that broke half-way: new routes without their new plugins.
    pub broken_reconfigurations: usize,
    /// Requests that did not pass.
    pub requests_failed: usize,
}

impl Gateway {
    /// A gateway of so many workers, and one process more.
    pub fn start(filter: &Filter, behaviour: Behaviour, workers: u64) -> Result<Self, Trap> {
        let started = rand::random::<u32>().into();
        let filter = filter.clone();
        let mut gateway =
            Self { filter, behaviour, configuration: None, processes: Vec::new(), started, harm: Harm::default() };
        for number in 0..=workers {
            let process = Process { takes_requests: number > 0, now: gateway.instance()?, left_over: Vec::new() };
            gateway.processes.push(process);
        }
        Ok(gateway)
    }

    /// A new instance, in which the chain is configured if there is one.
    fn instance(&mut self) -> Result<WasmHost, Trap> {
        self.started += 1;
        let mut instance = WasmHost::start_worker(&self.filter, self.behaviour, self.started)?;
        if let Some(process) = self.processes.first() {
            instance.set_clock(process.now.clock());
        }
        if let Some(configuration) = &self.configuration {
            let _ = instance.configure(configuration);
        }
        Ok(instance)
    }

    /// The chain's configuration changes. False if an answer of a worker's was not true, or none.
    pub fn configure(&mut self, configuration: &[u8]) -> bool {
        self.configuration = Some(configuration.to_vec());
        let answers: Vec<_> = self.processes.iter_mut().map(|process| process.now.configure(configuration)).collect();
        self.restart_what_was_lost();
        answers.iter().all(|answer| *answer == Ok(true))
    }

    /// The chain is deleted and made anew: another instance in each process, beside the one that was there.
    pub fn replace_chain(&mut self, configuration: &[u8]) -> Result<(), Trap> {
        self.configuration = Some(configuration.to_vec());
        for number in 0..self.processes.len() {
            let new = self.instance()?;
            let process = &mut self.processes[number];
            let old = std::mem::replace(&mut process.now, new);
            process.left_over.push(old);
        }
        self.restart_what_was_lost();
        Ok(())
    }

    /// `kong reload`: new processes take over, with the same chain.
    pub fn reload(&mut self) -> Result<(), Trap> {
        for number in 0..self.processes.len() {
            let new = self.instance()?;
            let process = &mut self.processes[number];
            self.harm.add_what(&*process);
            process.left_over.clear();
            process.now = new;
        }
        Ok(())
    }

    /// A request passes through each worker.
    pub fn request(&mut self) {
        for process in self.processes.iter_mut().filter(|process| process.takes_requests) {
            if process.now.request() != Ok(vec![0, 0]) {
                self.harm.requests_failed += 1;
            }
        }
        self.restart_what_was_lost();
    }

    /// Lets time pass, in steps of a tenth of a second, and answers each call as it is said here, at once.
    pub fn advance(&mut self, by: Duration, mut answer: impl FnMut(&DispatchedCall) -> Option<Reply>) {
        let step = Duration::from_millis(100);
        for _ in 0..by.as_millis() / step.as_millis() {
            for instance in self.processes.iter_mut().flat_map(Process::instances) {
                // What went wrong is counted by the instance.
                let _ = instance.advance(step);
                for call in instance.under_way().to_vec() {
                    if let Some(reply) = answer(&call) {
                        let _ = instance.reply(call.token, reply);
                    }
                }
            }
            self.restart_what_was_lost();
        }
    }

    /// The instances that requests pass through, one in each worker.
    pub fn workers(&mut self) -> impl Iterator<Item = &mut WasmHost> {
        self.processes.iter_mut().filter(|process| process.takes_requests).map(|process| &mut process.now)
    }

    /// All instances.
    pub fn instances(&mut self) -> impl Iterator<Item = &mut WasmHost> {
        self.processes.iter_mut().flat_map(Process::instances)
    }

    /// What the filter has done to this gateway so far.
    pub fn harm(&self) -> Harm {
        let mut harm = self.harm;
        self.processes.iter().for_each(|process| harm.add_what(process));
        harm
    }

    fn restart_what_was_lost(&mut self) {
        for number in 0..self.processes.len() {
            let process = &mut self.processes[number];
            if process.instances().any(|instance| instance.worker_crashed()) {
                self.harm.workers_lost += 1;
                self.harm.add_what(process);
                process.left_over.clear();
                let new = self.instance().expect("it could be started before");
                self.processes[number].now = new;
            }
        }
    }
}

impl Process {
    fn instances(&mut self) -> impl Iterator<Item = &mut WasmHost> {
        self.left_over.iter_mut().chain([&mut self.now])
    }
}

impl Harm {
    fn add_what(&mut self, process: &Process) {
        for instance in process.left_over.iter().chain([&process.now]) {
            self.traps += instance.traps();
            self.broken_reconfigurations += instance.broken_reconfigurations();
        }
    }
}
