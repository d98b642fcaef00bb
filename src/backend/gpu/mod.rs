//! The GPU backend: any GPU with Vulkan, Metal or DirectX 12, through wgpu.
//!
//! wgpu starts when somebody first asks for a GPU. What a program makes stays in the device's memory until somebody looks
//! at it; what the host made goes up when a program first reads it.

pub mod adapter;
pub mod caps;
pub mod device;
pub mod exec;
pub mod lower;
pub mod memory;
pub mod settings;

use super::device::{Backend, DeviceInfo, DeviceTraits, Program};
use crate::buffer::Buffer;
use crate::error::Result;
use crate::fusion::{self, Fusion};
use crate::graph::Graph;
use crate::schedule::{PlanOptions, Target};
use crate::value::Value;
use std::any::Any;
use std::sync::Arc;

/// The GPUs that this process uses.
pub struct Gpu;

static TRAITS: DeviceTraits = DeviceTraits { name: "gpu", limits: fusion::Limits { instructions: 48, operands: 4 } };

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

    fn target(&self, number: usize) -> Result<Target> {
        let losses = device::get(number)?.losses;
        Ok(Target { backend: TRAITS.name, number, tier: caps::Tier::current()?.name(), threads: 1, losses })
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

    fn lock(&self) -> Vec<Box<dyn Any>> {
        vec![device::lock()]
    }
}
