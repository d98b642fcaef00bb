//! Many independent pieces of work in a few threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` for each of `items`, in `threads` threads of which the calling one is the first.
///
/// An item is claimed by whoever is free, so that a slow one does not keep others waiting. The threads live as long as
/// the call: a forked child inherits none, and an idle process has none.
pub fn for_each<T: Send>(items: Vec<T>, threads: usize, work: impl Fn(usize, T) + Sync) {
    let helpers = threads.min(items.len()).saturating_sub(1);
    let cells: Vec<_> = items.into_iter().map(|item| std::sync::Mutex::new(Some(item))).collect();
    let next = AtomicUsize::new(0);
    let claim = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(index) else { break };
            let item = cell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            if let Some(item) = item {
                work(index, item);
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..helpers {
            let thread = std::thread::Builder::new().name(format!("cnnrs-data-{number}"));
            // Without a thread the others do its share.
            if thread.spawn_scoped(scope, claim).is_err() {
                break;
            }
        }
        claim();
    });
}

/// The processors that this process may use.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once_with_any_number_of_threads() {
        for threads in [0, 1, 2, 7, 40] {
            let mut out = vec![0usize; 23];
            for_each(out.iter_mut().collect(), threads, |index, cell| *cell += index + 1);
            assert_eq!(out, (1..=23).collect::<Vec<_>>());
        }
    }
}
