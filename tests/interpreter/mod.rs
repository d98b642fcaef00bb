//! A second backend, as small as one can be: every step in double precision, by the ops' references. It takes the seam
//! between plans and devices for what it is: nothing of the CPU backend is in here.

use cnnrs::backend::device::{
    Backend, Bound, Control, DeviceInfo, DeviceTraits, Memory, Program, ProgramFacts, Run, Slot, StepFacts, When,
};
use cnnrs::error::{Error, ErrorKind, Result};
use cnnrs::fusion::{Fusion, Group, Limits};
use cnnrs::graph::interpret_node;
use cnnrs::ops::RefArray;
use cnnrs::schedule::prelude::Values;
use cnnrs::schedule::{
    Liveness, Packed, PlanOptions, Prelude, Schedule, Step, StepCode, Target, copies, liveness, memory, schedule,
};
use cnnrs::testing::{to_array, to_buffer};
use cnnrs::{Buffer, Graph, NodeId, Value};
use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// The device.
pub struct Interpreter;

/// It takes small groups only, so that others are cut than for the CPU.
static TRAITS: DeviceTraits = DeviceTraits { name: "interpreter", limits: Limits { instructions: 3, operands: 4 } };

/// The nodes of a step.
struct Nodes(Vec<NodeId>);

impl StepCode for Nodes {
    fn workspace(&self) -> usize {
        0
    }

    fn packed(&self) -> &[Packed] {
        &[]
    }

    fn split_packing(&mut self) -> Self {
        unreachable!("it packs nothing")
    }
}

impl Backend for Interpreter {
    fn traits(&self) -> &DeviceTraits {
        &TRAITS
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        Vec::new()
    }

    fn target(&self, number: usize) -> Result<Target> {
        Ok(Target { backend: TRAITS.name, number, tier: "f64", halves: "widened", threads: 1, losses: 0 })
    }

    fn compile(&self, graph: &Graph, fusion: &Fusion, options: &PlanOptions) -> Result<Arc<dyn Program>> {
        let step = |group: &Group| {
            let Group { anchor, region, inputs, outputs, nodes, .. } = group.clone();
            match (anchor, region) {
                (None, Some(region)) => Step::of_region(graph, Nodes(nodes.clone()), &region, inputs, outputs, &nodes),
                _ => Step::new(graph, Nodes(nodes.clone()), inputs, outputs, &nodes),
            }
        };
        let mut steps: Vec<Step<Nodes>> = fusion.groups.iter().map(step).collect();
        for copy in copies(graph, fusion, &steps) {
            steps.push(copy.step(graph, Nodes(Vec::new())));
        }
        let schedule = schedule(graph, fusion, steps, options)?;
        let values = schedule.prelude.values(graph);
        Ok(Arc::new(Interpreted { graph: graph.clone(), schedule, values }))
    }

    fn upload(&self, _: usize, host: &Buffer) -> Result<Value> {
        Ok(host.try_clone()?.into())
    }

    fn idle_bytes(&self) -> usize {
        0
    }

    fn release_memory(&self) {}

    fn lock(&self) -> Vec<Box<dyn Any>> {
        Vec::new()
    }
}

struct Interpreted {
    graph: Graph,
    schedule: Schedule<Nodes>,
    values: Values,
}

/// Values of nodes.
type Known = HashMap<NodeId, RefArray>;

impl Interpreted {
    /// Computes node `id`, and before it the views and literals that it reads.
    fn compute(&self, id: NodeId, known: &mut Known) -> Result<()> {
        for &input in &self.graph.node(id).inputs {
            if !known.contains_key(&input) {
                self.compute(input, known)?;
            }
        }
        let args: Vec<&RefArray> = self.graph.node(id).inputs.iter().map(|i| &known[i]).collect();
        let value = interpret_node(&self.graph, id, &args)?;
        known.insert(id, value);
        Ok(())
    }

    /// What the steps leave of `known`: for those that commit nothing is asked any more.
    fn execute(&self, steps: &[Step<Nodes>], commit_from: usize, control: &Control, known: &mut Known) -> Result<()> {
        for (s, step) in steps.iter().enumerate() {
            if s <= commit_from && (control.poll)() {
                return Err(Error::new(ErrorKind::Cancelled, "interrupted"));
            }
            for &node in &step.code.0 {
                let name = || step.origin.clone().unwrap_or_else(|| "a step".into());
                self.compute(node, known).map_err(|e| e.at(&name()))?;
            }
        }
        if steps.len() == commit_from && (control.poll)() {
            return Err(Error::new(ErrorKind::Cancelled, "interrupted"));
        }
        Ok(())
    }

    fn inputs(&self, slots: &[Slot]) -> Result<Known> {
        let ids = self.graph.inputs().iter().zip(slots);
        ids.map(|(&id, slot)| Ok((id, to_array(slot.buffer()?)))).collect()
    }

    fn prepare(&self, slots: &[Slot], control: &Control) -> Result<Known> {
        let Prelude { steps, .. } = &self.schedule.prelude;
        let mut known = self.inputs(slots)?;
        self.execute(steps, steps.len() + 1, control, &mut known)?;
        known.retain(|id, _| !self.graph.inputs().contains(id));
        Ok(known)
    }

    fn finish(&self, slots: &mut [Slot], prepared: &Known, control: &Control) -> Result<Run> {
        let mut known = self.inputs(slots)?;
        known.extend(prepared.iter().map(|(id, value)| (*id, value.clone())));
        self.execute(&self.schedule.steps, self.schedule.commit_from, control, &mut known)?;
        let mut outputs = Vec::new();
        for (&id, donor) in self.graph.outputs().iter().zip(&self.schedule.in_place) {
            if !known.contains_key(&id) {
                self.compute(id, &mut known)?;
            }
            let made = to_buffer(&known[&id], self.graph.fact(id));
            outputs.push(match donor.map(|i| &mut slots[i]) {
                Some(Slot::Donated(own @ Some(_))) => over(own.take().unwrap().into_host()?, &made).into(),
                _ => made.into(),
            });
        }
        Ok(Run { outputs, profile: None, pending: None })
    }
}

/// `buffer` with the bytes of `other`.
fn over(mut buffer: Buffer, other: &Buffer) -> Buffer {
    // SAFETY: both have the fact of one output.
    unsafe { buffer.as_mut_ptr().copy_from_nonoverlapping(other.as_ptr(), other.fact().bytes()) };
    buffer
}

impl Program for Interpreted {
    fn facts(&self) -> ProgramFacts {
        let steps = &self.schedule.steps;
        let times: Vec<usize> = (0..steps.len()).collect();
        let elsewhere =
            |id| self.schedule.output_of.contains_key(&id) || self.schedule.prelude.places.contains_key(&id);
        let Liveness { lifetimes, .. } = liveness(&self.graph, steps, &times, elsewhere);
        ProgramFacts {
            arena_bytes: memory::plan(&lifetimes).1,
            live_bound: memory::live_bound(&lifetimes),
            prepared_bytes: self.values.bytes(),
            constant_bytes: 0,
            code_bytes: 0,
            submissions: 0,
            flops: self.schedule.flops,
        }
    }

    fn steps(&self) -> Vec<StepFacts> {
        let facts = |is_prelude: bool| {
            move |step: &Step<Nodes>| StepFacts {
                kernel: "reference",
                reads: step.inputs.clone(),
                makes: step.outputs.clone(),
                memory: vec![Memory::Arena; step.outputs.len()],
                text: step.text.clone(),
                origin: step.origin.clone(),
                when: if is_prelude { When::Once } else { When::Run },
                flops: step.flops,
                bytes: 0,
                chunks: vec![1],
                packed_bytes: 0,
            }
        };
        let prelude = self.schedule.prelude.steps.iter().map(facts(true));
        prelude.chain(self.schedule.steps.iter().map(facts(false))).collect()
    }

    fn describe(&self) -> String {
        self.steps().iter().map(|step| format!("reference {}\n", step.text)).collect()
    }

    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        let prepared = self.prepare(slots, control)?;
        self.finish(slots, &prepared, control)
    }

    fn bind(self: Arc<Self>) -> Box<dyn Bound> {
        Box::new(Prepared { program: self, made: Mutex::default(), preparations: AtomicU64::new(0) })
    }
}

/// What was made of constant inputs, and of which versions.
type Made = (Vec<Weak<Value>>, Known);

struct Prepared {
    program: Arc<Interpreted>,
    made: Mutex<Option<Made>>,
    preparations: AtomicU64,
}

impl Bound for Prepared {
    fn run(&self, slots: &mut [Slot], control: &Control) -> Result<Run> {
        let version = |&i: &usize| match &slots[i] {
            Slot::Shared(value) => Arc::downgrade(value),
            Slot::Donated(_) => Weak::new(),
        };
        let versions: Vec<Weak<Value>> = self.program.values.inputs.iter().map(version).collect();
        let mut made = self.made.lock().unwrap();
        let known = made.as_ref().filter(|(from, _)| from.iter().zip(&versions).all(|(a, b)| a.ptr_eq(b)));
        let known = match known {
            Some((_, known)) => known.clone(),
            None => {
                if !self.program.values.is_empty() {
                    self.preparations.fetch_add(1, Ordering::Relaxed);
                }
                let known = self.program.prepare(slots, control)?;
                *made = Some((versions, known.clone()));
                known
            }
        };
        drop(made);
        self.program.finish(slots, &known, control)
    }

    fn preparations(&self) -> u64 {
        self.preparations.load(Ordering::Relaxed)
    }
}
