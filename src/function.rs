//! Trace once, replay: a function recorded on placeholders becomes one plan that reads and writes
//! variables.

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::plan::{Binding, Explanation, Plan, PlanOptions, Profile, Slot};
use crate::realise::{self, Extraction};
use crate::shape::Fact;
use crate::tensor::{Node, Role, State, Tensor};
use crate::variable::{self, Cell, Variable, Writing};
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
        let _scope = (!name.is_empty()).then(|| crate::tensor::LayerScope::enter(name));
        let node = Node::new(fact, Role::Placeholder, false, State::default());
        TRACES.with_borrow_mut(|t| t[self.depth - 1].placeholders.push(node.clone()));
        Tensor::from_node(node)
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
        let held = |node: &Node| match node.role {
            Role::Placeholder => false,
            Role::TracedVariable(id) => !writes.iter().any(|(v, _)| v.id() == id),
            Role::Plain | Role::Variable(_) => true,
        };
        let Extraction { graph, leaves, .. } = realise::extract(&roots, own, held)?;
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
                Source::Captured(realise::leaf_value(leaf)?)
            };
            sources.push(source);
        }
        let options = PlanOptions { donations, ..PlanOptions::current() };
        let graph = Arc::new(graph);
        let plan = realise::cached_plan(graph.clone(), &options)?;
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

enum Source {
    Argument(usize),
    /// A variable that is read.
    Read(usize),
    /// A variable that is read and written.
    Written(usize),
    Captured(Arc<Buffer>),
}

/// A traced function: one plan, the variables that it reads and writes, and what it captured.
///
/// Calls are whole or absent: variables change after the last step that can fail, all of them or
/// none.
pub struct CompiledFunction {
    /// What was recorded, and how it is compiled.
    graph: Arc<Graph>,
    options: PlanOptions,
    binding: Binding,
    sources: Vec<Source>,
    arguments: Vec<(Fact, crate::graph::Origin)>,
    /// Variables that are read only.
    reads: Vec<Arc<Cell>>,
    /// Written variables, and the plan's outputs that they take.
    writes: Vec<Arc<Cell>>,
    write_outputs: Vec<usize>,
    outputs: usize,
}

impl CompiledFunction {
    /// Facts of the arguments.
    pub fn argument_facts(&self) -> impl ExactSizeIterator<Item = &Fact> {
        self.arguments.iter().map(|(fact, _)| fact)
    }

    /// The plan that calls run.
    pub fn plan(&self) -> &Plan {
        self.binding.plan()
    }

    /// What became of what was recorded, layer by layer; see [`explain`](crate::plan::explain).
    ///
    /// # Errors
    /// When memory runs out.
    pub fn explain(&self) -> Result<Explanation> {
        crate::plan::explain(&self.graph, &self.options)
    }

    /// The plan with what the function keeps of it between calls.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Runs the function once.
    ///
    /// # Errors
    /// When an argument does not fit, a kernel meets bad data, memory runs out, or the caller
    /// interrupts; then no variable has changed.
    pub fn call(&self, arguments: &[Tensor]) -> Result<Vec<Tensor>> {
        let buffers: Vec<Arc<Buffer>> = arguments.iter().map(Tensor::buffer).collect::<Result<_>>()?;
        Ok(self.run(&buffers)?.into_iter().map(Tensor::from_buffer).collect())
    }

    /// Runs the function once on buffers.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`].
    pub fn run(&self, arguments: &[Arc<Buffer>]) -> Result<Vec<Buffer>> {
        self.begin()?.run(arguments)
    }

    /// Runs the function once, as [`CompiledFunction::run`], and says how long each step took.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`].
    pub fn run_profiled(&self, arguments: &[Arc<Buffer>]) -> Result<(Vec<Buffer>, Profile)> {
        let mut profile = None;
        let values = self.begin()?.run_by(arguments, |binding, slots| {
            let (values, times) = binding.run_profiled(slots, &realise::poll)?;
            profile = Some(times);
            Ok(values)
        })?;
        Ok((values, profile.ok_or_else(|| Error::state("a run left no profile"))?))
    }

    /// Takes the variables that the function writes for runs one after the other.
    ///
    /// # Errors
    /// When a pending version cannot be computed, or the caller interrupts the wait for another thread's run.
    pub fn begin(&self) -> Result<Session<'_>> {
        let (writing, reads) = Writing::begin(&self.reads, &self.writes)?;
        let mut session = Session {
            function: self,
            writing,
            slots: Vec::with_capacity(self.sources.len()),
            slot_of: vec![None; self.writes.len()],
            unread: Vec::new(),
            runs: 0,
        };
        for source in &self.sources {
            let slot = match source {
                Source::Argument(_) => Slot::Donated(None),
                Source::Captured(buffer) => Slot::Shared(buffer.clone()),
                Source::Read(r) => Slot::Shared(realise::leaf_value(&reads[*r].node)?),
                Source::Written(w) => {
                    session.slot_of[*w] = Some(session.slots.len());
                    match session.writing.lend(*w) {
                        Some(buffer) => Slot::Donated(Some(buffer)),
                        None => Slot::Shared(session.writing.value(*w)?),
                    }
                }
            };
            session.slots.push(slot);
        }
        Ok(session)
    }
}

/// Runs of a function one after the other, in which the variables that it writes go from each to the next. They
/// are nobody else's until the session is dropped; then they have what the last run that succeeded left in them.
///
/// ```
/// use cnnrs::{Buffer, DType, Fact, Tensor, Trace, Variable};
/// use std::sync::Arc;
/// let total = Variable::new(&Tensor::scalar(0.0, DType::F32)?, false, "total")?;
/// let trace = Trace::enter();
/// let x = trace.placeholder(Fact::new([], DType::F32), "x");
/// total.assign(&total.value().apply_binary("add", &x)?)?;
/// let f = trace.compile(&[])?;
/// drop(trace);
/// let mut session = f.begin()?;
/// for x in [1.0f32, 2.0, 3.0] {
///     session.run(&[Arc::new(Buffer::from_slice(&[], &[x])?)])?;
/// }
/// drop(session);
/// assert_eq!((total.version(), total.value().to_vec::<f32>()?), (3, vec![6.0]));
/// # Ok::<(), cnnrs::Error>(())
/// ```
pub struct Session<'a> {
    function: &'a CompiledFunction,
    writing: Writing<'a>,
    slots: Vec<Slot>,
    /// For each written variable, where it is read.
    slot_of: Vec<Option<usize>>,
    /// Values of variables that are written and not read, once there was a run.
    unread: Vec<(usize, Buffer)>,
    /// Runs that succeeded.
    runs: u64,
}

impl Session<'_> {
    /// Whether another thread waits for the variables.
    pub fn is_awaited(&self) -> bool {
        variable::are_runs_awaited()
    }

    /// Ends the session, lets threads that wait have the variables, and takes them anew. A session that only ended
    /// and began would have them back before anybody is awake.
    ///
    /// # Errors
    /// As [`CompiledFunction::begin`].
    pub fn give_way(self) -> Result<Self> {
        let function = self.function;
        drop(self);
        variable::give_way();
        function.begin()
    }

    /// Runs the function once.
    ///
    /// # Errors
    /// As [`CompiledFunction::call`]; the session can go on.
    pub fn run(&mut self, arguments: &[Arc<Buffer>]) -> Result<Vec<Buffer>> {
        self.run_by(arguments, |binding, slots| binding.run(slots, &realise::poll))
    }

    fn run_by(
        &mut self,
        arguments: &[Arc<Buffer>],
        run: impl FnOnce(&Binding, &mut [Slot]) -> Result<Vec<Buffer>>,
    ) -> Result<Vec<Buffer>> {
        let function = self.function;
        if arguments.len() != function.arguments.len() {
            return Err(Error::dtype(format!(
                "expected {} arguments, received {}",
                function.arguments.len(),
                arguments.len()
            )));
        }
        for (i, (buffer, (fact, origin))) in arguments.iter().zip(&function.arguments).enumerate() {
            if buffer.fact() != fact {
                let name = origin.as_deref().map_or_else(|| format!("argument {i}"), str::to_owned);
                return Err(Error::value(format!("{name}: expected {fact}, received {}", buffer.fact())));
            }
        }
        self.place(|i| Slot::Shared(arguments[i].clone()));
        let result = run(&function.binding, &mut self.slots);
        // The caller may write to them before the next run.
        self.place(|_| Slot::Donated(None));
        let mut values: Vec<Option<Buffer>> = result?.into_iter().map(Some).collect();
        self.unread.clear();
        for (w, &output) in function.write_outputs.iter().enumerate() {
            let value = values[output].take().ok_or_else(|| Error::state("a plan's output is taken twice"))?;
            match self.slot_of[w] {
                None => self.unread.push((w, value)),
                Some(slot) => self.slots[slot] = Slot::Donated(Some(value)),
            }
        }
        self.runs += 1;
        values.truncate(function.outputs);
        Ok(values.into_iter().flatten().collect())
    }

    /// Puts something in the slots of the arguments.
    fn place(&mut self, what: impl Fn(usize) -> Slot) {
        for (slot, source) in self.slots.iter_mut().zip(&self.function.sources) {
            if let Source::Argument(i) = source {
                *slot = what(*i);
            }
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mut values = std::mem::take(&mut self.unread);
        for (w, &slot) in self.slot_of.iter().enumerate() {
            let slot = slot.and_then(|slot| self.slots.get_mut(slot));
            let donated = slot.map(|slot| std::mem::replace(slot, Slot::Donated(None)));
            if let Some(Slot::Donated(Some(buffer))) = donated {
                values.push((w, buffer));
            }
        }
        self.writing.commit(values, self.runs);
    }
}
