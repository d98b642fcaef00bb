//! What became of a recorded graph, layer by layer: which step computes what, and beside what; what is made once, what
//! is a view, what is gone; where values lie; and what the passes say of it.

use super::{Memory, Plan, PlanOptions, StepFacts, When, backend_of, resolved};
use crate::dtype::DType;
use crate::error::Result;
use crate::fusion;
use crate::graph::{Graph, NodeId, Origin};
use crate::ops::{Kind, Op};
use crate::passes::{self, Outcome, PassContext, PassRun};
use crate::shape::Shape;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What [`explain`] tells of a graph.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What became of each origin's operations, in the order in which they were recorded.
    pub rows: Vec<Row>,
    /// The plan's steps: what is made once for many runs, then those of each run.
    pub steps: Vec<StepRow>,
    /// Neighbours that run apart.
    pub apart: Vec<ApartRow>,
    /// The passes that ran, in order.
    pub passes: Vec<PassRun>,
    /// Bytes of the intermediates of a run: values share memory if they are not needed at the same time.
    pub arena_bytes: usize,
    /// Bytes of what is made once for many runs.
    pub once_bytes: usize,
    /// Floating-point operations of a run (a multiply-add counts 2), without what is made once.
    pub flops: u64,
    /// How many times a run hands work to a device that has a queue.
    pub submissions: usize,
}

/// What became of the operations of one origin.
#[derive(Clone, Debug)]
pub struct Row {
    /// The path of a layer, or a file and line outside of layers.
    pub origin: Arc<str>,
    /// The operations that were recorded.
    pub recorded: Vec<&'static str>,
    /// What steps do for them, in the order of the steps. Empty if nothing is left to do.
    pub work: Vec<Work>,
    /// Operations that show the same memory under another shape.
    pub views: Vec<&'static str>,
    /// What passes did with its operations, and why they left some alone.
    pub notes: Vec<Note>,
    /// Floating-point operations of a run.
    pub flops: u64,
}

/// What one step does for one origin.
#[derive(Clone, Debug)]
pub struct Work {
    /// The step's place in [`Explanation::steps`].
    pub step: usize,
    /// In which part of it.
    pub role: Role,
    /// Whether it serves gradients alone.
    pub gradient: bool,
    /// The operations.
    pub ops: Vec<&'static str>,
    /// Their floating-point operations.
    pub flops: u64,
    /// The results that leave the step.
    pub stores: Vec<Stored>,
}

/// The part that an operation has in its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The kernel computes it.
    Kernel,
    /// The kernel computes it on its operand while it loads it (the prologue).
    Loading,
    /// The kernel computes it on its result while it stores it (the epilogue).
    Storing,
    /// The step brings an operand into the layout of its kernel.
    Packing,
    /// The step copies a value that is an output.
    Copying,
}

impl Role {
    /// "kernel", "loading", "storing", "packing" or "copying".
    pub fn name(self) -> &'static str {
        match self {
            Role::Kernel => "kernel",
            Role::Loading => "loading",
            Role::Storing => "storing",
            Role::Packing => "packing",
            Role::Copying => "copying",
        }
    }
}

/// A value that leaves a step.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its shape.
    pub shape: Shape,
    /// Its element type.
    pub dtype: DType,
    /// Its size.
    pub bytes: usize,
    /// Where it lies.
    pub memory: Memory,
}

/// One step of the plan.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// The kernel.
    pub kernel: &'static str,
    /// When it runs.
    pub when: When,
    /// Its number among the steps of a run, or among those that run once.
    pub number: usize,
    /// Where its operations come from, the kernel's first.
    pub origins: Vec<Arc<str>>,
    /// Its floating-point operations.
    pub flops: u64,
    /// Bytes of the values that it reads.
    pub read_bytes: usize,
    /// Units that may run side by side, of each of its parts in order: tasks of a phase, workgroups of a dispatch.
    pub chunks: Vec<usize>,
    /// Bytes that it brings into the layout of a kernel.
    pub packed_bytes: usize,
}

/// What a pass did with the operations of an origin, or why it left them alone.
#[derive(Clone, Debug)]
pub struct Note {
    /// The pass.
    pub pass: &'static str,
    /// The op that it is about.
    pub op: &'static str,
    /// Whether that op is this origin's; otherwise it took part.
    pub own: bool,
    /// Other origins that it concerns.
    pub with: Vec<Arc<str>>,
    /// What happened.
    pub outcome: Outcome,
    /// How often.
    pub count: usize,
}

/// Two neighbours that run in steps of their own.
#[derive(Clone, Debug)]
pub struct ApartRow {
    /// Where the first comes from.
    pub first: Vec<Arc<str>>,
    /// Where the second comes from, which reads what the first makes.
    pub second: Vec<Arc<str>>,
    /// Whether gradients alone are concerned.
    pub gradient: bool,
    /// Why they are not one step.
    pub why: String,
}

/// What the plan of `graph` under `options` does, and why. It is compiled anew, with a log.
///
/// # Errors
/// As [`Plan::compile`].
///
/// ```
/// use cnnrs::plan::{PlanOptions, Role, explain};
/// use cnnrs::{DType, Fact, Graph, ops::pointwise::Function};
/// let mut g = Graph::new();
/// let x = g.input(Fact::new([4], DType::F32));
/// g.set_origin(Some("twice".into()));
/// let y = g.add(x, x)?;
/// g.set_origin(Some("bound".into()));
/// let y = g.unary(Function::Relu, y)?;
/// g.set_outputs(vec![y]);
/// let rows = explain(&g, &PlanOptions::default())?.rows;
/// assert_eq!((&*rows[0].origin, rows[0].work[0].stores.len()), ("twice", 0));
/// assert_eq!((&*rows[1].origin, rows[1].work[0].stores.len()), ("bound", 1));
/// assert_eq!(rows[0].work[0].step, rows[1].work[0].step);
/// # Ok::<(), cnnrs::Error>(())
/// ```
pub fn explain(graph: &Graph, options: &PlanOptions) -> Result<Explanation> {
    let options = resolved(options)?;
    let mut context = options.pass_context(graph).with_log();
    let optimised = passes::run(graph, &mut context)?;
    let plan = Plan::of_optimised(backend_of(&options)?, &optimised, &options)?;
    Teller::new(graph, &optimised, &plan, &context).tell(&options)
}

/// The places that an origin names.
fn places(origin: &Origin) -> Vec<Arc<str>> {
    origin.as_deref().map(|o| o.split(", ").map(Arc::from).collect()).unwrap_or_default()
}

struct Teller<'a> {
    recorded: &'a Graph,
    g: &'a Graph,
    plan: &'a Plan,
    context: &'a PassContext,
    facts: Vec<StepFacts>,
    rows: Vec<Row>,
    row_of: HashMap<Arc<str>, usize>,
    steps: Vec<StepRow>,
    /// The step that computes each node of the optimised graph.
    step_of: HashMap<NodeId, usize>,
    /// Its part in that step.
    role_of: HashMap<NodeId, Role>,
}

impl<'a> Teller<'a> {
    fn new(recorded: &'a Graph, g: &'a Graph, plan: &'a Plan, context: &'a PassContext) -> Self {
        let (rows, row_of, steps, step_of, role_of) = Default::default();
        Teller { recorded, g, plan, context, facts: plan.steps(), rows, row_of, steps, step_of, role_of }
    }

    fn tell(mut self, options: &PlanOptions) -> Result<Explanation> {
        for node in self.recorded.nodes() {
            let leaf = node.op.def().kind() == Kind::Leaf;
            for place in places(&node.origin) {
                let row = self.row(&place);
                if !leaf {
                    self.rows[row].recorded.push(node.op.def().name());
                }
            }
        }
        let plan = self.plan;
        let once = self.facts.iter().filter(|step| step.when == When::Once).count();
        self.tell_steps(once);
        self.rest(once);
        self.notes();
        self.rows.retain(|row| !row.recorded.is_empty() || !row.work.is_empty());
        let apart = self.apart(options)?;
        Ok(Explanation {
            rows: self.rows,
            steps: self.steps,
            apart,
            passes: self.context.log().map(|log| log.runs().to_vec()).unwrap_or_default(),
            arena_bytes: plan.peak_bytes() - plan.prepared_bytes(),
            once_bytes: plan.prepared_bytes(),
            submissions: plan.submissions(),
            flops: plan.flops(),
        })
    }

    /// The row of `place`, a new one if there is none.
    fn row(&mut self, place: &Arc<str>) -> usize {
        *self.row_of.entry(place.clone()).or_insert_with(|| {
            let (recorded, work, views, notes) = Default::default();
            self.rows.push(Row { origin: place.clone(), recorded, work, views, notes, flops: 0 });
            self.rows.len() - 1
        })
    }

    /// The rows of the places of node `id`.
    fn rows_of(&mut self, id: NodeId) -> Vec<usize> {
        places(&self.g.node(id).origin).iter().map(|place| self.row(place)).collect()
    }

    /// Tells of all steps; the first `once` of them run once.
    fn tell_steps(&mut self, once: usize) {
        for (index, step) in self.facts.clone().iter().enumerate() {
            let when = step.when;
            let number = if when == When::Once { index } else { index - once };
            let mut origins: Vec<Arc<str>> = Vec::new();
            let mut nodes = self.computed(&step.reads, &step.makes);
            let roles = self.roles(&nodes);
            nodes.sort_by_key(|id| (roles[id] != Role::Kernel, *id));
            for &id in &nodes {
                self.step_of.insert(id, index);
                self.role_of.insert(id, roles[&id]);
                let node = self.g.node(id);
                let flops = self.g.flops(id);
                let stored = step.makes.iter().position(|&made| made == id).map(|k| Stored {
                    shape: node.fact.shape.clone(),
                    dtype: node.fact.dtype,
                    bytes: node.fact.bytes(),
                    memory: step.memory[k],
                });
                for (k, row) in self.rows_of(id).into_iter().enumerate() {
                    let place = self.rows[row].origin.clone();
                    if !origins.contains(&place) {
                        origins.push(place);
                    }
                    let (role, gradient, op) = (roles[&id], node.gradient, node.op.def().name());
                    let work = &mut self.rows[row].work;
                    let same = |w: &&mut Work| w.step == index && w.role == role && w.gradient == gradient;
                    if work.iter_mut().find(same).is_none() {
                        let (ops, stores) = (Vec::new(), Vec::new());
                        work.push(Work { step: index, role, gradient, ops, flops: 0, stores });
                    }
                    let Some(work) = work.iter_mut().find(same) else { continue };
                    work.ops.push(op);
                    // What several places ask for is counted for the first.
                    if k == 0 {
                        work.flops += flops;
                        work.stores.extend(stored.clone());
                        self.rows[row].flops += if when == When::Once { 0 } else { flops };
                    }
                }
            }
            if nodes.is_empty() {
                self.moved(index, step, &mut origins);
            }
            let StepFacts { kernel, flops, packed_bytes, .. } = *step;
            let read: HashSet<NodeId> = step.reads.iter().copied().collect();
            let read_bytes = read.into_iter().map(|id| self.g.fact(id).bytes()).sum();
            let chunks = step.chunks.clone();
            self.steps.push(StepRow { kernel, when, number, origins, flops, read_bytes, chunks, packed_bytes });
        }
    }

    /// A step that computes nothing: it packs operands or copies a value to an output.
    fn moved(&mut self, index: usize, step: &StepFacts, origins: &mut Vec<Arc<str>>) {
        let role = if step.memory.is_empty() { Role::Packing } else { Role::Copying };
        let copied = step.reads.first().filter(|_| role == Role::Copying);
        let mut stores: Vec<Stored> = Vec::new();
        if let Some(&read) = copied {
            let fact = self.g.fact(read);
            let (shape, dtype, bytes) = (fact.shape.clone(), fact.dtype, fact.bytes());
            stores.push(Stored { shape, dtype, bytes, memory: Memory::Output });
        }
        // What is packed may have been made by another layer than the one that it is packed for.
        let origin = copied.map_or(&step.origin, |&read| &self.g.node(read).origin);
        *origins = places(origin);
        for place in origins {
            let row = self.row(place);
            let (ops, stores) = (Vec::new(), std::mem::take(&mut stores));
            self.rows[row].work.push(Work { step: index, role, gradient: false, ops, flops: 0, stores });
        }
    }

    /// The nodes that a step computes: those between what it reads and what it makes.
    fn computed(&self, reads: &[NodeId], makes: &[NodeId]) -> Vec<NodeId> {
        let mut seen: HashSet<NodeId> = reads.iter().copied().collect();
        let mut waiting: Vec<NodeId> = makes.to_vec();
        let mut computed = Vec::new();
        while let Some(id) = waiting.pop() {
            let node = self.g.node(id);
            let kind = node.op.def().kind();
            if kind == Kind::Leaf || !seen.insert(id) {
                continue;
            }
            if kind != Kind::View {
                computed.push(id);
            }
            waiting.extend(&node.inputs);
        }
        computed.sort_unstable();
        computed
    }

    /// The part of each of a step's nodes in it.
    fn roles(&self, nodes: &[NodeId]) -> HashMap<NodeId, Role> {
        let light = |id: &NodeId| {
            let op = &self.g.node(*id).op;
            matches!(op.def().kind(), Kind::Pointwise | Kind::Reduce) || matches!(op, Op::ChannelStats(_))
        };
        let mut roles: HashMap<NodeId, Role> = HashMap::new();
        let kernel = nodes.iter().any(|id| !light(id));
        for id in nodes {
            let behind = || self.g.node(*id).inputs.iter().any(|&i| self.is_behind(i, &roles));
            let role = match (kernel && light(id), nodes.len()) {
                (false, _) | (_, 1) => Role::Kernel,
                _ if behind() => Role::Storing,
                _ => Role::Loading,
            };
            roles.insert(*id, role);
        }
        // What only later work while storing reads is part of that.
        for id in nodes.iter().rev().filter(|id| roles[*id] == Role::Loading).copied().collect::<Vec<_>>() {
            let readers = nodes.iter().filter(|r| self.g.node(**r).inputs.contains(&id));
            if readers.clone().next().is_some() && readers.clone().all(|r| roles[r] == Role::Storing) {
                roles.insert(id, Role::Storing);
            }
        }
        roles
    }

    /// Whether `id`, seen through views, is what a step's kernel makes or what it does with that while storing.
    fn is_behind(&self, mut id: NodeId, roles: &HashMap<NodeId, Role>) -> bool {
        while self.g.node(id).op.def().kind() == Kind::View {
            id = self.g.node(id).inputs[0];
        }
        matches!(roles.get(&id), Some(Role::Kernel | Role::Storing))
    }

    /// Views, and operations of no step: `once` steps run before all others.
    fn rest(&mut self, once: usize) {
        let live = self.g.live();
        for id in self.g.ids().filter(|id| live[id.index()] && !self.step_of.contains_key(id)).collect::<Vec<_>>() {
            let def = self.g.node(id).op.def();
            let flops = self.g.flops(id);
            let for_once = self.g.node(id).inputs.iter().any(|i| self.step_of.get(i).is_some_and(|&s| s < once));
            for (k, row) in self.rows_of(id).into_iter().enumerate() {
                if def.kind() == Kind::View {
                    self.rows[row].views.push(def.name());
                }
                if k == 0 && !for_once {
                    self.rows[row].flops += flops;
                }
            }
        }
    }

    /// Puts what passes said beside the origins that it concerns.
    fn notes(&mut self) {
        let Some(log) = self.context.log() else { return };
        for (entry, count) in log.entries() {
            let (own, with) = (places(&entry.origin), places(&entry.with));
            let note = |own: bool, with: Vec<Arc<str>>| {
                let (pass, op, outcome) = (entry.pass, entry.op, entry.outcome);
                Note { pass, op, own, with, outcome, count }
            };
            for place in &own {
                let others = with.iter().filter(|w| *w != place).cloned().collect();
                if let Some(&row) = self.row_of.get(place) {
                    self.rows[row].notes.push(note(true, others));
                }
            }
            for place in with.iter().filter(|w| !own.contains(w)) {
                if let Some(&row) = self.row_of.get(place) {
                    self.rows[row].notes.push(note(false, own.clone()));
                }
            }
        }
    }

    /// Neighbours that fusion tried to make one step and could not, where the second reads what the first makes.
    fn apart(&self, options: &PlanOptions) -> Result<Vec<ApartRow>> {
        let donated: Vec<usize> = options.donations.iter().map(|&(_, output)| output).collect();
        let fusion = fusion::fuse(self.g, &backend_of(options)?.traits().limits, options.fuse, &donated)?;
        let mut rows: Vec<ApartRow> = Vec::new();
        for apart in &fusion.apart {
            let (Some(&first), Some(&second)) = (self.step_of.get(&apart.a), self.step_of.get(&apart.b)) else {
                continue;
            };
            let (a, b) = (self.g.node(apart.a), self.g.node(apart.b));
            let reads = first < second && self.reads(first, second);
            // What runs with another kernel, or is one, is not expected to run with the first.
            let light = matches!(b.op.def().kind(), Kind::Pointwise | Kind::Reduce);
            let alone = light && self.role_of.get(&apart.b) == Some(&Role::Kernel);
            let (from, to) = (places(&a.origin), places(&b.origin));
            if reads && alone && from != to && self.steps[first].when != When::Once {
                let why = in_plain_words(apart.why);
                rows.push(ApartRow { first: from, second: to, gradient: a.gradient || b.gradient, why });
            }
        }
        Ok(rows)
    }

    /// Whether step `second` reads what step `first` makes.
    fn reads(&self, first: usize, second: usize) -> bool {
        self.facts[second].reads.iter().any(|i| self.facts[first].makes.contains(i))
    }
}

/// A reason of fusion in words of those who use the engine.
fn in_plain_words(why: &str) -> String {
    let words = [
        ("what the prologue would make", "what it would compute while loading"),
        ("an epilogue", "work while storing"),
        ("its epilogue", "the work while storing"),
        ("epilogue", "work while storing"),
        ("prologue", "work while loading"),
        ("the heavy op's", "the kernel's"),
        ("the heavy op", "the kernel"),
        ("a heavy op", "a kernel"),
    ];
    words.iter().fold(why.to_owned(), |why, (technical, plain)| why.replace(technical, plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;
    use crate::ops::Real;
    use crate::ops::compose::{Composite, Norm};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::pointwise::Function;
    use crate::ops::window::Padding;
    use crate::passes::Passes;
    use crate::passes::autodiff::differentiate;
    use crate::shape::Fact;

    fn f32s(shape: &[usize]) -> Fact {
        Fact::new(shape, DType::F32)
    }

    fn layer(g: &mut Graph, name: &str) {
        g.set_origin(Some(name.into()));
    }

    fn conv(g: &mut Graph, name: &str, x: NodeId, filters: [usize; 2], groups: usize, constant: bool) -> NodeId {
        layer(g, name);
        let fact = f32s(&[filters[0], filters[0], g.fact(x).shape[3] / groups, filters[1]]);
        let w = if constant { g.constant_input(fact) } else { g.input(fact) };
        let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups };
        g.apply(conv, &[x, w]).unwrap()
    }

    fn norm(g: &mut Graph, name: &str, y: NodeId) -> NodeId {
        layer(g, name);
        let channels = *g.fact(y).shape.last().unwrap();
        let [mean, variance, gamma, beta] = std::array::from_fn(|_| g.constant_input(f32s(&[channels])));
        let op = Composite::Norm(Norm::BatchInference { epsilon: Real::new(1e-3) });
        g.apply(op, &[y, mean, variance, gamma, beta]).unwrap()
    }

    fn relu(g: &mut Graph, name: &str, y: NodeId) -> NodeId {
        layer(g, name);
        g.unary(Function::Relu, y).unwrap()
    }

    fn row<'a>(explanation: &'a Explanation, origin: &str) -> &'a Row {
        explanation.rows.iter().find(|row| &*row.origin == origin).unwrap_or_else(|| panic!("{origin}"))
    }

    /// The explanation of a graph, whose sums are those of its plan.
    fn explained(g: &Graph, options: &PlanOptions) -> Explanation {
        let explanation = explain(g, options).unwrap();
        let plan = Plan::compile(g, options).unwrap();
        assert_eq!(explanation.flops, plan.flops());
        assert_eq!(explanation.rows.iter().map(|row| row.flops).sum::<u64>(), plan.flops(), "{explanation:#?}");
        assert_eq!(explanation.arena_bytes + explanation.once_bytes, plan.peak_bytes());
        let in_run = explanation.steps.iter().filter(|step| step.when != When::Once).count();
        assert_eq!(in_run, plan.steps().iter().filter(|step| step.when != When::Once).count());
        for (k, step) in explanation.steps.iter().enumerate() {
            let parts = explanation.rows.iter().flat_map(|row| &row.work).filter(|work| work.step == k);
            assert_eq!(parts.map(|work| work.flops).sum::<u64>(), step.flops, "step {k} of\n{}", plan.describe());
        }
        explanation
    }

    fn block() -> Graph {
        let mut g = Graph::new();
        let x = g.input(f32s(&[1, 6, 6, 8]));
        let y = conv(&mut g, "net/conv", x, [3, 8], 1, true);
        let y = norm(&mut g, "net/bn", y);
        let y = relu(&mut g, "net/relu", y);
        layer(&mut g, "net/flatten");
        let y = g.reshape(y, [1, 288].into()).unwrap();
        g.set_outputs(vec![y]);
        g
    }

    #[test]
    fn a_folded_block_is_one_step() {
        let e = explained(&block(), &PlanOptions::default());
        let origins: Vec<&str> = e.rows.iter().map(|row| &*row.origin).collect();
        assert_eq!(origins, ["net/conv", "net/bn", "net/relu", "net/flatten"]);
        let in_run = |origin: &str| -> Vec<&Work> {
            row(&e, origin).work.iter().filter(|work| e.steps[work.step].when == When::Run).collect()
        };
        let (conv, bn, relu) = (in_run("net/conv"), in_run("net/bn"), in_run("net/relu"));
        assert_eq!((conv[0].role, bn[0].role, relu[0].role), (Role::Kernel, Role::Storing, Role::Storing));
        assert!(conv[0].step == bn[0].step && bn[0].step == relu[0].step, "{e:#?}");
        assert!(conv[0].stores.is_empty() && bn[0].stores.is_empty());
        assert_eq!((relu[0].stores[0].bytes, relu[0].stores[0].memory), (1152, Memory::Output));
        let step = &e.steps[conv[0].step];
        assert!(step.read_bytes >= 1152 && step.chunks.iter().sum::<usize>() > 0, "{step:?}");
        assert!(e.steps[conv[0].step].kernel.starts_with("conv"), "{e:#?}");
        assert_eq!(*e.steps[conv[0].step].origins[0], *"net/conv");
        let folded = |note: &&Note| note.pass == "fold_bn" && note.own && matches!(note.outcome, Outcome::Done(_));
        let note = row(&e, "net/bn").notes.iter().find(folded).unwrap();
        assert_eq!(note.with, [Arc::from("net/conv")]);
        let once = row(&e, "net/bn").work.iter().filter(|work| e.steps[work.step].when == When::Once);
        assert!(once.count() > 0 && e.once_bytes > 0);
        assert_eq!(row(&e, "net/flatten").views, ["reshape"]);
        assert!(row(&e, "net/flatten").work.is_empty());
    }

    #[test]
    fn a_pass_that_is_switched_off_is_seen() {
        let options = PlanOptions { passes: Passes::ALL.without("fold_bn").unwrap(), ..PlanOptions::default() };
        let e = explained(&block(), &options);
        assert!(row(&e, "net/bn").notes.iter().all(|note| note.pass != "fold_bn"));
        let scales = row(&e, "net/bn").work.iter().filter(|work| e.steps[work.step].when == When::Run);
        assert!(scales.flat_map(|work| &work.ops).any(|&op| op == "mul"), "{e:#?}");
        assert!(e.passes.iter().all(|pass| pass.name != "fold_bn" && pass.nodes > 0));
    }

    #[test]
    fn chains_of_convolutions_are_one_step_of_several_layers() {
        let mut g = Graph::new();
        let x = g.input(f32s(&[1, 56, 56, 24]));
        let y = conv(&mut g, "expand", x, [1, 144], 1, true);
        let y = relu(&mut g, "expand_relu", y);
        let y = conv(&mut g, "depthwise", y, [3, 144], 144, true);
        let y = relu(&mut g, "depthwise_relu", y);
        let y = conv(&mut g, "project", y, [1, 24], 1, true);
        g.set_outputs(vec![y]);
        let e = explained(&g, &PlanOptions::default());
        let kernel = e.steps.iter().rposition(|step| step.when == When::Run).unwrap();
        assert_eq!(e.steps[kernel].origins.len(), 5, "{e:#?}");
        for name in ["expand", "depthwise", "project"] {
            assert!(row(&e, name).work.iter().any(|work| work.step == kernel && work.role == Role::Kernel), "{e:#?}");
        }
    }

    /// A training step of conv, batch norm, ReLU, conv, under the names of layers.
    fn training() -> Graph {
        let mut g = Graph::new();
        let x = g.input(f32s(&[3, 9, 8, 5]));
        let y = conv(&mut g, "conv1", x, [3, 20], 1, false);
        layer(&mut g, "bn");
        let (gamma, beta) = (g.input(f32s(&[20])), g.input(f32s(&[20])));
        let norm = Op::parse("batch_norm", Default::default()).unwrap();
        let y = g.apply(norm, &[y, gamma, beta]).unwrap();
        let y = relu(&mut g, "relu", y);
        let z = conv(&mut g, "conv2", y, [3, 7], 1, false);
        layer(&mut g, "loss");
        let squares = g.unary(Function::Square, z).unwrap();
        let loss = g.sum(squares, &[0, 1, 2, 3], false).unwrap();
        let wrt: Vec<NodeId> = g.inputs()[1..].to_vec();
        let mut outputs = vec![loss];
        outputs.extend(differentiate(&mut g, loss, &wrt, None).unwrap().into_iter().flatten());
        g.set_outputs(outputs);
        g
    }

    #[test]
    fn what_gradients_compute_again_is_told() {
        let e = explained(&training(), &PlanOptions::default());
        let relu = row(&e, "relu");
        let again = |note: &Note| note.pass == "recompute" && note.own && matches!(note.outcome, Outcome::Done(_));
        assert!(relu.notes.iter().any(again), "{e:#?}");
        // Once for the next convolution and once for its gradient, both times while they load it, and nowhere kept.
        let loading =
            |gradient: bool| relu.work.iter().filter(move |w| w.role == Role::Loading && w.gradient == gradient);
        assert!(loading(false).count() == 1 && loading(true).count() == 1, "{relu:#?}");
        assert!(relu.work.iter().all(|work| work.gradient || work.stores.is_empty()), "{relu:#?}");
        let bn = row(&e, "bn");
        let left = |note: &Note| matches!(note.outcome, Outcome::Left(why) if why.contains("statistics are those of the batch"));
        assert!(bn.notes.iter().any(|note| note.own && left(note)), "{bn:#?}");
        assert!(bn.work.iter().any(|work| work.role == Role::Storing && work.ops.contains(&"channel_stats")));
        let filters = |work: &&Work| work.ops.contains(&"conv2d_filter_grad");
        assert!(row(&e, "conv2").work.iter().filter(filters).all(|work| work.gradient));
    }

    #[test]
    fn neighbours_apart_have_a_reason_in_plain_words() {
        let mut g = Graph::new();
        let x = g.input(f32s(&[1, 6, 6, 8]));
        let y = conv(&mut g, "conv", x, [3, 8], 1, true);
        let z = relu(&mut g, "relu", y);
        layer(&mut g, "sum");
        let total = g.sum(y, &[0, 1, 2, 3], false).unwrap();
        g.set_outputs(vec![z, total]);
        let e = explained(&g, &PlanOptions::default());
        assert!(e.apart.iter().any(|apart| *apart.first[0] == *"conv"), "{e:#?}");
        assert!(e.apart.iter().all(|apart| !apart.why.contains("heavy") && !apart.why.contains("logue")), "{e:#?}");
    }

    #[test]
    fn what_gradients_share_with_a_layer_belongs_to_the_layer() {
        let mut g = Graph::new();
        layer(&mut g, "layer");
        let x = g.input(f32s(&[4]));
        let y = g.unary(Function::Exp, x).unwrap();
        layer(&mut g, "gradient of another");
        g.set_gradient(true);
        let same = g.unary(Function::Exp, x).unwrap();
        let own = g.unary(Function::Sin, x).unwrap();
        g.set_gradient(false);
        layer(&mut g, "later");
        let later = g.unary(Function::Sin, x).unwrap();
        assert_eq!((y, own), (same, later));
        let of = |id| -> &Node { g.node(id) };
        assert_eq!((of(y).origin.as_deref(), of(y).gradient), (Some("layer"), false));
        assert_eq!((of(own).origin.as_deref(), of(own).gradient), (Some("later"), false));
    }
}
