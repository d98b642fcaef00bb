//! Variables: cells that hold versions. Assignment rebinds the cell; nothing is written in place
//! that anybody else can see.
//!
//! A run that writes variables marks them all at once as its own (`Writing::begin`) and commits them all at
//! once. Others wait meanwhile before they write; they read the version that was there before, unless its
//! buffer is lent to the run. No lock is held while a run computes.

use super::host::{detached, poll};
use super::node::{Node, Role, State};
use super::realise::register_pending;
use super::tensor::Tensor;
use super::{extract, trace};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Attributes;
use crate::plan::Slot;
use crate::reserve;
use crate::shape::Fact;
use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Held for as long as runs begin or commit: what they read and write is seen together or not at all.
/// Taken before any cell's own lock.
static RUNS: Mutex<Runs> = Mutex::new(Runs { waiting: 0, assigned: 0, kept: BTreeMap::new() });

/// Signalled when a run has committed or given up.
static ENDED: Condvar = Condvar::new();

struct Runs {
    /// Threads that wait for one to end.
    waiting: usize,
    /// How often variables were assigned, or given to a run that assigns them.
    assigned: u64,
    /// What stands in the slots of functions that assign nothing, since then.
    kept: BTreeMap<u64, Vec<Slot>>,
}

impl Runs {
    /// Lets go of all that is kept: a version that somebody else has is not rewritten in place.
    fn forget(&mut self) {
        self.assigned += 1;
        self.kept.clear();
    }
}

fn runs() -> MutexGuard<'static, Runs> {
    RUNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a thread waits for a run to end.
pub(super) fn are_runs_awaited() -> bool {
    runs().waiting > 0
}

/// How long a loop over batches stands back for threads that want its variables: longer than waking one takes.
const GIVE_WAY: Duration = Duration::from_millis(1);

/// Stands back until every thread that waits for a run to end has looked again, but not for long.
pub(super) fn give_way() {
    let start = Instant::now();
    while are_runs_awaited() && start.elapsed() < GIVE_WAY {
        std::thread::yield_now();
    }
}

/// The lock of runs, for a fork when no other thread's run is under way.
pub(super) fn lock() -> Box<dyn std::any::Any> {
    Box::new(runs())
}

/// In a child nobody waits for a run.
pub(super) fn forget_waiting() {
    runs().waiting = 0;
}

/// How often a thread that waits for another's run looks whether its own caller has had enough.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Waits until a run ends, or for [`POLL_EVERY`]; the flag says which.
fn wait(mut runs: MutexGuard<'static, Runs>) -> (MutexGuard<'static, Runs>, bool) {
    runs.waiting += 1;
    let (mut runs, wait) = ENDED.wait_timeout(runs, POLL_EVERY).unwrap_or_else(PoisonError::into_inner);
    runs.waiting -= 1;
    (runs, wait.timed_out())
}

/// The current version.
pub(crate) struct Current {
    pub version: u64,
    /// None while the buffer is lent to the run of `writer`.
    tensor: Option<Tensor>,
    /// The thread whose run will write the next version.
    writer: Option<ThreadId>,
    /// The last value that was in the host's memory, since a device has the current one.
    saved: Option<Arc<Value>>,
}

pub(crate) struct Cell {
    pub id: u64,
    pub fact: Fact,
    pub name: String,
    trainable: AtomicBool,
    current: Mutex<Current>,
}

impl Cell {
    /// For a moment: nobody waits, computes or calls Python with it.
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current version, if it is not lent to a run.
    fn version(&self) -> Option<Tensor> {
        self.current().tensor.clone()
    }

    fn writer(&self) -> Option<ThreadId> {
        self.current().writer
    }

    fn label(&self) -> &str {
        if self.name.is_empty() { "variable" } else { &self.name }
    }

    pub fn is_trainable(&self) -> bool {
        self.trainable.load(Ordering::Relaxed)
    }

    /// A version node holding `value`.
    pub fn version_of(&self, value: Arc<Value>) -> Tensor {
        let state = State { value: Some(value), ..State::default() };
        Tensor::from_node(Node::new(self.fact.clone(), Role::Variable(self.id), self.tracks(), state))
    }

    pub fn tracks(&self) -> bool {
        self.is_trainable() && self.fact.dtype.is_float()
    }
}

/// A cell with an identity, a version and a current tensor: a weight, a moving statistic, an
/// optimizer slot, a learning rate, a random state.
///
/// ```
/// use cnnrs::{Tensor, Variable};
/// let v = Variable::new(&Tensor::from_slice(&[2], &[1.0f32, 2.0])?, true, "w")?;
/// let before = v.value();
/// v.assign(&before.apply_binary("add", &before)?)?;
/// assert_eq!(v.value().to_vec::<f32>()?, [2.0, 4.0]);
/// assert_eq!(before.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), cnnrs::Error>(())
/// ```
#[derive(Clone)]
pub struct Variable {
    pub(crate) cell: Arc<Cell>,
}

impl Variable {
    /// A variable whose first version is the value of `initial`.
    ///
    /// # Errors
    /// When `initial` cannot be computed.
    pub fn new(initial: &Tensor, trainable: bool, name: &str) -> Result<Self> {
        let value = initial.value()?;
        let cell = Cell {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            fact: initial.fact().clone(),
            name: name.to_owned(),
            trainable: AtomicBool::new(trainable),
            current: Mutex::new(Current { version: 0, tensor: None, writer: None, saved: None }),
        };
        cell.current().tensor = Some(cell.version_of(value));
        let variable = Variable { cell: Arc::new(cell) };
        reserve::check()?;
        Ok(variable)
    }

    /// The identity, unique in the process.
    pub fn id(&self) -> u64 {
        self.cell.id
    }

    /// Shape and dtype.
    pub fn fact(&self) -> &Fact {
        &self.cell.fact
    }

    /// The name given at creation.
    pub fn name(&self) -> &str {
        &self.cell.name
    }

    /// How often the variable has been assigned.
    pub fn version(&self) -> u64 {
        self.cell.current().version
    }

    /// Whether gradients are taken with respect to it by default.
    pub fn trainable(&self) -> bool {
        self.cell.is_trainable()
    }

    /// Changes whether gradients are taken with respect to it, from the current version on.
    pub fn set_trainable(&self, trainable: bool) {
        self.cell.trainable.store(trainable, Ordering::Relaxed);
        if let Some(tensor) = &self.cell.current().tensor {
            tensor.node.tracked.store(self.cell.tracks(), Ordering::Relaxed);
        }
    }

    /// The current version, as an immutable tensor. While a function is traced: what the function
    /// reads, or what it has assigned. While another thread's run rewrites it in place: what that run leaves.
    ///
    /// # Panics
    /// In a signal handler of a run of this thread that rewrites the variable in place; see [`Variable::read`].
    pub fn value(&self) -> Tensor {
        self.read().unwrap_or_else(|e| panic!("{e}"))
    }

    /// Like [`Variable::value`].
    ///
    /// # Errors
    /// When the caller interrupts the wait for another thread's run, or a run of this thread is under way that
    /// rewrites the variable.
    pub fn read(&self) -> Result<Tensor> {
        if let Some(traced) = trace::traced_read(self) {
            return Ok(traced);
        }
        if let Some(tensor) = self.cell.version() {
            return Ok(tensor);
        }
        let mut read = Err(Error::state("a variable was not read"));
        detached(&mut || read = when([std::slice::from_ref(&self.cell), &[]], |_| self.cell.version()));
        read
    }

    /// Makes `value` the current version. While a function is traced, the assignment becomes part
    /// of the function. A float of another type is rounded to the variable's.
    ///
    /// # Errors
    /// When shape or dtype differ, other than that.
    pub fn assign(&self, value: &Tensor) -> Result<()> {
        let value = &value.cast_float(self.fact().dtype)?;
        if value.fact() != self.fact() {
            let name = self.cell.label();
            return Err(Error::value(format!("{name}: assign expected {}, received {}", self.fact(), value.fact())));
        }
        if trace::traced_write(self, value)? {
            return Ok(());
        }
        let next = self.version_node(value)?;
        register_pending(&next.node)?;
        let replace = |runs: &mut Runs| {
            let mut current = self.cell.current();
            if current.writer.is_some() {
                return None;
            }
            runs.forget();
            current.version += 1;
            Some(current.tensor.replace(next.clone()))
        };
        // Dropped at the end, under no lock.
        let mut old = replace(&mut runs()).map(Ok);
        if old.is_none() {
            detached(&mut || old = Some(when([std::slice::from_ref(&self.cell), &[]], replace)));
        }
        old.transpose().map(drop)
    }

    /// Brings the current value to the host's memory, where a copy stays: [`Variable::recover`] finds it should the device
    /// be lost that has the value.
    ///
    /// # Errors
    /// When the value can't be computed, or its device is lost.
    pub fn keep(&self) -> Result<()> {
        let value = self.read()?.value()?;
        value.host_unless(&poll).map(drop)
    }

    /// If the current value is gone with a lost device, makes the last one that was in the host's memory the current one;
    /// says whether it did.
    ///
    /// # Errors
    /// `Lost` when there was none.
    pub fn recover(&self) -> Result<bool> {
        let current = self.read()?;
        if !current.node.value().is_some_and(|value| value.is_lost()) {
            return Ok(false);
        }
        let saved = self.cell.current().saved.clone();
        let saved = saved.ok_or_else(|| {
            let name = self.cell.label();
            Error::new(ErrorKind::Lost, format!("{name}: the value is lost, and the host's memory never had one"))
        })?;
        self.assign(&Tensor::from_shared(saved))?;
        Ok(true)
    }

    /// A node of this variable's role whose value is that of `value`.
    pub(super) fn version_node(&self, value: &Tensor) -> Result<Tensor> {
        if let Some(buffer) = value.node.value() {
            return Ok(self.cell.version_of(buffer));
        }
        let stop = Tensor::apply_named("stop_gradient", std::slice::from_ref(value), Attributes::default())?;
        // Where pending nodes are many, recording one more computes them all.
        if let Some(buffer) = stop.node.value() {
            return Ok(self.cell.version_of(buffer));
        }
        let state = State { definition: stop.node.definition(), ..State::default() };
        Ok(Tensor::from_node(Node::new(self.fact().clone(), Role::Variable(self.id()), self.cell.tracks(), state)))
    }

    /// The gradients of `root` with respect to this variable, summed over the versions that it
    /// read; `None` if it read none.
    ///
    /// # Errors
    /// `Memory` when there is none left.
    pub fn gradient_nodes(&self, root: &Tensor) -> Result<Vec<Tensor>> {
        Ok(extract::versions_read(&root.node, self.id())?.into_iter().map(Tensor::from_node).collect())
    }
}

/// What `ready` gives as soon as it gives something; asked again whenever a run ends that may have had one of
/// `cells`.
fn when<T>(cells: [&[Arc<Cell>]; 2], mut ready: impl FnMut(&mut Runs) -> Option<T>) -> Result<T> {
    let this = std::thread::current().id();
    loop {
        let mut runs = runs();
        loop {
            if let Some(found) = ready(&mut runs) {
                return Ok(found);
            }
            if let Some(cell) = cells.into_iter().flatten().find(|cell| cell.writer() == Some(this)) {
                return Err(Error::state(format!("{}: a run of this thread is just rewriting it", cell.label())));
            }
            let timed_out;
            (runs, timed_out) = wait(runs);
            if timed_out {
                break;
            }
        }
        // The caller is asked under no lock: it may have to wait for the interpreter.
        drop(runs);
        if poll() {
            return Err(Error::new(ErrorKind::Cancelled, "interrupted"));
        }
    }
}

/// What a function that assigns no variable finds in its slots, kept from run to run as long as no variable is assigned:
/// to look at hundreds of variables takes a good part of a small network's time.
pub(crate) struct KeptSlots {
    id: u64,
}

impl KeptSlots {
    /// A function's, which has none yet.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        KeptSlots { id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// What is kept, for one run, and the number of the moment since which it stands.
    pub fn take(&self) -> Option<(Vec<Slot>, u64)> {
        let mut runs = runs();
        Some((runs.kept.remove(&self.id)?, runs.assigned))
    }

    /// Keeps what was read at a moment, if no variable has been assigned since.
    pub fn keep(&self, slots: Vec<Slot>, moment: u64) {
        let mut runs = runs();
        if runs.assigned == moment {
            runs.kept.insert(self.id, slots);
        }
    }
}

impl Drop for KeptSlots {
    fn drop(&mut self) {
        let slots = runs().kept.remove(&self.id);
        drop(slots);
    }
}

/// The variables of a run that writes some: it alone may rebind those until it commits or is dropped.
pub(crate) struct Writing<'a> {
    cells: &'a [Arc<Cell>],
}

impl<'a> Writing<'a> {
    /// Waits until no other run writes a variable of `reads` or `writes`, makes `writes` this run's own, and
    /// gives the current versions of `reads`, all of the same moment, whose number comes with them.
    ///
    /// # Errors
    /// When a pending version cannot be computed, or the caller interrupts the wait.
    pub fn begin(reads: &[Arc<Cell>], writes: &'a [Arc<Cell>]) -> Result<(Self, Vec<Tensor>, u64)> {
        let this = std::thread::current().id();
        let begin = |runs: &mut Runs| {
            if reads.iter().chain(writes).any(|cell| cell.writer().is_some()) {
                return None;
            }
            let versions: Vec<Tensor> = reads.iter().chain(writes).filter_map(|cell| cell.version()).collect();
            if !versions.iter().all(Tensor::is_realised) {
                return Some(Err(versions));
            }
            if !writes.is_empty() {
                runs.forget();
            }
            writes.iter().for_each(|cell| cell.current().writer = Some(this));
            Some(Ok((versions, runs.assigned)))
        };
        loop {
            match when([reads, writes], begin)? {
                Ok((mut versions, moment)) => {
                    // Handles of versions that are written would keep their buffers from being lent.
                    versions.truncate(reads.len());
                    return Ok((Writing { cells: writes }, versions, moment));
                }
                // Pending versions are computed under no lock; others may be assigned meanwhile.
                Err(versions) => versions.iter().try_for_each(Tensor::realise)?,
            }
        }
    }

    /// Those of a run that writes none.
    pub const NONE: Self = Writing { cells: &[] };

    /// The value of the `w`th variable.
    ///
    /// # Errors
    /// When it is lent.
    pub fn value(&self, w: usize) -> Result<Arc<Value>> {
        let version = self.cells[w].version().ok_or_else(|| Error::state("a lent variable is read"))?;
        extract::leaf_value(&version.node)
    }

    /// Takes the value out of the `w`th variable's version if nobody else holds it: no handle, no pending
    /// node, no export, no other run. With `away`, for a run on another device than the host: what the host has of the
    /// value stays there, as the last that is safe from the loss of the device.
    pub fn lend(&mut self, w: usize, away: bool) -> Option<Value> {
        let mut current = self.cells[w].current();
        let tensor = current.tensor.take()?;
        let host = away.then(|| tensor.node.value()).flatten().filter(|value| value.is_host());
        if host.is_some() || Arc::strong_count(&tensor.node) > 1 {
            current.tensor = Some(tensor);
            if host.is_some() {
                current.saved = host;
            }
            return None;
        }
        drop(current);
        let value = tensor.node.state().value.take()?;
        match Arc::try_unwrap(value) {
            Ok(mut value) => {
                if let Some(copy) = value.take_copy() {
                    self.cells[w].current().saved = Some(Arc::new(copy.into()));
                }
                Some(value)
            }
            Err(shared) => {
                tensor.node.state().value = Some(shared);
                self.cells[w].current().tensor = Some(tensor);
                None
            }
        }
    }

    /// Gives variables the values that `assignments` runs have left, or those that were lent if there was no run.
    pub fn commit(&mut self, values: Vec<(usize, Value)>, assignments: u64) {
        if values.is_empty() {
            return;
        }
        let next: Vec<(usize, Tensor)> =
            values.into_iter().map(|(w, value)| (w, self.cells[w].version_of(Arc::new(value)))).collect();
        let mut old = Vec::with_capacity(next.len());
        let runs = runs();
        for (w, next) in next {
            let mut current = self.cells[w].current();
            current.version += assignments;
            // What is kept for the loss of the device takes none of its memory.
            if let Some(saved) = &current.saved {
                saved.forget_copy();
            }
            old.push(current.tensor.replace(next));
        }
        drop(runs);
    }
}

impl Drop for Writing<'_> {
    /// The variables are everybody's again.
    fn drop(&mut self) {
        if self.cells.is_empty() {
            return;
        }
        let runs = runs();
        self.cells.iter().for_each(|cell| cell.current().writer = None);
        let awaited = runs.waiting > 0;
        drop(runs);
        // A call of the system, even if nobody waits.
        if awaited {
            ENDED.notify_all();
        }
    }
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variable({:?}, {}, version {})", self.name(), self.fact(), self.version())
    }
}
