//! cnnrs: a CNN engine. A model is a graph, and everything is a pass over that graph.
//!
//! ```text
//! Python (thin)                         this crate
//! layers / Model / fit / callbacks ──►  Tensor (lazy node)            tensor, variable, function
//!                                         │ trace
//!                                       Graph (SSA, shapes inferred)  graph, ops
//!                                         │ autodiff → simplify → fuse  passes
//!                                       Plan (immutable code)         plan, backend
//!                                         │
//!                                       CPU executor (rayon, SIMD)    backend::cpu
//! ```

pub mod backend;
pub mod buffer;
pub mod dtype;
pub mod error;
pub mod fork;
pub mod function;
pub mod fusion;
pub mod graph;
pub mod io;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod precision;
#[cfg(feature = "python")]
mod py;
mod realise;
pub mod reserve;
pub mod schedule;
pub mod shape;
pub mod tensor;
pub mod testing;
pub mod variable;

pub use buffer::Buffer;
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use function::{CompiledFunction, Session, Trace};
pub use graph::{Graph, NodeId};
pub use ops::Op;
pub use realise::{Host, cached_plans, realise, release_memory, set_host, take_compiled};
pub use shape::{Fact, Shape};
pub use tensor::Tensor;
pub use variable::Variable;
