//! Expected values, and how far single precision may stray from them.
//!
//! Many graphs amplify rounding without bound, or decide by it: the reciprocal of a difference, the floor of a
//! quotient. So the interpreter runs again with values moved by a few roundings at every node; how far that moves an
//! output is how far a plan may. Where a step decides by a rounded value, what follows is not compared.

use cnnrs::graph::Graph;
use cnnrs::ops::pointwise::Function;
use cnnrs::ops::pool2d::PoolKind;
use cnnrs::ops::random::Distribution;
use cnnrs::ops::reduce::{Reduce, ReduceKind};
use cnnrs::ops::scan::Scan;
use cnnrs::ops::{Kind, Op, RefArray};
use cnnrs::testing::Rng;
use cnnrs::{DType, Error, Fact};

/// Relative size of the moves: eight roundings of single precision.
const MOVE: f64 = 1e-6;
/// Runs with moved values.
const SAMPLES: u64 = 2;
/// Difference that is allowed relative to an output's largest value, and as a multiple of what moves made.
const TOLERANCE: f64 = 2e-4;
const MULTIPLE: f64 = 30.0;

/// How well single precision knows a node's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// To the bit.
    Exact,
    /// Up to rounding.
    Rounded,
    /// Not at all: it depends on how something was rounded, or leaves the range in which rounding is relative.
    Unknown,
}

/// What an output is compared with.
pub enum Known<'a> {
    Not,
    Exactly(&'a RefArray),
    Within(&'a RefArray, f64),
}

/// Values of all outputs in double precision.
pub struct Expected {
    outputs: Vec<(RefArray, Class, f64)>,
}

impl Expected {
    /// The values for `inputs`.
    ///
    /// # Errors
    /// When an op refuses its data.
    pub fn new(g: &Graph, inputs: &[RefArray], seed: u64) -> Result<Expected, Error> {
        let mut classes = Vec::new();
        let values = interpret(g, inputs, &mut classes, None)?;
        let mut outputs: Vec<(RefArray, Class, f64)> =
            g.outputs().iter().map(|o| (values[o.index()].clone(), classes[o.index()], 0.0)).collect();
        if outputs.iter().all(|o| o.1 != Class::Rounded) {
            return Ok(Expected { outputs });
        }
        for sample in 0..SAMPLES {
            // Moved values may be refused where the originals were not; then nothing is said.
            let Ok(moved) = interpret(g, inputs, &mut classes, Some(&mut Rng::new(seed + sample * 256))) else {
                outputs.iter_mut().for_each(|o| o.1 = Class::Unknown);
                break;
            };
            for (&id, (value, class, spread)) in g.outputs().iter().zip(&mut outputs) {
                let far = moved[id.index()].iter().zip(value.iter()).map(|(a, b)| (a - b).abs());
                let far = far.fold(0.0, |m: f64, v| if v.is_nan() { f64::INFINITY } else { m.max(v) });
                *spread = spread.max(far);
                if !spread.is_finite() {
                    *class = Class::Unknown;
                }
            }
        }
        Ok(Expected { outputs })
    }

    /// What is known of output `k`.
    pub fn output(&self, k: usize) -> Known<'_> {
        let (value, class, spread) = &self.outputs[k];
        let largest = value.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
        match class {
            Class::Exact => Known::Exactly(value),
            Class::Rounded => Known::Within(value, TOLERANCE * largest + MULTIPLE * spread),
            Class::Unknown => Known::Not,
        }
    }
}

/// Values of all nodes. Without `moves` the nodes' classes are found on the way.
fn interpret(
    g: &Graph,
    inputs: &[RefArray],
    classes: &mut Vec<Class>,
    mut moves: Option<&mut Rng>,
) -> Result<Vec<RefArray>, Error> {
    let live = g.live();
    let mut values: Vec<RefArray> = Vec::new();
    for id in g.ids() {
        let node = g.node(id);
        let value = match &node.op {
            Op::Input(input) => inputs[input.index].clone(),
            _ if !live[id.index()] => RefArray::zeros(&*node.fact.shape),
            op => {
                let mut arguments: Vec<RefArray> = node.inputs.iter().map(|i| values[i.index()].clone()).collect();
                if let Some(rng) = &mut moves
                    && matches!(op.def().kind(), Kind::Heavy | Kind::Reduce)
                    && classes[id.index()] == Class::Rounded
                {
                    // Sums of products err by their largest terms.
                    for argument in &mut arguments {
                        let largest = argument.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                        argument.mapv_inplace(|v| v + MOVE * largest * rng.unit());
                    }
                }
                let facts: Vec<Fact> = node.inputs.iter().map(|&i| g.fact(i).clone()).collect();
                let arguments: Vec<&RefArray> = arguments.iter().collect();
                let mut value = op.def().reference(&arguments, &facts, &node.fact)?;
                assert_eq!(value.shape(), &*node.fact.shape, "the reference of {op:?}");
                match &mut moves {
                    Some(rng) if classes[id.index()] == Class::Rounded => {
                        value.mapv_inplace(|v| v * (1.0 + MOVE * rng.unit()));
                    }
                    _ => {}
                }
                value
            }
        };
        if moves.is_none() {
            let before: Vec<Class> = node.inputs.iter().map(|i| classes[i.index()]).collect();
            let facts: Vec<Fact> = node.inputs.iter().map(|&i| g.fact(i).clone()).collect();
            let class = class(&node.op, &before, &facts);
            classes.push(limited(class, &node.op, &value, node.fact.dtype));
        }
        values.push(value);
    }
    Ok(values)
}

/// The class of what `op` makes of inputs of these classes, by the op alone.
fn class(op: &Op, before: &[Class], facts: &[Fact]) -> Class {
    let worst = before.iter().copied().max().unwrap_or(Class::Exact);
    // Decides by its inputs: an exact answer for exact ones, else any.
    let decides = if worst == Class::Exact { Class::Exact } else { Class::Unknown };
    let rounds = worst.max(Class::Rounded);
    let whole = facts.iter().all(|f| !f.dtype.is_float());
    match op {
        Op::Pointwise(f) => pointwise(*f, before, worst, decides, if whole { worst } else { rounds }, whole),
        Op::Cast(cast) if facts[0].dtype.is_float() && !cast.dtype.is_float() => decides,
        Op::Cast(_) => worst,
        Op::Reduce(Reduce { kind, .. }) | Op::Scan(Scan { kind, .. }) => match kind {
            ReduceKind::Max | ReduceKind::Min => worst,
            ReduceKind::Sum | ReduceKind::Prod => {
                if whole {
                    worst
                } else {
                    rounds
                }
            }
        },
        Op::Random(r) if r.distribution == Distribution::Normal => rounds,
        Op::Random(_) | Op::OneHot(_) | Op::ArgReduce(_) | Op::Argsort(_) => decides,
        Op::Gather(_) => picked(before[1], before[0]),
        Op::Scatter(_) => picked(before[1], rounds),
        Op::Pool2d(p) if p.kind == PoolKind::Max => worst,
        Op::Pool2dGrad(p) if p.pool.kind == PoolKind::Max => picked(before[0], rounds),
        Op::MaxPool2dPick(_) => picked(before[0], before[1]),
        Op::MatMul(_)
        | Op::Conv2d(_)
        | Op::Conv2dInputGrad(_)
        | Op::Conv2dFilterGrad(_)
        | Op::Pool2d(_)
        | Op::Pool2dGrad(_)
        | Op::Fft(_)
        | Op::ChannelStats(_) => rounds,
        // Chooses by overlaps, which round.
        Op::NonMaxSuppression(_) => Class::Unknown,
        Op::Composite(_) | Op::Conv2dTranspose(_) | Op::Gradient(_) | Op::Linalg(_) => Class::Unknown,
        Op::Input(_)
        | Op::Constant(_)
        | Op::Reshape(_)
        | Op::BroadcastTo(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Concat(_)
        | Op::StopGradient(_)
        | Op::Iota(_) => worst,
    }
}

/// The class of values of class `of` at places that values of class `by` choose.
fn picked(by: Class, of: Class) -> Class {
    if by == Class::Exact { of } else { Class::Unknown }
}

fn pointwise(f: Function, before: &[Class], worst: Class, decides: Class, rounds: Class, whole: bool) -> Class {
    use Function as F;
    match f {
        F::Identity | F::Neg | F::Abs | F::Relu | F::Maximum | F::Minimum => worst,
        F::Where => picked(before[0], worst),
        F::Sign
        | F::Floor
        | F::Ceil
        | F::Round
        | F::LogicalNot
        | F::LogicalAnd
        | F::LogicalOr
        | F::LogicalXor
        | F::IsNan
        | F::IsInf
        | F::IsFinite
        | F::Equal
        | F::NotEqual
        | F::Less
        | F::LessEqual
        | F::Greater
        | F::GreaterEqual => decides,
        // The interpreter divides whole numbers as it divides others, and by 0.
        F::FloorDiv | F::Mod => Class::Unknown,
        F::Pow if whole => Class::Unknown,
        _ => rounds,
    }
}

/// `class` if the values are where it means anything: plain numbers that are neither huge nor tiny, integers that
/// have not left their range, floats for whole numbers that have one each.
fn limited(class: Class, op: &Op, value: &RefArray, dtype: DType) -> Class {
    if matches!(op, Op::Input(_)) {
        return class;
    }
    let edge = |v: f64| v.abs() >= f64::from(i32::MAX);
    let odd = |v: f64| !v.is_finite() || v.abs() > 1e30 || (v != 0.0 && v.abs() < 1e-30);
    match (class, dtype) {
        (Class::Exact, DType::I32) if value.iter().any(|&v| edge(v)) => Class::Unknown,
        (Class::Exact, DType::F32) if matches!(op, Op::Cast(_)) && value.iter().any(|v| v.abs() > 16_777_216.0) => {
            Class::Rounded
        }
        (Class::Rounded, _) if value.iter().any(|&v| odd(v)) => Class::Unknown,
        _ => class,
    }
}
