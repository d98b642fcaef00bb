//! Interim region engine: element by element through the table's f64 values. Replaced by the SIMD engine.

use super::kernel::{Lowered, Phase};
use super::simd::Tier;
use crate::dtype::DType;
use crate::error::Result;
use crate::region::{Arg, Region};
use crate::shape::Shape;

unsafe fn read(p: *const u8, dtype: DType, at: usize) -> f64 {
    // SAFETY: the caller's.
    unsafe {
        match dtype {
            DType::F32 => f64::from(*p.cast::<f32>().add(at)),
            DType::I32 => f64::from(*p.cast::<i32>().add(at)),
            _ => f64::from(*p.add(at)),
        }
    }
}

unsafe fn write(p: *mut u8, dtype: DType, at: usize, v: f64) {
    // SAFETY: the caller's.
    unsafe {
        match dtype {
            DType::F32 => *p.cast::<f32>().add(at) = v as f32,
            DType::I32 => *p.cast::<i32>().add(at) = v as i32,
            _ => *p.add(at) = v as u8,
        }
    }
}

/// Lowers a region.
pub fn lower_region(region: &Region, _tier: Tier) -> Result<Lowered> {
    let r = region.clone();
    let kept: Vec<usize> = (0..r.shape.rank()).filter(|a| !r.reduce_axes.contains(a)).collect();
    let kept_shape: Shape = kept.iter().map(|&a| r.shape[a]).collect();
    let kept_strides = kept_shape.strides();
    let phase = Phase::new(1, move |ops, _, _| {
        let n = r.shape.len();
        let mut sums = vec![vec![]; r.reductions.len()];
        for (s, red) in sums.iter_mut().zip(&r.reductions) {
            *s = vec![red.kind.identity(); kept_shape.len()];
        }
        let strides = r.shape.strides();
        for e in 0..n {
            let index: Vec<usize> = (0..r.shape.rank()).map(|a| e / strides[a] % r.shape[a].max(1)).collect();
            let mut results: Vec<f64> = Vec::with_capacity(r.code.len());
            let value = |arg: &Arg, results: &Vec<f64>| match *arg {
                Arg::Operand(k) => {
                    let o = &r.operands[k as usize];
                    let at: usize = index.iter().zip(&o.strides).map(|(i, s)| i * s).sum();
                    unsafe { read(ops.input(k as usize), o.dtype, at) }
                }
                Arg::Result(k) => results[k as usize],
                Arg::Literal(b) => f64::from_bits(b),
                Arg::Anchor => unreachable!(),
            };
            for i in &r.code {
                let args: Vec<f64> = i.args.iter().map(|a| value(a, &results)).collect();
                results.push(i.dtype.round((i.function.row().value)(&args)));
            }
            let stored: Vec<f64> = r.stores.iter().map(|(a, _)| value(a, &results)).collect();
            for ((k, (_, d)), v) in r.stores.iter().enumerate().zip(stored) {
                unsafe { write(ops.output(k), *d, e, v) };
            }
            for (s, red) in sums.iter_mut().zip(&r.reductions) {
                let at: usize = kept.iter().zip(&kept_strides).map(|(&a, st)| index[a] * st).sum();
                s[at] = red.kind.combine(s[at], value(&red.source, &results));
            }
        }
        for (k, (s, red)) in sums.iter().zip(&r.reductions).enumerate() {
            for (at, v) in s.iter().enumerate() {
                unsafe { write(ops.output(r.stores.len() + k), red.kind.result_dtype(red.dtype), at, *v) };
            }
        }
    });
    Ok(Lowered { name: "region_interim", phases: vec![phase], workspace: 0, scratch: 0 })
}
