//! The memory planner: offsets in one arena for values that live for some steps.
//!
//! Values are placed in order of falling size, each at the lowest offset that no value alive at
//! the same time occupies (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural
//! Net Inference", greedy by size).

use crate::buffer::ALIGNMENT;

/// A value in need of a place: alive from step `first` to step `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Bytes.
    pub bytes: usize,
    /// The step that makes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

/// Offsets, in order of `values`, and the size of the arena.
pub fn plan(values: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(values[i].bytes), values[i].first, i));
    let mut offsets = vec![0; values.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(values.len());
    let mut size = 0;
    for &i in &order {
        let v = values[i];
        let bytes = v.bytes.next_multiple_of(ALIGNMENT);
        // `placed` is kept in order of offset, so the first gap that fits is the lowest.
        let mut offset = 0;
        for &j in &placed {
            let other = values[j];
            if other.first > v.last || v.first > other.last {
                continue;
            }
            if offsets[j] >= offset + bytes {
                break;
            }
            offset = offset.max(offsets[j] + other.bytes.next_multiple_of(ALIGNMENT));
        }
        offsets[i] = offset;
        size = size.max(offset + bytes);
        let at = placed.partition_point(|&j| offsets[j] <= offset);
        placed.insert(at, i);
    }
    (offsets, size)
}

/// Places in several arenas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arenas {
    /// In order of the values: an arena, and an offset there.
    pub places: Vec<(usize, usize)>,
    /// Bytes of each arena.
    pub sizes: Vec<usize>,
}

/// As [`plan`], in as many arenas of at most `limit` bytes as it takes. A value that exceeds the limit has an arena of its
/// own, or shares it with values that are alive at other times.
pub fn plan_within(values: &[Lifetime], limit: usize) -> Arenas {
    let mut arenas = Arenas { places: vec![(0, 0); values.len()], sizes: Vec::new() };
    let mut rest: Vec<usize> = (0..values.len()).collect();
    while !rest.is_empty() {
        let of_rest: Vec<Lifetime> = rest.iter().map(|&i| values[i]).collect();
        let (offsets, _) = plan(&of_rest);
        let (mut size, mut later) = (0, Vec::new());
        for (&i, offset) in rest.iter().zip(offsets) {
            let end = offset + values[i].bytes.next_multiple_of(ALIGNMENT);
            // At offset 0 there is always one, so that an arena takes something.
            if end <= limit || offset == 0 {
                arenas.places[i] = (arenas.sizes.len(), offset);
                size = size.max(end);
            } else {
                later.push(i);
            }
        }
        arenas.sizes.push(size);
        rest = later;
    }
    arenas
}

/// The most bytes that are alive at one step: no plan can do with less.
pub fn live_bound(values: &[Lifetime]) -> usize {
    let steps = values.iter().map(|v| v.last + 1).max().unwrap_or(0);
    let at = |s: usize| {
        let alive = values.iter().filter(|v| v.first <= s && s <= v.last);
        alive.map(|v| v.bytes.next_multiple_of(ALIGNMENT)).sum()
    };
    (0..steps).map(at).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_alive_together_do_not_overlap(raw in proptest::collection::vec((0usize..5000, 0usize..40, 0usize..10), 0..60)) {
            let values: Vec<Lifetime> =
                raw.iter().map(|&(bytes, first, len)| Lifetime { bytes, first, last: first + len }).collect();
            let (offsets, size) = plan(&values);
            for (i, a) in values.iter().enumerate() {
                prop_assert_eq!(offsets[i] % ALIGNMENT, 0);
                prop_assert!(offsets[i] + a.bytes <= size);
                for (j, b) in values.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    prop_assert!(!together || apart || a.bytes == 0 || b.bytes == 0);
                }
            }
            prop_assert!(size >= live_bound(&values));
        }

        #[test]
        fn arenas_keep_their_limit_and_values_apart(
            raw in proptest::collection::vec((0usize..5000, 0usize..40, 0usize..10), 0..60),
            limit in 1usize..20_000,
        ) {
            let values: Vec<Lifetime> =
                raw.iter().map(|&(bytes, first, len)| Lifetime { bytes, first, last: first + len }).collect();
            let Arenas { places, sizes } = plan_within(&values, limit);
            for (i, (a, &(arena, offset))) in values.iter().zip(&places).enumerate() {
                let end = offset + a.bytes.next_multiple_of(ALIGNMENT);
                prop_assert!(end <= sizes[arena] && (end <= limit || offset == 0));
                for (b, &(other, at)) in values.iter().zip(&places).skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last && arena == other;
                    let apart = offset + a.bytes <= at || at + b.bytes <= offset;
                    prop_assert!(!together || apart || a.bytes == 0 || b.bytes == 0);
                }
            }
            if plan(&values).1 <= limit {
                prop_assert_eq!(sizes.iter().sum::<usize>(), plan(&values).1);
            }
        }
    }

    #[test]
    fn a_chain_needs_two_places() {
        let values: Vec<Lifetime> = (0..10).map(|i| Lifetime { bytes: 640, first: i, last: i + 1 }).collect();
        assert_eq!(plan(&values).1, 1280);
    }
}
