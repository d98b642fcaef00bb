//! Groups that follow one another row by row: normalisations over the last axis, products of matrices and what is done to
//! their results. Cut into the same shares of rows they run as one section: a thread takes its rows through all of
//! them while they are in cache, and meets the others once.

use crate::backend::cpu::kernel::RowShares;
use crate::backend::cpu::kernels::chunked::is_uneven;
use crate::fusion::Group;
use crate::graph::{Graph, NodeId};
use smallvec::SmallVec;
use std::collections::{HashSet, VecDeque};

/// Bytes of the widest value of a share, about: beside it lie others and a panel of B.
const SHARE_BYTES: usize = 384 << 10;
/// Rows of a share, at least: each reads B whole.
const MIN_ROWS: usize = 48;
/// How far behind the first group that has not run another may lie that runs before it: what is made early takes memory longer.
const LOOKAHEAD: usize = 16;

/// Rows that a group can be cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// So many.
    Exactly(usize),
    /// Any of which this is a multiple.
    Divisors(usize),
}

/// Groups that follow one another.
#[derive(Default)]
struct Run {
    /// The rows of all, or what they divide while all groups are regions.
    rows: Option<Rows>,
    members: Vec<usize>,
    made: HashSet<NodeId>,
}

impl Run {
    /// Whether `group` reads what the run makes.
    fn follows(&self, group: &Group) -> bool {
        group.inputs.iter().any(|i| self.made.contains(i))
    }

    /// The rows of the run if `group`, which has `rows`, joins it.
    fn joined(&self, group: &Group, rows: Rows) -> Option<Rows> {
        // A product reads its second operand whole.
        let whole = group.anchor.is_some() && group.inputs.get(1).is_some_and(|i| self.made.contains(i));
        if whole || !self.follows(group) {
            return None;
        }
        Some(match (self.rows?, rows) {
            (Rows::Exactly(a), Rows::Exactly(b)) if a == b => rows,
            (Rows::Exactly(a), Rows::Divisors(b)) | (Rows::Divisors(b), Rows::Exactly(a)) if b % a == 0 => {
                Rows::Exactly(a)
            }
            (Rows::Divisors(a), Rows::Divisors(b)) => Rows::Divisors(gcd(a, b)),
            _ => return None,
        })
    }

    fn push(&mut self, k: usize, group: &Group, rows: Rows) {
        self.rows = Some(rows);
        self.members.push(k);
        self.made.extend(&group.outputs);
    }

    /// The shares of a run that is complete, if it is more than one group and has the rows.
    fn shares(&self, g: &Graph, groups: &[&Group], threads: usize) -> Option<RowShares> {
        let (Rows::Exactly(rows) | Rows::Divisors(rows)) = self.rows?;
        if self.members.len() < 2 {
            return None;
        }
        let outputs = self.members.iter().flat_map(|&k| &groups[k].outputs);
        let widest = outputs.map(|&o| g.fact(o).bytes()).max().unwrap_or(0);
        let mut shares = widest.div_ceil(SHARE_BYTES).max(threads);
        shares += usize::from(is_uneven(shares));
        (rows >= MIN_ROWS * shares).then_some(RowShares { rows, shares })
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The groups in an order in which they can run, and for each the shares that it is cut into, where it is one of several that
/// follow one another by rows. `rows` are what each can be cut into.
pub(super) fn find(
    g: &Graph,
    groups: &[&Group],
    rows: &[Option<Rows>],
    threads: usize,
) -> (Vec<usize>, Vec<Option<RowShares>>) {
    let mut shares = vec![None; groups.len()];
    let mut run = Run::default();
    let mut close = |run: &mut Run| {
        let run = std::mem::take(run);
        let found = run.shares(g, groups, threads);
        run.members.iter().for_each(|&k| shares[k] = found);
    };
    // What groups that have not run will make.
    let mut missing: HashSet<NodeId> = groups.iter().flat_map(|group| &group.outputs).copied().collect();
    let mut waiting: VecDeque<usize> = (0..groups.len()).collect();
    let mut order = Vec::with_capacity(groups.len());
    while let Some(&first) = waiting.front() {
        let ready = |&at: &usize| groups[waiting[at]].inputs.iter().all(|i| !missing.contains(i));
        let near = (0..waiting.len()).take_while(|&at| waiting[at] < first + LOOKAHEAD);
        // What can join the run does; else what is no part of any goes first, so that the next run finds all that it reads.
        let ready: SmallVec<[usize; LOOKAHEAD]> = near.filter(ready).collect();
        let joins = |&&at: &&usize| rows[waiting[at]].and_then(|own| run.joined(groups[waiting[at]], own)).is_some();
        let apart = |&&at: &&usize| rows[waiting[at]].is_none();
        let at = ready.iter().find(joins).or_else(|| ready.iter().find(apart)).or(ready.first()).map_or(0, |&at| at);
        let Some(k) = waiting.remove(at) else { break };
        groups[k].outputs.iter().for_each(|o| {
            missing.remove(o);
        });
        order.push(k);
        match rows[k] {
            Some(own) => {
                let joined = run.joined(groups[k], own);
                if joined.is_none() {
                    close(&mut run);
                }
                run.push(k, groups[k], joined.unwrap_or(own));
            }
            None if run.follows(groups[k]) => close(&mut run),
            None => {}
        }
    }
    close(&mut run);
    if shares.iter().all(Option::is_none) {
        order = (0..groups.len()).collect();
    }
    (order, shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::exec::code::Location;
    use crate::backend::cpu::exec::program::CpuProgram;
    use crate::backend::cpu::{Cpu, lower};
    use crate::backend::device::{Backend, Control, Program, Slot};
    use crate::dtype::DType;
    use crate::error::Result;
    use crate::fusion::{Limits, fuse};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::matmul::MatMul;
    use crate::ops::pointwise::Function;
    use crate::ops::pool2d::{Pool2d, PoolKind};
    use crate::ops::reduce::ReduceKind;
    use crate::ops::window::{Padding, Window};
    use crate::passes::optimise;
    use crate::schedule::{PlanOptions, Target};
    use crate::shape::{Fact, Shape};
    use crate::testing::{Rng, to_buffer, to_values};

    /// A layer of a transformer on `[images, tokens, 32]` with two heads.
    fn transformer(images: usize, tokens: usize) -> Result<Graph> {
        let mut g = Graph::new();
        let mut input = |shape: &[usize]| g.input(Fact::new(shape, DType::F32));
        let x = input(&[images, tokens, 32]);
        let weights = [32, 32, 32, 32, 96].map(|out| input(&[32, out]));
        let last = input(&[96, 32]);
        let normalised = |g: &mut Graph, x: NodeId| {
            let mean = g.mean(x, &[2], true)?;
            let centred = g.sub(x, mean)?;
            let squares = g.unary(Function::Square, centred)?;
            let variance = g.mean(squares, &[2], true)?;
            let variance = g.offset(variance, 1e-3)?;
            let scale = g.unary(Function::Rsqrt, variance)?;
            g.mul(centred, scale)
        };
        let matmul = |transpose_b| MatMul { transpose_a: false, transpose_b };
        let y = normalised(&mut g, x)?;
        let mut heads = Vec::new();
        for w in &weights[..3] {
            let h = g.apply(matmul(false), &[y, *w])?;
            let h = g.reshape(h, Shape::from([images, tokens, 2, 16]))?;
            heads.push(g.transpose(h, &[0, 2, 1, 3])?);
        }
        let scores = g.apply(matmul(true), &[heads[0], heads[1]])?;
        let most = g.reduce(ReduceKind::Max, scores, &[3], true)?;
        let scores = g.sub(scores, most)?;
        let powers = g.unary(Function::Exp, scores)?;
        let sums = g.sum(powers, &[3], true)?;
        let shares = g.div(powers, sums)?;
        let read = g.apply(matmul(false), &[shares, heads[2]])?;
        let read = g.transpose(read, &[0, 2, 1, 3])?;
        let read = g.reshape(read, Shape::from([images, tokens, 32]))?;
        let read = g.apply(matmul(false), &[read, weights[3]])?;
        let x = g.add(x, read)?;
        let y = normalised(&mut g, x)?;
        let y = g.apply(matmul(false), &[y, weights[4]])?;
        let y = g.unary(Function::Sigmoid, y)?;
        let y = g.apply(matmul(false), &[y, last])?;
        let y = g.add(x, y)?;
        g.set_outputs(vec![y]);
        Ok(g)
    }

    /// The program of `g` with sections, and without.
    fn programs(g: &Graph, threads: usize) -> [CpuProgram; 2] {
        let g = optimise(g).unwrap();
        let fusion = fuse(&g, &Limits::default(), true, &[]).unwrap();
        [true, false].map(|fuse| {
            let target = Target { threads, ..Cpu.target(0).unwrap() };
            let options = PlanOptions { target: Some(target), fuse, checks: true, ..PlanOptions::default() };
            lower::compile(&g, &fusion, &options).unwrap()
        })
    }

    /// For each stage that runs more than one step chunk by chunk, their number.
    fn sections(program: &CpuProgram) -> Vec<usize> {
        let parts = program.code.stages.iter().flat_map(|stage| &stage.parts).filter(|part| part.phases.len() > 1);
        let by_share = |&(step, _): &(usize, usize)| program.code.steps[step].kernel.section.is_some();
        parts.filter(|part| part.phases.iter().all(by_share)).map(|part| part.phases.len()).collect()
    }

    #[test]
    fn sections_of_rows_make_the_same_bits() {
        // Shares of rows begin and end within heads; some have one row of a head.
        for (images, tokens, threads) in [(3, 67, 4), (1, 401, 4), (5, 99, 3), (40, 53, 8)] {
            let g = transformer(images, tokens).unwrap();
            let inputs = Rng::new(7).inputs(&g);
            let run = |program: &CpuProgram| {
                let mut slots: Vec<Slot> =
                    inputs.iter().zip(g.inputs()).map(|(a, &i)| Slot::shared(to_buffer(a, g.fact(i)))).collect();
                let once = Control { poll: &|| false, profile: false, defer: false };
                let outputs = program.run(&mut slots, &once).unwrap().outputs;
                to_values(outputs[0].host().unwrap())
            };
            let [joined, apart] = programs(&g, threads);
            assert_eq!(run(&joined), run(&apart), "{images} images, {tokens} tokens, {threads} threads");
        }
    }

    #[test]
    fn shares_of_images_in_vectors_are_no_shares_of_rows() {
        // As many images and chunks on both sides, but shares of the pooling are whole vectors of images.
        let mut g = Graph::new();
        let mut input = |shape: &[usize]| g.input(Fact::new(shape, DType::F32));
        let (x, w, v) = (input(&[784, 8, 8, 4]), input(&[64, 64]), input(&[64, 10]));
        let window =
            Window { size: [2; 2], strides: [2; 2], dilation: [1; 2], padding: Padding::Valid, ceil_mode: false };
        let pool = Pool2d { kind: PoolKind::Max, window };
        let y = g.apply(pool, &[x]).unwrap();
        let mut y = g.reshape(y, Shape::from([784, 64])).unwrap();
        for weights in [w, v] {
            y = g.apply(MatMul { transpose_a: false, transpose_b: false }, &[y, weights]).unwrap();
        }
        g.set_outputs(vec![y]);
        for program in programs(&g, 16) {
            let found = |step: usize| program.code.steps[step].kernel.section.map(|section| section.lanes);
            let parts = program.code.stages.iter().flat_map(|stage| &stage.parts);
            for part in parts {
                let lanes: HashSet<_> = part.phases.iter().map(|&(step, _)| found(step)).collect();
                assert_eq!(lanes.len(), 1, "{}", program.describe());
            }
        }
    }

    #[test]
    fn long_sums_are_cut_along_k_and_not_by_rows() {
        let mut g = Graph::new();
        let (x, w) =
            (g.input(Fact::new([192, 1, 1, 4096], DType::F32)), g.input(Fact::new([1, 1, 4096, 80], DType::F32)));
        let most = g.reduce(ReduceKind::Max, x, &[3], true).unwrap();
        let y = g.sub(x, most).unwrap();
        let y = g.cast(y, DType::BF16).unwrap();
        let y = g.cast(y, DType::F32).unwrap();
        let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Valid, groups: 1 };
        let y = g.apply(conv, &[y, w]).unwrap();
        g.set_outputs(vec![y]);
        for program in programs(&g, 4) {
            let product = program.code.steps.iter().find(|step| step.kernel.name == "conv_gemm_1x1").unwrap();
            assert_eq!(product.kernel.section, None, "{}", program.describe());
        }
    }

    #[test]
    fn a_transformer_is_three_sections() {
        let [joined, apart] = programs(&transformer(3, 67).unwrap(), 4);
        // To the heads; scores to what is read; all behind it.
        assert_eq!(sections(&joined).len(), 3, "{}", joined.describe());
        assert!(sections(&joined).iter().all(|&steps| steps > 3), "{}", joined.describe());
        assert_eq!(sections(&apart), [0; 0]);
        // Threads keep to themselves all but what transposes read and make, and the result.
        let outputs = joined.code.steps.iter().flat_map(|step| &step.outputs);
        assert_eq!(outputs.filter(|at| matches!(at, Location::Shared(_))).count(), 9, "{}", joined.describe());
        // Too few rows for shares.
        assert_eq!(sections(&programs(&transformer(1, 9).unwrap(), 4)[0]), [0; 0]);
    }
}
