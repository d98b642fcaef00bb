//! cnnrs: a CNN engine. A model is a graph, and everything is a pass over that graph.
//!
//! ```text
//! Python (thin)                         this crate
//! layers / Model / fit / callbacks ──►  Tensor (lazy node)            lazy
//!                                         │ trace
//!                                       Graph (SSA, shapes inferred)  graph, ops
//!                                         │ autodiff → simplify → fuse  passes
//!                                       Plan (immutable code)         plan, backend
//!                                         │
//!                                       CPU executor (rayon, SIMD)    backend::cpu
//! ```

pub mod backend;
pub mod buffer;
pub mod data;
pub mod dtype;
pub mod error;
pub mod fusion;
pub mod graph;
pub mod io;
pub mod lazy;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod precision;
#[cfg(feature = "python")]
mod py;
pub mod reserve;
pub mod schedule;
pub mod shape;
pub mod testing;
pub mod value;

pub use buffer::Buffer;
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use graph::{Graph, NodeId};
pub use lazy::{CompiledFunction, Host, RowElement, Rows, Session, Tensor, Trace, Variable, realise, set_host};
pub use ops::Op;
pub use plan::cache::{cached_plans, release_memory, take_compiled};
pub use shape::{Fact, Shape};
pub use value::Value;
