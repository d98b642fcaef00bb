//! The adapters of this machine: what drivers say of GPUs, before one is opened.

use super::caps::{Caps, Fragment, Halves, Vendor};
use super::probe;
use super::settings::copies;
use crate::error::{Error, Result};

/// The variable that names the adapters to use: a part of a name, or "software" for one that computes on the processor.
pub const ADAPTER_VARIABLE: &str = "CNNRS_ADAPTER";

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

fn instance(backends: wgpu::Backends) -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
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
    let vendor = Caps::vendor(info.vendor, kind == Kind::Software);
    let caps = Caps {
        vendor,
        discrete: kind == Kind::Discrete,
        shared_bytes: limits.max_compute_workgroup_storage_size as usize,
        invocations: limits.max_compute_invocations_per_workgroup as usize,
        tensor_bytes,
        float16: adapter.features().contains(wgpu::Features::SHADER_F16),
        fragment: fragment(adapter, vendor),
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

/// What kernels need of every device: invocations and bytes of shared memory of a workgroup, as reductions have them, and
/// tensors that a kernel binds.
const NEEDED: [(&str, usize); 3] = [
    ("invocations of a workgroup", 256),
    ("bytes of shared memory of a workgroup", 4096),
    ("tensors of one kernel", 8),
];

/// What an adapter has too little of to run kernels, in words.
pub(super) fn lacking(facts: &AdapterFacts) -> Option<String> {
    let has = [facts.caps.invocations, facts.caps.shared_bytes, facts.bindings];
    let (has, (what, needed)) = has.into_iter().zip(NEEDED).find(|(has, (_, needed))| has < needed)?;
    Some(format!("has {has} {what}, and kernels need {needed}"))
}

/// What a device is opened with to multiply cooperative matrices.
pub(super) const MATRIX_FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SUBGROUP).union(wgpu::Features::SHADER_F16);

/// The cooperative matrices of an adapter, unless the user forbids them: the larger of those that fit.
fn fragment(adapter: &wgpu::Adapter, vendor: Vendor) -> Option<Fragment> {
    // What can't be read is an error once a program is made.
    let allowed = Halves::forced().is_ok_and(|halves| halves.is_none_or(Halves::on_matrices));
    if !allowed || !adapter.features().contains(MATRIX_FEATURES) {
        return None;
    }
    let least = match vendor {
        // Metal tells no size; all of Apple's have 32.
        Vendor::Apple => 32,
        _ => adapter.get_info().subgroup_min_size as usize,
    };
    fragment_of(&adapter.cooperative_matrix_properties(), least)
}

fn fragment_of(offered: &[wgpu::CooperativeMatrixProperties], least: usize) -> Option<Fragment> {
    let fits = |size: u32| {
        offered.iter().any(|m| {
            [m.m_size, m.n_size, m.k_size] == [size; 3]
                && m.ab_type == wgpu::CooperativeScalarType::F16
                && m.cr_type == wgpu::CooperativeScalarType::F32
        })
    };
    let size = [16, 8].into_iter().find(|&size| fits(size))?;
    Some(Fragment { size: size as usize, lanes: least.clamp(4, 32) })
}

/// All adapters of this machine, software behind all others.
fn enumerate() -> Vec<(AdapterFacts, wgpu::Adapter)> {
    let mut backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // What can't be read is an error once somebody asks for a device.
    if probe::crash().is_ok_and(|crash| crash.is_some()) {
        backends.remove(wgpu::Backends::VULKAN);
    }
    let found = pollster::block_on(instance(backends).enumerate_adapters(backends));
    let mut found: Vec<_> = found.into_iter().map(|adapter| (facts(&adapter), adapter)).collect();
    found.sort_by_key(|(facts, _)| facts.kind);
    // As above.
    let copies = copies().unwrap_or(1);
    found.into_iter().flat_map(|adapter| std::iter::repeat_n(adapter, copies)).collect()
}

/// The adapters that `CNNRS_ADAPTER` lets this process use, in the order of their numbers.
pub fn usable() -> Vec<AdapterFacts> {
    let wanted = wanted();
    enumerate().into_iter().map(|(facts, _)| facts).filter(|facts| fits(facts, wanted.as_deref())).collect()
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

/// Adapter `number` of those that this process can use.
///
/// # Errors
/// `Value` when there is none, with what to install.
pub(super) fn find(number: usize) -> Result<(AdapterFacts, wgpu::Adapter)> {
    let crash = probe::crash()?;
    copies()?;
    choose(enumerate(), wanted().as_deref(), number).map_err(|e| match crash {
        None => e,
        Some(how) => Error::value(format!(
            "{e}. A Vulkan driver crashed when it was asked for its adapters ({how}), so Vulkan is left alone: update the \
             driver, or leave it out by VK_LOADER_DRIVERS_DISABLE; {}=never asks it all the same",
            probe::PROBE_VARIABLE
        )),
    })
}

/// Adapter `number` of those of `found` that `wanted` lets the process use.
fn choose<T>(found: Vec<(AdapterFacts, T)>, wanted: Option<&str>, number: usize) -> Result<(AdapterFacts, T)> {
    let names: Vec<String> = found.iter().map(|(facts, _)| format!("{:?}", facts.name)).collect();
    let has_software = found.iter().any(|(facts, _)| facts.kind == Kind::Software);
    let mut usable: Vec<(AdapterFacts, T)> = found.into_iter().filter(|(facts, _)| fits(facts, wanted)).collect();
    if number < usable.len() {
        return Ok(usable.swap_remove(number));
    }
    if !usable.is_empty() {
        let others = match usable.len() - 1 {
            0 => "alone".to_owned(),
            last => format!("to \"gpu:{last}\""),
        };
        return Err(Error::value(format!("device \"gpu:{number}\": this process can use \"gpu:0\" {others}")));
    }
    let listed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let hint = match wanted {
        None if has_software => format!(
            "There is only one that computes on the processor, slower than device \"cpu\": {ADAPTER_VARIABLE}=software \
             takes it all the same"
        ),
        None => install_hint().to_owned(),
        Some(wanted) => format!("{ADAPTER_VARIABLE}={wanted} fits none of them"),
    };
    Err(Error::value(format!("device \"gpu:{number}\": no adapter to use; found {listed}. {hint}")))
}

/// What to install where there is no adapter.
fn install_hint() -> &'static str {
    if cfg!(target_os = "macos") {
        "Metal comes with macOS: this machine shows no GPU to this process"
    } else if cfg!(windows) {
        "Install the driver of the GPU's maker; it brings Vulkan and DirectX 12"
    } else {
        "Install the GPU's Vulkan driver and its loader (AMD, Intel: libvulkan1 and mesa-vulkan-drivers on Debian and Ubuntu, \
         vulkan-loader and mesa-vulkan-drivers on Fedora; NVIDIA: libvulkan1 or vulkan-loader, and NVIDIA's own driver). In a \
         container, NVIDIA's driver shows Vulkan under NVIDIA_DRIVER_CAPABILITIES=all"
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
                float16: false,
                fragment: None,
            },
        };
        (facts, ())
    }

    #[test]
    fn the_larger_matrices_of_float16_with_sums_in_float32_are_taken() {
        use wgpu::CooperativeScalarType::{F16, F32};
        let of = |sizes: [u32; 3], ab_type, cr_type| wgpu::CooperativeMatrixProperties {
            m_size: sizes[0],
            n_size: sizes[1],
            k_size: sizes[2],
            ab_type,
            cr_type,
            saturating_accumulation: false,
        };
        let apple = [of([8; 3], F32, F32), of([8; 3], F16, F16), of([8; 3], F16, F32)];
        assert_eq!(fragment_of(&apple, 32), Some(Fragment { size: 8, lanes: 32 }));
        let both = [of([8; 3], F16, F32), of([16; 3], F16, F32)];
        assert_eq!(fragment_of(&both, 64), Some(Fragment { size: 16, lanes: 32 }));
        assert_eq!(fragment_of(&[of([16, 8, 16], F16, F32), of([16; 3], F16, F16)], 32), None);
        assert_eq!(fragment_of(&[], 8), None);
    }

    #[test]
    fn what_an_adapter_lacks_is_named() {
        let (facts, ()) = adapter("Some Phone", Kind::Integrated);
        assert_eq!(lacking(&facts), None);
        let few = AdapterFacts { caps: Caps { invocations: 128, ..facts.caps }, ..facts.clone() };
        assert_eq!(lacking(&few).unwrap(), "has 128 invocations of a workgroup, and kernels need 256");
        let few = AdapterFacts { bindings: 4, ..facts };
        assert_eq!(lacking(&few).unwrap(), "has 4 tensors of one kernel, and kernels need 8");
    }

    #[test]
    fn software_is_taken_on_request_alone() {
        let found = || vec![adapter("llvmpipe", Kind::Software)];
        let refused = choose(found(), None, 0).unwrap_err().to_string();
        assert!(refused.contains("llvmpipe") && refused.contains("CNNRS_ADAPTER=software"), "{refused}");
        assert_eq!(choose(found(), Some("software"), 0).unwrap().0.name, "llvmpipe");
        assert_eq!(choose(found(), Some("LLVM"), 0).unwrap().0.name, "llvmpipe");
    }

    #[test]
    fn a_machine_without_adapters_is_told_what_to_install() {
        let refused = choose(Vec::<(AdapterFacts, ())>::new(), None, 0).unwrap_err().to_string();
        assert!(refused.contains("found none") && refused.contains("nstall"), "{refused}");
    }

    #[test]
    fn adapters_are_found_by_a_part_of_their_names() {
        let found = || vec![adapter("NVIDIA H200", Kind::Discrete), adapter("Intel Xe", Kind::Integrated)];
        assert_eq!(choose(found(), None, 0).unwrap().0.name, "NVIDIA H200");
        assert_eq!(choose(found(), Some("xe"), 0).unwrap().0.name, "Intel Xe");
        assert_eq!(choose(found(), None, 1).unwrap().0.name, "Intel Xe");
        let refused = choose(found(), None, 2).unwrap_err().to_string();
        assert!(refused.contains("gpu:2") && refused.contains("to \"gpu:1\""), "{refused}");
        let refused = choose(vec![adapter("Intel Xe", Kind::Integrated)], None, 7).unwrap_err().to_string();
        assert!(refused.ends_with("device \"gpu:7\": this process can use \"gpu:0\" alone"), "{refused}");
        let refused = choose(found(), Some("radeon"), 0).unwrap_err().to_string();
        assert!(refused.contains("CNNRS_ADAPTER=radeon") && refused.contains("Intel Xe"), "{refused}");
    }
}
