//! Pointwise work on input pixels while a kernel packs them: scale, shift and bounds, which is what batch
//! normalisation and ReLU are to the convolution that follows them.

use super::attach::PackHook;
use super::pointwise::attached::{Reading, reading};
use super::pointwise::lanes;
use crate::backend::cpu::kernel::Operands;
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use crate::ops::pointwise::Function;

/// A factor or a summand.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Coefficient {
    /// The same for all elements.
    Literal(f32),
    /// One a channel, in this operand of the region.
    Channel(usize),
}

/// A prologue `min(max(x · scale + shift, lo), hi)`, of which some may be missing, on elements of any float type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineForm {
    /// Type of the elements in memory.
    source: DType,
    /// Whether anything besides a conversion to float32 is to do.
    computes: bool,
    scale: Coefficient,
    shift: Coefficient,
    bounds: [f32; 2],
}

impl AffineForm {
    /// Reads the form off a region, if it is that and nothing else.
    pub fn of(region: &Region) -> Option<Self> {
        let last = Arg::Result(region.code.len().checked_sub(1)? as u16);
        if !region.reductions.is_empty() || region.stores != [(last, DType::F32)] || region.shape.rank() == 0 {
            return None;
        }
        let coefficient = |arg: Arg| match arg {
            Arg::Literal(bits) => Some(Coefficient::Literal(f64::from_bits(bits) as f32)),
            Arg::Operand(k) => {
                let operand = region.operands.get(k as usize)?;
                let channel = operand.dtype == DType::F32 && reading(operand, &region.shape)? == Reading::Channel;
                channel.then_some(Coefficient::Channel(k as usize))
            }
            Arg::Anchor | Arg::Result(_) => None,
        };
        let (mut scale, mut shift) = (None, None);
        let mut bounds = [f32::NEG_INFINITY, f32::INFINITY];
        let source = region.anchor_dtype();
        let computed = usize::from(source.is_storage());
        if computed == 1 && region.code[0].args.as_slice() != [Arg::Anchor] {
            return None;
        }
        // Every instruction works on the result of the one before it; bounds come last, the lower first.
        let mut value = if computed == 0 { Arg::Anchor } else { Arg::Result(0) };
        for (i, instruction) in region.code.iter().enumerate().skip(computed) {
            let other = match instruction.args.as_slice() {
                [x] if *x == value => None,
                [x, other] | [other, x] if *x == value => Some(coefficient(*other)?),
                _ => return None,
            };
            let unbounded = bounds == [f32::NEG_INFINITY, f32::INFINITY];
            match (instruction.function, other) {
                (Function::Mul, Some(c)) if unbounded && scale.is_none() && shift.is_none() => scale = Some(c),
                (Function::Add, Some(c)) if unbounded && shift.is_none() => shift = Some(c),
                (Function::Relu, None) if unbounded => bounds[0] = 0.0,
                (Function::Maximum, Some(Coefficient::Literal(lo))) if unbounded && !lo.is_nan() => bounds[0] = lo,
                (Function::Minimum, Some(Coefficient::Literal(hi))) if bounds[1] == f32::INFINITY && !hi.is_nan() => {
                    bounds[1] = hi;
                }
                _ => return None,
            }
            value = Arg::Result(i as u16);
        }
        Some(AffineForm {
            source,
            computes: region.code.len() > computed,
            scale: scale.unwrap_or(Coefficient::Literal(1.0)),
            shift: shift.unwrap_or(Coefficient::Literal(0.0)),
            bounds,
        })
    }
}

/// The prologue's code.
#[derive(Clone, Copy, Debug)]
pub struct Affine {
    form: AffineForm,
    run: RunFn,
}

impl Affine {
    /// The code for a form.
    pub fn new(form: AffineForm, tier: Tier) -> Self {
        let channel = |c| matches!(c, Coefficient::Channel(_));
        let run = match (channel(form.scale), channel(form.shift)) {
            (true, true) => select_affine::<true, true>(tier),
            (true, false) => select_affine::<true, false>(tier),
            (false, true) => select_affine::<false, true>(tier),
            (false, false) => select_affine::<false, false>(tier),
        };
        Affine { form, run }
    }

    /// The prologue on operand `input` of one run, with the region's operands, which begin at `first`.
    pub fn bind(&self, operands: &Operands, input: usize, first: usize) -> BoundAffine {
        let at = |c: Coefficient| match c {
            Coefficient::Channel(k) => (operands.input(first + k), 0.0),
            Coefficient::Literal(value) => (std::ptr::null(), value),
        };
        let AffineForm { source, computes, scale, shift, bounds } = self.form;
        let input = operands.inputs[input];
        BoundAffine { input, source, computes, scale: at(scale), shift: at(shift), bounds, run: self.run }
    }
}

/// A prologue in one run.
pub struct BoundAffine {
    input: *const u8,
    source: DType,
    computes: bool,
    /// One element a channel, or else a literal.
    scale: (*const f32, f32),
    shift: (*const f32, f32),
    bounds: [f32; 2],
    run: RunFn,
}

// SAFETY: the operands are only read, and valid for as long as the run that the prologue was bound for.
unsafe impl Sync for BoundAffine {}

/// Rows and columns of a block, and where they lie.
struct Block {
    src: *const f32,
    src_ld: usize,
    dst: *mut f32,
    dst_ld: usize,
    rows: usize,
    cols: usize,
}

type RunFn = unsafe fn(&Block, (*const f32, f32), (*const f32, f32), [f32; 2]);

/// Products are rounded before they are added to, as in the program that this replaces: a mask that is
/// recomputed from it agrees with what was packed.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn affine<S: Simd, const SCALES: bool, const SHIFTS: bool>(
    s: S,
    block: &Block,
    scale: (*const f32, f32),
    shift: (*const f32, f32),
    bounds: [f32; 2],
) {
    let (scale_all, shift_all) = (s.splat(scale.1), s.splat(shift.1));
    let (lo, hi) = (s.splat(bounds[0]), s.splat(bounds[1]));
    let whole = block.cols / S::LANES * S::LANES;
    for r in 0..block.rows {
        let (src, dst) = (block.src.add(r * block.src_ld), block.dst.add(r * block.dst_ld));
        let mut c = 0;
        while c < whole {
            let a = if SCALES { s.load(scale.0.add(c)) } else { scale_all };
            let b = if SHIFTS { s.load(shift.0.add(c)) } else { shift_all };
            let y = s.add(s.mul(s.load(src.add(c)), a), b);
            s.store(dst.add(c), s.min(hi, s.max(lo, y)));
            c += S::LANES;
        }
        let rest = block.cols - whole;
        if rest > 0 {
            let a = if SCALES { s.load_first(scale.0.add(c), rest) } else { scale_all };
            let b = if SHIFTS { s.load_first(shift.0.add(c), rest) } else { shift_all };
            let y = s.add(s.mul(s.load_first(src.add(c), rest), a), b);
            s.store_first(dst.add(c), s.min(hi, s.max(lo, y)), rest);
        }
    }
}
dispatch! {
    fn select_affine[const SCALES: bool, const SHIFTS: bool] => unsafe affine(
        block: &Block, scale: (*const f32, f32), shift: (*const f32, f32), bounds: [f32; 2]
    );
}

impl PackHook for BoundAffine {
    unsafe fn pack(
        &self,
        src_ld: usize,
        dst: *mut f32,
        dst_ld: usize,
        row0: usize,
        pixels: usize,
        col0: usize,
        cols: usize,
    ) {
        let from = |c: (*const f32, f32)| (c.0.wrapping_add(col0), c.1);
        let at = row0 * src_ld + col0;
        // SAFETY: the caller's contract; operands per channel hold all channels.
        unsafe {
            if self.source == DType::F32 {
                let src = self.input.cast::<f32>().add(at);
                let block = Block { src, src_ld, dst, dst_ld, rows: pixels, cols };
                return (self.run)(&block, from(self.scale), from(self.shift), self.bounds);
            }
            let (whole, size) = (src_ld == cols && dst_ld == cols, self.source.size());
            let (rows, len) = if whole { (1, pixels * cols) } else { (pixels, cols) };
            for r in 0..rows {
                let src = self.input.add((at + r * src_ld) * size);
                lanes::load(src, self.source, dst.add(r * dst_ld).cast(), len);
            }
            if self.computes {
                let block = Block { src: dst, src_ld: dst_ld, dst, dst_ld, rows: pixels, cols };
                (self.run)(&block, from(self.scale), from(self.shift), self.bounds);
            }
        }
    }

    fn widens(&self) -> bool {
        self.source.is_storage()
    }
}
