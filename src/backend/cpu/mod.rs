//! The CPU backend: kernels over SIMD instruction sets, run by a pool that a plan enters once.

pub mod arena;
pub mod attach;
pub mod chains;
pub mod chunked;
pub mod chunked_step;
pub mod conv;
pub mod cost;
pub mod data;
pub mod gemm;
pub mod images;
pub mod kernel;
pub mod lower;
pub mod pointwise;
pub mod pool;
pub mod pool2d;
mod prefetch;
pub mod prologue;
pub mod shares;
pub mod simd;
pub mod subnormals;
pub mod threads;
pub mod tile;
pub mod winograd;
