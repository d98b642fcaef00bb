//! The GPU backend: any GPU with Vulkan, Metal or DirectX 12, through wgpu.
//!
//! wgpu starts when somebody first asks for a GPU. What a program makes stays in the device's memory until somebody looks
//! at it; what the host made goes up when a program first reads it.

pub mod adapter;
pub mod caps;
pub mod device;
pub mod exec;
mod found;
pub mod lower;
pub mod memory;
pub mod probe;
pub mod selftest;
pub mod settings;

use super::device::{Backend, DeviceInfo, DeviceTraits, Program};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::fusion::{self, Fusion};
use crate::graph::Graph;
use crate::schedule::{PlanOptions, Target};
use crate::value::Value;
use std::any::Any;
use std::ffi::OsString;
use std::sync::Arc;

/// The GPUs that this process uses.
pub struct Gpu;

/// What kernels bind besides the operands of regions, mostly.
const BESIDE: usize = 5;

/// An update by Adam reads five tensors, with its variants eight, and runs as one dispatch.
static TRAITS: DeviceTraits = DeviceTraits { name: "gpu", limits: fusion::Limits { instructions: 48, operands: 8 } };

/// The highest tier of kernels that compute on the device what they should.
fn trusted(device: &device::Device, number: usize) -> Result<caps::Tier> {
    let verdict = device.verdict(|| selftest::verdict(device, number))?;
    verdict.tier.ok_or_else(|| {
        Error::state(format!(
            "device \"{}\": {} computes wrong numbers with this driver ({}): {}. Use \"cpu\", or another driver; \
             CNNRS_GPU_SELFTEST=never takes it all the same",
            device.name, device.facts.name, device.facts.driver, verdict.text
        ))
    })
}

impl Backend for Gpu {
    fn traits(&self) -> &DeviceTraits {
        &TRAITS
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let info = |(k, facts): (usize, adapter::AdapterFacts)| DeviceInfo {
            name: format!("gpu:{k}"),
            kind: facts.kind.name(),
            description: facts.name,
            driver: format!("{}, {}", facts.api, facts.driver),
        };
        adapter::usable().into_iter().enumerate().map(info).collect()
    }

    fn limits(&self, number: usize) -> Result<fusion::Limits> {
        // Besides operands, a kernel binds its op's inputs and what it stores.
        let room = device::get(number)?.facts.bindings.saturating_sub(BESIDE);
        Ok(fusion::Limits { operands: TRAITS.limits.operands.min(room.max(1)), ..TRAITS.limits })
    }

    fn details(&self, number: usize) -> Result<Vec<(&'static str, String)>> {
        let device = device::get(number)?;
        let facts = &device.facts;
        let limits = format!(
            "{} bytes of one tensor, {} bytes of one buffer, {} tensors of one kernel, {} bytes of shared memory, {} \
             invocations of a workgroup",
            facts.tensor_bytes, device.arena_limit, facts.bindings, facts.caps.shared_bytes, facts.caps.invocations
        );
        let matrices = facts.caps.fragment.map_or("none".to_owned(), |f| format!("{0}x{0} of float16", f.size));
        let halves = match caps::Halves::forced()? {
            Some(halves) => format!("{}, as {} says", halves.name(), caps::HALVES_VARIABLE),
            None => device.verdict(|| selftest::verdict(&device, number))?.halves.name().to_owned(),
        };
        let halves = format!("{halves}; float16: {}; cooperative matrices: {matrices}", facts.caps.float16);
        let kernels = match caps::Tier::forced()? {
            Some(tier) => format!("{}, as {} says", tier.name(), caps::TIER_VARIABLE),
            None => {
                let verdict = device.verdict(|| selftest::verdict(&device, number))?;
                let tier = verdict.tier.map_or("none that may be used", caps::Tier::name);
                format!("{tier}; self-test: {}", verdict.text)
            }
        };
        Ok(vec![("limits", limits), ("kernels", kernels), ("halves", halves)])
    }

    fn target(&self, number: usize) -> Result<Target> {
        let device = device::get(number)?;
        let tier = match caps::Tier::forced()? {
            Some(tier) => tier,
            None => trusted(&device, number)?,
        };
        let halves = match caps::Halves::forced()? {
            Some(halves) => halves,
            None => device.verdict(|| selftest::verdict(&device, number))?.halves,
        };
        let (tier, halves) = (tier.name(), halves.name());
        Ok(Target { backend: TRAITS.name, number, tier, halves, threads: 1, losses: device.losses })
    }

    fn compile(&self, graph: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<Arc<dyn Program>> {
        Ok(Arc::new(lower::compile(graph, fusion, options)?))
    }

    fn upload(&self, number: usize, host: &Buffer) -> Result<Value> {
        exec::value::upload(&device::get(number)?, host)
    }

    fn lose(&self, number: usize) {
        device::lose(number);
    }

    fn used_bytes(&self) -> usize {
        device::used_bytes()
    }

    fn idle_bytes(&self) -> usize {
        device::idle_bytes()
    }

    fn release_memory(&self) {
        device::release();
    }

    fn settle(&self) {
        device::settle();
    }

    fn set_probe(&self, command: &[OsString]) {
        probe::set_command(command.to_vec());
    }

    fn lock(&self) -> Vec<Box<dyn Any>> {
        vec![device::lock()]
    }
}
