//! Functions of whole vectors. What other functions are made of again and again is read from tables of 16 elements, which
//! every instruction set has in registers: shorter polynomials are left than [`math`](super::math) needs, which is made of
//! scalar code that compilers turn into vectors, where a table would become loads of single elements.
//!
//! Errors against f64, in units in the last place, over the swept range of the tests: exp ≤ 2; erf, sigmoid, tanh ≤ 4. Each lane
//! has the same bits whatever stands beside it.

use crate::backend::cpu::simd::Simd;
use std::f32::consts::{FRAC_2_SQRT_PI, LOG2_E, SQRT_2};

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// 1.5 · 2²³: sums with it are rounded to integers, whose low bits are theirs.
const INTEGERS: f32 = 12_582_912.0;

/// 2 to the power of as many sixteenths.
static POWERS: [f32; 16] = [
    1.0, 1.0442737, 1.0905077, 1.1387886, 1.1892071, 1.2418578, 1.2968396, 1.3542556, SQRT_2, 1.4768262, 1.5422108,
    1.6104903, 1.6817929, 1.7562522, 1.8340081, 1.9152066,
];

/// Above it eˣ is infinite.
const GREATEST: f32 = 88.722_84;
/// Below it eˣ is less than the least normal number.
const LEAST: f32 = -87.336_54;

/// eˣ; 0 where it would be subnormal. x = (16 m + j + f) · ln 2 / 16 with |f| ≤ 1/2, so eˣ = 2ᵐ · 2^(j/16) · eʳ, where r is so
/// small that its Taylor polynomial of degree 3 is off by 1e-8.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let shifted = s.mul_add(x, s.splat(16.0 * LOG2_E), s.splat(INTEGERS));
    let n = s.sub(shifted, s.splat(INTEGERS));
    let r = s.neg_mul_add(n, s.splat(LN2_HIGH / 16.0), x);
    let r = s.neg_mul_add(n, s.splat(LN2_LOW / 16.0), r);
    let p = s.mul_add(r, s.splat(1.0 / 6.0), s.splat(0.5));
    let p = s.mul_add(s.mul(p, r), r, r);
    let power = s.lookup(&POWERS, s.bits(shifted));
    let y = s.mul_add(power, p, power);
    // The four lowest bits are j, those above m.
    let exponent = s.ishl::<23>(s.ishr::<4>(s.bits(shifted)));
    let y = s.with_bits(s.iadd(s.bits(y), exponent));
    let y = s.select(s.lt(x, s.splat(LEAST)), s.zero(), y);
    // What is left: numbers that overflow, and NaN.
    s.select(s.le(x, s.splat(GREATEST)), y, s.mul(x, s.splat(f32::INFINITY)))
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    s.div(s.splat(1.0), s.add(s.splat(1.0), exp(s, s.neg(x))))
}

/// tanh x (Cephes `tanhf`).
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let t = s.abs(x);
    let z = s.mul(x, x);
    let mut p = s.splat(-5.704_988_7e-3);
    for coefficient in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        p = s.mul_add(p, z, s.splat(coefficient));
    }
    let near = s.mul_add(s.mul(p, z), t, t);
    let far = s.add(exp(s, s.add(t, t)), s.splat(1.0));
    let far = s.sub(s.splat(1.0), s.div(s.splat(2.0), far));
    // The sign of the argument, also that of zeros.
    let sign = s.iand(s.bits(x), s.isplat(i32::MIN));
    s.with_bits(s.ior(s.bits(s.select(s.lt(t, s.splat(0.625)), near, far)), sign))
}

/// Coefficients of erf round 0, 1/4, 2/4 … 15/4, for distances of at most 1/8: least squares over Chebyshev's points, round 0 of
/// odd powers alone and of the relative error, from double precision.
#[rustfmt::skip]
static ERF: [[f32; 16]; 6] = [
    [0.0, 0.2763264, 0.5204999, 0.71115565, 0.8427008, 0.92290014, 0.96610516, 0.9866717, 0.9953223, 0.9985373, 0.999593, 0.9998994, 0.9999779, 0.9999957, 0.9999993, 0.9999999],
    [FRAC_2_SQRT_PI, 1.0600141, 0.8787826, 0.6429311, 0.41510752, 0.23652112, 0.11893029, 0.05277499, 0.020666985, 0.007142319, 0.0021782843, 5.862775e-04, 1.3925321e-04, 2.9189097e-05, 5.3994513e-06, 8.8143906e-07],
    [0.0, -0.264998, -0.43938446, -0.48219463, -0.4151081, -0.2956543, -0.17839807, -0.09235748, -0.04133404, -0.016069822, -0.005445327, -0.0016120345, -4.1765734e-04, -9.482787e-05, -1.8887202e-05, -3.3026868e-06],
    [-0.3761227, -0.30916736, -0.1464649, 0.026784878, 0.13836594, 0.16753502, 0.13875301, 0.090158574, 0.04822369, 0.021724699, 0.008349976, 0.002760251, 7.890171e-04, 1.9577325e-04, 4.228299e-05, 7.966104e-06],
    [0.0, 0.126035, 0.18191113, 0.15005814, 0.06929065, -0.005662584, -0.04414691, -0.04789183, -0.034433533, -0.019151028, -0.008687853, -0.0032969948, -0.0010617533, -2.927807e-04, -6.955461e-05, -1.4297717e-05],
    [0.1122102, 0.07961256, 0.007469801, -0.052740816, -0.06877123, -0.04708141, -0.014995042, 0.0064591835, 0.012996673, 0.010639144, 0.0061320425, 0.0027734344, 0.0010272345, 3.1845967e-04, 8.371593e-05, 1.881938e-05],
];

/// From here on erf x is 1.
const SATURATED: f32 = 3.875;

/// erf x.
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::F) -> S::F {
    let t = s.abs(x);
    let shifted = s.mul_add(t, s.splat(4.0), s.splat(INTEGERS));
    let at = s.bits(shifted);
    let r = s.neg_mul_add(s.sub(shifted, s.splat(INTEGERS)), s.splat(0.25), t);
    let mut y = s.lookup(&ERF[5], at);
    for coefficients in ERF[..5].iter().rev() {
        y = s.mul_add(y, r, s.lookup(coefficients, at));
    }
    let y = s.select(s.le(s.splat(SATURATED), t), s.splat(1.0), y);
    let sign = s.iand(s.bits(x), s.isplat(i32::MIN));
    s.with_bits(s.ior(s.bits(y), sign))
}

#[cfg(test)]
mod tests {
    use crate::backend::cpu::kernels::pointwise::forms;
    use crate::backend::cpu::simd::Tier;
    use crate::dtype::DType;
    use crate::ops::pointwise::Function;

    /// What the loop of a tier makes of `x`.
    fn apply(function: Function, x: &[f32], tier: Tier) -> Vec<f32> {
        let mut y = vec![0.0f32; x.len()];
        let args = [x.as_ptr().cast(), std::ptr::null(), std::ptr::null()];
        // SAFETY: both have as many lanes.
        unsafe { forms::select(tier)(function, DType::F32, DType::F32, args, y.as_mut_ptr().cast(), x.len()) };
        y
    }

    /// Errors in units in the last place of the result as f32.
    fn sweep(function: Function, most: f64, from: f32, to: f32, exact: fn(f64) -> f64) {
        let steps = 400_003;
        let mut x: Vec<f32> = (0..=steps).map(|i| from + (to - from) * (i as f32 / steps as f32)).collect();
        x.extend(
            (0..100_000)
                .map(|i| (to * 0.999_7f32.powi(i)).max(f32::MIN_POSITIVE) * if i % 2 == 0 { 1.0 } else { -1.0 }),
        );
        x.retain(|x| (from..=to).contains(x));
        for tier in Tier::supported() {
            for (&x, y) in x.iter().zip(apply(function, &x, tier)) {
                let expected = exact(f64::from(x));
                let near = expected.abs().max(f64::from(f32::MIN_POSITIVE)) as f32;
                let ulp = f64::from(near.next_up()) - f64::from(near);
                let error = (f64::from(y) - expected).abs() / ulp;
                assert!(error <= most, "{tier} {function:?}({x:e}) = {y:e}, off by {error:.2} ulp");
            }
        }
    }

    #[test]
    fn errors_stay_within_their_bounds() {
        sweep(Function::Exp, 2.0, -87.336, 88.722, f64::exp);
        sweep(Function::Erf, 4.0, -6.0, 6.0, libm::erf);
        sweep(Function::Tanh, 4.0, -12.0, 12.0, f64::tanh);
        sweep(Function::Sigmoid, 4.0, -87.0, 90.0, |x| 1.0 / (1.0 + (-x).exp()));
    }

    #[test]
    fn limits_and_signs() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let x = [inf, -inf, nan, 0.0, -0.0, 88.73, 1e30, -87.34, -1e30, f32::MAX, f32::MIN];
        for tier in Tier::supported() {
            let exp = apply(Function::Exp, &x, tier);
            assert_eq!(exp[..2], [inf, 0.0]);
            assert_eq!(exp[3..], [1.0, 1.0, inf, inf, 0.0, 0.0, inf, 0.0]);
            let sigmoid = apply(Function::Sigmoid, &x, tier);
            assert_eq!(sigmoid[..2], [1.0, 0.0]);
            assert_eq!((sigmoid[3], sigmoid[9], sigmoid[10]), (0.5, 1.0, 0.0));
            let erf = apply(Function::Erf, &x, tier);
            assert_eq!(erf[..2], [1.0, -1.0]);
            assert_eq!([erf[3].to_bits(), erf[4].to_bits()], [0.0f32.to_bits(), (-0.0f32).to_bits()]);
            assert_eq!(erf[5..], [1.0, 1.0, -1.0, -1.0, 1.0, -1.0]);
            let tanh = apply(Function::Tanh, &x, tier);
            assert_eq!(tanh[..2], [1.0, -1.0]);
            assert_eq!([tanh[3].to_bits(), tanh[4].to_bits()], [0.0f32.to_bits(), (-0.0f32).to_bits()]);
            assert_eq!(tanh[5..], [1.0, 1.0, -1.0, -1.0, 1.0, -1.0]);
            assert!(tanh[2].is_nan() && exp[2].is_nan() && sigmoid[2].is_nan() && erf[2].is_nan());
        }
    }

    #[test]
    fn a_lane_is_the_same_in_any_place() {
        for tier in Tier::supported() {
            for function in [Function::Exp, Function::Erf, Function::Sigmoid, Function::Tanh] {
                let x: Vec<f32> = (0..67).map(|i| (i as f32 - 30.0) * 0.37).collect();
                let whole = apply(function, &x, tier);
                for (i, &y) in whole.iter().enumerate() {
                    assert_eq!(
                        apply(function, &x[i..], tier)[0].to_bits(),
                        y.to_bits(),
                        "{tier} {function:?} lane {i}"
                    );
                }
            }
        }
    }
}
