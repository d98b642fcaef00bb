//! What nodes recorded on this thread are named after, and how they are recorded: the layer or line that makes
//! them, the type in which a layer reads its weights, whether gradients are tracked, and whether the program is debugged.

use super::tensor::Tensor;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Origin;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static TRACKING: Cell<bool> = const { Cell::new(true) };
    static SCOPE: RefCell<Vec<Arc<str>>> = const { RefCell::new(Vec::new()) };
    static ORIGIN: RefCell<Origin> = const { RefCell::new(None) };
    static CALL: RefCell<Origin> = const { RefCell::new(None) };
    static AUTOCAST: Cell<Option<DType>> = const { Cell::new(None) };
}

/// The type that a float variable of type `dtype` is read in: that of the layer that is being called, if it has one.
pub fn read_type(dtype: DType) -> DType {
    AUTOCAST.get().filter(|_| dtype.is_float()).unwrap_or(dtype)
}

/// The value of a variable as the layer that is being called reads it; see [`LayerScope::enter_as`].
///
/// # Errors
/// When there is no memory to record the cast.
pub fn autocast(value: Tensor) -> Result<Tensor> {
    let dtype = read_type(value.fact().dtype);
    value.cast_loosely(dtype)
}

/// Whether the layer that is being called computes in a type that is storage.
pub(super) fn computes_in_16_bits() -> bool {
    AUTOCAST.get().is_some_and(DType::is_storage)
}

/// The layer that is being called.
pub(super) fn current_layer() -> Origin {
    ORIGIN.with_borrow(Clone::clone)
}

/// What nodes made now are named after: the layer, or else the line that calls.
pub(super) fn current_origin() -> Origin {
    current_layer().or_else(|| CALL.with_borrow(Clone::clone))
}

/// Names the line of a program that makes nodes while the value lives. Layers go before lines.
pub struct CallSite(());

impl CallSite {
    /// The place that `find` gives, `train.py:12`; asked only outside layers.
    pub fn enter(find: impl FnOnce() -> Origin) -> Self {
        if ORIGIN.with_borrow(Option::is_none) {
            CALL.set(find());
        }
        CallSite(())
    }
}

impl Drop for CallSite {
    fn drop(&mut self) {
        CALL.set(None);
    }
}

/// Names the layer under which nodes are made while the value lives.
pub struct LayerScope {
    /// The type in which variables were read outside.
    outside: Option<DType>,
}

impl LayerScope {
    /// Enters the layer `name`, which reads variables as they are.
    pub fn enter(name: &str) -> Self {
        Self::enter_as(name, None)
    }

    /// Enters the layer `name`. What of it goes through [`autocast`] are float variables in type `dtype`, if there is one.
    pub fn enter_as(name: &str, dtype: Option<DType>) -> Self {
        SCOPE.with_borrow_mut(|scope| {
            scope.push(name.into());
            ORIGIN.set(Some(scope.join("/").into()));
        });
        LayerScope { outside: AUTOCAST.replace(dtype) }
    }
}

impl Drop for LayerScope {
    fn drop(&mut self) {
        AUTOCAST.set(self.outside);
        SCOPE.with_borrow_mut(|scope| {
            scope.pop();
            ORIGIN.set(if scope.is_empty() { None } else { Some(scope.join("/").into()) });
        });
    }
}

/// Switches gradient tracking on this thread off while the value lives.
pub struct NoGrad(bool);

impl NoGrad {
    /// Stops tracking.
    pub fn enter() -> Self {
        NoGrad(TRACKING.replace(false))
    }
}

impl Drop for NoGrad {
    fn drop(&mut self) {
        TRACKING.set(self.0);
    }
}

static DEBUG: AtomicBool = AtomicBool::new(false);

/// In debug mode every op is computed as it is recorded, unfused, and the first one that makes a
/// NaN is an error that names its layer.
pub fn set_debug(on: bool) {
    DEBUG.store(on, Ordering::Relaxed);
}

/// Whether debug mode is on.
pub fn debugging() -> bool {
    DEBUG.load(Ordering::Relaxed)
}

/// Whether gradients are tracked on this thread.
pub(super) fn tracking() -> bool {
    TRACKING.get()
}
