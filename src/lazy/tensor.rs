//! Lazy tensors: a handle is a node of a growing expression, plus its value once computed.
//!
//! A node has a *definition* (op and inputs) until it is realised, and a *value* from then on.
//! Nodes that gradients may flow through keep their definition beside the value, until
//! `backward()` has used it or the last handle is gone.

use super::host::poll;
use super::node::{Definition, Node, Role, State};
use super::scope::{computes_in_16_bits, current_layer, debugging, tracking};
use super::trace::is_tracing;
use super::{extract, realise};
use crate::backend;
use crate::buffer::{Buffer, Element, with_element};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::pointwise::{Cast, Function, Typing};
use crate::ops::{Attribute, Attributes, Op};
use crate::reserve;
use crate::shape::Fact;
use crate::value::{HostValue, Value};
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A lazy tensor.
///
/// ```
/// use cnnrs::Tensor;
/// let x = Tensor::from_slice(&[2, 2], &[1.0f32, 2.0, 3.0, 4.0])?;
/// let y = x.apply_binary("mul", &x)?;
/// assert!(!y.is_realised());
/// assert_eq!(y.to_vec::<f32>()?, [1.0, 4.0, 9.0, 16.0]);
/// # Ok::<(), cnnrs::Error>(())
/// ```
pub struct Tensor {
    pub(crate) node: Arc<Node>,
}

impl Clone for Tensor {
    fn clone(&self) -> Self {
        Tensor::from_node(self.node.clone())
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        self.node.drop_handle();
    }
}

impl Tensor {
    pub(crate) fn from_node(node: Arc<Node>) -> Self {
        node.take_handle();
        Tensor { node }
    }

    /// A realised tensor that owns `buffer`.
    pub fn from_buffer(buffer: Buffer) -> Self {
        Self::from_value(buffer.into())
    }

    /// A realised tensor that owns `value`.
    pub fn from_value(value: Value) -> Self {
        Self::from_shared(Arc::new(value))
    }

    pub(crate) fn from_shared(value: Arc<Value>) -> Self {
        let fact = value.fact().clone();
        let state = State { value: Some(value), ..State::default() };
        Self::from_node(Node::new(fact, Role::Plain, false, state))
    }

    /// A realised tensor holding a copy of `elements`.
    ///
    /// # Errors
    /// When the number of elements does not fit the shape.
    pub fn from_slice<T: Element>(shape: &[usize], elements: &[T]) -> Result<Self> {
        Ok(Self::from_buffer(Buffer::from_slice(shape, elements)?))
    }

    /// A scalar. The numbers 0, ±1, 2 and ½ are part of the plan that uses them; any other is
    /// handed to the plan at run time, so that plans do not multiply.
    pub fn scalar(value: f64, dtype: DType) -> Result<Self> {
        if [0.0, 1.0, -1.0, 2.0, 0.5].contains(&value) {
            let op = crate::ops::constant::Constant::new(value, dtype);
            return Self::apply(op, &[]);
        }
        let v = dtype.round(value);
        match dtype {
            DType::Bool => Self::apply(crate::ops::constant::Constant::new(v, dtype), &[]),
            _ => with_element!(dtype, T => Self::from_slice(&[], &[T::of_number(v)])),
        }
    }

    /// A scalar that holds an integer exactly, wrapped to the range of an integer type.
    ///
    /// # Errors
    /// As [`Tensor::scalar`].
    pub fn integer(value: i128, dtype: DType) -> Result<Self> {
        let held = dtype.wrap(value);
        // A GPU computes no constants of plain types, but holds them.
        match !dtype.is_integer() || (-2..=2).contains(&held) && !dtype.is_plain() {
            true => Self::scalar(held as f64, dtype),
            false => with_element!(dtype, T => Self::from_slice(&[], &[T::of_integer(held)])),
        }
    }

    /// Shape and dtype.
    pub fn fact(&self) -> &Fact {
        &self.node.fact
    }

    /// Whether the value has been computed.
    pub fn is_realised(&self) -> bool {
        self.node.value().is_some()
    }

    /// Records `op` on `inputs`. Inputs of mixed element types are brought to a common one where
    /// the op needs it, as [`DType::promote`] says.
    ///
    /// float16 and bfloat16 are storage: ops that compute take them as float32, and round what they make of them once,
    /// to the common type of all inputs.
    ///
    /// # Errors
    /// When the inputs do not fit the op; names the layer.
    pub fn apply(op: impl Into<Op>, inputs: &[Tensor]) -> Result<Tensor> {
        reserve::room(inputs.len())?;
        let op = op.into();
        let named = |e: Error| match current_layer() {
            Some(origin) => e.at(&origin),
            None => e.at(op.def().name()),
        };
        let Coerced { inputs, fact, rounded } = coerce(&op, inputs).map_err(named)?;
        let tensor = Self::recorded(op, &inputs, fact)?;
        match rounded {
            Some(dtype) if computes_in_16_bits() => tensor.cast_loosely(dtype),
            Some(dtype) => tensor.cast(dtype),
            None => Ok(tensor),
        }
    }

    /// The node of `op` on inputs of the types that it takes.
    fn recorded(op: Op, inputs: &[Tensor], fact: Fact) -> Result<Tensor> {
        let tracked = tracking() && fact.dtype.is_float() && inputs.iter().any(|i| i.node.is_tracked());
        let definition = Definition { op, inputs: inputs.iter().map(|t| t.node.clone()).collect() };
        let state = State { definition: Some(definition), ..State::default() };
        let tensor = Tensor::from_node(Node::new(fact, Role::Plain, tracked, state));
        realise::register_pending(&tensor.node)?;
        reserve::check()?;
        if debugging() && !is_tracing() {
            tensor.realise_checked()?;
        }
        Ok(tensor)
    }

    /// Computes the value at once and refuses a NaN that the inputs did not have.
    fn realise_checked(&self) -> Result<()> {
        let definition = self.node.definition();
        self.realise()?;
        let has_nan = |node: &Node| match node.value() {
            Some(value) => Ok(value.host_unless(&poll)?.has_nan()),
            None => Ok(false),
        };
        let Some(definition) = definition else { return Ok(()) };
        let given = definition.inputs.iter().map(|i| has_nan(i)).collect::<Result<Vec<bool>>>()?;
        if has_nan(&self.node)? && !given.contains(&true) {
            let e = Error::state(format!(
                "{} made the first NaN, of shape {}",
                definition.op.def().name(),
                self.fact().shape
            ));
            return Err(e.at(self.node.origin.as_deref().unwrap_or("debug")));
        }
        Ok(())
    }

    /// Records the op `name`.
    pub fn apply_named(name: &str, inputs: &[Tensor], attributes: Attributes) -> Result<Tensor> {
        Self::apply(Op::parse(name, attributes)?, inputs)
    }

    /// Records an op of two inputs without attributes.
    pub fn apply_binary(&self, name: &str, other: &Tensor) -> Result<Tensor> {
        Self::apply_named(name, &[self.clone(), other.clone()], Attributes::default())
    }

    /// The same values under another dtype.
    pub fn cast(&self, dtype: DType) -> Result<Tensor> {
        if self.fact().dtype == dtype {
            Ok(self.clone())
        } else {
            Self::apply(Cast::to(dtype), std::slice::from_ref(self))
        }
    }

    /// The same, where a layer asks for the type and no program for the rounding: passes may leave it out.
    pub fn cast_loosely(&self, dtype: DType) -> Result<Tensor> {
        if self.fact().dtype == dtype {
            Ok(self.clone())
        } else {
            Self::apply(Cast::loosely_to(dtype), std::slice::from_ref(self))
        }
    }

    /// A float under another float type; anything else as it is.
    pub(crate) fn cast_float(&self, dtype: DType) -> Result<Tensor> {
        if self.fact().dtype.is_float() && dtype.is_float() { self.cast(dtype) } else { Ok(self.clone()) }
    }

    /// The same value, through which no gradient flows.
    pub fn detach(&self) -> Result<Tensor> {
        match self.node.value() {
            Some(value) => Ok(Self::from_shared(value)),
            None => Self::apply_named("stop_gradient", std::slice::from_ref(self), Attributes::default()),
        }
    }

    /// Computes the value, if that has not been done yet.
    ///
    /// # Errors
    /// When a kernel meets bad data, memory runs out, or the tensor is an argument of a function
    /// being traced.
    pub fn realise(&self) -> Result<()> {
        realise::realise(std::slice::from_ref(self))
    }

    /// The value, computed if need be. It stays on the device that computes it.
    ///
    /// # Errors
    /// As [`Tensor::realise`].
    pub fn value(&self) -> Result<Arc<Value>> {
        if let Some(value) = self.node.value() {
            return Ok(value);
        }
        self.realise()?;
        self.node.value().ok_or_else(|| Error::state("a realised tensor has no value"))
    }

    /// The value in the host's memory, computed if need be.
    ///
    /// # Errors
    /// As [`Tensor::realise`], and when it can't be brought there.
    pub fn buffer(&self) -> Result<HostValue> {
        HostValue::new(self.value()?, &poll)
    }

    /// The device where the value is at home, as programs name it. Of a pending tensor: that of its leaves, or else the one
    /// that computes it if that is asked now.
    ///
    /// # Errors
    /// `Value` when `CNNRS_DEVICE` names no device, or leaves are on two.
    pub fn device(&self) -> Result<String> {
        match self.node.value() {
            Some(value) => Ok(value.device().to_owned()),
            None => realise::device_of(&self.node),
        }
    }

    /// The same value at home on `device`, computed if need be. Gradients flow through.
    ///
    /// ```
    /// use cnnrs::Tensor;
    /// let x = Tensor::from_slice(&[2], &[1.0f32, 2.0])?;
    /// assert_eq!(x.to("cpu")?.device()?, "cpu:0");
    /// # Ok::<(), cnnrs::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Value` when there is no such device; `Memory` when it has too little; as [`Tensor::realise`].
    pub fn to(&self, device: &str) -> Result<Tensor> {
        let device = backend::on(device)?;
        device.target()?;
        let value = self.value()?;
        if value.device() == device.to_string() {
            return Ok(self.clone());
        }
        let moved = Arc::new(device.backend().upload(device.number, value.host_unless(&poll)?)?);
        if !(tracking() && self.node.is_tracked()) {
            return Ok(Self::from_shared(moved));
        }
        let shape = Attribute::List(self.fact().shape.iter().map(|&n| Attribute::Int(n as i64)).collect());
        let op = Op::parse("reshape", Attributes::new([("shape".to_owned(), shape)]))?;
        let inputs = std::iter::once(self.node.clone()).collect();
        let state = State { definition: Some(Definition { op, inputs }), value: Some(moved), ..State::default() };
        Ok(Tensor::from_node(Node::new(self.fact().clone(), Role::Plain, true, state)))
    }

    /// The elements, row-major.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        Ok(self.buffer()?.as_slice::<T>().to_vec())
    }

    /// Whether gradients are taken with respect to this tensor or flow through it.
    pub fn requires_grad(&self) -> bool {
        self.node.is_tracked()
    }

    /// Asks for gradients with respect to this tensor (or stops asking).
    ///
    /// # Errors
    /// When the tensor is no float.
    pub fn set_requires_grad(&self, on: bool) -> Result<()> {
        if on && !self.fact().dtype.is_float() {
            return Err(Error::dtype(format!("requires_grad: expected a float, received {}", self.fact())));
        }
        self.node.tracked.store(on, Ordering::Relaxed);
        Ok(())
    }

    /// The gradient that `backward()` left here.
    pub fn grad(&self) -> Option<Tensor> {
        self.node.state().grad.clone()
    }

    /// Sets or clears the gradient.
    pub fn set_grad(&self, grad: Option<Tensor>) {
        let old = std::mem::replace(&mut self.node.state().grad, grad);
        drop(old);
    }

    /// Adds the gradients of this scalar to `grad` of every leaf that asks for them, and lets go
    /// of its definition once they are computed.
    ///
    /// # Errors
    /// When the tensor depends on no such leaf, or is no scalar and no gradient is given.
    pub fn backward(&self, seed: Option<&Tensor>) -> Result<()> {
        if seed.is_none() && self.fact().shape.len() != 1 {
            return Err(Error::value(format!(
                "backward: expected a scalar or a gradient of shape {0}, received shape {0} without one",
                self.fact().shape
            )));
        }
        let leaves = extract::gradient_leaves(&self.node)?;
        if leaves.is_empty() {
            return Err(Error::state(
                "backward: this tensor depends on nothing that requires a gradient (or backward() has run already)",
            ));
        }
        let leaves: Vec<Tensor> = leaves.into_iter().map(Tensor::from_node).collect();
        let grads = self.gradients(&leaves, seed)?;
        for (leaf, grad) in leaves.iter().zip(grads) {
            let Some(grad) = grad else { continue };
            let sum = match leaf.grad() {
                Some(old) => old.apply_binary("add", &grad)?,
                None => grad,
            };
            leaf.set_grad(Some(sum));
        }
        self.node.released.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Records the gradients of this tensor with respect to `wrt`; `None` where it does not
    /// depend on one.
    pub fn gradients(&self, wrt: &[Tensor], seed: Option<&Tensor>) -> Result<Vec<Option<Tensor>>> {
        if !self.fact().dtype.is_float() {
            return Err(Error::dtype(format!("gradient: expected a float root, received {}", self.fact())));
        }
        let reached = extract::reaches(&self.node, wrt)?;
        let mut inputs = vec![self.clone()];
        inputs.extend(seed.map(|seed| seed.cast_float(self.fact().dtype)).transpose()?);
        inputs.extend(wrt.iter().zip(&reached).filter(|(_, r)| **r).map(|(w, _)| w.clone()));
        let mut index = 0;
        reached
            .iter()
            .map(|&r| {
                if !r {
                    return Ok(None);
                }
                let op = crate::ops::gradient::Gradient { index, seeded: seed.is_some() };
                index += 1;
                Self::apply(op, &inputs).map(Some)
            })
            .collect()
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = if self.is_realised() { "" } else { ", pending" };
        write!(f, "Tensor({}{state})", self.fact())
    }
}

/// What an op is recorded on.
struct Coerced {
    inputs: SmallVec<[Tensor; 3]>,
    fact: Fact,
    /// The type that the result is rounded to, if it is another.
    rounded: Option<DType>,
}

/// Brings inputs to the element types that the op takes, and infers its result.
fn coerce(op: &Op, inputs: &[Tensor]) -> Result<Coerced> {
    if !inputs.iter().any(|t| t.fact().dtype.is_storage()) {
        let (inputs, fact) = coerce_computed(op, inputs)?;
        return Ok(Coerced { inputs, fact, rounded: None });
    }
    if op.def().moves() {
        let facts: SmallVec<[Fact; 4]> = inputs.iter().map(|t| t.fact().clone()).collect();
        match op.def().infer(&facts) {
            Ok(fact) => return Ok(Coerced { inputs: inputs.iter().cloned().collect(), fact, rounded: None }),
            Err(e) if e.kind != ErrorKind::Type => return Err(e),
            // Of several types, for which there is a common one.
            Err(_) => {}
        }
    }
    let dtypes = inputs.iter().map(|t| t.fact().dtype);
    let common = dtypes.reduce(DType::promote).unwrap_or(DType::F32);
    let computed: SmallVec<[Tensor; 3]> =
        inputs.iter().map(|t| t.cast(t.fact().dtype.computed())).collect::<Result<_>>()?;
    let (inputs, fact) = coerce_computed(op, &computed)?;
    let rounded = (common.is_storage() && fact.dtype == common.computed()).then_some(common);
    Ok(Coerced { inputs, fact, rounded })
}

/// Integers of any type as indices, int32. Those beyond its range stay beyond every axis.
fn as_indices(indices: &Tensor) -> Result<Tensor> {
    let dtype = indices.fact().dtype;
    if !dtype.is_integer() || dtype == DType::I32 {
        return Ok(indices.clone());
    }
    let mut kept = indices.clone();
    for (bound, function) in [(i32::MAX, "minimum"), (i32::MIN, "maximum")] {
        if dtype.range().is_some_and(|(least, greatest)| least < bound.into() && i128::from(bound) < greatest) {
            kept = kept.apply_binary(function, &Tensor::integer(bound.into(), dtype)?)?;
        }
    }
    kept.cast(DType::I32)
}

/// The same for inputs of types that ops compute with.
fn coerce_computed(op: &Op, inputs: &[Tensor]) -> Result<(SmallVec<[Tensor; 3]>, Fact)> {
    let to =
        |list: &[Tensor], dtype: DType| list.iter().map(|t| t.cast(dtype)).collect::<Result<SmallVec<[Tensor; 3]>>>();
    let widest = |list: &[Tensor]| list.iter().map(|t| t.fact().dtype).reduce(DType::promote).unwrap_or(DType::F32);
    let mut inputs: SmallVec<[Tensor; 3]> = inputs.iter().cloned().collect();
    if let Some(indices) = op.def().indices().and_then(|place| inputs.get_mut(place)) {
        *indices = as_indices(indices)?;
    }
    if let (Op::MatMul(_), true) = (op, inputs.iter().all(|t| t.fact().dtype.is_integer())) {
        inputs = to(&inputs, widest(&inputs))?;
    }
    if let Op::Pointwise(f) = op
        && inputs.len() == f.row().arity
    {
        match f.row().typing {
            Typing::Number => {
                let dtype = match widest(&inputs) {
                    DType::Bool if *f != Function::Maximum && *f != Function::Minimum => DType::I32,
                    DType::Bool => DType::U8,
                    other => other,
                };
                inputs = to(&inputs, dtype)?;
            }
            Typing::Compare | Typing::Bits | Typing::Integer => inputs = to(&inputs, widest(&inputs))?,
            Typing::Float | Typing::FloatTest => inputs = to(&inputs, widest(&inputs).float())?,
            Typing::Logic => inputs = to(&inputs, DType::Bool)?,
            Typing::Select => {
                let dtype = widest(&inputs[1..]);
                inputs = std::iter::once(inputs[0].cast(DType::Bool))
                    .chain(inputs[1..].iter().map(|t| t.cast(dtype)))
                    .collect::<Result<_>>()?;
            }
            Typing::Any => {}
        }
    }
    let infer = |list: &[Tensor]| {
        let facts: SmallVec<[Fact; 4]> = list.iter().map(|t| t.fact().clone()).collect();
        op.def().infer(&facts)
    };
    match infer(&inputs) {
        Ok(fact) => Ok((inputs, fact)),
        // An op that refuses its element types is offered floats: images are bytes until then.
        Err(refused) if refused.kind == ErrorKind::Type => {
            let floats = to(&inputs, widest(&inputs).float())?;
            match infer(&floats) {
                Ok(fact) => Ok((floats, fact)),
                Err(_) => Err(refused),
            }
        }
        Err(e) => Err(e),
    }
}
