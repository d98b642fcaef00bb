//! Running programs: memory and order of the device's work, values that stay there, and how they come back.

mod clock;
mod host;
mod joint;
mod outcome;
mod placement;
pub mod program;
mod run;
mod staging;
pub(super) mod stream;
pub(super) mod trial;
pub(super) mod value;
