//! Which kernels can run each op. The compiler asks here for every new op.

mod channel_stats;
pub mod conv2d;
#[cfg(test)]
mod conv2d_tests;
mod matmul;
mod pool2d;
#[cfg(test)]
mod pool2d_tests;

use crate::backend::cpu::kernel::CpuKernel;
use crate::backend::cpu::kernels::{data, plain};
use crate::ops::Op;

/// The candidates for an op, of which the cheapest runs it; of one on [plain](crate::graph::Graph::is_plain) elements the
/// plain kernels. Pointwise ops, reductions and views have none: regions and
/// aliases serve them. Composites and gradients are expanded before lowering.
pub fn of(op: &Op, is_plain: bool) -> &'static [&'static dyn CpuKernel] {
    if is_plain {
        return plain::of(op);
    }
    match op {
        Op::Input(_)
        | Op::Constant(_)
        | Op::Pointwise(_)
        | Op::Cast(_)
        | Op::Reduce(_)
        | Op::Reshape(_)
        | Op::BroadcastTo(_)
        | Op::StopGradient(_)
        | Op::Conv2dTranspose(_)
        | Op::Composite(_)
        | Op::Gradient(_) => &[],
        Op::Transpose(_) => &[&data::TRANSPOSE],
        Op::Slice(_) => &[&data::SLICE],
        Op::Pad(_) => &[&data::PAD],
        Op::Concat(_) => &[&data::CONCAT],
        Op::Iota(_) => &[&data::IOTA],
        Op::MatMul(_) => matmul::KERNELS,
        Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dFilterGrad(_) => conv2d::KERNELS,
        Op::Pool2d(_) | Op::Pool2dGrad(_) => pool2d::KERNELS,
        Op::MaxPool2dPick(_) => pool2d::PICK_KERNELS,
        Op::ChannelStats(_) => channel_stats::KERNELS,
        Op::Gather(_) => &[&data::GATHER],
        Op::Scatter(_) => &[&data::SCATTER],
        Op::Argsort(_) => &[&data::ARGSORT],
        Op::Scan(_) => &[&data::SCAN],
        Op::OneHot(_) => &[&data::ONE_HOT],
        Op::ArgReduce(_) => &[&data::ARG_REDUCE],
        Op::Linalg(_) => &[&data::LINALG],
        Op::Fft(_) => &[&data::FFT],
        Op::Random(_) => &[&data::RANDOM],
    }
}
