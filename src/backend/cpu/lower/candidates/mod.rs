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

/// The candidates for an op, of which the cheapest runs it. Pointwise ops, reductions and views have none: regions and
/// aliases serve them. Composites and gradients are expanded before lowering. Plain kernels compute on
/// [plain](crate::graph::Graph::is_plain) elements; ops that move, look up or order elements have kernels for every type.
pub fn of(op: &Op, is_plain: bool) -> &'static [&'static dyn CpuKernel] {
    let of_lanes = |kernels: &'static [&'static dyn CpuKernel]| if is_plain { plain::KERNELS } else { kernels };
    match op {
        Op::Input(_)
        | Op::Constant(_)
        | Op::Reshape(_)
        | Op::StopGradient(_)
        | Op::Conv2dTranspose(_)
        | Op::Composite(_)
        | Op::Gradient(_) => &[],
        Op::Pointwise(_) | Op::Cast(_) | Op::Reduce(_) | Op::BroadcastTo(_) => of_lanes(&[]),
        Op::Transpose(_) => &[&data::TRANSPOSE],
        Op::Slice(_) => &[&data::SLICE],
        Op::Pad(_) => &[&data::PAD],
        Op::Concat(_) => &[&data::CONCAT],
        Op::Iota(_) => &[&data::IOTA],
        Op::MatMul(_) => of_lanes(matmul::KERNELS),
        Op::Conv2d(_) | Op::Conv2dInputGrad(_) | Op::Conv2dFilterGrad(_) => of_lanes(conv2d::KERNELS),
        Op::Pool2d(_) | Op::Pool2dGrad(_) => of_lanes(pool2d::KERNELS),
        Op::MaxPool2dPick(_) => of_lanes(pool2d::PICK_KERNELS),
        Op::ChannelStats(_) => of_lanes(channel_stats::KERNELS),
        Op::Gather(_) => &[&data::GATHER],
        Op::Scatter(_) => &[&data::SCATTER],
        Op::Argsort(_) => &[&data::ARGSORT],
        Op::NonMaxSuppression(_) => &[&data::NON_MAX_SUPPRESSION],
        Op::Scan(_) => &[&data::SCAN],
        Op::OneHot(_) => &[&data::ONE_HOT],
        Op::ArgReduce(_) => &[&data::ARG_REDUCE],
        Op::Linalg(_) => &[&data::LINALG],
        Op::Fft(_) => &[&data::FFT],
        Op::Random(_) => &[&data::RANDOM],
    }
}
