//! Recording a function on placeholders: one plan that reads and writes variables.

use super::extract::{self, Extraction};
use super::function::{CompiledFunction, Source};
use super::node::{Node, Role, State};
use super::scope::LayerScope;
use super::tensor::Tensor;
use super::variable::{Cell, KeptSlots, Variable};
use crate::error::{Error, Result};
use crate::plan::cache::cached_plan;
use crate::plan::{Binding, PlanOptions, resolved};
use crate::shape::Fact;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

thread_local! {
    static TRACES: RefCell<Vec<TraceState>> = const { RefCell::new(Vec::new()) };
}

#[derive(Default)]
struct TraceState {
    placeholders: Vec<Arc<Node>>,
    reads: HashMap<u64, (Arc<Cell>, Tensor)>,
    writes: BTreeMap<u64, (Variable, Tensor)>,
}

/// Whether this thread is recording a function.
pub(crate) fn is_tracing() -> bool {
    TRACES.with_borrow(|t| !t.is_empty())
}

/// What the function being traced reads of `variable`; `None` outside traces.
pub(crate) fn traced_read(variable: &Variable) -> Option<Tensor> {
    TRACES.with_borrow_mut(|traces| {
        let trace = traces.last_mut()?;
        if let Some((_, written)) = trace.writes.get(&variable.id()) {
            return Some(written.clone());
        }
        let cell = &variable.cell;
        let (_, tensor) = trace.reads.entry(cell.id).or_insert_with(|| {
            let role = Role::TracedVariable(cell.id);
            let node = Node::new(cell.fact.clone(), role, cell.tracks(), State::default());
            (cell.clone(), Tensor::from_node(node))
        });
        Some(tensor.clone())
    })
}

/// Records an assignment in the function being traced; false outside traces.
pub(crate) fn traced_write(variable: &Variable, value: &Tensor) -> Result<bool> {
    if !is_tracing() {
        return Ok(false);
    }
    let version = variable.version_node(value)?;
    let old = TRACES.with_borrow_mut(|traces| {
        traces.last_mut().and_then(|t| t.writes.insert(variable.id(), (variable.clone(), version)))
    });
    drop(old);
    Ok(true)
}

/// A function being recorded on this thread. While it lives, variables read as what the function
/// reads, and assignments become part of the function; dropping it discards them.
///
/// ```
/// use cnnrs::{DType, Fact, Tensor, Trace, Variable};
/// let count = Variable::new(&Tensor::scalar(0.0, DType::F32)?, false, "count")?;
/// let trace = Trace::enter();
/// let x = trace.placeholder(Fact::new([2], DType::F32), "x");
/// count.assign(&count.value().apply_binary("add", &Tensor::scalar(1.0, DType::F32)?)?)?;
/// let y = x.apply_binary("mul", &count.value())?;
/// let f = trace.compile(&[y])?;
/// drop(trace);
/// let x = Tensor::from_slice(&[2], &[3.0f32, 4.0])?;
/// f.call(&[x.clone()])?;
/// assert_eq!(f.call(&[x])?[0].to_vec::<f32>()?, [6.0, 8.0]);
/// # Ok::<(), cnnrs::Error>(())
/// ```
pub struct Trace {
    depth: usize,
    // A trace belongs to the thread on which it was entered.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Trace {
    /// Starts recording.
    pub fn enter() -> Self {
        let depth = TRACES.with_borrow_mut(|t| {
            t.push(TraceState::default());
            t.len()
        });
        Trace { depth, _not_send: std::marker::PhantomData }
    }

    /// The next argument of the function.
    pub fn placeholder(&self, fact: Fact, name: &str) -> Tensor {
        let _scope = (!name.is_empty()).then(|| LayerScope::enter(name));
        let node = Node::new(fact, Role::Placeholder, false, State::default());
        TRACES.with_borrow_mut(|t| t[self.depth - 1].placeholders.push(node.clone()));
        Tensor::from_node(node)
    }

    /// As [`Trace::compile`], with those placeholders alone as arguments that the function reads, and their places among
    /// all placeholders.
    ///
    /// # Errors
    /// As [`Trace::compile`].
    pub fn compile_part(&self, outputs: &[Tensor]) -> Result<(CompiledFunction, Vec<usize>)> {
        let mut function = self.compile(outputs)?;
        let used = function.drop_unused_arguments();
        Ok((function, used))
    }

    /// The place of a tensor among the placeholders of the trace.
    pub fn place_of(&self, tensor: &Tensor) -> Option<usize> {
        TRACES.with_borrow(|t| t[self.depth - 1].placeholders.iter().position(|p| Arc::ptr_eq(p, &tensor.node)))
    }

    /// Compiles what leads to `outputs` and to the assignments made so far.
    ///
    /// # Errors
    /// When an output depends on a placeholder of another trace, or a pass or kernel refuses.
    pub fn compile(&self, outputs: &[Tensor]) -> Result<CompiledFunction> {
        let (placeholders, reads, writes) = TRACES.with_borrow(|t| {
            let t = &t[self.depth - 1];
            let reads: HashMap<u64, Arc<Cell>> = t.reads.iter().map(|(id, (cell, _))| (*id, cell.clone())).collect();
            let writes: Vec<(Variable, Tensor)> = t.writes.values().cloned().collect();
            (t.placeholders.clone(), reads, writes)
        });
        let roots: Vec<Arc<Node>> =
            outputs.iter().chain(writes.iter().map(|(_, t)| t)).map(|t| t.node.clone()).collect();
        let own = |node: &Node| {
            matches!(node.role, Role::TracedVariable(_)) || placeholders.iter().any(|p| std::ptr::eq(&**p, node))
        };
        // Captured values are the function's for ever; variables, as long as nobody assigns them.
        let constant = |node: &Node| match node.role {
            Role::Placeholder => false,
            Role::TracedVariable(id) => !writes.iter().any(|(v, _)| v.id() == id),
            Role::Plain | Role::Variable(_) => true,
        };
        let Extraction { mut graph, leaves, .. } = extract::extract(&roots, own, constant)?;
        graph.shrink_to_fit();
        let mut captured_variables: Vec<Arc<Cell>> = Vec::new();
        let mut sources = Vec::with_capacity(leaves.len());
        let mut donations = Vec::new();
        for (input, leaf) in leaves.iter().enumerate() {
            let source = if let Some(i) = placeholders.iter().position(|p| Arc::ptr_eq(p, leaf)) {
                Source::Argument(i)
            } else if let Role::TracedVariable(id) = leaf.role {
                let cell = reads.get(&id).ok_or_else(|| Error::state("a variable of another trace is read"))?;
                if let Some(w) = writes.iter().position(|(v, _)| v.id() == id) {
                    donations.push((input, outputs.len() + w));
                    Source::Written(w)
                } else {
                    captured_variables.push(cell.clone());
                    Source::Read(captured_variables.len() - 1)
                }
            } else {
                Source::Captured(extract::leaf_value(leaf)?)
            };
            sources.push(source);
        }
        // With the target of now: what is told of the function later is told of its plan.
        let options = resolved(&PlanOptions { donations, ..PlanOptions::current() })?;
        let graph = Arc::new(graph);
        let plan = cached_plan(graph.clone(), &options)?;
        Ok(CompiledFunction {
            graph,
            options,
            binding: Binding::new(plan),
            sources,
            arguments: placeholders.iter().map(|p| (p.fact.clone(), p.origin.clone())).collect(),
            reads: captured_variables,
            writes: writes.iter().map(|(v, _)| v.cell.clone()).collect(),
            write_outputs: (outputs.len()..outputs.len() + writes.len()).collect(),
            outputs: outputs.len(),
            kept: KeptSlots::new(),
        })
    }

    /// The variables that the function has assigned so far.
    pub fn assigned(&self) -> Vec<Variable> {
        TRACES.with_borrow(|t| t[self.depth - 1].writes.values().map(|(v, _)| v.clone()).collect())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Taken out first: dropping nodes must not find the stack borrowed.
        let states = TRACES.with_borrow_mut(|t| t.split_off(self.depth - 1));
        drop(states);
    }
}
