//! A Proxy-Wasm host that behaves like Kong's ngx_wasm_module for the calls that the filter makes: configuration in, a
//! clock to advance, dispatched calls out, answers in, log lines out, and traps exactly where Kong traps (KONG.md
//! section 4, and the Apache-2.0 source and tests of ngx_wasm_module where that is said). It is a state, not a script:
//! no test lists the host calls that it expects. Where it is not known what Kong does, this host traps. It behaves like
//! Kong 3.9.1 unless it is told to behave like an earlier one or like Envoy ([`Behaviour`]).
//!
//! After a trap it does what Kong does (points 5 and 6): the instance is gone with all that it knew, the next thing that
//! happens finds a new one, in which all roots are configured again, without `on_vm_start`, and old timers and calls go
//! on. A worker that was killed stays dead; [`Gateway`] starts another one.

mod behaviour;
mod calls;
mod gateway;
mod memory;
mod metrics;
mod wasi;
mod world;

use std::time::Duration;

use wasmtime::{Config, Engine, Instance, Linker, Module, Store, WasmParams, WasmResults};

pub use behaviour::Behaviour;
pub use gateway::{Gateway, Harm};
pub use world::{DispatchedCall, LogLine, MetricValue, Reply};
use world::{Event, Phase, World};

/// A filter, compiled once for many hosts.
#[derive(Clone)]
pub struct Filter {
    engine: Engine,
    module: Module,
}

impl Filter {
    /// Compiles a module.
    pub fn compile(wasm: &[u8]) -> Result<Self, Trap> {
        // Counting instructions is the one measure of work that a busy machine doesn't change.
        let engine = Engine::new(Config::new().consume_fuel(true))?;
        let module = Module::new(&engine, wasm).map_err(Trap::from)?;
        Ok(Self { engine, module })
    }

    /// The functions that the module wants from its host.
    pub fn imports(&self) -> Vec<String> {
        self.module.imports().map(|import| import.name().to_owned()).collect()
    }
}

/// The instance is gone, and why. In Kong everything that the filter had in this worker is gone with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap(String);

impl Trap {
    /// The reason, as the host or wasmtime gives it.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl From<wasmtime::Error> for Trap {
    fn from(error: wasmtime::Error) -> Self {
        Self(format!("{error:#}"))
    }
}

/// One nginx worker with the filter in it.
pub struct WasmHost {
    filter: Filter,
    store: Store<World>,
    instance: Instance,
    trapped: Option<Trap>,
    traps: usize,
}

impl WasmHost {
    /// Instantiates the filter, as Kong does when the first chain names it: `_initialize` before anything else.
    ///
    /// An import that Kong does not offer is an error, as it is there.
    pub fn start(filter: &Filter) -> Result<Self, Trap> {
        Self::start_worker(filter, Behaviour::Kong39, 1)
    }

    /// The same in a host of these habits, as worker number so and so: each draws other random numbers.
    pub fn start_worker(filter: &Filter, behaviour: Behaviour, worker: u64) -> Result<Self, Trap> {
        let (store, instance) = instantiate(filter, World::new(behaviour, worker))?;
        let mut host = Self { filter: filter.clone(), store, instance, trapped: None, traps: 0 };
        host.call::<(), ()>(Phase::Start, 0, "_initialize", ())?;
        Ok(host)
    }

    /// A chain with this configuration appears or changes: a **new** root context, while older ones live on. The
    /// answer of `on_configure`; false or a trap is a reconfiguration that broke half-way.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<bool, Trap> {
        self.revive()?;
        let replaced = self.world().newest_root();
        let first = replaced.is_none();
        let root = self.world_mut().add_root(configuration);
        let answer = self.configure_root(root, configuration.len(), first);
        if answer != Ok(true) {
            self.world_mut().broken_reconfigurations += 1;
        }
        if let (Behaviour::Envoy, Some(replaced)) = (self.world().behaviour, replaced) {
            self.call::<_, u32>(Phase::Done, replaced, "proxy_on_done", (replaced,))?;
            self.call::<_, ()>(Phase::Done, replaced, "proxy_on_delete", (replaced,))?;
            self.world_mut().remove_root(replaced);
        }
        answer
    }

    fn configure_root(&mut self, root: u32, size: usize, first: bool) -> Result<bool, Trap> {
        self.call::<_, ()>(Phase::ContextCreate, root, "proxy_on_context_create", (root, 0_u32))?;
        if first {
            self.call::<_, u32>(Phase::VmStart, root, "proxy_on_vm_start", (root, 0_u32))?;
        }
        let answer = self.call(Phase::Configure, root, "proxy_on_configure", (root, size as u32))?;
        Ok(answer.is_none_or(|answer: u32| answer != 0))
    }

    /// Lets time pass: timers tick, calls that last too long time out, calls to what isn't `IP:port` fail.
    pub fn advance(&mut self, by: Duration) -> Result<(), Trap> {
        let until = self.world().now + by;
        while let Some(event) = self.world_mut().next_event(until) {
            match event {
                Event::Tick(root) => {
                    self.call::<_, ()>(Phase::Tick, root, "proxy_on_tick", (root,))?;
                }
                Event::CallFailed(token, reason) => {
                    let reply = match self.world().behaviour {
                        Behaviour::Envoy => Reply::made_up_by_envoy(504, "upstream request timeout"),
                        _ => Reply::failed(reason),
                    };
                    self.reply(token, reply)?;
                }
            }
        }
        self.world_mut().now = until;
        Ok(())
    }

    /// The answer to a call that is under way arrives, or it fails, of which a Kong before 3.9 says nothing and a Kong 3.7
    /// may die. A call that already ended gets none.
    pub fn reply(&mut self, token: u32, reply: Reply) -> Result<(), Trap> {
        let Some(call) = self.world_mut().take_call(token) else { return Ok(()) };
        let (behaviour, beside) = (self.world().behaviour, self.world().under_way.len());
        if reply.is_failure() && behaviour.dies_of_a_failure(beside) {
            self.world_mut().worker_crashed = true;
            return Err(Trap(format!("signal 11: a call failed beside {beside} others")));
        }
        if reply.is_failure() && !behaviour.calls_back_for_a_failure() {
            return Ok(());
        }
        self.call_back(call.root, token, reply)
    }

    /// The host calls back for a token, whether there is such a call or not: twice, too late, or for another context.
    pub fn call_back(&mut self, context: u32, token: u32, reply: Reply) -> Result<(), Trap> {
        let (headers, body_size) = (reply.header_count(), reply.body.len());
        self.world_mut().reply = Some(reply);
        let arguments = (context, token, headers as u32, body_size as u32, 0_u32);
        let result = self.call::<_, ()>(Phase::DispatchResponse, context, "proxy_on_http_call_response", arguments);
        self.world_mut().reply = None;
        result.map(|_| ())
    }

    /// The host calls an export with a context's number for no reason that the filter could know.
    pub fn call_out_of_turn(&mut self, export: &str, context: u32) -> Result<(), Trap> {
        match export {
            "proxy_on_tick" | "proxy_on_log" | "proxy_on_delete" => {
                self.call::<_, ()>(Phase::Tick, context, export, (context,)).map(drop)
            }
            "proxy_on_done" => self.call::<_, u32>(Phase::Done, context, export, (context,)).map(drop),
            "proxy_on_request_headers" => {
                self.call::<_, u32>(Phase::RequestHeaders, context, export, (context, 0_u32, 0_u32)).map(drop)
            }
            "proxy_on_response_headers" => {
                self.call::<_, u32>(Phase::ResponseHeaders, context, export, (context, 0_u32, 0_u32)).map(drop)
            }
            other => panic!("{other} is not called so"),
        }
    }

    /// A request passes through the newest root's chain. The answers of the header callbacks: 0 is "go on".
    pub fn request(&mut self) -> Result<Vec<u32>, Trap> {
        let root = self.world().newest_root().unwrap_or_default();
        self.request_through(root)
    }

    /// A request passes through the chain of this root.
    pub fn request_through(&mut self, root: u32) -> Result<Vec<u32>, Trap> {
        self.revive()?;
        let context = self.world_mut().next_context();
        self.world_mut().response_headers.clear();
        let mut answers = Vec::new();
        self.call::<_, ()>(Phase::ContextCreate, context, "proxy_on_context_create", (context, root))?;
        for (phase, export) in
            [(Phase::RequestHeaders, "proxy_on_request_headers"), (Phase::ResponseHeaders, "proxy_on_response_headers")]
        {
            answers.extend(self.call::<_, u32>(phase, context, export, (context, 2_u32, 1_u32))?);
        }
        self.call::<_, ()>(Phase::Log, context, "proxy_on_log", (context,))?;
        self.call::<_, u32>(Phase::Done, context, "proxy_on_done", (context,))?;
        self.call::<_, ()>(Phase::Done, context, "proxy_on_delete", (context,))?;
        Ok(answers)
    }

    /// The calls that are under way, oldest first.
    pub fn under_way(&self) -> &[DispatchedCall] {
        &self.world().under_way
    }

    /// Every call that was dispatched so far, those that ended too.
    pub fn dispatched(&self) -> usize {
        self.world().dispatched
    }

    /// The gateway's error log.
    pub fn log(&self) -> &[LogLine] {
        &self.world().log
    }

    /// How many reconfigurations of the node the filter broke: new routes without their new plugins.
    pub fn broken_reconfigurations(&self) -> usize {
        self.world().broken_reconfigurations
    }

    /// Whether the filter crashed the whole nginx worker, not only its instance.
    pub fn worker_crashed(&self) -> bool {
        self.world().worker_crashed
    }

    /// The instance is lost, as after a trap, whatever caused it.
    pub fn lose_instance(&mut self) {
        self.trapped = Some(Trap("lost".to_owned()));
    }

    /// How many WebAssembly instructions this instance has run so far, about.
    pub fn instructions(&self) -> u64 {
        u64::MAX - self.store.get_fuel().expect("it is counted")
    }

    /// How often the filter has trapped.
    pub fn traps(&self) -> usize {
        self.traps
    }

    /// What the filter has set in the headers of the last response.
    pub fn response_headers(&self) -> &[(String, String)] {
        &self.world().response_headers
    }

    /// How many properties the filter has read, or tried to.
    pub fn property_reads(&self) -> usize {
        self.world().property_reads
    }

    /// How many metrics the filter has defined.
    pub fn metrics(&self) -> usize {
        self.world().metrics.len()
    }

    /// The metric of this name, if it is defined.
    pub fn metric(&self, name: &str) -> Option<MetricValue> {
        let metric = self.world().metrics.iter().find(|(known, _)| known == name);
        metric.map(|(_, value)| *value)
    }

    /// The root of the newest configuration.
    pub fn newest_root(&self) -> Option<u32> {
        self.world().newest_root()
    }

    /// The size of the filter's linear memory, in bytes.
    pub fn memory_size(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// What its clock shows, since 1970-01-01T00:00:00Z.
    fn clock(&self) -> Duration {
        self.world().now
    }

    fn set_clock(&mut self, now: Duration) {
        self.world_mut().now = now;
    }

    fn world(&self) -> &World {
        self.store.data()
    }

    fn world_mut(&mut self) -> &mut World {
        self.store.data_mut()
    }

    /// Calls an export, if the filter has it, in a phase and for a context.
    fn call<Params, Results>(
        &mut self,
        phase: Phase,
        context: u32,
        export: &str,
        params: Params,
    ) -> Result<Option<Results>, Trap>
    where
        Params: WasmParams,
        Results: WasmResults,
    {
        if self.world().worker_crashed {
            return Err(Trap("the worker is gone".to_owned()));
        }
        if !matches!(phase, Phase::Configure | Phase::VmStart | Phase::ContextCreate) {
            self.revive()?;
        }
        if let Some(trap) = &self.trapped {
            return Err(trap.clone());
        }
        if self.instance.get_func(&mut self.store, export).is_none() {
            return Ok(None);
        }
        self.world_mut().enter(phase, context);
        let function = self.instance.get_typed_func::<Params, Results>(&mut self.store, export)?;
        let result = function.call(&mut self.store, params).map_err(Trap::from);
        self.trapped = result.as_ref().err().cloned();
        self.traps += usize::from(result.is_err());
        result.map(Some)
    }

    /// If the instance has trapped: a new one, with all roots in it.
    fn revive(&mut self) -> Result<(), Trap> {
        if self.world().worker_crashed || self.trapped.take().is_none() {
            return Ok(());
        }
        let placeholder = World::new(self.world().behaviour, 0);
        let world = std::mem::replace(self.world_mut(), placeholder);
        (self.store, self.instance) = instantiate(&self.filter, world)?;
        self.world_mut().forget_instance();
        self.call::<(), ()>(Phase::Start, 0, "_initialize", ())?;
        for (root, size) in self.world().roots() {
            self.configure_root(root, size, false)?;
        }
        Ok(())
    }
}

fn instantiate(filter: &Filter, world: World) -> Result<(Store<World>, Instance), Trap> {
    let mut linker = Linker::new(&filter.engine);
    calls::offer(&mut linker)?;
    wasi::offer(&mut linker)?;
    let mut store = Store::new(&filter.engine, world);
    store.set_fuel(u64::MAX)?;
    let instance = linker.instantiate(&mut store, &filter.module)?;
    Ok((store, instance))
}
