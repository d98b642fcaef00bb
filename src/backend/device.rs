//! The seam between plans and devices: what a backend takes, and what it gives back.
//!
//! A backend turns a partitioned graph into a [`Program`]. Programs are immutable and shared. What one model or function
//! keeps of a program between runs (folded and packed filters) belongs to a [`Bound`]. A run is one dynamic call; none is
//! made for each kernel.

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::fusion::{self, Fusion};
use crate::graph::{Graph, NodeId, Origin};
use crate::schedule::{PlanOptions, Target};
use crate::value::Value;
use std::any::Any;
use std::ffi::OsString;
use std::sync::Arc;

pub use super::profile::{Profile, StepProfile};

/// What plans need to know of a device before they are compiled for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceTraits {
    /// The backend's name, as in [`Target::backend`].
    pub name: &'static str,
    /// What one fused kernel can carry.
    pub limits: fusion::Limits,
}

/// A device that a backend could use on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// As programs name it: "cpu:0", "gpu:0".
    pub name: String,
    /// "processor", "discrete", "integrated", "software" or "other".
    pub kind: &'static str,
    /// As its maker calls it, or what it can do.
    pub description: String,
    /// What runs it.
    pub driver: String,
}

/// One device.
pub trait Backend: Send + Sync {
    /// What plans need to know of it.
    fn traits(&self) -> &DeviceTraits;

    /// The devices that it could use, the one that it does use first.
    fn devices(&self) -> Vec<DeviceInfo>;

    /// What one fused kernel can carry on device `number`.
    ///
    /// # Errors
    /// `Value` when there is no such device.
    fn limits(&self, _number: usize) -> Result<fusion::Limits> {
        Ok(self.traits().limits)
    }

    /// What programs may count on of device `number`, and how that is known, for people: names and texts.
    ///
    /// # Errors
    /// `Value` when there is no such device.
    fn details(&self, _number: usize) -> Result<Vec<(&'static str, String)>> {
        Ok(Vec::new())
    }

    /// What plans are compiled for on device `number` of [`Backend::devices`], under the settings of this process.
    ///
    /// # Errors
    /// `Value` when there is no such device, or a setting, such as an environment variable, can't be read or names what the
    /// device lacks.
    fn target(&self, number: usize) -> Result<Target>;

    /// The program that runs the groups of `fusion`. `options` name the target.
    ///
    /// # Errors
    /// When the backend has no kernel for an op, sizes overflow, or memory runs out. `State` means that the groups are
    /// more than the backend can run as such: single nodes may do.
    fn compile(&self, graph: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<Arc<dyn Program>>;

    /// A copy of `host` that is at home on device `number`.
    ///
    /// # Errors
    /// `Memory` when the device has too little.
    fn upload(&self, number: usize, host: &Buffer) -> Result<Value>;

    /// Loses device `number` as its driver may at any time, for tests: what runs on it fails, and the next use opens it
    /// again.
    fn lose(&self, _number: usize) {}

    /// Bytes of tensors in memory of its own, which is not the host's.
    fn used_bytes(&self) -> usize {
        0
    }

    /// Bytes of the memory that runs borrow and that no run uses now.
    fn idle_bytes(&self) -> usize;

    /// Gives that memory back to the system.
    fn release_memory(&self);

    /// Names the command that lists devices in a process of its own, for backends whose drivers may crash when asked.
    fn set_probe(&self, _command: &[OsString]) {}

    /// Waits until no device is at work, for a minute at most, and lets nobody give one more: what a driver takes
    /// down when the process ends must not be in use.
    fn settle(&self) {}

    /// Takes the locks that runs share, for a fork; they are let go when what this returns is dropped.
    fn lock(&self) -> Vec<Box<dyn Any>>;
}

/// What stands at an input of one run.
pub enum Slot {
    /// Read only.
    Shared(Arc<Value>),
    /// May be overwritten by the output that it is donated to. After an error the value is still
    /// there, untouched.
    Donated(Option<Value>),
}

impl Slot {
    /// A buffer that is read only.
    pub fn shared(buffer: Buffer) -> Self {
        Slot::Shared(Arc::new(buffer.into()))
    }

    /// A buffer that an output may take.
    pub fn donated(buffer: Buffer) -> Self {
        Slot::Donated(Some(buffer.into()))
    }

    /// What stands here.
    ///
    /// # Errors
    /// `State` when an output has taken it.
    pub fn value(&self) -> Result<&Value> {
        match self {
            Slot::Shared(value) => Ok(value),
            Slot::Donated(Some(value)) => Ok(value),
            Slot::Donated(None) => Err(Error::state("a donated buffer is missing")),
        }
    }

    /// The elements, in the host's memory.
    ///
    /// # Errors
    /// As [`Slot::value`] and [`Value::host`].
    pub fn buffer(&self) -> Result<&Buffer> {
        self.buffer_unless(&|| false)
    }

    /// As [`Slot::buffer`]; `stop` is asked now and then whether to give up.
    ///
    /// # Errors
    /// As [`Slot::buffer`].
    pub fn buffer_unless(&self, stop: &dyn Fn() -> bool) -> Result<&Buffer> {
        self.value()?.host_unless(stop)
    }
}

/// How a run is watched.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Asked on the calling thread, at most every 50 ms and never during the commit, whether to stop.
    pub poll: &'a dyn Fn() -> bool,
    /// Whether each step is timed.
    pub profile: bool,
    /// Whether the run may return before it is known that it met no bad data. Donated values are overwritten in their own
    /// memory then, and those of a run that met some are as they were before it.
    pub defer: bool,
}

impl<'a> Control<'a> {
    /// A run that is waited for, untimed.
    pub fn new(poll: &'a dyn Fn() -> bool) -> Self {
        Control { poll, profile: false, defer: false }
    }
}

/// What is not yet known of a run.
pub trait Outcome: Send + Sync {
    /// Waits until the run is done. `stop` is asked now and then whether to give up.
    ///
    /// # Errors
    /// When the run met bad data, or the device is lost. No donated value has changed then, nor has a later run of the
    /// same [`Bound`] that began before this was heard changed any.
    fn wait(&self, stop: &dyn Fn() -> bool) -> Result<()>;
}

/// What a run gives.
pub struct Run {
    /// In the order of the graph's outputs.
    pub outputs: Vec<Value>,
    /// Where its time went, if that was asked.
    pub profile: Option<Profile>,
    /// Who knows how it ends, if it may still fail.
    pub pending: Option<Arc<dyn Outcome>>,
}

/// Sizes of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Bytes of intermediates that a run holds.
    pub arena_bytes: usize,
    /// The most bytes of intermediates alive at one step: no program of these steps can hold less.
    pub live_bound: usize,
    /// Bytes of what is made once for many runs.
    pub prepared_bytes: usize,
    /// Bytes of literals.
    pub constant_bytes: usize,
    /// Bytes of code that was written for it alone, roughly.
    pub code_bytes: usize,
    /// How many times a run hands work to a device that has a queue.
    pub submissions: usize,
    /// Floating-point operations of one run (a multiply-add counts 2).
    pub flops: u64,
}

/// When a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once for many runs, until one of the constant inputs that it reads changes.
    Once,
    /// In each run.
    Run,
    /// At the end of each run, where variables are overwritten.
    Commit,
}

impl When {
    /// "once", "run" or "commit".
    pub fn name(self) -> &'static str {
        match self {
            When::Once => "once",
            When::Run => "run",
            When::Commit => "commit",
        }
    }
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Among the intermediates of a run.
    Arena,
    /// In an output of the plan.
    Output,
    /// Among what is made once for many runs.
    Once,
    /// In the memory of the thread that computes its share: no more than that is anywhere.
    Thread,
}

impl Memory {
    /// "arena", "output", "once" or "thread".
    pub fn name(self) -> &'static str {
        match self {
            Memory::Arena => "arena",
            Memory::Output => "output",
            Memory::Once => "once",
            Memory::Thread => "thread",
        }
    }
}

/// One step of a program, for those who want to know what became of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct StepFacts {
    /// The kernel.
    pub kernel: &'static str,
    /// The nodes of the optimised graph that it reads.
    pub reads: Vec<NodeId>,
    /// Those that it makes; none for packing and copies.
    pub makes: Vec<NodeId>,
    /// Where what it writes lies: the values that it makes, or the output that it copies to.
    pub memory: Vec<Memory>,
    /// What it computes, in words.
    pub text: String,
    /// Who asked for it.
    pub origin: Origin,
    /// When it runs.
    pub when: When,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes of its inputs and outputs, each counted once.
    pub bytes: u64,
    /// Units that may run side by side, of each of its parts in order: tasks of a phase, workgroups of a dispatch.
    pub chunks: Vec<usize>,
    /// Bytes that it brings into the layout of a kernel, once for many runs.
    pub packed_bytes: usize,
}

/// Immutable code of a graph on one device.
pub trait Program: Send + Sync {
    /// Its sizes.
    fn facts(&self) -> ProgramFacts;

    /// Its steps in the order in which they run, the prelude's first.
    fn steps(&self) -> Vec<StepFacts>;

    /// Its steps as text, one a line.
    fn describe(&self) -> String;

    /// Runs it, with all that could be made once; nothing is kept.
    ///
    /// # Errors
    /// When a kernel meets bad data, memory runs out or `control` says stop; every donated buffer is then in its slot,
    /// untouched.
    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run>;

    /// What one model or function keeps of it between runs.
    fn bind(self: Arc<Self>) -> Box<dyn Bound>;
}

/// A program with what is kept between runs. Threads may run it at the same time.
pub trait Bound: Send + Sync {
    /// Runs the program. What it makes of constant inputs alone is made by the first run, and again by the first one after
    /// an input has become another version.
    ///
    /// # Errors
    /// As [`Program::run`].
    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run>;

    /// How often something was made of constant inputs.
    fn preparations(&self) -> u64;
}
