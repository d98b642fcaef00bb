//! Plain kernels: every op on the element types that lanes of 32 bits do not hold, and products of integers.
//!
//! There is one form for all types. A kernel reads elements as *wide* numbers, f64 for floats and i128 for integers,
//! computes with these, and rounds or wraps when it writes. No result depends on how the work is cut.

mod images;
mod pointwise;
mod products;
mod reduce;
#[cfg(test)]
mod tests;

use super::data;
use crate::backend::cpu::kernel::{Cost, CpuKernel, Lowered, Phase, Task};
use crate::buffer::{Element, with_element};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::ops::pointwise::Function;
use smallvec::SmallVec;

pub use pointwise::lower_copy;

/// The candidates for an op on plain elements, unless it has kernels for every type.
pub const KERNELS: &[&dyn CpuKernel] = &[&Plain];

/// Element by element.
struct Plain;

impl CpuKernel for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        match task.prologue.or(task.epilogue) {
            Some(_) => Err("takes no attachments".to_owned()),
            None => Ok(Cost(task.op.def().flops(task.inputs, task.output) as f64)),
        }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let phases = match task.op {
            Op::Pointwise(f) => pointwise::lower(task, *f)?,
            Op::Cast(_) | Op::BroadcastTo(_) => pointwise::lower(task, Function::Identity)?,
            Op::Reduce(op) => vec![reduce::reduce(task, op)],
            Op::MatMul(op) => vec![products::matmul(task, op)?],
            Op::Conv2d(op) => vec![products::conv(task, op)?],
            Op::Conv2dInputGrad(op) => vec![products::conv_input_grad(task, op)?],
            Op::Conv2dFilterGrad(op) => vec![products::conv_filter_grad(task, op)?],
            Op::Pool2d(op) => vec![images::pool(task, op)?],
            Op::Pool2dGrad(op) => vec![images::pool_grad(task, op)?],
            Op::MaxPool2dPick(op) => vec![images::pick(task, op)?],
            Op::ChannelStats(_) => vec![images::channel_stats(task)],
            other => return Err(Error::state(format!("no plain kernel computes {}", other.def().name()))),
        };
        Ok(Lowered { name: "plain", phases, workspace: 0, scratch: 0, packed: SmallVec::new(), section: None })
    }
}

/// A number that holds every element of floats, or of integers and booleans.
trait Wide: Copy + PartialOrd + Send + Sync + 'static {
    const ZERO: Self;

    fn load<T: Element>(element: T) -> Self;
    fn store<T: Element>(self) -> T;
    /// 1 if it is not 0.
    fn truth(self) -> Self;
    /// self + a · b
    fn add_product(self, a: Self, b: Self) -> Self;
    /// Applies `f`, which is neither the identity nor `where`, to its arguments element by element.
    fn apply(f: Function, args: [&[Self]; 3], out: &mut [Self]);
    /// Folds `values` into `total` as a reduction does.
    fn fold(kind: crate::ops::reduce::ReduceKind, total: Self, values: &[Self]) -> Self;
    /// The value of the reduction of nothing; of a maximum or minimum that of a value that all others displace.
    fn identity(kind: crate::ops::reduce::ReduceKind) -> Self;
}

/// Elements that are read, computed and written together.
const BLOCK: usize = 256;

/// Reads elements `first`, `first + step`, … as wide numbers.
///
/// # Safety
/// The pointer is aligned to the element type and has these elements.
type Load<W> = unsafe fn(*const u8, usize, usize, &mut [W]);

/// Writes wide numbers to the elements from `first` on.
///
/// # Safety
/// The pointer is aligned to the element type, has these elements, and nobody else reads or writes them.
type Store<W> = unsafe fn(&[W], *mut u8, usize);

unsafe fn load<T: Element, W: Wide>(from: *const u8, first: usize, step: usize, to: &mut [W]) {
    // SAFETY: the caller's contract.
    unsafe {
        let from = from.cast::<T>().add(first);
        for (i, to) in to.iter_mut().enumerate() {
            *to = W::load(*from.add(i * step));
        }
    }
}

unsafe fn store<T: Element, W: Wide>(from: &[W], to: *mut u8, first: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        let to = to.cast::<T>().add(first);
        for (i, from) in from.iter().enumerate() {
            *to.add(i) = from.store();
        }
    }
}

fn loader<W: Wide>(dtype: DType) -> Load<W> {
    with_element!(dtype, T => load::<T, W>)
}

fn storer<W: Wide>(dtype: DType) -> Store<W> {
    with_element!(dtype, T => store::<T, W>)
}

/// Reads one element.
///
/// # Safety
/// As of [`Load`].
unsafe fn one<W: Wide>(load: Load<W>, from: *const u8, at: usize) -> W {
    let mut value = [W::ZERO];
    // SAFETY: the caller's contract.
    unsafe { load(from, at, 1, &mut value) };
    value[0]
}

/// A phase of `units` pieces of work of about `cost` elements each, several to a chunk.
fn phase(
    units: usize,
    cost: usize,
    run: impl Fn(&crate::backend::cpu::kernel::Operands, usize) + Send + Sync + 'static,
) -> Phase {
    let per_chunk = (data::GRAIN / 4 / cost.max(1)).max(1);
    Phase::new(units.div_ceil(per_chunk), move |operands, chunk, _| {
        for unit in chunk * per_chunk..((chunk + 1) * per_chunk).min(units) {
            run(operands, unit);
        }
    })
}

/// Calls a function of the wide number that `dtype` is read as.
macro_rules! by_width {
    ($dtype:expr, $function:ident($($arg:expr),*)) => {
        if $dtype.is_float() { $function::<f64>($($arg),*) } else { $function::<i128>($($arg),*) }
    };
}
use by_width;
