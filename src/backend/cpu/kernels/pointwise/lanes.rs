//! Elements in memory as lanes of 32 bits and back.
//!
//! float16 and bfloat16 are lanes of f32 whose values these types have: what loads them widens, what makes them rounds,
//! and what stores them loses nothing.

use super::halves;
use crate::dtype::{DType, Word};
use half::{bf16, f16};

/// Lanes that are rounded at once.
const ROUNDED: usize = 256;

/// Element `at` as a lane.
///
/// # Safety
/// `source` has such an element, and its type is not [plain](DType::is_plain).
#[inline(always)]
pub unsafe fn lane(source: *const u8, dtype: DType, at: usize) -> u32 {
    // SAFETY: the caller's contract.
    unsafe {
        match dtype {
            DType::F32 | DType::I32 => *source.cast::<u32>().add(at),
            DType::U8 | DType::Bool => u32::from(*source.add(at)),
            DType::F16 => (*source.cast::<f16>().add(at)).to_f32().to_bits(),
            _ => (*source.cast::<bf16>().add(at)).to_f32().to_bits(),
        }
    }
}

/// Elements that lie one behind the other as lanes.
///
/// # Safety
/// `source` has `n` elements, of no plain type, and `to` as many lanes.
#[inline(always)]
pub unsafe fn load(source: *const u8, dtype: DType, to: *mut u32, n: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        match dtype {
            DType::F32 | DType::I32 => to.copy_from_nonoverlapping(source.cast(), n),
            DType::U8 | DType::Bool => {
                let bytes = std::slice::from_raw_parts(source, n);
                let to = std::slice::from_raw_parts_mut(to, n);
                to.iter_mut().zip(bytes).for_each(|(t, &b)| *t = u32::from(b));
            }
            _ => {
                let bits = std::slice::from_raw_parts(source.cast(), n);
                halves::widen(bits, dtype, std::slice::from_raw_parts_mut(to.cast(), n));
            }
        }
    }
}

/// Lanes as elements that lie one behind the other. `to` may be the very memory of the lanes, if both have one size.
///
/// # Safety
/// There are `n` lanes, and as many elements at `to`, of no plain type.
#[inline(always)]
pub unsafe fn store(from: *const u32, dtype: DType, to: *mut u8, n: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        match dtype {
            DType::F32 | DType::I32 => to.cast::<u32>().copy_from(from, n),
            DType::U8 | DType::Bool => {
                let to = std::slice::from_raw_parts_mut(to, n);
                let from = std::slice::from_raw_parts(from, n);
                to.iter_mut().zip(from).for_each(|(t, &w)| *t = w as u8);
            }
            _ => {
                let values = std::slice::from_raw_parts(from.cast(), n);
                halves::narrow(values, dtype, std::slice::from_raw_parts_mut(to.cast(), n));
            }
        }
    }
}

/// The lane of a literal.
pub fn literal(value: f64, dtype: DType) -> u32 {
    if dtype.is_float() { (value as f32).to_bits() } else { value as i32 as u32 }
}

/// Rounds f32 to the nearest value of a type of 16 bits, ties to even.
pub fn round(lanes: &mut [f32], dtype: DType) {
    let mut bits = [0u16; ROUNDED];
    for lanes in lanes.chunks_mut(ROUNDED) {
        let bits = &mut bits[..lanes.len()];
        halves::narrow(lanes, dtype, bits);
        halves::widen(bits, dtype, lanes);
    }
}

/// Writes a reduced value; integers wrap.
///
/// # Safety
/// `output` has an element `at`.
pub unsafe fn put(output: *mut u8, dtype: DType, at: usize, value: f64) {
    let value = if dtype == DType::I32 { f64::from(value as i64 as i32) } else { value };
    // SAFETY: the caller's contract.
    unsafe {
        match dtype.word(value) {
            Word::One(bits) => *output.add(at) = bits,
            Word::Two(bits) => *output.cast::<u16>().add(at) = bits,
            Word::Four(bits) => *output.cast::<u32>().add(at) = bits,
            Word::Eight(bits) => *output.cast::<u64>().add(at) = bits,
        }
    }
}

/// Writes values of `dtype` one behind the other, from element `first` on.
///
/// # Safety
/// The output has that many elements from `first` on.
pub unsafe fn put_all(output: *mut u8, dtype: DType, first: usize, values: &[f64]) {
    // SAFETY: the caller's contract.
    unsafe {
        if dtype == DType::F32 {
            let to = std::slice::from_raw_parts_mut(output.cast::<f32>().add(first), values.len());
            to.iter_mut().zip(values).for_each(|(to, &value)| *to = value as f32);
        } else {
            values.iter().enumerate().for_each(|(i, &value)| put(output, dtype, first + i, value));
        }
    }
}
