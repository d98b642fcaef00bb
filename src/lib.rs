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
pub mod graph;
pub mod io;
pub mod ops;
pub mod passes;
pub mod region;
pub mod shape;

pub use buffer::Buffer;
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use graph::{Graph, NodeId};
pub use ops::Op;
pub use shape::{Fact, Shape};
