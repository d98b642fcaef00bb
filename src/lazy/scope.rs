//! What nodes recorded on this thread are named after, and how they are recorded: the layer or line that makes
//! them, whether gradients are tracked, and whether the program is debugged.

use crate::graph::Origin;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static TRACKING: Cell<bool> = const { Cell::new(true) };
    static SCOPE: RefCell<Vec<Arc<str>>> = const { RefCell::new(Vec::new()) };
    static ORIGIN: RefCell<Origin> = const { RefCell::new(None) };
    static CALL: RefCell<Origin> = const { RefCell::new(None) };
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
pub struct LayerScope(());

impl LayerScope {
    /// Enters the layer `name`.
    pub fn enter(name: &str) -> Self {
        SCOPE.with_borrow_mut(|scope| {
            scope.push(name.into());
            ORIGIN.set(Some(scope.join("/").into()));
        });
        LayerScope(())
    }
}

impl Drop for LayerScope {
    fn drop(&mut self) {
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
