//! One step run by itself on numbers of no meaning, to see how long it takes and what it makes.

use super::clock::Clock;
use super::outcome::read_back;
use super::stream::until;
use crate::backend::gpu::device::Device;
use crate::backend::gpu::lower::shader::{Code, Operand};
use crate::backend::gpu::memory::Memory;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Fact;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Inputs and outputs of a step.
pub struct Trial<'a> {
    device: &'a Arc<Device>,
    inputs: Vec<Memory>,
    outputs: Vec<(Fact, Memory)>,
}

impl<'a> Trial<'a> {
    /// Of a step with such inputs and outputs. Floats are between -1 and 1.
    ///
    /// # Errors
    /// `Memory` when the device has too little.
    pub fn new(device: &'a Arc<Device>, inputs: &[Fact], outputs: &[Fact]) -> Result<Self> {
        let mut state = 2463u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        let mut filled = |fact: &Fact| -> Result<Memory> {
            let memory = Memory::new(device, fact.bytes())?;
            let float = |bits: u32| bits as f32 / (1 << 23) as f32 - 1.0;
            let count = fact.shape.len();
            let bytes: Vec<u8> = match fact.dtype {
                DType::F32 => (0..count).flat_map(|_| float(random()).to_ne_bytes()).collect(),
                DType::F16 => (0..count).flat_map(|_| half::f16::from_f32(float(random())).to_ne_bytes()).collect(),
                DType::BF16 => (0..count).flat_map(|_| half::bf16::from_f32(float(random())).to_ne_bytes()).collect(),
                DType::I32 => (0..count).flat_map(|_| (random() % 4).to_ne_bytes()).collect(),
                DType::U8 | DType::Bool => (0..count).map(|_| (random() % 2) as u8).collect(),
                other => return Err(Error::dtype(format!("a GPU has no {other}"))),
            };
            device.write(memory.buffer(), &bytes)?;
            Ok(memory)
        };
        let inputs = inputs.iter().map(&mut filled).collect::<Result<_>>()?;
        let outputs = outputs.iter().map(|fact| Ok((fact.clone(), Memory::new(device, fact.bytes())?)));
        Ok(Trial { device, inputs, outputs: outputs.collect::<Result<_>>()? })
    }

    /// How long `code` takes, the fastest of `runs` runs.
    ///
    /// # Errors
    /// When a kernel does not compile, memory runs out, or the device is lost.
    pub fn time(&self, name: &str, code: &Code, runs: usize) -> Result<Duration> {
        let device = self.device;
        let workspace = Memory::new(device, code.workspace)?;
        let packed = Memory::new(device, code.packing.as_ref().map_or(0, |packing| packing.packed.bytes))?;
        let packing = code.packing.iter().flat_map(|packing| &packing.dispatches);
        let mut bound = Vec::with_capacity(code.dispatches.len());
        for dispatch in packing.chain(&code.dispatches) {
            let buffer = |operand: &Operand| match *operand {
                Operand::Input(k) => Ok(self.inputs[k].buffer()),
                Operand::Output(k) => Ok(self.outputs[k].1.buffer()),
                Operand::Workspace => Ok(workspace.buffer()),
                Operand::Packed => Ok(packed.buffer()),
                Operand::Status => Err(Error::state("a step that checks integers is timed")),
                Operand::Sum | Operand::Part | Operand::Shared(_) => Err(Error::state("a step in parts is timed")),
            };
            let buffers = dispatch.operands.iter().map(buffer).collect::<Result<Vec<_>>>()?;
            let whole = |&buffer| wgpu::BufferBinding { buffer, offset: 0, size: None };
            let group = device.bind(&buffers.iter().map(whole).collect::<Vec<_>>())?;
            bound.push((device.pipeline(name, &dispatch.text, dispatch.operands.len())?, group, dispatch.groups));
        }
        let clock = Clock::new(device, 0..1)?;
        let mut fastest = Duration::MAX;
        for _ in 0..runs {
            let mut encoder = device.device.create_command_encoder(&Default::default());
            {
                let timestamp_writes = clock.as_ref().and_then(|clock| clock.of(0));
                let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
                let mut pass = encoder.begin_compute_pass(&descriptor);
                for (pipeline, group, groups) in &bound {
                    pass.set_pipeline(pipeline);
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(groups[0], groups[1], 1);
                }
            }
            if let Some(clock) = &clock {
                clock.stop(&mut encoder);
            }
            let commands = device.guarded("a trial", || encoder.finish())?;
            let begun = Instant::now();
            let submission = device.guarded("a trial", || device.queue.submit([commands]))?;
            while !until(device, &submission, &|| false)? {}
            let taken = match &clock {
                Some(clock) => clock.read(device)?.first().map_or(Duration::MAX, |step| step.end - step.start),
                None => begun.elapsed(),
            };
            fastest = fastest.min(taken);
        }
        Ok(fastest)
    }

    /// The outputs of the last run.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn outputs(&self) -> Result<Vec<Vec<f32>>> {
        let floats = |(fact, memory): &(Fact, Memory)| {
            let device = self.device;
            read_back(device, memory.buffer(), fact.bytes().max(4), &|| false, |bytes| match fact.dtype {
                DType::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_ne_bytes(b)).collect(),
                DType::F16 => bytes.as_chunks().0.iter().map(|&b| half::f16::from_ne_bytes(b).to_f32()).collect(),
                DType::BF16 => bytes.as_chunks().0.iter().map(|&b| half::bf16::from_ne_bytes(b).to_f32()).collect(),
                DType::I32 => bytes.as_chunks().0.iter().map(|&b| i32::from_ne_bytes(b) as f32).collect(),
                _ => bytes.iter().map(|&b| f32::from(b)).collect(),
            })
        };
        self.outputs.iter().map(floats).collect()
    }
}
