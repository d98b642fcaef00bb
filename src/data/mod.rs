//! Images as bytes: decoded from files and augmented, before they become tensors. Nothing here knows a graph or a plan.

pub mod augment;
