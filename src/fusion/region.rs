//! A region: a straight-line pointwise program over one iteration space, with what it stores and
//! reduces. Fusion makes regions; backends run them, alone or attached to a heavy kernel.

use crate::dtype::DType;
use crate::ops::pointwise::Function;
use crate::ops::reduce::ReduceKind;
use crate::shape::{Dims, Shape};
use smallvec::SmallVec;

/// Where an instruction finds an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    /// Element of an operand (a buffer), read through its strides.
    Operand(u16),
    /// Element of the heavy kernel's tile that the region is attached to.
    Anchor,
    /// Result of an earlier instruction.
    Result(u16),
    /// A literal, as the bits of an f64.
    Literal(u64),
}

impl Arg {
    /// A literal argument.
    pub fn literal(value: f64) -> Self {
        Arg::Literal(value.to_bits())
    }
}

/// A buffer that a region reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// Element type in memory.
    pub dtype: DType,
    /// Elements to step per iteration axis; 0 where the operand is broadcast.
    pub strides: Dims,
}

/// One pointwise function application. Its result is rounded to `dtype`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instruction {
    /// What to apply.
    pub function: Function,
    /// Arguments, as many as the function's arity.
    pub args: SmallVec<[Arg; 3]>,
    /// Element type of the arguments (of the last argument for `where`).
    pub input_dtype: DType,
    /// Element type of the result.
    pub dtype: DType,
}

/// A reduction of a value over `Region::reduce_axes`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduction {
    /// What is reduced.
    pub source: Arg,
    /// Its element type.
    pub dtype: DType,
    /// How.
    pub kind: ReduceKind,
}

/// A straight-line pointwise program with its outputs. Outputs are numbered stores first, then
/// reductions, then moments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Region {
    /// The iteration space: the broadcast shape of everything in the region.
    pub shape: Shape,
    /// Buffers read, in the order of `Arg::Operand`.
    pub operands: Vec<Operand>,
    /// The program, in order.
    pub code: Vec<Instruction>,
    /// Values written out, one full-size contiguous tensor each, with their element type.
    pub stores: Vec<(Arg, DType)>,
    /// Axes that `reductions` sum over (sorted); every other axis is kept.
    pub reduce_axes: SmallVec<[usize; 6]>,
    /// Reductions, one output of the kept extents each.
    pub reductions: Vec<Reduction>,
    /// Values (float32) whose mean and biased variance per channel are measured, one output (2, channels)
    /// each. Only regions attached to a heavy op have any.
    pub moments: Vec<Arg>,
}

impl Region {
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.stores.len() + self.reductions.len() + self.moments.len()
    }

    /// The type in which the anchor's elements lie in memory, where the region is a prologue: one of 16 bits, if that is what
    /// the program widens first, else float32.
    pub fn anchor_dtype(&self) -> DType {
        let widens = |i: &&Instruction| i.args.as_slice() == [Arg::Anchor] && i.input_dtype.is_storage();
        self.code.iter().find(widens).map_or(DType::F32, |i| i.input_dtype)
    }

    /// Whether an operand of these strides has an element for each of the region's, in the region's order.
    pub fn is_straight(&self, strides: &[usize]) -> bool {
        let straight = self.shape.strides();
        strides.iter().zip(&straight).zip(&*self.shape).all(|((a, b), &n)| n == 1 || a == b)
    }
}
