//! f32 functions without branches, so that loops over them become SIMD code on every tier.
//!
//! Errors against f64, in units in the last place, over the swept range of the tests: exp, log,
//! sqrt-free forms ≤ 2; softplus, expm1, log1p ≤ 4; sin, cos ≤ 2 for |x| ≤ 1e5; pow ≤ 1.
//!
//! Zeros have the sign of the exact function's limit. Sums such as `x + x³·p` lose it, for −0 + 0 is 0; functions
//! that have the sign of their argument take it from there.

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

const SIGN: u32 = 1 << 31;

/// 1.5 · 2²³: sums with it are rounded to integers, whose low bits are theirs.
const INTEGERS: f32 = 12_582_912.0;

/// y, negative if x is: for functions that never are where x is positive.
#[inline(always)]
fn negative_as(x: f32, y: f32) -> f32 {
    f32::from_bits(y.to_bits() | (x.to_bits() & SIGN))
}

/// 2ⁿ·x for |n| ≤ 252, also where the result is subnormal.
#[inline(always)]
fn scale(x: f32, n: i32) -> f32 {
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    x * power(half) * power(n.wrapping_sub(half))
}

/// eˣ (Cephes `expf`: reduction by ln 2 in two parts, polynomial of degree 5).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let t = if x > 89.0 { 89.0 } else { x };
    let t = if t < -104.0 { -104.0 } else { t };
    // The rounded quotient stands in the low bits of this sum: a cast would check each lane by itself.
    let shifted = t * std::f32::consts::LOG2_E + INTEGERS;
    let n = shifted - INTEGERS;
    let r = n.mul_add(-LN2_HIGH, t);
    let r = n.mul_add(-LN2_LOW, r);
    let mut p = 1.987_569_1e-4f32;
    p = p.mul_add(r, 1.398_2e-3);
    p = p.mul_add(r, 8.333_452e-3);
    p = p.mul_add(r, 4.166_579_6e-2);
    p = p.mul_add(r, 1.666_666_5e-1);
    p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    scale(y, (shifted.to_bits() as i32).wrapping_sub(INTEGERS.to_bits() as i32))
}

/// ln x (Cephes `logf`).
#[inline(always)]
pub fn log(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let bits = scaled.to_bits() as i32;
    // m in √½..√2
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let e = (shifted >> 23) as f32 - if tiny { 23.0 } else { 0.0 };
    let m = f32::from_bits(((shifted & 0x007f_ffff) + 0x3f35_04f3) as u32) - 1.0;
    let z = m * m;
    let mut p = 7.037_683_6e-2f32;
    p = p.mul_add(m, -1.151_461e-1);
    p = p.mul_add(m, 1.167_699_9e-1);
    p = p.mul_add(m, -1.242_014_1e-1);
    p = p.mul_add(m, 1.424_932_3e-1);
    p = p.mul_add(m, -1.666_805_8e-1);
    p = p.mul_add(m, 2.000_071_5e-1);
    p = p.mul_add(m, -2.499_999_4e-1);
    p = p.mul_add(m, 3.333_333e-1);
    let mut y = p * m * z;
    y = e.mul_add(LN2_LOW, y);
    y = z.mul_add(-0.5, y);
    let y = e.mul_add(LN2_HIGH, m + y);
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    let y = if x == f32::INFINITY { x } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

/// ln(1 + x), with Kahan's correction for the rounding of 1 + x.
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    let w = 1.0 + x;
    let d = w - 1.0;
    let y = log(w) * (x / d);
    let y = if d == 0.0 { x } else { y };
    if x == f32::INFINITY { x } else { y }
}

/// eˣ − 1: a polynomial near 0, the difference elsewhere.
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    let mut p = 1.0 / 40_320.0f32;
    p = p.mul_add(x, 1.0 / 5_040.0);
    p = p.mul_add(x, 1.0 / 720.0);
    p = p.mul_add(x, 1.0 / 120.0);
    p = p.mul_add(x, 1.0 / 24.0);
    p = p.mul_add(x, 1.0 / 6.0);
    p = p.mul_add(x, 0.5);
    let z = x * x;
    let near = p.mul_add(z, x);
    let far = exp(x) - 1.0;
    negative_as(x, if z < 0.25 { near } else { far })
}

/// ln(1 + eˣ), without overflow.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    let positive = if x > 0.0 { x } else { 0.0 };
    let y = positive + log1p(exp(-x.abs()));
    if x.is_nan() { x } else { y }
}

/// sin x and cos x by the quadrant of x, reduced in f64.
#[inline(always)]
fn quadrant(x: f32, turn: i32) -> f32 {
    /// 1.5 · 2⁵²: sums with it are rounded to integers, whose low bits are theirs.
    const INTEGERS: f64 = 6_755_399_441_055_744.0;
    let wide = f64::from(x);
    // n is not −0 where x is, or −0 · −π/2 would add 0 to it. For the same reason r is a factor of its sine.
    let shifted = wide.mul_add(std::f64::consts::FRAC_2_PI, INTEGERS);
    let n = shifted - INTEGERS;
    let r = n.mul_add(-std::f64::consts::FRAC_PI_2, wide);
    let r = n.mul_add(-6.123_233_995_736_766e-17, r);
    let s = r * r;
    let sin = (((((-2.505_2e-8f64).mul_add(s, 2.755_731_9e-6)).mul_add(s, -1.984_126_98e-4))
        .mul_add(s, 8.333_333_33e-3))
    .mul_add(s, -1.666_666_666_66e-1))
    .mul_add(s, 1.0)
        * r;
    let cos = ((((-2.755_7e-7f64).mul_add(s, 2.480_158_7e-5)).mul_add(s, -1.388_888_888e-3))
        .mul_add(s, 4.166_666_666_6e-2))
    .mul_add(s, -0.5)
    .mul_add(s, 1.0);
    let q = (shifted.to_bits() as i32).wrapping_add(turn);
    let y = if q & 1 == 0 { sin } else { cos };
    (if q & 2 == 0 { y } else { -y }) as f32
}

/// Up to here [`sin`] and [`cos`] reduce their argument well.
pub const PERIODIC: f32 = 1e9;

/// sin x, for |x| up to [`PERIODIC`].
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    quadrant(x, 0)
}

/// cos x, for |x| up to [`PERIODIC`].
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    quadrant(x, 1)
}

/// log₂ x of a positive number, to about 40 bits: the exponent, and 2 artanh((m − 1) / (m + 1)) / ln 2 of the rest.
#[inline(always)]
fn log2(x: f64) -> f64 {
    /// 2⁵² as bits: a number below it in the low bits is added to it.
    const WHOLE: u64 = 0x4330_0000_0000_0000;
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    // m in √½..√2
    let shifted = x.to_bits().wrapping_sub(ROOT_HALF).wrapping_add(1023 << 52);
    let e = f64::from_bits((shifted >> 52) | WHOLE) - (4_503_599_627_370_496.0 + 1023.0);
    let m = f64::from_bits((shifted & ((1 << 52) - 1)).wrapping_add(ROOT_HALF));
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut p = 1.0 / 13.0;
    p = z.mul_add(p, 1.0 / 11.0);
    p = z.mul_add(p, 1.0 / 9.0);
    p = z.mul_add(p, 1.0 / 7.0);
    p = z.mul_add(p, 1.0 / 5.0);
    p = z.mul_add(p, 1.0 / 3.0);
    p = z.mul_add(p, 1.0);
    (s * p).mul_add(2.0 * std::f64::consts::LOG2_E, e)
}

/// 2ˣ for |x| ≤ 1000, to about 37 bits.
#[inline(always)]
fn exp2(x: f64) -> f64 {
    /// 1.5 · 2⁵²: sums with it are rounded to integers, whose low bits are theirs.
    const INTEGERS: f64 = 6_755_399_441_055_744.0;
    let shifted = x + INTEGERS;
    let t = (x - (shifted - INTEGERS)) * std::f64::consts::LN_2;
    let mut p = 1.0 / 362_880.0;
    for factorial in [40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0f64] {
        p = t.mul_add(p, 1.0 / factorial);
    }
    f64::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// `x` to the power `y`, by IEEE 754's rules for special values: as 2 to the power `y` log₂ |x| in f64.
#[inline(always)]
pub fn pow(x: f32, y: f32) -> f32 {
    let size = f64::from(x.abs());
    let l = log2(size);
    let l = if size < f64::INFINITY { l } else { size };
    let l = if x == 0.0 { f64::NEG_INFINITY } else { l };
    // Of 1, whatever the exponent; beyond 160, f32 has neither.
    let e = if l == 0.0 { 0.0 } else { f64::from(y) * l };
    let e = if e > 160.0 { 160.0 } else { e };
    let e = if e < -160.0 { -160.0 } else { e };
    let r = exp2(e) as f32;
    let whole = y.trunc() == y;
    let half = 0.5 * y;
    let odd = whole & (half.trunc() != half);
    let r = if odd { f32::from_bits(r.to_bits() | (x.to_bits() & SIGN)) } else { r };
    let r = if (x < 0.0) & (x > f32::NEG_INFINITY) & !whole { f32::NAN } else { r };
    let r = if x.is_nan() | y.is_nan() { f32::NAN } else { r };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { r }
}

/// The remainder of rounding the quotient down: exact, with the sign of `b`.
#[inline(always)]
pub fn modulo(a: f32, b: f32) -> f32 {
    let m = a % b;
    let m = if m != 0.0 && (m < 0.0) != (b < 0.0) { m + b } else { m };
    if m == 0.0 { m.copysign(b) } else { m }
}

/// The exact quotient rounded down.
#[inline(always)]
pub fn floor_div(a: f32, b: f32) -> f32 {
    if b == 0.0 {
        return a / b;
    }
    let m = a % b;
    let q = (a - m) / b - if m != 0.0 && (m < 0.0) != (b < 0.0) { 1.0 } else { 0.0 };
    // What was rounded below a whole number is that number.
    let whole = if q - q.floor() > 0.5 { q.floor() + 1.0 } else { q.floor() };
    if q == 0.0 { q.copysign(a / b) } else { whole }
}

/// `a / b` rounded down, 0 where `b` is 0.
#[inline(always)]
pub fn floor_div_i32(a: i32, b: i32) -> i32 {
    if b == 0 { 0 } else { a.wrapping_div_euclid(b) - i32::from(b < 0 && a.wrapping_rem_euclid(b) != 0) }
}

/// What `floor_div_i32` leaves: 0 or of `b`'s sign.
#[inline(always)]
pub fn modulo_i32(a: i32, b: i32) -> i32 {
    if b == 0 { 0 } else { a.wrapping_sub(floor_div_i32(a, b).wrapping_mul(b)) }
}

/// `a` shifted left by `b` bits, 0 where there are not as many.
#[inline(always)]
pub fn shift_left_i32(a: i32, b: i32) -> i32 {
    if (b as u32) < 32 { a << b } else { 0 }
}

/// `a` shifted right by `b` bits, only its sign where there are not as many.
#[inline(always)]
pub fn shift_right_i32(a: i32, b: i32) -> i32 {
    a >> (b as u32).min(31)
}

/// The greatest common divisor.
#[inline(always)]
pub fn gcd_i32(a: i32, b: i32) -> i32 {
    crate::ops::special::gcd(u64::from(a.unsigned_abs()), u64::from(b.unsigned_abs())) as i32
}

/// `a` to the power `b`, wrapping around; by way of f64 where `b` is negative.
#[inline(always)]
pub fn pow_i32(a: i32, b: i32) -> i32 {
    match u32::try_from(b) {
        Ok(b) => a.wrapping_pow(b),
        Err(_) => f64::from(a).powf(f64::from(b)) as i32,
    }
}

/// 1 / √x.
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / x.sqrt()
}

/// 1, −1, 0 at ±0, or NaN.
#[inline(always)]
pub fn sign(x: f32) -> f32 {
    let s = if x > 0.0 { 1.0 } else { x + 0.0 };
    if x < 0.0 { -1.0 } else { s }
}

/// The greater; NaN if either is.
#[inline(always)]
pub fn maximum(a: f32, b: f32) -> f32 {
    let m = if a >= b { a } else { b };
    if a.is_nan() { a } else { m }
}

/// The smaller; NaN if either is.
#[inline(always)]
pub fn minimum(a: f32, b: f32) -> f32 {
    let m = if a <= b { a } else { b };
    if a.is_nan() { a } else { m }
}

#[cfg(test)]
mod tests {
    /// Distance in units in the last place of the exact value.
    fn ulps(got: f32, exact: f64) -> f64 {
        let near = exact as f32;
        if got == near || (got.is_nan() && near.is_nan()) {
            return 0.0;
        }
        let unit = f64::from(f32::from_bits(near.abs().to_bits() + 1)) - f64::from(near.abs());
        ((f64::from(got) - exact) / unit).abs()
    }

    fn sweep(name: &str, bound: f64, low: f32, high: f32, f: fn(f32) -> f32, exact: fn(f64) -> f64) {
        let mut worst = (0.0, 0.0f32);
        for i in 0..200_000 {
            let x = low + (high - low) * (i as f32 / 200_000.0);
            for x in [x, x * 1e-3, x * 1e-6] {
                let e = ulps(f(x), exact(f64::from(x)));
                if e > worst.0 {
                    worst = (e, x);
                }
            }
        }
        assert!(worst.0 <= bound, "{name}: {} ulp at {}", worst.0, worst.1);
    }

    #[test]
    fn errors_stay_within_the_stated_bounds() {
        sweep("exp", 2.0, -87.0, 88.0, super::exp, f64::exp);
        sweep("log", 2.0, 1e-6, 1e6, super::log, f64::ln);
        sweep("log1p", 4.0, -0.99, 50.0, super::log1p, f64::ln_1p);
        sweep("expm1", 4.0, -10.0, 80.0, super::expm1, f64::exp_m1);
        sweep("softplus", 4.0, -80.0, 80.0, super::softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p());
        // Near a zero of sin or cos away from 0 the result is tiny; there the bound is absolute.
        for (f, exact) in [(super::sin as fn(f32) -> f32, f64::sin as fn(f64) -> f64), (super::cos, f64::cos)] {
            for i in -100_000..100_000 {
                let x = i as f32 * 1.000_7;
                let error = (f64::from(f(x)) - exact(f64::from(x))).abs();
                assert!(error <= 1.2e-7, "{x}: {error}");
            }
        }
    }

    #[test]
    fn powers_are_nearly_exact_and_keep_the_rules_of_special_values() {
        let mut rng = crate::testing::Rng::new(3);
        let mut worst = 0.0;
        for _ in 0..400_000 {
            let uniform = |rng: &mut crate::testing::Rng| rng.below(1 << 24) as f32 / (1 << 24) as f32;
            let x = (40.0 * uniform(&mut rng) - 20.0).exp2();
            let y = 12.0 * uniform(&mut rng) - 6.0;
            let exact = f64::from(x).powf(f64::from(y));
            if exact > f64::from(f32::MIN_POSITIVE) && exact < f64::from(f32::MAX) {
                worst = f64::max(worst, ulps(super::pow(x, y), exact));
            }
        }
        assert!(worst <= 1.0, "{worst} ulp");
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let numbers = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 2.5, 1e30, -1e30, 1e-30, 16_777_217.0];
        for x in numbers.into_iter().chain([inf, -inf, nan]) {
            for y in numbers.into_iter().chain([inf, -inf, nan]) {
                let (got, want) = (super::pow(x, y), x.powf(y));
                let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
                assert!(same || ulps(got, f64::from(want)) <= 1.0, "{x} to the power {y}: {got}, not {want}");
            }
        }
        // Small whole powers of small whole numbers are what they are.
        for x in -9i32..=9 {
            for y in 0..=5u32 {
                assert_eq!(super::pow(x as f32, y as f32), x.pow(y) as f32, "{x} to the power {y}");
            }
        }
    }

    #[test]
    fn special_values() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        assert_eq!((super::exp(inf), super::exp(-inf), super::exp(0.0)), (inf, 0.0, 1.0));
        assert_eq!((super::log(0.0), super::log(inf), super::log(1.0)), (f32::NEG_INFINITY, inf, 0.0));
        assert!(super::log(-1.0).is_nan());

        assert_eq!((super::softplus(-inf), super::softplus(inf)), (0.0, inf));
        for f in
            [super::exp, super::log, super::log1p, super::expm1, super::softplus, super::sin, super::cos, super::sign]
        {
            assert!(f(nan).is_nan());
        }
        assert!(super::maximum(nan, 1.0).is_nan() && super::maximum(1.0, nan).is_nan());
        assert!(super::exp(-100.0) > 0.0, "subnormal results are not flushed");
        for zero in [0.0f32, -0.0] {
            for odd in [super::sin, super::expm1, super::log1p] {
                assert_eq!(odd(zero).to_bits(), zero.to_bits());
            }
            assert_eq!(super::sign(zero).to_bits(), 0);
        }
    }
}
