//! The cache of plans: equal graphs are compiled once.

use super::{Plan, PlanOptions, resolved};
use crate::error::Result;
use crate::graph::Graph;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Bytes of plans that the cache keeps.
const MAX_PLAN_BYTES: usize = 64 << 20;

/// Bytes of a plan's code per graph node, roughly.
const PLAN_BYTES_PER_NODE: usize = 4096;

type PlanKey = (Arc<Graph>, PlanOptions);

struct CachedPlan {
    plan: Arc<Plan>,
    /// When it was asked for last.
    used: u64,
    bytes: usize,
}

struct Cache {
    plans: HashMap<PlanKey, CachedPlan>,
    clock: u64,
    bytes: usize,
}

impl Cache {
    /// Drops the plans used longest ago until the others fit into `limit` bytes; one always stays.
    fn shrink(&mut self, limit: usize) {
        while self.bytes > limit && self.plans.len() > 1 {
            let Some(oldest) = self.plans.iter().min_by_key(|(_, p)| p.used).map(|(k, _)| k.clone()) else { return };
            self.bytes -= self.plans.remove(&oldest).map_or(0, |p| p.bytes);
        }
    }
}

static CACHE: LazyLock<Mutex<Cache>> =
    LazyLock::new(|| Mutex::new(Cache { plans: HashMap::new(), clock: 0, bytes: 0 }));

thread_local! {
    static COMPILED: RefCell<Option<Arc<Graph>>> = const { RefCell::new(None) };
}

/// The graph that this thread compiled a plan for last, if it did since the last call.
pub fn take_compiled() -> Option<Arc<Graph>> {
    COMPILED.take()
}

/// The plan of `graph`, compiled unless an equal graph was compiled before. The cache keeps the
/// plans used last, within a bound in bytes.
pub(crate) fn cached_plan(graph: Arc<Graph>, options: &PlanOptions) -> Result<Arc<Plan>> {
    let mut lookup = (graph, resolved(options)?);
    {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        cache.clock += 1;
        let now = cache.clock;
        if let Some(found) = cache.plans.get_mut(&lookup) {
            found.used = now;
            return Ok(found.plan.clone());
        }
    }
    if let Some(graph) = Arc::get_mut(&mut lookup.0) {
        graph.shrink_to_fit();
    }
    let plan = Arc::new(Plan::compile(&lookup.0, &lookup.1)?);
    COMPILED.set(Some(lookup.0.clone()));
    let bytes = lookup.0.nodes().len() * PLAN_BYTES_PER_NODE + plan.held_bytes();
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let used = cache.clock;
    cache.bytes += bytes;
    if let Some(twin) = cache.plans.insert(lookup, CachedPlan { plan: plan.clone(), used, bytes }) {
        // Another thread compiled it meanwhile.
        cache.bytes -= twin.bytes;
    }
    cache.shrink(MAX_PLAN_BYTES);
    Ok(plan)
}

/// The lock of the cache of plans, for a fork.
pub(crate) fn lock() -> Box<dyn std::any::Any> {
    Box::new(CACHE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Drops cached plans and what outlasts runs (folded and packed filters), and gives the memory that runs borrow back to
/// the system. What is needed again is made again.
pub fn release_memory() {
    let plans = {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        cache.bytes = 0;
        std::mem::take(&mut cache.plans)
    };
    drop(plans);
    crate::backend::release_memory();
    // What was freed in between blocks that are in use stays with the allocator otherwise.
    // SAFETY: the function has no precondition.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Number of plans in the cache.
pub fn cached_plans() -> usize {
    CACHE.lock().unwrap_or_else(PoisonError::into_inner).plans.len()
}
