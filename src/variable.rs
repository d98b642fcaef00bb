//! Variables: cells that hold versions. Assignment rebinds the cell; nothing is written in place
//! that anybody else can see.

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::function;
use crate::ops::Attributes;
use crate::realise::{self, register_pending};
use crate::shape::Fact;
use crate::tensor::{Node, Role, State, Tensor};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The current version.
pub(crate) struct Current {
    pub version: u64,
    pub tensor: Option<Tensor>,
}

pub(crate) struct Cell {
    pub id: u64,
    pub fact: Fact,
    pub name: String,
    trainable: AtomicBool,
    current: Mutex<Current>,
}

impl Cell {
    /// Locks the current version. A run that writes variables takes their locks in order of id.
    pub fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_trainable(&self) -> bool {
        self.trainable.load(Ordering::Relaxed)
    }

    /// A version node holding `value`.
    pub fn version_of(&self, value: Arc<Buffer>) -> Tensor {
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
        let value = initial.buffer()?;
        let cell = Cell {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            fact: initial.fact().clone(),
            name: name.to_owned(),
            trainable: AtomicBool::new(trainable),
            current: Mutex::new(Current { version: 0, tensor: None }),
        };
        cell.current().tensor = Some(cell.version_of(value));
        Ok(Variable { cell: Arc::new(cell) })
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
    /// reads, or what it has assigned.
    pub fn value(&self) -> Tensor {
        if let Some(traced) = function::traced_read(self) {
            return traced;
        }
        self.cell.current().tensor.clone().expect("a variable has a version, except inside a run that holds its lock")
    }

    /// Makes `value` the current version. While a function is traced, the assignment becomes part
    /// of the function.
    ///
    /// # Errors
    /// When shape or dtype differ.
    pub fn assign(&self, value: &Tensor) -> Result<()> {
        if value.fact() != self.fact() {
            let name = if self.name().is_empty() { "variable" } else { self.name() };
            return Err(Error::value(format!("{name}: assign expected {}, received {}", self.fact(), value.fact())));
        }
        if function::traced_write(self, value)? {
            return Ok(());
        }
        let next = self.version_node(value)?;
        register_pending(&next.node)?;
        let old = {
            let mut current = self.cell.current();
            current.version += 1;
            current.tensor.replace(next)
        };
        drop(old);
        Ok(())
    }

    /// A node of this variable's role whose value is that of `value`.
    pub(crate) fn version_node(&self, value: &Tensor) -> Result<Tensor> {
        if let Some(buffer) = value.node.value() {
            return Ok(self.cell.version_of(buffer));
        }
        let stop = Tensor::apply_named("stop_gradient", std::slice::from_ref(value), Attributes::default())?;
        let state = State { definition: stop.node.definition(), ..State::default() };
        Ok(Tensor::from_node(Node::new(self.fact().clone(), Role::Variable(self.id()), self.cell.tracks(), state)))
    }

    /// The gradients of `root` with respect to this variable, summed over the versions that it
    /// read; `None` if it read none.
    pub fn gradient_nodes(&self, root: &Tensor) -> Vec<Tensor> {
        realise::versions_read(&root.node, self.id()).into_iter().map(Tensor::from_node).collect()
    }
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variable({:?}, {}, version {})", self.name(), self.fact(), self.version())
    }
}
