//! Lazy tensors, variables and functions: what a program records, and when it is computed.
//!
//! ```text
//! tensor, variable   handles of nodes (node), named after layers and lines (scope)
//!        │ trace: a function recorded on placeholders
//!     extract        nodes → Graph
//!        │ plan::cache: equal graphs share a plan
//!     realise        one run for what is read together
//!     function       replays a traced function: once, or batch by batch (batches) on rows of arrays (rows)
//! ```

mod batches;
mod extract;
pub mod fork;
mod function;
mod host;
mod node;
mod realise;
mod rows;
mod scope;
mod tensor;
mod trace;
mod variable;

pub use function::{CompiledFunction, InputSource, Session};
pub use host::{Host, set_host};
pub use realise::realise;
#[cfg(feature = "python")]
pub(crate) use rows::Elements;
pub use rows::{RowElement, Rows};
pub use scope::{CallSite, LayerScope, NoGrad, autocast, debugging, read_type, set_debug};
pub use tensor::Tensor;
pub use trace::Trace;
pub use variable::Variable;
