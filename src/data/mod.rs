//! Images as bytes: decoded from files and augmented, before they become tensors. Nothing here knows a graph or a plan.
//!
//! ```text
//! bytes of a file ──► decode (a format's crate) ──► orient ──► channels ──► resize ──► pixels of a batch
//! pixels of a batch ──► augment (a chain of steps, drawn for each image) ──► pixels of a batch
//! ```
//!
//! [`decode`] knows the formats, [`resize`] the filters, [`read`] does both for many files in threads. [`augment`] applies
//! what layers of augmentation do.

pub mod augment;
pub mod decode;
pub mod read;
pub mod resize;
pub mod threads;
