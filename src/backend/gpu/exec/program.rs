//! Programs for a GPU.

use super::outcome::CheckedStep;
use super::placement::{GpuStep, Placement};
use super::run::Binding;
use crate::backend::device::{Bound, Control, Program, ProgramFacts, Run, Slot, StepFacts};
use crate::backend::gpu::device::{self, Device, locked};
use crate::backend::gpu::lower::StepKernels;
use crate::backend::gpu::memory::Memory;
use crate::error::Result;
use crate::graph::Graph;
use crate::schedule::{PlanOptions, Schedule};
use crate::shape::Fact;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Immutable code of a graph for one device. A run is whole or absent: donated memory is overwritten by *commit steps*
/// only, which come last, and which the device leaves out where a step before them met bad data.
pub struct GpuProgram {
    pub(super) device: Arc<Device>,
    /// Unlike all other programs'.
    pub(super) number: u64,
    pub(super) placement: Placement,
    pub(super) commit_from: usize,
    pub(super) outputs: Vec<Fact>,
    /// For each output, the input whose memory it may take.
    pub(super) in_place: Vec<Option<usize>>,
    /// Pairs (input, output) of what may be donated.
    pub(super) donations: Vec<(usize, usize)>,
    pub(super) literals: Option<Memory>,
    /// The steps that check integers, in order.
    pub(super) checked: Arc<[CheckedStep]>,
    /// The workgroups of all dispatches that commit, as the device reads them.
    pub(super) workgroups: Vec<u8>,
    /// Whether runs fill memory that nobody has written with NaN.
    pub(super) checks: bool,
    /// For runs that keep nothing.
    unbound: Binding,
}

impl GpuProgram {
    /// The program of steps in order.
    ///
    /// # Errors
    /// When there is no device, a kernel does not compile, or a tensor exceeds what the device binds.
    pub fn new(g: &Graph, schedule: Schedule<StepKernels>, options: &PlanOptions) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let device = device::get(options.target.map_or(0, |target| target.number))?;
        let (commit_from, in_place) = (schedule.commit_from, schedule.in_place.clone());
        let placement = Placement::new(g, &device, schedule)?;
        let steps = placement.prelude.iter().chain(&placement.steps);
        let checked = steps.filter_map(|step| {
            let (origin, kernel) = (step.facts.origin.clone(), step.facts.kernel);
            step.check.map(|check| CheckedStep { check, origin, kernel })
        });
        let checked = checked.collect();
        let literals = match placement.literals.len() {
            0 => None,
            bytes => {
                let memory = Memory::new(&device, bytes)?;
                device.write(memory.buffer(), &placement.literals)?;
                Some(memory)
            }
        };
        let commits = placement.steps[commit_from..].iter().flat_map(|step| &step.dispatches);
        let workgroups = commits.flat_map(|d| [d.groups[0], d.groups[1], 1]).flat_map(u32::to_ne_bytes).collect();
        Ok(GpuProgram {
            device,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            placement,
            commit_from,
            outputs: g.outputs().iter().map(|&o| g.fact(o).clone()).collect(),
            in_place,
            donations: options.donations.clone(),
            literals,
            checked,
            workgroups,
            checks: options.checks,
            unbound: Binding::default(),
        })
    }

    /// The prelude's steps and then the program's.
    pub(super) fn all_steps(&self) -> impl Iterator<Item = &GpuStep> {
        self.placement.prelude.iter().chain(&self.placement.steps)
    }
}

impl Drop for GpuProgram {
    fn drop(&mut self) {
        // In a forked child another thread's lock may stay locked for ever.
        if !self.device.is_foreign() {
            locked(&self.device.stream).forget(self.number);
        }
    }
}

impl Program for GpuProgram {
    fn facts(&self) -> ProgramFacts {
        self.placement.facts
    }

    fn steps(&self) -> Vec<StepFacts> {
        self.all_steps().map(|step| step.facts.clone()).collect()
    }

    fn describe(&self) -> String {
        let line = |step: &GpuStep| {
            let origin = step.facts.origin.as_deref().map(|o| format!("  # {o}")).unwrap_or_default();
            format!("{} ×{}  {}{origin}\n", step.facts.kernel, step.dispatches.len(), step.facts.text)
        };
        let mut s: String = self.placement.prelude.iter().map(line).collect();
        if !self.placement.prelude.is_empty() {
            let _ =
                writeln!(s, "-- above: once while constant inputs stay, {} bytes --", self.placement.values.bytes());
        }
        for (k, step) in self.placement.steps.iter().enumerate() {
            if k == self.commit_from {
                let _ = writeln!(s, "-- commit --");
            }
            s.push_str(&line(step));
        }
        s
    }

    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        Ok(self.run_in(&self.unbound, slots, control, false)?.0)
    }

    fn bind(self: Arc<Self>) -> Box<dyn Bound> {
        Box::new(GpuBound { program: self, binding: Binding::default(), preparations: AtomicU64::new(0) })
    }
}

/// A program with what one model or function keeps of it.
struct GpuBound {
    program: Arc<GpuProgram>,
    binding: Binding,
    preparations: AtomicU64,
}

impl Bound for GpuBound {
    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        let (run, prepared) = self.program.run_in(&self.binding, slots, control, true)?;
        self.preparations.fetch_add(u64::from(prepared), Ordering::Relaxed);
        Ok(run)
    }

    fn preparations(&self) -> u64 {
        self.preparations.load(Ordering::Relaxed)
    }
}
