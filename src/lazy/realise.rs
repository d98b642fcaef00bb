//! Realising: which pending nodes are computed together, in one run.

use super::extract::{extract, key, leaf_value, postorder};
use super::host::{detached, poll};
use super::node::{Node, Role};
use super::tensor::Tensor;
use super::trace::is_tracing;
use crate::backend;
use crate::error::{Error, Result};
use crate::plan::cache::cached_plan;
use crate::plan::{Binding, Plan, PlanOptions, Slot};
use crate::value::Value;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

/// Pending nodes of one thread after which everything is realised.
const MAX_PENDING: usize = 10_000;

/// Bytes of data that pending nodes of one thread keep from being freed, after which everything is realised.
const MAX_CAPTURED: usize = 256 << 20;

/// Bindings that a version of a variable keeps: plans for as many shapes of batch, about.
const MAX_BINDINGS: usize = 4;

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
    if is_tracing() {
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
    let values: Vec<Arc<Value>> = extraction.leaves.iter().map(|leaf| leaf_value(leaf)).collect::<Result<_>>()?;
    let target = residence(&extraction.leaves, &values)?.map(|device| backend::on(device)?.target()).transpose()?;
    let plan = cached_plan(Arc::new(extraction.graph), &PlanOptions { target, ..PlanOptions::current() })?;
    let mut slots: Vec<Slot> = values.into_iter().map(Slot::Shared).collect();
    let values = match extraction.leaves.iter().find(|l| is_version(l)) {
        Some(version) if plan.has_prelude() => match binding(version, &plan) {
            Some(binding) => binding.run(&mut slots, &poll)?,
            None => plan.run_values(&mut slots, &poll)?,
        },
        _ => plan.run_values(&mut slots, &poll)?,
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

/// The device that computes a pending node, if that is asked now.
pub(crate) fn device_of(node: &Arc<Node>) -> Result<String> {
    let pending = |n: &Arc<Node>| if n.value().is_some() { None } else { n.definition() };
    let order = postorder(std::slice::from_ref(node), pending)?;
    let known = order.into_iter().map(|(n, _)| n).filter(|n| n.value().is_some());
    let (leaves, values): (Vec<_>, Vec<_>) = known.filter_map(|n| n.value().map(|value| (n, value))).unzip();
    Ok(match residence(&leaves, &values)? {
        Some(device) => device.to_owned(),
        None => backend::current()?.to_string(),
    })
}

/// The device where some of `values` are at home; none where all are in the host's memory, from where they go up to any.
///
/// # Errors
/// `Value` when they are on two devices; names what made them.
fn residence<'a>(leaves: &[Arc<Node>], values: &'a [Arc<Value>]) -> Result<Option<&'a str>> {
    let mut found: Option<(usize, &str)> = None;
    for (at, value) in values.iter().enumerate().filter(|(_, value)| !value.is_host()) {
        match found {
            None => found = Some((at, value.device())),
            Some((_, device)) if device == value.device() => {}
            Some((first, device)) => {
                let name = |at: usize| leaves[at].origin.as_deref().unwrap_or("a tensor").to_owned();
                return Err(Error::value(format!(
                    "{} is on device \"{device}\" and {} on \"{}\": bring one to the other's by to(device)",
                    name(first),
                    name(at),
                    value.device()
                )));
            }
        }
    }
    Ok(found.map(|(_, device)| device))
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
