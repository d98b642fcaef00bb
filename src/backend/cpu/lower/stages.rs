//! Stages: which phases of which steps run between two barriers.

use crate::backend::cpu::exec::code::{Part, Stage};
use crate::backend::cpu::kernel::Lowered;
use crate::error::Result;
use crate::reserve;
use crate::schedule::Step;
use crate::schedule::memory::Lifetime;
use smallvec::smallvec;
use std::collections::HashMap;
use std::ops::Range;

/// Bytes behind every range of the arena that nobody may write, in checked code.
pub(super) const GUARD: usize = 64;

/// Values of the arena for which checked code has stages of its own.
pub(super) struct Checked<'a> {
    /// As they are, without guards.
    pub lifetimes: &'a [Lifetime],
    /// Where they lie.
    pub offsets: &'a [usize],
}

impl Checked<'_> {
    /// The ranges of what is first alive in `wave`, each with its guard.
    fn fresh(&self, wave: usize) -> Vec<Range<usize>> {
        let fresh = self.lifetimes.iter().zip(self.offsets).filter(|(v, _)| v.bytes > 0 && v.first == wave);
        fresh.map(|(v, &offset)| offset..offset + v.bytes + GUARD).collect()
    }

    /// The bytes behind what is alive in `wave`.
    fn guards(&self, wave: usize) -> Vec<Range<usize>> {
        let alive = |(v, _): &(&Lifetime, &usize)| v.bytes > 0 && v.first <= wave && wave <= v.last;
        let alive = self.lifetimes.iter().zip(self.offsets).filter(alive);
        alive.map(|(v, &offset)| offset + v.bytes..offset + v.bytes + GUARD).collect()
    }
}

/// The stages of steps in order, of which those from `commit_from` on commit, and the stage where the commit begins.
pub(super) fn stages(
    steps: &[Step<Lowered>],
    waves: &[usize],
    commit_from: usize,
    checked: Option<&Checked>,
) -> Result<(Vec<Stage>, usize)> {
    let mut stages: Vec<Stage> = Vec::new();
    let mut commit_stage = None;
    // The stage in which the current wave begins.
    let mut base = 0;
    // For each wave, the stage (from its first) in which its sections run.
    let mut section_stage: HashMap<usize, usize> = HashMap::new();
    for (step, &wave) in steps.iter().zip(waves) {
        if let Some(section) = &step.code.section {
            let stage = section_stage.entry(wave).or_default();
            *stage = section.phase.max(*stage);
        }
    }
    // Sections of the current wave: images, images of a vector, chunks, stage and part.
    let mut sections: Vec<([usize; 4], usize)> = Vec::new();
    for (s, step) in steps.iter().enumerate() {
        reserve::check()?;
        if s == 0 || waves[s] != waves[s - 1] {
            if let Some(checked) = checked {
                let guards = if s == 0 { Vec::new() } else { checked.guards(waves[s - 1]) };
                stages.push(Stage { chunks: 1, poisoned: checked.fresh(waves[s]), guards, ..Stage::default() });
            }
            base = stages.len();
            sections.clear();
        }
        if s == commit_from {
            commit_stage = Some(base);
        }
        for (phase, code) in step.code.phases.iter().enumerate() {
            let section = step.code.section.as_ref();
            let at = match section {
                Some(section) if phase >= section.phase => base + section_stage[&waves[s]] + (phase - section.phase),
                _ => base + phase,
            };
            while at >= stages.len() {
                stages.push(Stage::default());
            }
            let stage = &mut stages[at];
            let shares = section.filter(|section| section.phase == phase).map(|x| [x.images, x.lanes, code.chunks, at]);
            if let Some(&(_, part)) = sections.iter().find(|(key, _)| Some(*key) == shares) {
                stage.parts[part].phases.push((s, phase));
                continue;
            }
            // A part without chunks would hide the one that begins where it does.
            if code.chunks > 0 {
                sections.extend(shares.map(|key| (key, stage.parts.len())));
                stage.parts.push(Part { phases: smallvec![(s, phase)], first: stage.chunks });
                stage.chunks += code.chunks;
            }
        }
    }
    let commit_stage = commit_stage.unwrap_or(stages.len());
    if let Some(checked) = checked {
        let guards = waves.last().map_or(Vec::new(), |&wave| checked.guards(wave));
        stages.push(Stage { chunks: 1, guards, ..Stage::default() });
    }
    Ok((stages, commit_stage))
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
