//! The devices that programs run on.

use super::adapter::{self, AdapterFacts, Kind};
use super::exec::stream::Stream;
use super::memory::Pool;
use super::selftest::Verdict;
use super::settings::{arena_limit, binding_limit, bindings_limit, memory_limit, submission_time};
use crate::error::{Error, ErrorKind, Result};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

/// Bindings begin at multiples of this on every device.
pub const ALIGNMENT: usize = 256;

/// An open device.
pub struct Device {
    /// As programs name it: "gpu:0".
    pub name: String,
    /// The adapter.
    pub facts: AdapterFacts,
    /// How many devices this process has lost before.
    pub losses: u32,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    /// Memory of tensors that nobody uses now.
    pub(super) pool: Mutex<Pool>,
    /// Bytes of memory for tensors that are allocated, idle ones too.
    pub(super) allocated: Arc<AtomicU64>,
    /// The most that these may be.
    pub(super) memory_limit: AtomicU64,
    /// The order of work. Taken before [`Device::pool`].
    pub(super) stream: Mutex<Stream>,
    /// The most bytes of one arena: of one buffer.
    pub(super) arena_limit: u64,
    /// The most tensors of a dispatch that several steps share.
    pub(super) shared_bindings: usize,
    /// How long the device may be at work on one submission, roughly: systems reset it where a display would stand still.
    pub(super) budget: Duration,
    /// What is known of its kernels.
    verdict: OnceLock<Verdict>,
    lost: Arc<OnceLock<String>>,
    faults: Arc<Mutex<Vec<String>>>,
    pipelines: Mutex<Pipelines>,
    layouts: Mutex<HashMap<usize, Layouts>>,
    /// Of the thread that waits for the device and tells all others what is done: two at once are too many for wgpu.
    waiting: Mutex<()>,
    process: u32,
}

/// Bytes of the texts of which compiled modules are kept. What a program uses lives as long as that.
const MOST_TEXT: usize = 16 << 20;

/// Modules that were compiled, by their text.
#[derive(Default)]
struct Pipelines {
    /// With when each was asked for last.
    made: HashMap<String, (wgpu::ComputePipeline, u64)>,
    clock: u64,
    bytes: usize,
}

impl Pipelines {
    fn get(&mut self, text: &str) -> Option<wgpu::ComputePipeline> {
        self.clock += 1;
        let (pipeline, used) = self.made.get_mut(text)?;
        *used = self.clock;
        Some(pipeline.clone())
    }

    /// Keeps a pipeline; drops those asked for longest ago until the others have `most` bytes of text.
    fn insert(&mut self, text: &str, pipeline: wgpu::ComputePipeline, most: usize) {
        if self.made.insert(text.to_owned(), (pipeline, self.clock)).is_none() {
            self.bytes += text.len();
        }
        while self.bytes > most && self.made.len() > 1 {
            let oldest = self.made.iter().min_by_key(|(_, (_, used))| used).map(|(text, _)| text.clone());
            let Some(oldest) = oldest else { return };
            self.bytes -= oldest.len();
            self.made.remove(&oldest);
        }
    }
}

/// The layouts of kernels with some number of bindings.
#[derive(Clone)]
struct Layouts {
    group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

/// The devices that are open, by number.
static OPEN: Mutex<BTreeMap<usize, Arc<Device>>> = Mutex::new(BTreeMap::new());

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Device `number`; opened at the first call, and again after it was lost.
///
/// # Errors
/// `Value` when there is no adapter to use, with what to install; `State` in a process forked from one that used it.
pub fn get(number: usize) -> Result<Arc<Device>> {
    let mut open = locked(&OPEN);
    let before = open.get(&number);
    if let Some(device) = before {
        device.check_process()?;
        if !device.is_lost() {
            return Ok(device.clone());
        }
    }
    let losses = before.map_or(0, |device| device.losses + 1);
    let (facts, adapter) = adapter::find(number)?;
    let device = Arc::new(Device::open(number, facts, &adapter, losses)?);
    open.insert(number, device.clone());
    Ok(device)
}

/// Loses device `number` as a driver may at any time, for tests: what runs on it fails, and the next use opens it again.
pub fn lose(number: usize) {
    if let Some(device) = locked(&OPEN).get(&number) {
        device.device.destroy();
        // The loss is said by a poll.
        let _ = device.device.poll(wgpu::PollType::Poll);
    }
}

/// How long the end of a process waits for its devices, all of them together, and an error for the word of a loss.
const LAST_PATIENCE: Duration = Duration::from_secs(60);
/// How long one of these waits is.
const SLICE: Duration = Duration::from_millis(50);
/// How long they sleep where another thread is in the way, or the device at work.
const GLANCE: Duration = Duration::from_millis(1);

/// Held for reading while a device is given something; by the end of the process, for good, for writing.
static GATE: RwLock<()> = RwLock::new(());

/// Waits until all devices of this process have done what they were given, or for a minute. Threads
/// that would give them more wait from then on: the process is about to end.
pub fn settle() {
    let open: Vec<Arc<Device>> = locked(&OPEN).values().filter(|device| !device.is_foreign()).cloned().collect();
    if open.is_empty() {
        return;
    }
    let end = Instant::now() + LAST_PATIENCE;
    while Instant::now() < end {
        match GATE.try_write() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(GLANCE),
            closed => {
                std::mem::forget(closed);
                break;
            }
        }
    }
    for device in &open {
        while Instant::now() < end && !device.is_lost() {
            let Ok(_alone) = device.waiting.try_lock() else {
                std::thread::sleep(GLANCE);
                continue;
            };
            let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(SLICE) };
            // Nobody is left to be told of a failure.
            if !matches!(device.device.poll(wait), Err(wgpu::PollError::Timeout)) {
                break;
            }
        }
    }
}

/// Forgets kernels that were compiled, of which programs keep theirs, and gives memory back that nobody uses.
pub fn release() {
    for device in locked(&OPEN).values() {
        *locked(&device.pipelines) = Pipelines::default();
        locked(&device.stream).release();
        locked(&device.pool).clear();
    }
}

/// Bytes that runs borrow and none uses now, of all devices.
pub fn idle_bytes() -> usize {
    let bytes = |device: &Arc<Device>| locked(&device.stream).idle_bytes() + locked(&device.pool).idle_bytes();
    locked(&OPEN).values().map(bytes).sum::<u64>() as usize
}

/// Bytes of tensors in the memory of all devices.
pub fn used_bytes() -> usize {
    locked(&OPEN).values().map(|device| locked(&device.pool).used_bytes()).sum::<u64>() as usize
}

/// The lock of what is open, for a fork.
pub fn lock() -> Box<dyn Any> {
    Box::new(locked(&OPEN))
}

impl Device {
    fn open(number: usize, mut facts: AdapterFacts, adapter: &wgpu::Adapter, losses: u32) -> Result<Self> {
        if let Some(lack) = adapter::lacking(&facts) {
            return Err(Error::value(format!(
                "device \"gpu:{number}\": {} {lack}; {} takes another adapter, and the device \"cpu\" needs none",
                facts.name,
                adapter::ADAPTER_VARIABLE
            )));
        }
        facts.tensor_bytes = binding_limit(facts.tensor_bytes)?;
        facts.caps.tensor_bytes = facts.tensor_bytes;
        let mut required_features = adapter.features() & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16);
        let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
        if facts.caps.fragment.is_some() {
            required_features |= adapter::MATRIX_FEATURES;
            // SAFETY: kernels on cooperative matrices are validated as all others are, and run only where they agree with
            // the plain ones.
            experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("cnnrs"),
            required_features,
            experimental_features,
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        if opened.is_err() && facts.caps.fragment.take().is_some() {
            return Self::open(number, facts, adapter, losses);
        }
        let (device, queue) = opened
            .map_err(|e| Error::value(format!("device \"gpu:{number}\": {} can't be opened: {e}", facts.name)))?;
        let shared_bindings = bindings_limit(facts.bindings)?;
        let (lost, faults) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
        let flag = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            // The first reason stays.
            let _ = flag.set(format!("{reason:?}: {message}"));
        });
        let heard = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| locked(&heard).push(error.to_string())));
        Ok(Device {
            name: format!("gpu:{number}"),
            facts,
            losses,
            device,
            queue,
            pool: Mutex::default(),
            allocated: Arc::default(),
            memory_limit: AtomicU64::new(memory_limit()?),
            stream: Mutex::default(),
            arena_limit: arena_limit(adapter.limits().max_buffer_size)?,
            shared_bindings,
            budget: submission_time()?,
            verdict: OnceLock::new(),
            lost,
            faults,
            pipelines: Mutex::default(),
            layouts: Mutex::default(),
            waiting: Mutex::default(),
            process: std::process::id(),
        })
    }

    /// What is known of its kernels, from `find` if nobody has asked before.
    ///
    /// # Errors
    /// Those of `find`.
    pub(super) fn verdict(&self, find: impl FnOnce() -> Result<Verdict>) -> Result<Verdict> {
        if let Some(known) = self.verdict.get() {
            return Ok(known.clone());
        }
        let found = find()?;
        Ok(self.verdict.get_or_init(|| found).clone())
    }

    /// Whether another process opened the device, from which this one was forked.
    pub(super) fn is_foreign(&self) -> bool {
        self.process != std::process::id()
    }

    /// # Errors
    /// `State` in a process forked from the one that opened the device.
    fn check_process(&self) -> Result<()> {
        if !self.is_foreign() {
            return Ok(());
        }
        Err(Error::state(
            "device \"gpu\": a GPU can't be used in a process forked from one that used it; start the process anew \
             (multiprocessing: the method \"spawn\")",
        ))
    }

    /// # Errors
    /// `State` in a forked process, and when the device has said that something failed outside of what
    /// [`Device::guarded`] watches; `Lost` when it is lost.
    pub(super) fn check(&self) -> Result<()> {
        self.check_process()?;
        if let Some(why) = self.lost.get() {
            return Err(self.lost_with(why));
        }
        match locked(&self.faults).pop() {
            Some(fault) => Err(self.failure(ErrorKind::State, fault)),
            None => Ok(()),
        }
    }

    /// What `make` makes, if the device says of nothing in it that it failed.
    ///
    /// # Errors
    /// `Memory` when the device has too little; `State` for anything else.
    pub(super) fn guarded<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T> {
        self.check()?;
        let _open = GATE.read().unwrap_or_else(PoisonError::into_inner);
        let filters = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation];
        let mut scopes = filters.map(|filter| Some(self.device.push_error_scope(filter)));
        let made = make();
        let mut failed = None;
        for scope in scopes.iter_mut().rev().filter_map(Option::take) {
            let error = pollster::block_on(scope.pop());
            failed = failed.or(error);
        }
        self.check()?;
        match failed {
            None => Ok(made),
            Some(error) => {
                let kind = match error {
                    wgpu::Error::OutOfMemory { .. } => ErrorKind::Memory,
                    _ => ErrorKind::State,
                };
                Err(self.failure(kind, format_args!("{what}: {error}")))
            }
        }
    }

    /// The error of something that failed: the loss of the device, if that is why.
    pub(super) fn failure(&self, kind: ErrorKind, what: impl std::fmt::Display) -> Error {
        // The word of a loss comes with a poll, which may be another thread's, after what it makes fail, and of a device
        // that was destroyed only when all that it was given is done. Memory is missed on whole devices, too, which other
        // threads may keep at work: no long wait for that.
        let (mut glances, patience) = (200, if kind == ErrorKind::Memory { GLANCE * 200 } else { LAST_PATIENCE });
        let end = Instant::now() + patience;
        while !self.is_lost() && glances > 0 && Instant::now() < end {
            let idle = match self.waiting.try_lock() {
                Ok(_alone) => !matches!(self.device.poll(wgpu::PollType::Poll), Ok(wgpu::PollStatus::Poll)),
                Err(_) => false,
            };
            glances -= u32::from(idle);
            std::thread::sleep(GLANCE);
        }
        match self.lost.get() {
            Some(why) => self.lost_with(why),
            None => Error::new(kind, format!("device \"{}\": {}: {what}", self.name, self.facts.name)),
        }
    }

    fn lost_with(&self, why: &str) -> Error {
        let (name, adapter) = (&self.name, &self.facts.name);
        let text = format!("device \"{name}\": {adapter} was lost ({why}); the next use opens the device again");
        Error::new(ErrorKind::Lost, text)
    }

    /// # Errors
    /// `Lost` when what was in the device's memory is gone.
    pub(super) fn check_value(&self) -> Result<()> {
        self.check_process()?;
        match self.lost.get() {
            None => Ok(()),
            Some(why) => Err(Error::new(
                ErrorKind::Lost,
                format!(
                    "device \"{}\": {} was lost ({why}), and the values in its memory with it; fit() and \
                 cnnrs.utils.recover(model) give variables their last values in the host's memory",
                    self.name, self.facts.name
                ),
            )),
        }
    }

    /// Whether the device is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Bounds the bytes that tensors may have in the device's memory from now on.
    pub fn set_memory_limit(&self, bytes: u64) {
        self.memory_limit.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of the device's memory for tensors, of those in use and of those that are kept for later.
    pub fn allocated_bytes(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// How long the device takes at least for so much work, if it is slow for one of its kind.
    pub(super) fn estimate(&self, flops: u64, bytes: u64) -> Duration {
        let (flop_rate, byte_rate) = match self.facts.kind {
            Kind::Discrete => (5e11, 1e11),
            Kind::Integrated | Kind::Other => (5e10, 1e10),
            Kind::Software => (1e9, 1e9),
        };
        Duration::from_secs_f64((flops as f64 / flop_rate).max(bytes as f64 / byte_rate))
    }

    /// Has the device write `bytes` to the begin of `buffer`, whose last word is whole, before what is submitted next.
    ///
    /// # Errors
    /// `Memory` when there is none to copy from.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, bytes: &[u8]) -> Result<()> {
        let (whole, rest) = bytes.split_at(bytes.len() / 4 * 4);
        self.guarded("a copy", || {
            if !whole.is_empty() {
                self.queue.write_buffer(buffer, 0, whole);
            }
            if !rest.is_empty() {
                let mut word = [0; 4];
                word[..rest.len()].copy_from_slice(rest);
                self.queue.write_buffer(buffer, whole.len() as u64, &word);
            }
        })
    }

    /// Waits until a submission is done, or for as long as `patience`, and tells those who asked for word of it; says
    /// whether it is. Does nothing while another thread waits, which tells all.
    ///
    /// # Errors
    /// `Lost` when the device is lost.
    pub(super) fn wait(&self, submission: &wgpu::SubmissionIndex, patience: Duration) -> Result<Option<bool>> {
        let Ok(alone) = self.waiting.try_lock() else { return Ok(None) };
        let wait = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(patience) };
        let waited = self.device.poll(wait);
        // `check` polls, too, where something failed.
        drop(alone);
        self.check()?;
        match waited {
            Ok(_) => Ok(Some(true)),
            Err(wgpu::PollError::Timeout) => Ok(Some(false)),
            // The submission was none: the device is lost, and the callback that says so is still to come.
            Err(e) => Err(self.lost_with(&e.to_string())),
        }
    }

    /// Memory for `bytes` bytes, of which the last word is whole.
    ///
    /// # Errors
    /// `Memory` when the device has too little.
    pub(super) fn allocate(&self, bytes: usize, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        self.allocate_as(bytes, usage, false)
    }

    /// As [`Device::allocate`]; the host may write to it at once.
    ///
    /// # Errors
    /// As [`Device::allocate`].
    pub(super) fn allocate_mapped(&self, bytes: usize, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        self.allocate_as(bytes, usage, true)
    }

    fn allocate_as(&self, bytes: usize, usage: wgpu::BufferUsages, mapped: bool) -> Result<wgpu::Buffer> {
        let size = (bytes.max(4) as u64).next_multiple_of(4);
        let limit = self.device.limits().max_buffer_size;
        if size > limit {
            return Err(Error::memory(format!(
                "device \"{}\": {} holds at most {limit} bytes in one piece, and {size} are asked for; smaller batches \
                 need less",
                self.name, self.facts.name
            )));
        }
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: mapped };
        self.guarded(&format!("{size} bytes"), || self.device.create_buffer(&descriptor))
    }

    fn layouts(&self, bindings: usize) -> Result<Layouts> {
        if let Some(layouts) = locked(&self.layouts).get(&bindings) {
            return Ok(layouts.clone());
        }
        if bindings > self.facts.bindings {
            return Err(Error::state(format!(
                "a kernel reads and writes {bindings} tensors, and {} binds at most {}",
                self.facts.name, self.facts.bindings
            )));
        }
        let entry = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: false },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..bindings as u32).map(entry).collect();
        let layouts = self.guarded("a layout of bindings", || {
            let group = self
                .device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
            let pipeline = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&group)],
                immediate_size: 0,
            });
            Layouts { group, pipeline }
        })?;
        locked(&self.layouts).insert(bindings, layouts.clone());
        Ok(layouts)
    }

    /// The pipeline of a module with so many bindings; modules of one text are compiled once.
    ///
    /// # Errors
    /// `State` when the module is not valid, which a test holds of all kernels, or the driver refuses it.
    pub(super) fn pipeline(&self, name: &str, text: &str, bindings: usize) -> Result<wgpu::ComputePipeline> {
        if let Some(pipeline) = locked(&self.pipelines).get(text) {
            return Ok(pipeline);
        }
        let layouts = self.layouts(bindings)?;
        let pipeline = self.guarded(&format!("kernel {name}"), || {
            let source = wgpu::ShaderSource::Wgsl(text.into());
            let descriptor = wgpu::ShaderModuleDescriptor { label: Some(name), source };
            let checks = match cfg!(debug_assertions) {
                true => wgpu::ShaderRuntimeChecks::checked(),
                false => wgpu::ShaderRuntimeChecks::unchecked(),
            };
            // SAFETY: kernels reach no element beyond the tensors that they are bound to, and their loops end: they guard
            // what they read and write by extents. Debug builds check it.
            let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&layouts.pipeline),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        });
        let pipeline = pipeline.map_err(|e| Error::new(e.kind, format!("{e}\n{text}")))?;
        locked(&self.pipelines).insert(text, pipeline.clone(), MOST_TEXT);
        Ok(pipeline)
    }

    /// A group of bindings.
    ///
    /// # Errors
    /// `State` when one of them exceeds what the device binds.
    pub(super) fn bind(&self, bindings: &[wgpu::BufferBinding]) -> Result<wgpu::BindGroup> {
        let layouts = self.layouts(bindings.len())?;
        let entries: Vec<_> = bindings
            .iter()
            .enumerate()
            .map(|(k, b)| wgpu::BindGroupEntry {
                binding: k as u32,
                resource: wgpu::BindingResource::Buffer(b.clone()),
            })
            .collect();
        self.guarded("bindings", || {
            self.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &layouts.group,
                entries: &entries,
            })
        })
    }
}
