//! Realising: which pending nodes are computed together, their extraction into a graph, and the
//! cache of plans.

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::plan::{Binding, Plan, PlanOptions, Slot};
use crate::reserve;
use crate::tensor::{Definition, Node, Role, Tensor};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Pending nodes of one thread after which everything is realised.
const MAX_PENDING: usize = 10_000;

/// Bytes of data that pending nodes of one thread keep from being freed, after which everything is realised.
const MAX_CAPTURED: usize = 256 << 20;

/// Bytes of plans that the cache keeps.
const MAX_PLAN_BYTES: usize = 64 << 20;

/// Bindings that a version of a variable keeps: plans for as many shapes of batch, about.
const MAX_BINDINGS: usize = 4;

/// Bytes of a plan's code per graph node, roughly.
const PLAN_BYTES_PER_NODE: usize = 4096;

thread_local! {
    static PENDING: RefCell<Pending> = const { RefCell::new(Pending { nodes: Vec::new(), prune_at: 64, captured: 0 }) };
}

struct Pending {
    nodes: Vec<Weak<Node>>,
    prune_at: usize,
    /// Bytes of data that the nodes read, at most: what several of them read may count several times.
    captured: usize,
}

/// The data that `node` reads and that would be freed without it. Versions of variables stay anyway.
fn captured(node: &Node) -> impl Iterator<Item = (*const Node, usize)> + use<> {
    let inputs = node.definition().map(|d| d.inputs).unwrap_or_default();
    let data = |n: &Arc<Node>| n.role == Role::Plain && n.value().is_some();
    inputs.into_iter().filter(data).map(|n| (Arc::as_ptr(&n), n.fact.bytes()))
}

/// Remembers a recorded node, so that it can be computed along with what shares nodes with it.
/// Nodes recorded while tracing belong to their trace and are not remembered.
pub(crate) fn register_pending(node: &Arc<Node>) -> Result<()> {
    if crate::function::is_tracing() {
        return Ok(());
    }
    let full = PENDING.with_borrow_mut(|p| {
        p.nodes.push(Arc::downgrade(node));
        p.captured += captured(node).map(|(_, bytes)| bytes).sum::<usize>();
        if p.nodes.len() < p.prune_at && p.captured < MAX_CAPTURED {
            return false;
        }
        p.nodes.retain(|n| n.upgrade().is_some_and(|n| n.is_pending()));
        p.prune_at = (2 * p.nodes.len()).max(64).min(p.nodes.len() + MAX_PENDING / 2);
        let pending = p.nodes.iter().filter_map(Weak::upgrade);
        p.captured = pending.flat_map(|n| captured(&n)).collect::<HashMap<_, _>>().values().sum();
        p.nodes.len() >= MAX_PENDING || p.captured >= MAX_CAPTURED
    });
    if !full {
        return Ok(());
    }
    let mut result = Ok(());
    detached(&mut || result = realise(&live_handles()));
    result
}

/// The pending nodes of this thread that somebody holds.
fn live_handles() -> Vec<Tensor> {
    let nodes: Vec<Arc<Node>> = PENDING.with_borrow(|p| p.nodes.iter().filter_map(Weak::upgrade).collect());
    nodes.into_iter().filter(|n| n.has_handles() && n.is_pending()).map(Tensor::from_node).collect()
}

/// What the engine asks of the interpreter that calls it.
#[derive(Clone, Copy)]
pub struct Host {
    /// Asked by runs, on the calling thread: should they stop (Ctrl-C)? Takes the interpreter's lock.
    pub poll: fn() -> bool,
    /// Does work without the interpreter's lock, which the calling thread may hold.
    pub detached: fn(&mut (dyn FnMut() + Send)),
}

static HOST: OnceLock<Host> = OnceLock::new();

/// Installs the interpreter, for the whole process.
pub fn set_host(host: Host) {
    let _ = HOST.set(host);
}

/// How often a thread asks the interpreter at most: short runs in a row would spend their time waiting for its lock.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Whether the caller wants the run to stop (Ctrl-C), as far as was heard at most 10 ms ago.
pub(crate) fn poll() -> bool {
    thread_local! {
        static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let Some(host) = HOST.get() else { return false };
    let now = Instant::now();
    if ASKED.get().is_some_and(|asked| now.duration_since(asked) < ASK_EVERY) {
        return false;
    }
    ASKED.set(Some(now));
    (host.poll)()
}

/// Does `work`, which may wait for other threads, without the interpreter's lock.
pub(crate) fn detached(work: &mut (dyn FnMut() + Send)) {
    match HOST.get() {
        Some(host) => (host.detached)(work),
        None => work(),
    }
}

fn key(node: &Arc<Node>) -> *const Node {
    Arc::as_ptr(node)
}

/// Nodes in an order in which inputs come first, from `roots`, following `inputs_of`.
fn postorder(
    roots: &[Arc<Node>],
    mut inputs_of: impl FnMut(&Arc<Node>) -> Option<Definition>,
) -> Result<Vec<(Arc<Node>, Option<Definition>)>> {
    enum Visit {
        Enter(Arc<Node>),
        Leave(Arc<Node>, Option<Box<Definition>>),
    }
    let mut seen: HashSet<*const Node> = HashSet::new();
    let mut order = Vec::new();
    let mut stack: Vec<Visit> = roots.iter().rev().cloned().map(Visit::Enter).collect();
    while let Some(visit) = stack.pop() {
        reserve::check()?;
        match visit {
            Visit::Leave(node, definition) => order.push((node, definition.map(|d| *d))),
            Visit::Enter(node) => {
                if !seen.insert(key(&node)) {
                    continue;
                }
                let definition = inputs_of(&node);
                let inputs: Vec<_> = definition.iter().flat_map(|d| d.inputs.iter().cloned()).collect();
                stack.push(Visit::Leave(node, definition.map(Box::new)));
                stack.extend(inputs.into_iter().rev().map(Visit::Enter));
            }
        }
    }
    Ok(order)
}

/// The definition through which a gradient flows back from `node`; versions of variables end it.
fn gradient_definition(node: &Arc<Node>) -> Option<Definition> {
    if node.is_tracked() && node.role == Role::Plain { node.definition() } else { None }
}

/// As [`gradient_definition`], and of pending expressions of plain tensors: they can be differentiated too.
fn differentiable(node: &Arc<Node>) -> Option<Definition> {
    match node.role {
        Role::Plain if node.is_tracked() || node.is_pending() => node.definition(),
        _ => None,
    }
}

/// The leaves below `root` that ask for gradients, in the order of first visit.
pub(crate) fn gradient_leaves(root: &Arc<Node>) -> Result<Vec<Arc<Node>>> {
    let order = postorder(std::slice::from_ref(root), gradient_definition)?;
    let is_leaf = |node: &Arc<Node>| node.is_tracked() && !Arc::ptr_eq(node, root);
    Ok(order.into_iter().filter(|(node, definition)| definition.is_none() && is_leaf(node)).map(|(n, _)| n).collect())
}

/// For each of `wrt`, whether `root` depends on it through definitions that are still there.
pub(crate) fn reaches(root: &Arc<Node>, wrt: &[Tensor]) -> Result<Vec<bool>> {
    let reached: HashSet<_> =
        postorder(std::slice::from_ref(root), differentiable)?.iter().map(|(n, _)| key(n)).collect();
    Ok(wrt.iter().map(|w| reached.contains(&key(&w.node))).collect())
}

/// The versions of variable `id` that `root` has read.
pub(crate) fn versions_read(root: &Arc<Node>, id: u64) -> Result<Vec<Arc<Node>>> {
    let order = postorder(std::slice::from_ref(root), differentiable)?;
    let is_version = |n: &Arc<Node>| n.role == Role::Variable(id) || n.role == Role::TracedVariable(id);
    Ok(order.into_iter().map(|(n, _)| n).filter(is_version).collect())
}

/// A graph extracted from lazy nodes, with what stands at its inputs.
pub(crate) struct Extraction {
    pub graph: Graph,
    pub leaves: Vec<Arc<Node>>,
    /// The roots of the gradients in the graph.
    pub gradient_roots: Vec<Arc<Node>>,
}

/// Extracts the graph of `outputs`. Values end it, except below the root of a gradient, where
/// definitions that are still there are followed. `is_leaf` ends it at further nodes. `is_held` says of a
/// leaf whether it keeps its value over many runs; with gradients in the graph none does, for they are
/// there to change it.
pub(crate) fn extract(
    outputs: &[Arc<Node>],
    is_leaf: impl Fn(&Node) -> bool,
    is_held: impl Fn(&Node) -> bool,
) -> Result<Extraction> {
    let pending = |node: &Arc<Node>| if node.value().is_some() || is_leaf(node) { None } else { node.definition() };
    let gradient_roots: Vec<Arc<Node>> = postorder(outputs, pending)?
        .iter()
        .filter_map(|(_, d)| d.as_ref().filter(|d| matches!(d.op, Op::Gradient(_))).map(|d| d.inputs[0].clone()))
        .collect();
    let expand: HashSet<*const Node> =
        postorder(&gradient_roots, |n| if is_leaf(n) { None } else { gradient_definition(n) })?
            .iter()
            .filter(|(_, d)| d.is_some())
            .map(|(n, _)| key(n))
            .collect();
    let order = postorder(outputs, |n| if expand.contains(&key(n)) { n.definition() } else { pending(n) })?;
    reserve::room(order.len())?;
    let mut graph = Graph::new();
    let mut leaves = Vec::new();
    let mut ids: HashMap<*const Node, NodeId> = HashMap::with_capacity(order.len());
    for (node, definition) in &order {
        let id = match definition {
            Some(d) => {
                let inputs: Vec<NodeId> = d.inputs.iter().map(|i| ids[&key(i)]).collect();
                graph.set_origin(node.origin.clone());
                graph.apply(d.op.clone(), &inputs)?
            }
            None => {
                if node.value().is_none() && !is_leaf(node) {
                    return Err(unreadable(node));
                }
                leaves.push(node.clone());
                graph.set_origin(node.origin.clone());
                let held = gradient_roots.is_empty() && is_held(node);
                if held { graph.held_input(node.fact.clone()) } else { graph.input(node.fact.clone()) }
            }
        };
        ids.insert(key(node), id);
    }
    graph.set_outputs(outputs.iter().map(|o| ids[&key(o)]).collect());
    Ok(Extraction { graph, leaves, gradient_roots })
}

/// The error of reading a tensor that has no value because its function is being traced.
fn unreadable(node: &Node) -> Error {
    let place = node.origin.as_deref().map(|o| format!(" (made in {o})")).unwrap_or_default();
    Error::state(format!(
        "a tensor of {}{place} has no value while its function is being traced; compile with run_eagerly=True to run \
         Python at every step, or use ops.where instead of a Python condition",
        node.fact
    ))
}

/// Computes `tensors` in one run, together with all updates of variables pending on this thread
/// and every live pending tensor that shares a node with them.
///
/// # Errors
/// When a kernel meets bad data or memory runs out; then nothing has changed.
pub fn realise(tensors: &[Tensor]) -> Result<()> {
    let requested: Vec<Arc<Node>> = tensors.iter().map(|t| t.node.clone()).filter(|n| n.value().is_none()).collect();
    if requested.is_empty() {
        return Ok(());
    }
    let pending_definition = |n: &Arc<Node>| if n.value().is_some() { None } else { n.definition() };
    let mut included: HashSet<*const Node> = HashSet::new();
    let mut outputs: Vec<Arc<Node>> = requested.clone();
    let add = |roots: &[Arc<Node>], included: &mut HashSet<*const Node>| -> Result<()> {
        let order = postorder(roots, pending_definition)?;
        included.extend(order.iter().filter(|(_, d)| d.is_some()).map(|(n, _)| key(n)));
        Ok(())
    };
    add(&requested, &mut included)?;
    let others: Vec<Arc<Node>> =
        live_handles().iter().map(|t| t.node.clone()).filter(|n| !outputs.iter().any(|o| Arc::ptr_eq(o, n))).collect();
    for node in others {
        let update = matches!(node.role, Role::Variable(_));
        let shares = || -> Result<bool> {
            let outside = |n: &Arc<Node>| if included.contains(&key(n)) { None } else { pending_definition(n) };
            let order = postorder(std::slice::from_ref(&node), outside)?;
            Ok(order.iter().any(|(n, _)| included.contains(&key(n))))
        };
        if update || shares()? {
            add(std::slice::from_ref(&node), &mut included)?;
            outputs.push(node);
        }
    }
    // Inputs before what is made of them, so that definitions are released in order.
    let wanted: HashSet<_> = outputs.iter().map(key).collect();
    let outputs: Vec<Arc<Node>> = postorder(&outputs, pending_definition)?
        .into_iter()
        .map(|(n, _)| n)
        .filter(|n| wanted.contains(&key(n)))
        .collect();

    let is_version = |n: &Node| matches!(n.role, Role::Variable(_));
    let updates = outputs.iter().any(|n| is_version(n));
    let extraction = extract(&outputs, |_| false, |leaf| !updates && is_version(leaf))?;
    let plan = cached_plan(Arc::new(extraction.graph), &PlanOptions::current())?;
    let mut slots: Vec<Slot> = extraction
        .leaves
        .iter()
        .map(|l| l.value().map(Slot::Shared).ok_or_else(|| unreadable(l)))
        .collect::<Result<_>>()?;
    let values = match extraction.leaves.iter().find(|l| is_version(l)) {
        Some(version) if plan.has_prelude() => match binding(version, &plan) {
            Some(binding) => binding.run(&mut slots, &poll)?,
            None => plan.run(&mut slots, &poll)?,
        },
        _ => plan.run(&mut slots, &poll)?,
    };
    for root in &extraction.gradient_roots {
        if root.released.load(std::sync::atomic::Ordering::Relaxed) {
            root.tracked.store(false, std::sync::atomic::Ordering::Relaxed);
            if root.value().is_some() {
                root.release();
            }
        }
    }
    for (node, value) in outputs.iter().zip(values) {
        node.realised(Arc::new(value));
    }
    Ok(())
}

/// The binding of `plan` that lives as long as `version` of a variable, the first that the plan reads. There
/// is none when the two meet for the first time: a loop that trains runs most versions once.
fn binding(version: &Node, plan: &Arc<Plan>) -> Option<Arc<Binding>> {
    let mut state = version.state();
    if let Some(found) = state.bindings.iter().find(|b| Arc::ptr_eq(b.plan(), plan)) {
        return Some(found.clone());
    }
    if state.bindings.len() == MAX_BINDINGS {
        state.bindings.remove(0);
    }
    state.bindings.push(Arc::new(Binding::new(plan.clone())));
    None
}

type PlanKey = (Arc<Graph>, PlanOptions);

struct CachedPlan {
    plan: Arc<Plan>,
    /// When it was asked for last.
    used: u64,
    bytes: usize,
}

struct Cache {
    plans: HashMap<PlanKey, CachedPlan>,
    clock: u64,
    bytes: usize,
}

impl Cache {
    /// Drops the plans used longest ago until the others fit into `limit` bytes; one always stays.
    fn shrink(&mut self, limit: usize) {
        while self.bytes > limit && self.plans.len() > 1 {
            let Some(oldest) = self.plans.iter().min_by_key(|(_, p)| p.used).map(|(k, _)| k.clone()) else { return };
            self.bytes -= self.plans.remove(&oldest).map_or(0, |p| p.bytes);
        }
    }
}

static CACHE: LazyLock<Mutex<Cache>> =
    LazyLock::new(|| Mutex::new(Cache { plans: HashMap::new(), clock: 0, bytes: 0 }));

thread_local! {
    static COMPILED: RefCell<Option<Arc<Graph>>> = const { RefCell::new(None) };
}

/// The graph that this thread compiled a plan for last, if it did since the last call.
pub fn take_compiled() -> Option<Arc<Graph>> {
    COMPILED.take()
}

/// The plan of `graph`, compiled unless an equal graph was compiled before. The cache keeps the
/// plans used last, within a bound in bytes.
pub(crate) fn cached_plan(graph: Arc<Graph>, options: &PlanOptions) -> Result<Arc<Plan>> {
    let lookup = (graph, options.clone());
    {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let now = cache.clock;
        if let Some(found) = cache.plans.get_mut(&lookup) {
            found.used = now;
            return Ok(found.plan.clone());
        }
    }
    let plan = Arc::new(Plan::compile(&lookup.0, options)?);
    COMPILED.set(Some(lookup.0.clone()));
    let bytes = lookup.0.nodes().len() * PLAN_BYTES_PER_NODE + plan.constant_bytes();
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let used = cache.clock;
    cache.bytes += bytes;
    if let Some(twin) = cache.plans.insert(lookup, CachedPlan { plan: plan.clone(), used, bytes }) {
        // Another thread compiled it meanwhile.
        cache.bytes -= twin.bytes;
    }
    cache.shrink(MAX_PLAN_BYTES);
    Ok(plan)
}

/// The lock of the cache of plans, for a fork.
pub(crate) fn lock_plans() -> Box<dyn std::any::Any> {
    Box::new(CACHE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Drops cached plans and what outlasts runs (folded and packed filters), and gives the memory that runs borrow back to
/// the system. What is needed again is made again.
pub fn release_memory() {
    let plans = {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        cache.bytes = 0;
        std::mem::take(&mut cache.plans)
    };
    drop(plans);
    crate::plan::held::release();
    crate::backend::cpu::arena::release_memory();
    // What was freed in between blocks that are in use stays with the allocator otherwise.
    // SAFETY: the function has no precondition.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Number of plans in the cache.
pub fn cached_plans() -> usize {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner).plans.len()
}

/// Buffers of realised tensors, for those that hand them to a plan.
pub(crate) fn leaf_value(node: &Node) -> Result<Arc<Buffer>> {
    node.value().ok_or_else(|| unreadable(node))
}
