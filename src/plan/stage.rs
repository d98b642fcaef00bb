//! Stages: what runs between two barriers.

use smallvec::SmallVec;
use std::ops::Range;

/// Phases of one or more steps with as many chunks, as part of a stage.
pub(super) struct Part {
    /// (step, phase): a chunk runs all of them in order. More than one are a section, in which chunk i
    /// of a phase reads what chunk i of those before it wrote.
    pub phases: SmallVec<[(usize, usize); 1]>,
    /// The stage's chunk that is these phases' chunk 0.
    pub first: usize,
}

/// Phases of independent steps that run together: their chunks may run in any order.
#[derive(Default)]
pub(super) struct Stage {
    /// In order of `first`.
    pub parts: Vec<Part>,
    pub chunks: usize,
    /// Bytes of the arena that no value owns any more and the next wave's have not been written to: in debug
    /// builds a stage of its own, with one chunk and no parts, makes NaN of them.
    pub poisoned: Vec<Range<usize>>,
    /// Bytes behind the ranges of the wave before, which must be as they were poisoned: such a stage checks them.
    pub guards: Vec<Range<usize>>,
}

/// Operations and bytes that a thread gets through in about the time in which others learn that it has.
const TINY: u64 = 1 << 15;

/// Makes one stage of those that follow one another and have nothing to share out: one chunk, and beside it at most
/// tiny ones, which one thread then runs in order without meeting the others between them. `work` is what a (step,
/// phase) does. Returns with the stages where the commit begins.
pub(super) fn join(stages: Vec<Stage>, commit: usize, work: impl Fn(&(usize, usize)) -> u64) -> (Vec<Stage>, usize) {
    let of_part = |part: &Part| part.phases.iter().map(&work).sum::<u64>();
    let alone = |stage: &Stage| {
        let single = stage.parts.len() == stage.chunks && !stage.parts.is_empty();
        let (sum, largest) =
            stage.parts.iter().map(of_part).fold((0, 0), |(sum, most), work| (sum + work, most.max(work)));
        single && sum - largest <= TINY
    };
    let mut joined: Vec<Stage> = Vec::with_capacity(stages.len());
    // Whether the last stage is one that more can be joined to.
    let mut open = false;
    let mut joined_commit = None;
    for (at, mut stage) in stages.into_iter().enumerate() {
        if at == commit {
            (open, joined_commit) = (false, Some(joined.len()));
        }
        if !alone(&stage) {
            open = false;
            joined.push(stage);
            continue;
        }
        let phases = stage.parts.drain(..).flat_map(|part| part.phases);
        match joined.last_mut().filter(|_| open) {
            Some(last) => last.parts[0].phases.extend(phases),
            None => {
                stage.parts = vec![Part { phases: phases.collect(), first: 0 }];
                stage.chunks = 1;
                joined.push(stage);
            }
        }
        open = true;
    }
    let commit = joined_commit.unwrap_or(joined.len());
    (joined, commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    /// A stage whose parts have these chunks; its steps are numbered on from `step`.
    fn stage(step: usize, chunks: &[usize]) -> Stage {
        let mut stage = Stage::default();
        for (i, &count) in chunks.iter().enumerate() {
            stage.parts.push(Part { phases: smallvec![(step + i, 0)], first: stage.chunks });
            stage.chunks += count;
        }
        stage
    }

    /// Chunks and steps of each stage.
    fn shape(stages: &[Stage]) -> Vec<(usize, Vec<usize>)> {
        let steps = |part: &Part| part.phases.iter().map(|phase| phase.0).collect::<Vec<_>>();
        stages.iter().map(|s| (s.chunks, s.parts.iter().flat_map(steps).collect())).collect()
    }

    #[test]
    fn what_one_thread_does_anyway_is_one_stage() {
        let stages = || vec![stage(0, &[4]), stage(1, &[1]), stage(2, &[1, 1]), stage(4, &[1]), stage(5, &[2, 1])];
        let (joined, commit) = join(stages(), 5, |_| TINY);
        assert_eq!(shape(&joined), [(4, vec![0]), (1, vec![1, 2, 3, 4]), (3, vec![5, 6])]);
        assert_eq!(commit, 3);
        assert_eq!(joined[1].parts.len(), 1);
        // Two parts with something to do are shared out.
        let (joined, _) = join(stages(), 5, |_| TINY + 1);
        assert_eq!(shape(&joined), [(4, vec![0]), (1, vec![1]), (2, vec![2, 3]), (1, vec![4]), (3, vec![5, 6])]);
        // The commit begins a stage.
        let (joined, commit) = join(stages(), 3, |_| 0);
        assert_eq!(shape(&joined), [(4, vec![0]), (1, vec![1, 2, 3]), (1, vec![4]), (3, vec![5, 6])]);
        assert_eq!(commit, 2);
        // Stages that check memory stay as they are.
        let checking = Stage { chunks: 1, ..Stage::default() };
        let (joined, _) = join(vec![stage(0, &[1]), checking, stage(1, &[1])], 3, |_| 0);
        assert_eq!(shape(&joined), [(1, vec![0]), (1, vec![]), (1, vec![1])]);
    }
}
