//! What outlasts runs: folded and packed filters, shared by all plans of the process that read them alike.
//!
//! A value that depends on constant inputs alone is made once. Which value it is follows from how it is computed and
//! packed, its [`Recipe`], and from the buffers that it comes from. Plans for other batches or images mostly ask for
//! the same ones, and get them. All of them together are bounded: when they exceed [`limit`], the bindings used longest
//! ago let go of theirs, and make them again when they run next. A binding that exceeds it alone keeps nothing between
//! runs.

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::schedule::prelude::Recipe;
use crate::value::Value;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Bytes of [`limit`] where neither [`set_limit`] nor the environment says otherwise.
const DEFAULT_LIMIT: usize = 1 << 30;

/// The environment variable that sets the limit.
const LIMIT_VARIABLE: &str = "CNNRS_PACKED_BYTES";

/// The value of a recipe, made of certain buffers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    recipe: Arc<Recipe>,
    /// Addresses of the buffers. As long as the item lives, no other buffer takes one of them.
    from: SmallVec<[usize; 4]>,
}

impl Key {
    pub(crate) fn new(recipe: &Arc<Recipe>, from: &[&Arc<Value>]) -> Self {
        Key { recipe: recipe.clone(), from: from.iter().map(|b| Arc::as_ptr(b) as usize).collect() }
    }
}

/// A made value. It stays as long as a binding has it.
pub(crate) struct Item {
    buffer: Option<Buffer>,
    /// The versions that it came from. As long as the references stand, no other buffer takes their
    /// addresses, and nobody writes to the buffers in place.
    _from: SmallVec<[Weak<Value>; 4]>,
}

impl Item {
    pub(crate) fn new(buffer: Buffer, from: &[&Arc<Value>]) -> Self {
        BYTES.fetch_add(buffer.fact().bytes(), Ordering::Relaxed);
        Item { buffer: Some(buffer), _from: from.iter().map(|b| Arc::downgrade(b)).collect() }
    }

    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.buffer.as_ref().map_or(std::ptr::null_mut(), |b| b.as_ptr().cast_mut())
    }

    /// Its memory, for another value.
    pub(crate) fn into_buffer(mut self) -> Option<Buffer> {
        self.forget()
    }

    fn forget(&mut self) -> Option<Buffer> {
        let buffer = self.buffer.take()?;
        BYTES.fetch_sub(buffer.fact().bytes(), Ordering::Relaxed);
        Some(buffer)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        drop(self.forget());
    }
}

/// What a binding has.
pub(crate) struct Prepared {
    /// The versions of all inputs that the prelude reads.
    pub(crate) from: Vec<Weak<Value>>,
    pub(crate) items: Arc<Vec<Arc<Item>>>,
}

impl Prepared {
    /// Whether it was made of these buffers.
    pub(crate) fn is_of(&self, from: &[&Arc<Value>]) -> bool {
        self.from.iter().map(Weak::as_ptr).eq(from.iter().map(|b| Arc::as_ptr(b)))
    }

    /// For each item, its memory if nobody else has it.
    pub(crate) fn into_buffers(self) -> Vec<Option<Buffer>> {
        let items = Arc::into_inner(self.items).unwrap_or_default();
        items.into_iter().map(|item| Arc::into_inner(item)?.into_buffer()).collect()
    }

    /// Whether a version that it came from is no longer there, so that no run asks for it again.
    fn is_stale(&self) -> bool {
        self.from.iter().any(|version| version.strong_count() == 0)
    }
}

/// What one binding has, under a number of its own. One lock guards all of them, so that a fork finds them at rest.
pub(crate) struct Holder(u64);

impl Holder {
    /// A holder of nothing.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Holder(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// What it has of these versions; or else what it had of others, which it has no longer.
    pub(crate) fn items(&self, from: &[&Arc<Value>]) -> std::result::Result<Arc<Vec<Arc<Item>>>, Option<Prepared>> {
        let mut store = store();
        store.clock += 1;
        let now = store.clock;
        match store.holders.get_mut(&self.0) {
            Some(kept) if kept.prepared.is_of(from) => {
                kept.used = now;
                Ok(kept.prepared.items.clone())
            }
            _ => Err(store.holders.remove(&self.0).map(|kept| kept.prepared)),
        }
    }

    /// Keeps what was just made for it and lets others find it. While all of them exceed `limit` bytes, the other
    /// holders let go of theirs, those used longest ago first.
    pub(crate) fn keep(&self, prepared: Prepared, keys: Vec<Key>, limit: usize) {
        let mut dropped = Vec::new();
        let mut store = store();
        store.items.retain(|_, item| item.strong_count() > 0);
        store.items.extend(keys.into_iter().zip(prepared.items.iter().map(Arc::downgrade)));
        store.clock += 1;
        let used = store.clock;
        dropped.extend(store.holders.insert(self.0, Kept { prepared, used }));
        let stale = store.holders.extract_if(|_, kept| kept.prepared.is_stale());
        dropped.extend(stale.map(|(_, kept)| kept));
        dropped.clear();
        store.shrink(limit, Some(self.0));
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let held = store().holders.remove(&self.0);
        drop(held);
    }
}

struct Kept {
    prepared: Prepared,
    /// When it was asked for last, by the store's clock.
    used: u64,
}

#[derive(Default)]
struct Store {
    items: HashMap<Key, Weak<Item>>,
    holders: HashMap<u64, Kept>,
    clock: u64,
}

impl Store {
    /// Has holders but `kept` let go, those used longest ago first, while all of them exceed `limit` bytes. What
    /// a run reads goes when it ends.
    fn shrink(&mut self, limit: usize, kept: Option<u64>) {
        while BYTES.load(Ordering::Relaxed) > limit {
            let others = self.holders.iter().filter(|(id, _)| Some(**id) != kept);
            let Some((&oldest, _)) = others.min_by_key(|(_, kept)| kept.used) else { break };
            self.holders.remove(&oldest);
        }
    }
}

static STORE: LazyLock<Mutex<Store>> = LazyLock::new(Mutex::default);
/// Bytes of all items.
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// What `set_limit` was told; `UNSET` before.
static LIMIT: AtomicUsize = AtomicUsize::new(UNSET);
const UNSET: usize = usize::MAX;

fn store() -> MutexGuard<'static, Store> {
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The items of `keys` that some binding has.
pub(crate) fn find(keys: &[Key]) -> Vec<Option<Arc<Item>>> {
    let store = store();
    keys.iter().map(|key| store.items.get(key)?.upgrade()).collect()
}

/// The lock of what is kept, for a fork.
pub(crate) fn lock() -> Box<dyn std::any::Any> {
    Box::new(store())
}

/// Has all bindings let go of what they have.
pub(crate) fn release() {
    let holders = std::mem::take(&mut store().holders);
    drop(holders);
}

/// Bytes of folded and packed values that outlast runs.
pub fn bytes() -> usize {
    BYTES.load(Ordering::Relaxed)
}

/// The most bytes that such values may have together, before those used longest ago go. What a run needs stays
/// until its end. 1 GiB unless `CNNRS_PACKED_BYTES` or [`set_limit`] says otherwise.
///
/// # Errors
/// `Value` when the environment variable is no number of bytes.
pub fn limit() -> Result<usize> {
    static FROM_ENVIRONMENT: OnceLock<Result<usize>> = OnceLock::new();
    let parse = || match std::env::var(LIMIT_VARIABLE) {
        Ok(text) if !text.trim().is_empty() => text
            .trim()
            .parse()
            .map_err(|_| Error::value(format!("{LIMIT_VARIABLE}: expected a number of bytes, received {text:?}"))),
        _ => Ok(DEFAULT_LIMIT),
    };
    match LIMIT.load(Ordering::Relaxed) {
        UNSET => FROM_ENVIRONMENT.get_or_init(parse).clone(),
        bytes => Ok(bytes),
    }
}

/// Drops what exceeds the limit now that a run has ended.
pub(crate) fn trim() {
    // A limit that cannot be read has already been an error, where the values were made.
    if let Ok(limit) = limit()
        && bytes() > limit
    {
        store().shrink(limit, None);
    }
}

/// Sets [`limit`]. What exceeds it goes at once.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes.min(UNSET - 1), Ordering::Relaxed);
    store().shrink(bytes, None);
}
