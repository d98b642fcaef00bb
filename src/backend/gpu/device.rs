//! Adapters, and the device that programs run on.

use super::caps::Caps;
use crate::error::{Error, ErrorKind, Result};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The variable that names the adapter to use: a part of its name, or "software" for one that computes on the processor.
pub const ADAPTER_VARIABLE: &str = "CNNRS_ADAPTER";
/// Bindings begin at multiples of this on every device.
pub const ALIGNMENT: usize = 256;

/// What an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A card of its own.
    Discrete,
    /// Part of the processor, on its memory.
    Integrated,
    /// Of a virtual machine, or unknown.
    Other,
    /// A driver that computes on the processor, for tests.
    Software,
}

impl Kind {
    /// "discrete", "integrated", "other" or "software".
    pub fn name(self) -> &'static str {
        match self {
            Kind::Discrete => "discrete",
            Kind::Integrated => "integrated",
            Kind::Other => "other",
            Kind::Software => "software",
        }
    }
}

/// What is known of an adapter.
#[derive(Clone, Debug)]
pub struct AdapterFacts {
    /// As the driver calls it.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// "vulkan", "metal" or "dx12".
    pub api: String,
    /// The driver and its version.
    pub driver: String,
    /// The most bytes of one tensor.
    pub tensor_bytes: u64,
    /// Tensors that one kernel can read and write.
    pub bindings: usize,
    /// What kernels may count on.
    pub caps: Caps,
}

/// An open device.
pub struct Device {
    /// The adapter.
    pub facts: AdapterFacts,
    /// How many devices this process has lost before.
    pub losses: u32,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    lost: Arc<OnceLock<String>>,
    faults: Arc<Mutex<Vec<String>>>,
    pipelines: Mutex<HashMap<String, wgpu::ComputePipeline>>,
    layouts: Mutex<HashMap<usize, Layouts>>,
    /// Of the thread that waits for the device and tells all others what is done: two at once are too many for wgpu.
    waiting: Mutex<()>,
    process: u32,
}

/// The layouts of kernels with some number of bindings.
#[derive(Clone)]
struct Layouts {
    group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

static CURRENT: Mutex<Option<Arc<Device>>> = Mutex::new(None);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // Validation layers are for those who have them installed; the default would ask for them in debug builds.
    descriptor.flags = wgpu::InstanceFlags::empty();
    wgpu::Instance::new(descriptor)
}

fn facts(adapter: &wgpu::Adapter) -> AdapterFacts {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
        wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
        wgpu::DeviceType::Cpu => Kind::Software,
        wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => Kind::Other,
    };
    let tensor_bytes = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let caps = Caps {
        vendor: Caps::vendor(info.vendor, kind == Kind::Software),
        discrete: kind == Kind::Discrete,
        shared_bytes: limits.max_compute_workgroup_storage_size as usize,
        invocations: limits.max_compute_invocations_per_workgroup as usize,
        tensor_bytes,
    };
    AdapterFacts {
        name: info.name,
        kind,
        api: info.backend.to_string(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        tensor_bytes,
        bindings: limits.max_storage_buffers_per_shader_stage as usize,
        caps,
    }
}

fn enumerate() -> Vec<(AdapterFacts, wgpu::Adapter)> {
    let found = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()));
    let mut found: Vec<_> = found.into_iter().map(|adapter| (facts(&adapter), adapter)).collect();
    found.sort_by_key(|(facts, _)| facts.kind);
    found
}

/// All adapters of this machine, software behind all others.
pub fn adapters() -> Vec<AdapterFacts> {
    enumerate().into_iter().map(|(facts, _)| facts).collect()
}

/// The adapters that `CNNRS_ADAPTER` lets this process use, the one that it does use first.
pub fn usable() -> Vec<AdapterFacts> {
    let wanted = wanted();
    adapters().into_iter().filter(|facts| fits(facts, wanted.as_deref())).collect()
}

fn wanted() -> Option<String> {
    std::env::var(ADAPTER_VARIABLE).ok().filter(|name| !name.is_empty())
}

fn fits(facts: &AdapterFacts, wanted: Option<&str>) -> bool {
    match wanted {
        None => facts.kind != Kind::Software,
        Some("software") => facts.kind == Kind::Software,
        Some(part) => facts.name.to_lowercase().contains(&part.to_lowercase()),
    }
}

/// The adapter of `found` that is asked for: by `wanted`, or else the first that is no software.
fn choose<T>(found: Vec<(AdapterFacts, T)>, wanted: Option<&str>) -> Result<(AdapterFacts, T)> {
    let names: Vec<String> = found.iter().map(|(facts, _)| format!("{:?}", facts.name)).collect();
    let has_software = found.iter().any(|(facts, _)| facts.kind == Kind::Software);
    found.into_iter().find(|(facts, _)| fits(facts, wanted)).ok_or_else(|| {
        let listed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let hint = match wanted {
            None if has_software => format!(
                "there is only one that computes on the processor, slower than device \"cpu\": \
                 {ADAPTER_VARIABLE}=software takes it all the same"
            ),
            None => install_hint().to_owned(),
            Some(wanted) => format!("{ADAPTER_VARIABLE}={wanted} fits none of them"),
        };
        Error::value(format!("device \"gpu\": no adapter to use; found {listed}. {hint}"))
    })
}

/// What to install where there is no adapter.
fn install_hint() -> &'static str {
    if cfg!(target_os = "macos") {
        "Metal comes with macOS: this machine shows no GPU to this process"
    } else if cfg!(windows) {
        "Install the driver of the GPU's maker; it brings Vulkan and DirectX 12"
    } else {
        "Install the GPU's Vulkan driver and its loader (Debian, Ubuntu: libvulkan1 with mesa-vulkan-drivers, or NVIDIA's \
         driver)"
    }
}

/// The device that this process uses; opened at the first call, and again after it was lost.
///
/// # Errors
/// `Value` when there is no adapter to use, with what to install; `State` in a process forked from one that used it.
pub fn current() -> Result<Arc<Device>> {
    let mut current = locked(&CURRENT);
    let losses = current.as_ref().map_or(0, |device| device.losses + 1);
    if let Some(device) = &*current {
        device.check_process()?;
        if device.lost.get().is_none() {
            return Ok(device.clone());
        }
    }
    let (facts, adapter) = choose(enumerate(), wanted().as_deref())?;
    let device = Arc::new(Device::open(facts, &adapter, losses)?);
    *current = Some(device.clone());
    Ok(device)
}

/// Loses the device as a driver may at any time, for tests: what runs on it fails, and the next use opens it again.
pub fn lose() {
    if let Some(device) = &*locked(&CURRENT) {
        device.device.destroy();
        // The loss is said by a poll.
        let _ = device.device.poll(wgpu::PollType::Poll);
    }
}

/// Forgets kernels that were compiled; programs keep theirs.
pub fn release() {
    if let Some(device) = &*locked(&CURRENT) {
        locked(&device.pipelines).clear();
    }
}

/// The lock of the device, for a fork.
pub fn lock() -> Box<dyn Any> {
    Box::new(locked(&CURRENT))
}

impl Device {
    fn open(facts: AdapterFacts, adapter: &wgpu::Adapter, losses: u32) -> Result<Self> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("cnnrs"),
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| Error::value(format!("device \"gpu\": {} can't be opened: {e}", facts.name)))?;
        let (lost, faults) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
        let flag = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            // The first reason stays.
            let _ = flag.set(format!("{reason:?}: {message}"));
        });
        let heard = faults.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| locked(&heard).push(error.to_string())));
        Ok(Device {
            facts,
            losses,
            device,
            queue,
            lost,
            faults,
            pipelines: Mutex::default(),
            layouts: Mutex::default(),
            waiting: Mutex::default(),
            process: std::process::id(),
        })
    }

    /// # Errors
    /// `State` in a process forked from the one that opened the device.
    fn check_process(&self) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(Error::state(
            "device \"gpu\": a GPU can't be used in a process forked from one that used it; start the process anew \
             (multiprocessing: the method \"spawn\")",
        ))
    }

    /// # Errors
    /// `State` in a forked process, and when the device is lost or has said that something failed outside of what [`Device::guarded`] watches.
    pub(super) fn check(&self) -> Result<()> {
        self.check_process()?;
        if let Some(why) = self.lost.get() {
            return Err(Error::state(format!(
                "device \"gpu\": {} was lost ({why}); tensors and weights are safe in the host's memory, and the next use \
                 opens the device again",
                self.facts.name
            )));
        }
        match locked(&self.faults).pop() {
            Some(fault) => Err(Error::state(format!("device \"gpu\": {}: {fault}", self.facts.name))),
            None => Ok(()),
        }
    }

    /// What `make` makes, if the device says of nothing in it that it failed.
    ///
    /// # Errors
    /// `Memory` when the device has too little; `State` for anything else.
    pub(super) fn guarded<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T> {
        self.check()?;
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
                Err(Error::new(kind, format!("device \"gpu\": {}: {what}: {error}", self.facts.name)))
            }
        }
    }

    /// Waits until a submission is done, or for as long as `patience`, and tells those who asked for word of it; says
    /// whether it is. Does nothing while another thread waits, which tells all.
    ///
    /// # Errors
    /// `State` when the device is lost.
    pub(super) fn wait(&self, submission: &wgpu::SubmissionIndex, patience: Duration) -> Result<bool> {
        let Ok(_alone) = self.waiting.try_lock() else { return Ok(false) };
        let wait = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(patience) };
        let waited = self.device.poll(wait);
        self.check()?;
        match waited {
            Ok(_) => Ok(true),
            Err(wgpu::PollError::Timeout) => Ok(false),
            Err(e) => Err(Error::state(format!("device \"gpu\": {}: {e}", self.facts.name))),
        }
    }

    /// Memory for `bytes` bytes, of which the last word is whole.
    ///
    /// # Errors
    /// `Memory` when the device has too little.
    pub(super) fn allocate(&self, bytes: usize, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let size = (bytes.max(4) as u64).next_multiple_of(4);
        let limit = self.device.limits().max_buffer_size;
        if size > limit {
            return Err(Error::memory(format!(
                "device \"gpu\": {} holds at most {limit} bytes in one piece, and {size} are asked for; smaller batches \
                 need less",
                self.facts.name
            )));
        }
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
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
            return Ok(pipeline.clone());
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
        locked(&self.pipelines).insert(text.to_owned(), pipeline.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, kind: Kind) -> (AdapterFacts, ()) {
        let facts = AdapterFacts {
            name: name.to_owned(),
            kind,
            api: "vulkan".to_owned(),
            driver: String::new(),
            tensor_bytes: 1 << 27,
            bindings: 8,
            caps: Caps {
                vendor: Caps::vendor(0, kind == Kind::Software),
                discrete: kind == Kind::Discrete,
                shared_bytes: 1 << 15,
                invocations: 256,
                tensor_bytes: 1 << 27,
            },
        };
        (facts, ())
    }

    #[test]
    fn software_is_taken_on_request_alone() {
        let found = || vec![adapter("llvmpipe", Kind::Software)];
        let refused = choose(found(), None).unwrap_err().to_string();
        assert!(refused.contains("llvmpipe") && refused.contains("CNNRS_ADAPTER=software"), "{refused}");
        assert_eq!(choose(found(), Some("software")).unwrap().0.name, "llvmpipe");
        assert_eq!(choose(found(), Some("LLVM")).unwrap().0.name, "llvmpipe");
    }

    #[test]
    fn a_machine_without_adapters_is_told_what_to_install() {
        let refused = choose(Vec::<(AdapterFacts, ())>::new(), None).unwrap_err().to_string();
        assert!(refused.contains("found none") && refused.contains("nstall"), "{refused}");
    }

    #[test]
    fn adapters_are_found_by_a_part_of_their_names() {
        let found = || vec![adapter("NVIDIA H200", Kind::Discrete), adapter("Intel Xe", Kind::Integrated)];
        assert_eq!(choose(found(), None).unwrap().0.name, "NVIDIA H200");
        assert_eq!(choose(found(), Some("xe")).unwrap().0.name, "Intel Xe");
        let refused = choose(found(), Some("radeon")).unwrap_err().to_string();
        assert!(refused.contains("CNNRS_ADAPTER=radeon") && refused.contains("Intel Xe"), "{refused}");
    }
}
