//! From lazy nodes to a [`Graph`]: walks over definitions, and the graph that computes some of them.

use super::node::{Definition, Node, Role};
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::movement::StopGradient;
use crate::reserve;
use crate::value::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The identity of a node.
pub(super) fn key(node: &Arc<Node>) -> *const Node {
    Arc::as_ptr(node)
}

/// Nodes in an order in which inputs come first, from `roots`, following `inputs_of`.
pub(super) fn postorder(
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
    if node.is_tracked() && node.role == Role::Plain && !node.apart { node.definition() } else { None }
}

/// As [`gradient_definition`], and of pending expressions of plain tensors: they can be differentiated too.
fn differentiable(node: &Arc<Node>) -> Option<Definition> {
    match node.role {
        Role::Plain if !node.apart && (node.is_tracked() || node.is_pending()) => node.definition(),
        _ => None,
    }
}

/// The leaves below `root` that ask for gradients, in the order of first visit.
pub(super) fn gradient_leaves(root: &Arc<Node>) -> Result<Vec<Arc<Node>>> {
    let order = postorder(std::slice::from_ref(root), gradient_definition)?;
    let is_leaf = |node: &Arc<Node>| node.is_tracked() && !Arc::ptr_eq(node, root);
    Ok(order.into_iter().filter(|(node, definition)| definition.is_none() && is_leaf(node)).map(|(n, _)| n).collect())
}

/// For each of `wrt`, whether `root` depends on it through definitions that are still there.
pub(super) fn reaches(root: &Arc<Node>, wrt: &[Tensor]) -> Result<Vec<bool>> {
    let reached: HashSet<_> =
        postorder(std::slice::from_ref(root), differentiable)?.iter().map(|(n, _)| key(n)).collect();
    Ok(wrt.iter().map(|w| reached.contains(&key(&w.node))).collect())
}

/// The versions of variable `id` that `root` has read.
pub(super) fn versions_read(root: &Arc<Node>, id: u64) -> Result<Vec<Arc<Node>>> {
    let order = postorder(std::slice::from_ref(root), differentiable)?;
    let is_version = |n: &Arc<Node>| n.role == Role::Variable(id) || n.role == Role::TracedVariable(id);
    Ok(order.into_iter().map(|(n, _)| n).filter(is_version).collect())
}

/// A graph extracted from lazy nodes, with what stands at its inputs.
pub(super) struct Extraction {
    pub graph: Graph,
    pub leaves: Vec<Arc<Node>>,
    /// The roots of the gradients in the graph.
    pub gradient_roots: Vec<Arc<Node>>,
}

/// Extracts the graph of `outputs`. Values end it, except below the root of a gradient, where
/// definitions that are still there are followed. `is_leaf` ends it at further nodes. `is_constant` says of a
/// leaf whether it keeps its value over many runs; with gradients in the graph none does, for they are
/// there to change it.
pub(super) fn extract(
    outputs: &[Arc<Node>],
    is_leaf: impl Fn(&Node) -> bool,
    is_constant: impl Fn(&Node) -> bool,
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
    let followed = |n: &Arc<Node>| if expand.contains(&key(n)) { n.definition() } else { pending(n) };
    let order = postorder(outputs, followed)?;
    let barred: HashSet<*const Node> = postorder(&gradient_roots, followed)?
        .iter()
        .filter(|(n, d)| n.apart && d.is_some())
        .map(|(n, _)| key(n))
        .collect();
    reserve::room(order.len())?;
    let mut graph = Graph::new();
    let mut leaves = Vec::new();
    let mut ids: HashMap<*const Node, NodeId> = HashMap::with_capacity(order.len());
    for (node, definition) in &order {
        let id = match definition {
            Some(d) => {
                graph.set_origin(node.origin.clone());
                let mut inputs: Vec<NodeId> = d.inputs.iter().map(|i| ids[&key(i)]).collect();
                if barred.contains(&key(node)) {
                    for input in &mut inputs {
                        *input = graph.apply(StopGradient, &[*input])?;
                    }
                }
                graph.apply(d.op.clone(), &inputs)?
            }
            None => {
                if node.value().is_none() && !is_leaf(node) {
                    return Err(unreadable(node));
                }
                leaves.push(node.clone());
                graph.set_origin(node.origin.clone());
                let constant = gradient_roots.is_empty() && is_constant(node);
                if constant { graph.constant_input(node.fact.clone()) } else { graph.input(node.fact.clone()) }
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
    Error::tracing(format!(
        "a tensor of {}{place} has no value while its function is being traced; use functions of cnnrs.ops instead \
         of numpy's, ops.where instead of a Python condition, or compile with run_eagerly=True to run Python at every step",
        node.fact
    ))
}

/// The value of a leaf.
///
/// # Errors
/// When it has none, for its function is being traced.
pub(super) fn leaf_value(node: &Node) -> Result<Arc<Value>> {
    node.value().ok_or_else(|| unreadable(node))
}
