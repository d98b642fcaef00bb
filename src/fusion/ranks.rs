//! An order in which clusters can run, kept while clusters are joined.

use super::clusters::Clusters;
use std::collections::HashSet;

/// A topological order of clusters: a cluster ranks behind those whose values it reads. Joining two clusters moves
/// only what ranks between them (Pearce and Kelly, "A dynamic topological sort algorithm for directed acyclic
/// graphs", ACM Journal of Experimental Algorithmics 11, 2006).
#[derive(Debug, Default)]
pub(super) struct Ranks(Vec<usize>);

/// What has to make room when two clusters become one.
pub(super) struct Between {
    /// Ranked between the two, and needed by the later one.
    before: Vec<usize>,
    /// Ranked between the two, and in need of the earlier one.
    after: Vec<usize>,
}

impl Ranks {
    /// Clusters `0..count` in the order of their numbers, which must be topological.
    pub fn new(count: usize) -> Self {
        Ranks((0..count).collect())
    }

    /// What has to make room if clusters `a` and `b` become one. `None` where a path leads from one to the other
    /// through a third: the joined cluster would wait for the third, and the third for it.
    pub fn between(&self, clusters: &Clusters, a: usize, b: usize) -> Option<Between> {
        let rank = &self.0;
        let (first, last) = if rank[a] < rank[b] { (a, b) } else { (b, a) };
        // Ranks grow along every path, so no path to `last` passes a cluster that ranks behind it.
        let mut seen = HashSet::new();
        let (mut after, mut stack) = (Vec::new(), vec![first]);
        while let Some(c) = stack.pop() {
            for next in clusters.successors(c) {
                if next == last && c != first {
                    return None;
                }
                if rank[next] < rank[last] && seen.insert(next) {
                    after.push(next);
                    stack.push(next);
                }
            }
        }
        seen.clear();
        let mut before = Vec::new();
        stack.push(last);
        while let Some(c) = stack.pop() {
            for next in clusters.predecessors(c) {
                if rank[next] > rank[first] && seen.insert(next) {
                    before.push(next);
                    stack.push(next);
                }
            }
        }
        Some(Between { before, after })
    }

    /// Makes `a` the cluster that `a` and `b` have become: it ranks behind all that either needs, and before all
    /// that needs either.
    pub fn join(&mut self, a: usize, b: usize, between: Between) {
        let Between { mut before, mut after } = between;
        let by_rank = |clusters: &mut Vec<usize>| clusters.sort_unstable_by_key(|&c| self.0[c]);
        by_rank(&mut before);
        by_rank(&mut after);
        // `b` keeps the rank that is left over; no cluster reads it any more.
        let order: Vec<usize> = before.into_iter().chain([a, b]).chain(after).collect();
        let mut ranks: Vec<usize> = order.iter().map(|&c| self.0[c]).collect();
        ranks.sort_unstable();
        for (c, rank) in order.into_iter().zip(ranks) {
            self.0[c] = rank;
        }
    }
}
