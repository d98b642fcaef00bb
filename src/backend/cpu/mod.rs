//! The CPU backend: kernels over SIMD instruction sets, run by a pool that a plan enters once.

pub mod exec;
pub mod kernel;
pub mod kernels;
pub mod lower;
pub mod simd;

use super::device::{Backend, DeviceInfo, DeviceTraits, Program};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::fusion::{self, Fusion};
use crate::graph::Graph;
use crate::schedule::{PlanOptions, Target};
use crate::value::Value;
use std::any::Any;
use std::sync::Arc;

/// The processor that this process runs on.
pub struct Cpu;

static TRAITS: DeviceTraits = DeviceTraits { name: "cpu", limits: fusion::Limits { instructions: 48, operands: 24 } };

impl Backend for Cpu {
    fn traits(&self) -> &DeviceTraits {
        &TRAITS
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let tier = simd::Tier::current().map_or("unknown", |tier| tier.name());
        let threads = exec::pool::workers().unwrap_or(1);
        vec![DeviceInfo {
            name: "cpu:0".to_owned(),
            kind: "processor",
            description: format!("{tier}, {threads} threads"),
            driver: String::new(),
        }]
    }

    fn target(&self, number: usize) -> Result<Target> {
        if number > 0 {
            return Err(Error::value(format!("device: there is one \"cpu:0\", received \"cpu:{number}\"")));
        }
        // Work is cut alike for all numbers of threads up to this one.
        let threads = exec::pool::workers()?.max(kernels::chunked::FEW_THREADS);
        Ok(Target {
            backend: TRAITS.name,
            number,
            tier: simd::Tier::current()?.name(),
            halves: "widened",
            threads,
            losses: 0,
        })
    }

    fn compile(&self, graph: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<Arc<dyn Program>> {
        Ok(Arc::new(lower::compile(graph, fusion, options)?))
    }

    fn upload(&self, _number: usize, host: &Buffer) -> Result<Value> {
        Ok(host.try_clone()?.into())
    }

    fn idle_bytes(&self) -> usize {
        exec::arena::idle_bytes()
    }

    fn release_memory(&self) {
        exec::arena::release_memory();
    }

    fn lock(&self) -> Vec<Box<dyn Any>> {
        vec![exec::pool::lock(), exec::arena::lock()]
    }
}
