//! The GPU backend: any GPU with Vulkan, Metal or DirectX 12, through wgpu.
//!
//! wgpu starts when somebody first asks for a GPU. Programs of this backend take tensors from the host's memory and give
//! them back there: what has not changed since the last run is not sent again.

pub mod caps;
pub mod device;
pub mod exec;
pub mod lower;

use super::device::{Backend, DeviceInfo, DeviceTraits, Program};
use crate::error::Result;
use crate::fusion::{self, Fusion};
use crate::graph::Graph;
use crate::schedule::{PlanOptions, Target};
use std::any::Any;
use std::sync::Arc;

/// The GPU that this process uses.
pub struct Gpu;

/// An update by Adam reads five tensors, with its variants eight, and runs as one dispatch.
static TRAITS: DeviceTraits = DeviceTraits { name: "gpu", limits: fusion::Limits { instructions: 48, operands: 8 } };

impl Backend for Gpu {
    fn traits(&self) -> &DeviceTraits {
        &TRAITS
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let info = |(k, facts): (usize, device::AdapterFacts)| DeviceInfo {
            name: format!("gpu:{k}"),
            kind: facts.kind.name(),
            description: facts.name,
            driver: format!("{}, {}", facts.api, facts.driver),
        };
        device::usable().into_iter().enumerate().map(info).collect()
    }

    fn target(&self) -> Result<Target> {
        let losses = device::current()?.losses;
        Ok(Target { backend: TRAITS.name, tier: caps::Tier::current()?.name(), threads: 1, losses })
    }

    fn compile(&self, graph: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<Arc<dyn Program>> {
        Ok(Arc::new(lower::compile(graph, fusion, options)?))
    }

    fn idle_bytes(&self) -> usize {
        0
    }

    fn release_memory(&self) {
        device::release();
    }

    fn lock(&self) -> Vec<Box<dyn Any>> {
        vec![device::lock()]
    }
}
