//! Pointwise functions, casts and broadcasts.

use super::{BLOCK, Load, Store, Wide, by_width, loader, one, phase, storer};
use crate::backend::cpu::kernel::{Lowered, Operands, Phase, Task};
use crate::buffer::Element;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::fusion::region::{Arg, Region};
use crate::ops::pointwise::Function;
use crate::ops::reduce::ReduceKind;
use crate::shape::{Dims, Shape};
use smallvec::SmallVec;

/// The phases of `f` on the inputs of `task`.
pub fn lower(task: &Task, f: Function) -> Result<Vec<Phase>> {
    let dtypes: SmallVec<[DType; 3]> = task.inputs.iter().map(|x| x.dtype).collect();
    let last = *dtypes.last().ok_or_else(|| Error::state("a pointwise function has inputs"))?;
    let shapes: SmallVec<[&Shape; 3]> = task.inputs.iter().map(|x| &x.shape).collect();
    let space = Space::new(&task.output.shape, &shapes);
    Ok(vec![by_width!(last, blocks(f, space, &dtypes, task.output.dtype))])
}

/// The step that copies an input, or a literal, to a graph output.
///
/// # Errors
/// When the region does more than that.
pub fn lower_copy(region: &Region) -> Result<Lowered> {
    let (&[(arg, dtype)], true) = (region.stores.as_slice(), region.code.is_empty()) else {
        return Err(Error::state(format!("no lanes hold the elements of {region:?}")));
    };
    let (len, size) = (region.shape.len(), dtype.size());
    let copy = match arg {
        Arg::Operand(0) => Phase::new(1, move |operands, _, _| {
            // SAFETY: input and output hold `len` elements of this type, and do not overlap.
            unsafe { operands.output::<u8>(0).copy_from_nonoverlapping(operands.input::<u8>(0), len * size) };
        }),
        Arg::Literal(bits) => {
            let store: Store<f64> = storer(dtype);
            phase(len, 1, move |operands, at| {
                // SAFETY: element `at` of the output is this unit's.
                unsafe { store(&[f64::from_bits(bits)], operands.output(0), at) };
            })
        }
        other => return Err(Error::state(format!("no copy of {other:?}"))),
    };
    let phases = vec![copy];
    Ok(Lowered { name: "plain", phases, workspace: 0, scratch: 0, packed: SmallVec::new(), section: None })
}

/// Rows of the result: axes joined where all inputs step through them as one, the last one apart.
struct Space {
    /// Extents of all axes but the last.
    outer: Dims,
    /// Extent of the last.
    row: usize,
    /// For each input, its steps along the outer axes and along the last.
    steps: SmallVec<[(Dims, usize); 3]>,
}

impl Space {
    fn new(shape: &Shape, inputs: &[&Shape]) -> Space {
        let strides: SmallVec<[Dims; 3]> = inputs.iter().map(|x| x.broadcast_strides(shape)).collect();
        let mut extents = Dims::new();
        let mut steps: SmallVec<[Dims; 3]> = inputs.iter().map(|_| Dims::new()).collect();
        for (axis, &extent) in shape.iter().enumerate().filter(|(_, extent)| **extent != 1) {
            let joins = |(own, all): (&Dims, &Dims)| own.last().is_some_and(|&outer| outer == all[axis] * extent);
            if steps.iter().zip(&strides).all(joins) {
                if let Some(last) = extents.last_mut() {
                    *last *= extent;
                }
                steps.iter_mut().zip(&strides).for_each(|(own, all)| {
                    own.pop();
                    own.push(all[axis]);
                });
                continue;
            }
            extents.push(extent);
            steps.iter_mut().zip(&strides).for_each(|(own, all)| own.push(all[axis]));
        }
        let row = extents.pop().unwrap_or(1);
        let steps = steps.into_iter().map(|mut own| {
            let last = own.pop().unwrap_or(1);
            (own, last)
        });
        Space { outer: extents, row, steps: steps.collect() }
    }

    /// Where input `k` has the first element of row `row`.
    fn start(&self, k: usize, mut row: usize) -> usize {
        let mut at = 0;
        for (&extent, &step) in self.outer.iter().zip(&self.steps[k].0).rev() {
            at += row % extent * step;
            row /= extent;
        }
        at
    }
}

/// Applies `f` block by block.
fn blocks<W: Wide>(f: Function, space: Space, inputs: &[DType], output: DType) -> Phase {
    let loads: SmallVec<[Load<W>; 3]> = inputs.iter().map(|&dtype| loader(dtype)).collect();
    let store: Store<W> = storer(output);
    let rows = space.outer.iter().product::<usize>();
    let per_row = space.row.div_ceil(BLOCK);
    phase(rows * per_row, space.row.min(BLOCK), move |operands: &Operands, unit| {
        let (row, first) = (unit / per_row, unit % per_row * BLOCK);
        let n = BLOCK.min(space.row - first);
        let mut values = [[W::ZERO; BLOCK]; 3];
        let mut out = [W::ZERO; BLOCK];
        // SAFETY: the elements of this block lie within the inputs, and those of the output are this unit's.
        unsafe {
            for (k, (load, values)) in loads.iter().zip(&mut values).enumerate() {
                let step = space.steps[k].1;
                let at = space.start(k, row) + first * step;
                match step {
                    0 => values[..n].fill(one(*load, operands.input(k), at)),
                    _ => load(operands.input(k), at, step, &mut values[..n]),
                }
            }
            let [a, b, c] = &values;
            match f {
                Function::Identity if output == DType::Bool => {
                    out[..n].iter_mut().zip(a).for_each(|(o, x)| *o = x.truth());
                }
                Function::Identity => out[..n].copy_from_slice(&a[..n]),
                Function::Where => {
                    for (i, o) in out[..n].iter_mut().enumerate() {
                        *o = if a[i] == W::ZERO { c[i] } else { b[i] };
                    }
                }
                _ => W::apply(f, [&a[..n], &b[..n], &c[..n]], &mut out[..n]),
            }
            store(&out[..n], operands.output(0), row * space.row + first);
        }
    })
}

impl Wide for f64 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn load<T: Element>(element: T) -> Self {
        element.number()
    }

    #[inline(always)]
    fn store<T: Element>(self) -> T {
        T::of_number(self)
    }

    fn truth(self) -> Self {
        f64::from(u8::from(self != 0.0))
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        self + a * b
    }

    fn apply(f: Function, [a, b, c]: [&[Self]; 3], out: &mut [Self]) {
        let row = f.row();
        for (i, out) in out.iter_mut().enumerate() {
            *out = (row.value)(&[a[i], b[i], c[i]][..row.arity]);
        }
    }

    fn fold(kind: ReduceKind, total: Self, values: &[Self]) -> Self {
        match kind {
            // Of a block for itself: the sum of many blocks loses less.
            ReduceKind::Sum => total + values.iter().sum::<f64>(),
            _ => values.iter().fold(total, |total, &value| kind.combine(total, value)),
        }
    }

    fn identity(kind: ReduceKind) -> Self {
        kind.identity()
    }
}

impl Wide for i128 {
    const ZERO: Self = 0;

    #[inline(always)]
    fn load<T: Element>(element: T) -> Self {
        element.integer()
    }

    #[inline(always)]
    fn store<T: Element>(self) -> T {
        T::of_integer(self)
    }

    fn truth(self) -> Self {
        i128::from(self != 0)
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }

    fn apply(f: Function, args: [&[Self]; 3], out: &mut [Self]) {
        integers::apply(f, args, out);
    }

    fn fold(kind: ReduceKind, total: Self, values: &[Self]) -> Self {
        values.iter().fold(total, |total, &value| kind.combine_wide(total, value))
    }

    fn identity(kind: ReduceKind) -> Self {
        match kind {
            ReduceKind::Sum => 0,
            ReduceKind::Prod => 1,
            ReduceKind::Max => i128::MIN,
            ReduceKind::Min => i128::MAX,
        }
    }
}

/// The integer forms of the table's rows, read with the wide integer in the place of i32: the low bits of sums and
/// products are those of the narrow type, and all else fits.
mod integers {
    use crate::ops::pointwise::Function;
    use crate::pointwise_table;

    #[allow(non_camel_case_types, reason = "the forms of the table are written for i32")]
    type i32 = i128;

    mod math {
        /// `a / b` rounded down, 0 where `b` is 0.
        pub fn floor_div_i32(a: i128, b: i128) -> i128 {
            if b == 0 { 0 } else { a.wrapping_div_euclid(b) - i128::from(b < 0 && a.wrapping_rem_euclid(b) != 0) }
        }

        /// What `floor_div_i32` leaves: 0 or of `b`'s sign.
        pub fn modulo_i32(a: i128, b: i128) -> i128 {
            if b == 0 { 0 } else { a - floor_div_i32(a, b) * b }
        }

        /// `a` shifted left by `b` bits, 0 where there are not as many.
        pub fn shift_left_i32(a: i128, b: i128) -> i128 {
            if (0..128).contains(&b) { a << b } else { 0 }
        }

        /// `a` shifted right by `b` bits, only its sign where there are not as many.
        pub fn shift_right_i32(a: i128, b: i128) -> i128 {
            a >> if (0..128).contains(&b) { b } else { 127 }
        }

        /// The greatest common divisor.
        pub fn gcd_i32(a: i128, b: i128) -> i128 {
            i128::from(crate::ops::special::gcd(a.unsigned_abs() as u64, b.unsigned_abs() as u64))
        }

        /// `a` to the power `b`, wrapping around; by way of f64 where `b` is negative.
        pub fn pow_i32(a: i128, b: i128) -> i128 {
            let Ok(mut rest) = u128::try_from(b) else {
                return (a as f64).powf(b as f64) as i128;
            };
            let (mut power, mut square) = (1i128, a);
            while rest > 0 {
                if rest & 1 == 1 {
                    power = power.wrapping_mul(square);
                }
                square = square.wrapping_mul(square);
                rest >>= 1;
            }
            power
        }
    }

    macro_rules! compute {
        ($f:ident $arity:tt $args:tt []) => {
            unreachable!("{:?} has no form for integers", $f)
        };
        ($f:ident 1 ($a:ident, $b:ident, $out:ident) [$form:expr]) => {{
            let form = $form;
            $out.iter_mut().zip($a).for_each(|(out, &a)| *out = form(a));
        }};
        ($f:ident 2 ($a:ident, $b:ident, $out:ident) [$form:expr]) => {{
            let form = $form;
            $out.iter_mut().zip($a.iter().zip($b)).for_each(|(out, (&a, &b))| *out = form(a, b));
        }};
    }

    macro_rules! define {
        ($($variant:ident $name:literal $arity:tt $typing:ident $value:tt $derivative:tt $float:tt $integer:tt;)*) => {
            /// Applies the form of `f` element by element.
            pub fn apply(f: Function, [a, b, _]: [&[i128]; 3], out: &mut [i128]) {
                match f { $(Function::$variant => compute!(f $arity (a, b, out) $integer)),* }
            }
        };
    }
    pointwise_table!(define);
}
