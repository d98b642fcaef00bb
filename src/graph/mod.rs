//! The graph: nodes in SSA form with one output each, shapes inferred, equal nodes interned.
//!
//! A node's inputs always have smaller ids than the node itself, so ids are a topological order.

mod builder;
mod dump;
mod interpret;
mod verify;

pub use interpret::{interpret, interpret_all, interpret_node};
pub use verify::verify;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::compose::Composite;
use crate::ops::constant::Input;
use crate::ops::{Kind, Op};
use crate::shape::Fact;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index into `Graph::nodes`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Inputs of a node.
pub type Inputs = SmallVec<[NodeId; 4]>;

/// Where a node comes from: the path of its layer, or the file and line of the call outside layers; of nodes
/// that were merged, the first few such places with commas between. Outside hash and equality.
pub type Origin = Option<Arc<str>>;

/// Places that a united origin names; more are not told apart.
const MAX_PLACES: usize = 3;

/// Adds the places of `other` to `origin`.
pub fn unite(origin: &mut Origin, other: &Origin) {
    let (Some(ours), Some(theirs)) = (&*origin, other) else {
        if origin.is_none() {
            origin.clone_from(other);
        }
        return;
    };
    if Arc::ptr_eq(ours, theirs) || ours == theirs {
        return;
    }
    let united = {
        let mut places: SmallVec<[&str; 6]> = ours.split(", ").collect();
        let before = places.len();
        for place in theirs.split(", ") {
            if places.len() < MAX_PLACES && !places.contains(&place) {
                places.push(place);
            }
        }
        (places.len() > before).then(|| places.join(", "))
    };
    if let Some(united) = united {
        *origin = Some(united.into());
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// From what.
    pub inputs: Inputs,
    /// Shape and dtype of the result.
    pub fact: Fact,
    /// Who asked for it.
    pub origin: Origin,
    /// Whether it serves gradients alone: autodiff made it.
    pub gradient: bool,
    /// The type of 16 bits that the value, float32, may be rounded to where it is kept for later. Outside hash and equality.
    pub storage: Option<DType>,
    /// The type of 16 bits that a kernel may round the operands to: that of the layer whose product this is. Outside hash
    /// and equality.
    pub operands: Option<DType>,
}

/// Operations in topological order, with the values that are asked for.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    outputs: Vec<NodeId>,
    inputs: Vec<NodeId>,
    interned: HashMap<(Op, Inputs), NodeId>,
    origin: Origin,
    gradient: bool,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes, in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Shape and dtype of `id`.
    pub fn fact(&self, id: NodeId) -> &Fact {
        &self.nodes[id.index()].fact
    }

    /// Whether plain kernels compute node `id`, which take no attachments: it has elements that are [plain](DType::is_plain),
    /// or products of integers.
    pub fn is_plain(&self, id: NodeId) -> bool {
        let node = self.node(id);
        let kind = node.op.def().kind();
        if matches!(kind, Kind::Leaf | Kind::View | Kind::Composite) {
            return false;
        }
        let plain = |dtype: DType| dtype.is_plain() || (kind == Kind::Heavy && !dtype.is_float());
        plain(node.fact.dtype) || node.inputs.iter().any(|&i| self.fact(i).dtype.is_plain())
    }

    /// How passes may treat node `id`: what plain kernels compute runs alone, as what moves data does.
    pub fn kind(&self, id: NodeId) -> Kind {
        if self.is_plain(id) { Kind::Data } else { self.node(id).op.def().kind() }
    }

    /// Whether pointwise work on input 0 of node `id` can be attached to it.
    pub fn takes_prologue(&self, id: NodeId) -> bool {
        self.node(id).op.def().takes_prologue() && !self.is_plain(id)
    }

    /// Whether pointwise work on the output of node `id` can be attached to it.
    pub fn takes_epilogue(&self, id: NodeId) -> bool {
        self.node(id).op.def().takes_epilogue() && !self.is_plain(id)
    }

    /// Floating-point operations that node `id` stands for (a multiply-add counts 2).
    pub fn flops(&self, id: NodeId) -> u64 {
        let node = self.node(id);
        let inputs: SmallVec<[Fact; 4]> = node.inputs.iter().map(|&i| self.fact(i).clone()).collect();
        node.op.def().flops(&inputs, &node.fact)
    }

    /// Ids of all nodes, in topological order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The values asked for.
    pub fn outputs(&self) -> &[NodeId] {
        &self.outputs
    }

    /// The input nodes, by input index.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// Asks for `values`, in this order.
    pub fn set_outputs(&mut self, values: Vec<NodeId>) {
        self.outputs = values;
    }

    /// Names the origin of the nodes added from here on; returns the previous one.
    pub fn set_origin(&mut self, origin: Origin) -> Origin {
        std::mem::replace(&mut self.origin, origin)
    }

    /// Says whether the nodes added from here on serve gradients alone; returns what was said before.
    pub fn set_gradient(&mut self, gradient: bool) -> bool {
        std::mem::replace(&mut self.gradient, gradient)
    }

    /// Adds the next input, whose value differs from run to run.
    pub fn input(&mut self, fact: Fact) -> NodeId {
        self.add_input(fact, false)
    }

    /// Adds the next input, whose value stays the same over many runs; see [`Input::constant`].
    pub fn constant_input(&mut self, fact: Fact) -> NodeId {
        self.add_input(fact, true)
    }

    fn add_input(&mut self, fact: Fact, constant: bool) -> NodeId {
        let op = Op::Input(Input { index: self.inputs.len(), constant });
        let id = self.push(op, Inputs::new(), fact);
        self.inputs.push(id);
        id
    }

    /// Applies `op`; an equal application made before is returned instead of a new node.
    ///
    /// # Errors
    /// What the op's inference says of the inputs.
    pub fn apply(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId> {
        let op = op.into();
        let key = (op, Inputs::from_slice(inputs));
        if let Some(&id) = self.interned.get(&key) {
            let node = &mut self.nodes[id.index()];
            match (node.gradient, self.gradient) {
                // What gradients need besides is what a layer asked for.
                (false, true) => {}
                (true, false) => (node.origin, node.gradient) = (self.origin.clone(), false),
                _ => unite(&mut node.origin, &self.origin),
            }
            return Ok(id);
        }
        let facts: SmallVec<[Fact; 4]> = inputs.iter().map(|&i| self.fact(i).clone()).collect();
        let fact = key.0.def().infer(&facts).map_err(|e| match &self.origin {
            Some(o) => e.at(o),
            None => e.at(key.0.def().name()),
        })?;
        let id = self.push(key.0.clone(), key.1.clone(), fact);
        self.interned.insert(key, id);
        crate::reserve::check()?;
        Ok(id)
    }

    /// Another node that applies what `id` applies, to `inputs` of the same facts as its own, and of the same origin.
    /// Unlike [`apply`](Self::apply), which never makes two equal nodes.
    pub fn duplicate(&mut self, id: NodeId, inputs: Inputs) -> NodeId {
        let Node { op, fact, origin, storage, operands, .. } = self.node(id).clone();
        let copy = self.push(op, inputs, fact);
        let made = &mut self.nodes[copy.index()];
        (made.origin, made.storage, made.operands) = (origin, storage, operands);
        copy
    }

    /// Gives back the memory that only further nodes need. Those added all the same are not compared with the ones
    /// that stand.
    pub fn shrink_to_fit(&mut self) {
        self.nodes.shrink_to_fit();
        self.interned = HashMap::new();
    }

    /// Applies `op` in a node of its own, whatever equal ones there are.
    ///
    /// # Errors
    /// What the op's inference says of the inputs.
    pub fn apply_anew(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId> {
        let op = op.into();
        let facts: SmallVec<[Fact; 4]> = inputs.iter().map(|&i| self.fact(i).clone()).collect();
        let fact = op.def().infer(&facts)?;
        crate::reserve::check()?;
        Ok(self.push(op, Inputs::from_slice(inputs), fact))
    }

    /// Says in which type of 16 bits the value of `id` may be kept for later.
    pub fn set_storage(&mut self, id: NodeId, storage: Option<DType>) {
        self.nodes[id.index()].storage = storage;
    }

    /// Says to which type of 16 bits a kernel may round the operands of the product `id`.
    pub fn set_operands(&mut self, id: NodeId, operands: Option<DType>) {
        self.nodes[id.index()].operands = operands;
    }

    fn push(&mut self, op: Op, inputs: Inputs, fact: Fact) -> NodeId {
        debug_assert!(inputs.iter().all(|i| i.index() < self.nodes.len()));
        let id = NodeId(u32::try_from(self.nodes.len()).expect("a graph has fewer than 2^32 nodes"));
        let (origin, gradient) = (self.origin.clone(), self.gradient);
        self.nodes.push(Node { op, inputs, fact, origin, gradient, storage: None, operands: None });
        id
    }

    /// For every node, the nodes that read it (once per reading input), in order.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for id in self.ids() {
            for &i in &self.node(id).inputs {
                consumers[i.index()].push(id);
            }
        }
        consumers
    }

    /// For every node, how often live nodes and outputs read it.
    pub fn reader_counts(&self) -> Vec<usize> {
        let mut readers = vec![0; self.nodes.len()];
        let live = self.live();
        let read = self.ids().filter(|i| live[i.index()]).flat_map(|id| self.node(id).inputs.iter().copied());
        for id in read.chain(self.outputs.iter().copied()) {
            readers[id.index()] += 1;
        }
        readers
    }

    /// Which nodes the outputs depend on.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for &o in &self.outputs {
            live[o.index()] = true;
        }
        for id in self.ids().rev() {
            if live[id.index()] {
                for &i in &self.node(id).inputs {
                    live[i.index()] = true;
                }
            }
        }
        live
    }

    /// For every value, the ops on the longest way to it through which no element passes straight: heavy ones,
    /// data movement and reductions. What is deeper than a value comes later than all that can run with it.
    pub fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.nodes.len()];
        for id in self.ids() {
            let node = self.node(id);
            let deepest = node.inputs.iter().map(|i| depths[i.index()]).max().unwrap_or(0);
            let straight = matches!(self.kind(id), Kind::Pointwise | Kind::Leaf | Kind::View);
            depths[id.index()] = deepest + usize::from(!straight);
        }
        depths
    }

    /// For every node, whether it depends on constant inputs and literals alone.
    pub fn constant_nodes(&self) -> Vec<bool> {
        let mut constant = Vec::with_capacity(self.nodes.len());
        self.extend_constant(&mut constant);
        constant
    }

    /// Adds to what [`constant_nodes`](Self::constant_nodes) gave the nodes made since.
    pub fn extend_constant(&self, constant: &mut Vec<bool>) {
        for node in &self.nodes[constant.len()..] {
            constant.push(match &node.op {
                Op::Input(input) => input.constant,
                _ => node.inputs.iter().all(|i| constant[i.index()]),
            });
        }
    }

    /// The part of the graph that makes `id`, its inputs numbered by first visit from there, and which inputs of
    /// this graph those are: equal parts of any two graphs are equal graphs, whatever else these compute.
    ///
    /// # Errors
    /// When a node can't be applied anew, which a verified graph has none of.
    pub fn part(&self, id: NodeId) -> Result<(Graph, Vec<usize>)> {
        let mut part = Graph::new();
        let mut inputs = Vec::new();
        let mut map: HashMap<NodeId, NodeId> = HashMap::new();
        let mut stack = vec![id];
        while let Some(&at) = stack.last() {
            let node = self.node(at);
            let waits = stack.len();
            stack.extend(node.inputs.iter().rev().filter(|i| !map.contains_key(i)));
            if stack.len() > waits {
                continue;
            }
            stack.pop();
            if map.contains_key(&at) {
                continue;
            }
            let to = match &node.op {
                Op::Input(input) => {
                    inputs.push(input.index);
                    part.add_input(node.fact.clone(), input.constant)
                }
                op => {
                    let own: Inputs = node.inputs.iter().map(|i| map[i]).collect();
                    part.apply(op.clone(), &own)?
                }
            };
            map.insert(at, to);
        }
        part.set_outputs(vec![map[&id]]);
        part.shrink_to_fit();
        Ok((part, inputs))
    }

    /// Rebuilds the graph node by node through `rewrite`, which gets the new graph, the old node
    /// and its translated inputs and returns the translated node. Nodes that no output needs are
    /// dropped, inputs excepted.
    pub fn rewrite(&self, mut rewrite: impl FnMut(&mut Graph, &Node, &[NodeId]) -> Result<NodeId>) -> Result<Graph> {
        let live = self.live();
        let mut new = Graph::new();
        let mut map: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        for id in self.ids() {
            let node = self.node(id);
            new.set_origin(node.origin.clone());
            new.set_gradient(node.gradient);
            if let Op::Input(input) = &node.op {
                map[id.index()] = Some(new.add_input(node.fact.clone(), input.constant));
                continue;
            }
            if !live[id.index()] {
                continue;
            }
            let inputs: Inputs = node
                .inputs
                .iter()
                .map(|i| map[i.index()].ok_or_else(|| Error::state(format!("node {i:?} is read before it is made"))))
                .collect::<Result<_>>()?;
            let before = new.nodes.len();
            let to = rewrite(&mut new, node, &inputs)?;
            // Products may become others, with work behind them.
            for made in new.nodes[before..].iter_mut().filter(|made| made.op.is_product()) {
                made.operands = made.operands.or(node.operands);
            }
            let made = &mut new.nodes[to.index()];
            match to.index() >= before {
                true => made.storage = made.storage.or(node.storage),
                // What is equal may be rounded to 16 bits only where both may.
                false if made.op == node.op => {
                    made.storage = made.storage.filter(|_| made.storage == node.storage);
                    made.operands = made.operands.filter(|_| made.operands == node.operands);
                }
                false => {}
            }
            debug_assert_eq!(new.fact(to), &node.fact, "a rewrite of {:?} changed its fact", node.op);
            map[id.index()] = Some(to);
        }
        let outputs = self
            .outputs
            .iter()
            .map(|o| map[o.index()].ok_or_else(|| Error::state("an output was dropped")))
            .collect::<Result<_>>()?;
        new.set_outputs(outputs);
        new.set_origin(None);
        new.set_gradient(false);
        Ok(new)
    }
}

impl Graph {
    /// Whether the same ops stand at the same places: two such graphs differ in attributes and shapes alone.
    pub fn same_ops(&self, other: &Self) -> bool {
        let name = |n: &Node| n.op.def().name();
        let same = |(a, b): (&Node, &Node)| name(a) == name(b) && a.inputs == b.inputs;
        self.nodes.len() == other.nodes.len() && self.nodes.iter().zip(&other.nodes).all(same)
    }

    /// Whether nothing is computed: elements are moved at most, as by slices and reshapes.
    pub fn only_moves(&self) -> bool {
        let whole = |op: &Op| matches!(op, Op::Composite(Composite::Call(_) | Composite::Custom(_)) | Op::Gradient(_));
        self.nodes.iter().all(|n| n.inputs.is_empty() || (n.op.def().moves() && !whole(&n.op)))
    }

    /// How the first node that differs from `other`'s does, or None for equal graphs.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let show = |n: &Node| format!("{:?} of {}", n.op, n.fact);
        let pairs = self.nodes.iter().zip(&other.nodes);
        for (a, b) in pairs {
            if (&a.op, &a.inputs, &a.fact) != (&b.op, &b.inputs, &b.fact) {
                let place = a.origin.as_deref().map(|o| format!(" ({o})")).unwrap_or_default();
                return Some(format!("{} and {}{place}", show(a), show(b)));
            }
        }
        let [a, b] = [self, other].map(|g| (g.nodes.len(), g.outputs.len()));
        (self != other).then(|| format!("{} nodes, {} outputs and {} nodes, {} outputs", a.0, a.1, b.0, b.1))
    }
}

impl PartialEq for Graph {
    /// Structural equality: ops, attributes, facts, inputs, outputs; origins do not count.
    fn eq(&self, other: &Self) -> bool {
        self.outputs == other.outputs
            && self.nodes.len() == other.nodes.len()
            && self
                .nodes
                .iter()
                .zip(&other.nodes)
                .all(|(a, b)| a.op == b.op && a.inputs == b.inputs && a.fact == b.fact)
    }
}

impl Eq for Graph {}

impl std::hash::Hash for Graph {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.outputs.hash(state);
        for n in &self.nodes {
            n.op.hash(state);
            n.inputs.hash(state);
            n.fact.hash(state);
        }
    }
}
