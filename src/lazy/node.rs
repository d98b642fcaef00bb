//! Lazy nodes: what a handle points to.

use super::scope::{current_origin, tracking};
use super::tensor::Tensor;
use crate::graph::Origin;
use crate::ops::Op;
use crate::plan::Binding;
use crate::shape::Fact;
use crate::value::Value;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Inputs of a lazy node.
pub(crate) type NodeInputs = SmallVec<[Arc<Node>; 3]>;

/// How a node is computed.
#[derive(Clone)]
pub(crate) struct Definition {
    pub op: Op,
    pub inputs: NodeInputs,
}

/// What stands at a node that nothing defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An ordinary node.
    Plain,
    /// A version of the variable with this id; gradients end here.
    Variable(u64),
    /// An argument of the function being traced; it has no value while tracing.
    Placeholder,
    /// What the traced function reads of the variable with this id.
    TracedVariable(u64),
}

#[derive(Default)]
pub(crate) struct State {
    pub definition: Option<Definition>,
    pub value: Option<Arc<Value>>,
    pub grad: Option<Tensor>,
    /// Of a variable's version: what plans that read it first have made of their constant inputs.
    pub bindings: Vec<Arc<Binding>>,
}

/// One lazy value.
pub(crate) struct Node {
    pub fact: Fact,
    pub origin: Origin,
    pub role: Role,
    /// Whether gradients flow through.
    pub tracked: AtomicBool,
    /// Whether it was recorded where nothing is tracked: no gradient flows to what it was made of.
    pub apart: bool,
    /// Set by `backward()`: the definition goes once the gradients have been computed.
    pub released: AtomicBool,
    handles: AtomicUsize,
    state: Mutex<State>,
}

impl Node {
    pub fn new(fact: Fact, role: Role, tracked: bool, state: State) -> Arc<Self> {
        Arc::new(Node {
            fact,
            origin: current_origin(),
            role,
            tracked: AtomicBool::new(tracked),
            apart: !tracking(),
            released: AtomicBool::new(false),
            handles: AtomicUsize::new(0),
            state: Mutex::new(state),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn is_tracked(&self) -> bool {
        self.tracked.load(Ordering::Relaxed)
    }

    pub fn value(&self) -> Option<Arc<Value>> {
        self.state().value.clone()
    }

    pub fn definition(&self) -> Option<Definition> {
        self.state().definition.clone()
    }

    /// One more handle points here.
    pub fn take_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// One handle less does.
    pub fn drop_handle(&self) {
        self.handles.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether somebody holds a tensor of this node.
    pub fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Relaxed) > 0
    }

    /// A pending node: defined, without a value.
    pub fn is_pending(&self) -> bool {
        let state = self.state();
        state.value.is_none() && state.definition.is_some()
    }

    /// Gives the node its value, and lets go of the definition unless a gradient may yet flow
    /// through it.
    pub fn realised(&self, value: Arc<Value>) {
        let keep = self.role == Role::Plain
            && self.is_tracked()
            && self.definition().is_some_and(|d| d.inputs.iter().any(|i| i.is_tracked()));
        self.state().value = Some(value);
        if !keep {
            self.release();
        }
    }

    /// Lets go of the definition; the node is a plain value from here on.
    pub fn release(&self) {
        let old = self.state().definition.take();
        if self.role == Role::Plain && old.is_some() {
            self.tracked.store(false, Ordering::Relaxed);
        }
        drop(old);
    }
}

impl Drop for Node {
    /// Chains of nodes are taken apart in a loop: recursion would overflow the stack.
    fn drop(&mut self) {
        let take = |node: &mut Node| {
            let state = node.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
            state.definition.take().map(|d| d.inputs)
        };
        let mut pending: Vec<Arc<Node>> = take(self).into_iter().flatten().collect();
        while let Some(node) = pending.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                pending.extend(take(&mut node).into_iter().flatten());
            }
        }
    }
}
