//! The kernels: what runs on packed memory, cut into independent chunks. They know no graph but the ops that they
//! compute; which of them runs is decided in [`lower`](super::lower).

pub mod attach;
pub mod chunked;
pub mod conv;
pub mod data;
pub mod gemm;
pub mod plain;
pub mod pointwise;
pub mod pool2d;
mod prefetch;
pub mod prologue;
pub mod shares;
pub mod tile;
pub mod winograd;
