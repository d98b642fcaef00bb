//! Running programs: the threads, the memory that runs borrow, and the walk over stages.

pub mod arena;
mod clock;
pub mod code;
pub mod pool;
pub mod program;
pub mod subnormals;
pub mod threads;
