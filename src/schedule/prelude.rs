//! The prelude: what depends on constant inputs alone (folded and packed filters) and is made once for many runs.

use super::{Packed, PackedLayout, Step, StepCode};
use crate::buffer::ALIGNMENT;
use crate::error::Result;
use crate::fusion::Fusion;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::reserve;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How a value of a prelude is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// What is computed from constant inputs; its one output is the value.
    pub graph: Graph,
    /// How it is packed, if it is.
    pub layout: Option<PackedLayout>,
}

/// A value that a prelude makes.
#[derive(Clone, Debug)]
pub struct PreparedValue {
    /// How.
    pub recipe: Arc<Recipe>,
    /// The plan's inputs that the recipe's inputs are.
    pub inputs: Vec<usize>,
    /// Its size.
    pub bytes: usize,
    /// The prelude's step that makes it.
    pub step: usize,
}

/// What runs once while constant inputs stay.
pub struct Prelude<C> {
    /// In order.
    pub steps: Vec<Step<C>>,
    /// The numbers of the values that other steps read unpacked.
    pub places: HashMap<NodeId, usize>,
    /// What it makes for them, packed or not.
    pub values: Vec<PreparedValue>,
}

impl<C> Default for Prelude<C> {
    fn default() -> Self {
        Prelude { steps: Vec::new(), places: HashMap::new(), values: Vec::new() }
    }
}

impl<C> Prelude<C> {
    /// The number of the value that step `step` makes of node `id`, packed as `layout`, if it is.
    fn value(
        &mut self,
        g: &Graph,
        id: NodeId,
        bytes: usize,
        layout: Option<PackedLayout>,
        step: usize,
    ) -> Result<usize> {
        let (graph, inputs) = g.part(id)?;
        let recipe = Arc::new(Recipe { graph, layout });
        self.values.push(PreparedValue { recipe, inputs, bytes: bytes.next_multiple_of(ALIGNMENT), step });
        Ok(self.values.len() - 1)
    }

    /// What a program keeps of the prelude besides its code.
    pub fn values(&self, g: &Graph) -> Values {
        let mut inputs: Vec<usize> = Vec::new();
        for &i in self.steps.iter().flat_map(|s| &s.inputs) {
            if let Op::Input(input) = &g.node(i).op
                && !inputs.contains(&input.index)
            {
                inputs.push(input.index);
            }
        }
        let makers = makers(&self.steps);
        let read = |i: &NodeId| Some((*makers.get(i)?, self.places.get(i).copied()));
        let reads = self.steps.iter().map(|step| step.inputs.iter().filter_map(read).collect()).collect();
        Values { values: self.values.clone(), inputs, reads }
    }
}

/// The steps that make each value.
fn makers<C>(steps: &[Step<C>]) -> HashMap<NodeId, usize> {
    steps.iter().enumerate().flat_map(|(s, step)| step.outputs.iter().map(move |&o| (o, s))).collect()
}

/// The values of a prelude, and what they are made of.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// By number.
    pub values: Vec<PreparedValue>,
    /// The plan's inputs that the prelude reads.
    pub inputs: Vec<usize>,
    /// For each step, the steps whose values it reads, with the numbers of those that are values of the prelude.
    reads: Vec<Vec<(usize, Option<usize>)>>,
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.values.iter().map(|value| value.bytes).sum()
    }

    /// The steps that the values `wanted` need. `wanted` grows by what those steps write along with them.
    pub fn needed(&self, wanted: &mut [bool]) -> Vec<bool> {
        let mut needed = vec![false; self.reads.len()];
        loop {
            for (value, _) in self.values.iter().zip(&*wanted).filter(|(_, wanted)| **wanted) {
                needed[value.step] = true;
            }
            for step in (0..needed.len()).rev() {
                if needed[step] {
                    let reads = &self.reads[step];
                    reads.iter().for_each(|&(maker, number)| needed[maker] |= number.is_none_or(|k| wanted[k]));
                }
            }
            let written = self.values.iter().map(|value| needed[value.step]);
            if written.clone().eq(wanted.iter().copied()) {
                return needed;
            }
            written.zip(&mut *wanted).for_each(|(written, wanted)| *wanted = written);
        }
    }
}

/// Takes out of `steps` what depends on constant inputs alone: whole steps, and the packing of operands.
/// Nothing is taken where no input differs from run to run, for then one run is all there will be.
pub(super) fn hoist<C: StepCode>(
    g: &Graph,
    fusion: &Fusion,
    steps: Vec<Step<C>>,
) -> Result<(Prelude<C>, Vec<Step<C>>)> {
    let mut prelude = Prelude::default();
    let constant_input = |i: NodeId| matches!(&g.node(i).op, Op::Input(input) if input.constant);
    if g.inputs().iter().all(|&i| constant_input(i)) {
        return Ok((prelude, steps));
    }
    let outputs: HashSet<NodeId> = g.outputs().iter().map(|&o| fusion.resolve(o)).collect();
    let mut made: HashSet<NodeId> = HashSet::new();
    let mut rest = Vec::with_capacity(steps.len());
    for mut step in steps {
        reserve::check()?;
        let literal = |i: NodeId| matches!(g.node(i).op, Op::Constant(_));
        let constant = |i: NodeId| constant_input(i) || made.contains(&i);
        let whole = step.inputs.iter().all(|&i| constant(i) || literal(i))
            && step.inputs.iter().any(|&i| constant(i))
            && step.copies_output.is_none()
            && !step.outputs.iter().any(|o| outputs.contains(o));
        if whole {
            made.extend(&step.outputs);
            prelude.steps.push(step);
            continue;
        }
        let packed = step.code.packed();
        if !packed.is_empty() && packed.iter().all(|p| constant(step.inputs[p.operand])) {
            let at = prelude.steps.len();
            let mut value = |p: &Packed| prelude.value(g, step.inputs[p.operand], p.bytes, Some(p.layout.clone()), at);
            let numbers = packed.iter().map(&mut value).collect::<Result<_>>()?;
            prelude.steps.push(step.split_packing(numbers));
        }
        rest.push(step);
    }
    let makers = makers(&prelude.steps);
    for &i in rest.iter().flat_map(|s| &s.inputs).filter(|i| made.contains(i)) {
        if !prelude.places.contains_key(&i) {
            let number = prelude.value(g, i, g.fact(i).bytes(), None, makers[&i])?;
            prelude.places.insert(i, number);
        }
    }
    Ok((prelude, rest))
}
