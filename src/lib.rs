//! cnnrs: a CNN engine.

pub mod backend;
