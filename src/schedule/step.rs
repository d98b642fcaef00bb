//! Steps: what runs as one, before it has a place in time and memory.

use crate::fusion::region::Region;
use crate::graph::{Graph, NodeId, Origin, unite};
use crate::shape::Fact;
use smallvec::SmallVec;
use std::collections::HashMap;

/// What the schedule asks of a backend's code of one step.
pub trait StepCode: Sized {
    /// Bytes that the parts of the step share while it runs.
    fn workspace(&self) -> usize;

    /// Operands that the step packs before it does anything else.
    fn packed(&self) -> &[Packed];

    /// Takes the packing out, as code of its own; what is left finds the operands packed.
    fn split_packing(&mut self) -> Self;
}

/// An operand that a step packs into memory of its own and otherwise only reads there: as long as it stays the same, it
/// need not be packed again. Packing looks at no other operands than those that are packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The operand's number.
    pub operand: usize,
    /// Bytes of the packed form.
    pub bytes: usize,
    /// How it lies there.
    pub layout: PackedLayout,
}

/// How an operand lies once it is packed. Kernels with equal layouts make the same bytes of the same operand, so
/// plans for different shapes can share them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackedLayout {
    kind: &'static str,
    numbers: SmallVec<[usize; 8]>,
}

impl PackedLayout {
    /// The layout that `kind` and `numbers` say everything of.
    pub fn new(kind: &'static str, numbers: impl IntoIterator<Item = usize>) -> Self {
        PackedLayout { kind, numbers: numbers.into_iter().collect() }
    }
}

/// One step of a plan before its buffers have places.
pub struct Step<C> {
    /// The backend's code.
    pub code: C,
    /// Values read, in the code's numbering.
    pub inputs: Vec<NodeId>,
    /// Values made, in the code's numbering.
    pub outputs: Vec<NodeId>,
    /// The graph output that this step copies its input to, if that is all it does.
    pub copies_output: Option<usize>,
    /// Whether the step is a region alone.
    pub is_region: bool,
    /// Who asked for it.
    pub origin: Origin,
    /// What it computes, for `describe()`.
    pub text: String,
    /// Floating-point operations of its nodes.
    pub flops: u64,
    /// Which values of the prelude the packed operands are; `None` if this step packs them.
    pub packed_at: Option<SmallVec<[usize; 1]>>,
    /// Inputs that are read in more than one way, or not element by element.
    scattered: Vec<NodeId>,
}

impl<C: StepCode> Step<C> {
    /// A step that computes `nodes` with `code`.
    pub fn new(g: &Graph, code: C, inputs: Vec<NodeId>, outputs: Vec<NodeId>, nodes: &[NodeId]) -> Self {
        Step {
            code,
            inputs,
            outputs,
            copies_output: None,
            is_region: false,
            origin: origin(g, nodes),
            text: text(g, nodes),
            flops: nodes.iter().map(|&n| g.flops(n)).sum(),
            packed_at: None,
            scattered: Vec::new(),
        }
    }

    /// A step that runs `region` alone.
    pub fn of_region(
        g: &Graph,
        code: C,
        region: &Region,
        inputs: Vec<NodeId>,
        outputs: Vec<NodeId>,
        nodes: &[NodeId],
    ) -> Self {
        let mut times: HashMap<NodeId, usize> = HashMap::new();
        inputs.iter().for_each(|&i| *times.entry(i).or_default() += 1);
        let reads = inputs.iter().zip(&region.operands);
        let scattered = reads.filter(|(i, o)| !region.is_straight(&o.strides) || times[*i] > 1).map(|(&i, _)| i);
        let scattered = scattered.collect();
        Step { is_region: true, scattered, ..Step::new(g, code, inputs, outputs, nodes) }
    }

    /// Bytes of the packed operands that the run itself must have.
    pub fn packed_in_run(&self) -> impl Iterator<Item = usize> + '_ {
        self.code.packed().iter().filter(|_| self.packed_at.is_none()).map(|p| p.bytes)
    }

    /// Takes the packing out: a step of its own, which leaves the packed operands where the values of the prelude
    /// are that `at` names.
    pub fn split_packing(&mut self, at: SmallVec<[usize; 1]>) -> Self {
        self.packed_at = Some(at.clone());
        let code = self.code.split_packing();
        // Packing looks at no other operands, whose places the first of those it packs fills.
        let is_packed = |k: usize| code.packed().iter().any(|p| p.operand == k);
        let count = code.packed().iter().map(|p| p.operand + 1).max().unwrap_or(0);
        let first = code.packed().iter().map(|p| p.operand).min().unwrap_or(0);
        let inputs = (0..count).map(|k| self.inputs[if is_packed(k) { k } else { first }]).collect();
        Step {
            code,
            inputs,
            outputs: Vec::new(),
            copies_output: None,
            is_region: false,
            origin: self.origin.clone(),
            text: format!("pack for {}", self.text),
            flops: 0,
            packed_at: Some(at),
            scattered: Vec::new(),
        }
    }

    /// Whether `input` is read only at the element that the step writes for outputs of `fact`.
    pub fn reads_in_step(&self, input: NodeId, fact: &Fact) -> bool {
        self.is_region && self.inputs.contains(&input) && !self.scattered.contains(&input) && fact.dtype.size() == 4
    }
}

fn text(g: &Graph, nodes: &[NodeId]) -> String {
    let names: Vec<&str> = nodes.iter().map(|&n| g.node(n).op.def().name()).collect();
    let fact = nodes.last().map(|&n| g.fact(n).to_string()).unwrap_or_default();
    format!("{} → {fact}", names.join("+"))
}

/// Where nodes come from.
pub fn origin(g: &Graph, nodes: &[NodeId]) -> Origin {
    let mut origin = None;
    for &n in nodes {
        unite(&mut origin, &g.node(n).origin);
    }
    origin
}
