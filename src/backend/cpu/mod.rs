//! The CPU backend: kernels over SIMD instruction sets, run by a pool that a plan enters once.

pub mod attach;
pub mod chunked;
pub mod conv;
pub mod gemm;
pub mod kernel;
pub mod pool2d;
pub mod simd;
pub mod threads;
pub mod tile;
