//! Outputs that no step makes for themselves.

use super::{Step, StepCode};
use crate::fusion::Fusion;
use crate::fusion::region::{Arg, Operand, Region};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use std::collections::HashSet;

/// A graph output that needs a step of its own.
pub struct Copy {
    /// The output's number.
    pub output: usize,
    /// What the step runs.
    pub region: Region,
    /// What it reads.
    pub inputs: Vec<NodeId>,
}

impl Copy {
    /// The step that runs `code` for it.
    pub fn step<C: StepCode>(self, g: &Graph, code: C) -> Step<C> {
        let text = format!("copy to output {}", self.output);
        let mut step = Step::of_region(g, code, &self.region, self.inputs, Vec::new(), &[]);
        (step.copies_output, step.text) = (Some(self.output), text);
        step
    }
}

/// The outputs that no step makes for themselves alone (inputs, constants, views of what another output is).
pub fn copies<C>(g: &Graph, fusion: &Fusion, steps: &[Step<C>]) -> Vec<Copy> {
    let mut made: HashSet<NodeId> = steps.iter().flat_map(|s| s.outputs.iter().copied()).collect();
    let mut copies = Vec::new();
    for (output, &o) in g.outputs().iter().enumerate() {
        let source = fusion.resolve(o);
        if made.remove(&source) {
            continue;
        }
        let fact = g.fact(source);
        let (arg, inputs, operands) = match &g.node(source).op {
            Op::Constant(c) => (Arg::literal(c.value()), Vec::new(), Vec::new()),
            _ => {
                let operand = Operand { dtype: fact.dtype, strides: fact.shape.strides() };
                (Arg::Operand(0), vec![source], vec![operand])
            }
        };
        let region =
            Region { shape: fact.shape.clone(), operands, stores: vec![(arg, fact.dtype)], ..Region::default() };
        copies.push(Copy { output, region, inputs });
    }
    copies
}
