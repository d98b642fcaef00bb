//! Functions of single numbers that the standard library lacks, for rows of the pointwise table.

/// The inverse of erf in f32 (Giles, "Approximating the erfinv function", 2012).
pub fn erfinv_f32(x: f32) -> f32 {
    let size = x.abs();
    if size == 1.0 {
        return f32::INFINITY.copysign(x);
    }
    giles(f64::from(x)) as f32
}

/// Its polynomials, evaluated in f64, in terms of w = −ln(1 − x²).
fn giles(x: f64) -> f64 {
    const NEAR: [f64; 9] = [
        2.81022636e-08,
        3.43273939e-07,
        -3.5233877e-06,
        -4.39150654e-06,
        0.00021858087,
        -0.00125372503,
        -0.00417768164,
        0.246640727,
        1.50140941,
    ];
    const FAR: [f64; 9] = [
        -0.000200214257,
        0.000100950558,
        0.00134934322,
        -0.00367342844,
        0.00573950773,
        -0.0076224613,
        0.00943887047,
        1.00167406,
        2.83297682,
    ];
    let w = -((1.0 - x) * (1.0 + x)).ln();
    let (t, p) = if w < 5.0 { (w - 2.5, NEAR) } else { (w.sqrt() - 3.0, FAR) };
    p.iter().fold(0.0, |sum, c| sum * t + c) * x
}

/// The inverse of erf in f64: Newton's method from the approximation for f32, of erfc where erf is near 1.
pub fn erfinv(x: f64) -> f64 {
    let size = x.abs();
    if size == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    let mut y = giles(size);
    for _ in 0..3 {
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp();
        let error = if size > 0.5 { (1.0 - size) - libm::erfc(y) } else { libm::erf(y) - size };
        // Halley's correction keeps steps short in the tail.
        let step = error / slope;
        y -= step / (1.0 + y * step);
    }
    if x == 0.0 { x } else { y.copysign(x) }
}

/// The f32 beside `a` on the way to `b`, by bits, so that subnormal numbers count.
pub fn next_after(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        return f32::NAN;
    }
    let place = |x: f32| {
        let size = (x.to_bits() & 0x7fff_ffff) as i32;
        if x.is_sign_negative() { -size } else { size }
    };
    let (from, to) = (place(a), place(b));
    if from == to {
        return b;
    }
    let next = if to > from { from + 1 } else { from - 1 };
    let sign = if next < 0 || (next == 0 && from < 0) { 1 << 31 } else { 0 };
    f32::from_bits(next.unsigned_abs() | sign)
}

/// The greatest common divisor (Euclid).
pub fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// `a · 2^b`; 0 where `b` is no number of bits. Types of fewer than 64 bits wrap what this makes.
pub fn shift_left(a: i64, b: i64) -> i64 {
    if (0..64).contains(&b) { a << b } else { 0 }
}

/// `a / 2^b`, rounded down; the sign where `b` is no number of bits.
pub fn shift_right(a: i64, b: i64) -> i64 {
    a >> if (0..64).contains(&b) { b } else { 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erfinv_inverts_erf() {
        for k in 1..4000 {
            let y = f64::from(k) * 1.3e-3;
            let x = libm::erf(y);
            if x < 0.9999 {
                assert!((erfinv(x) - y).abs() <= 1e-12 * y.max(1.0), "{y}");
                assert_eq!(erfinv(-x), -erfinv(x));
            }
            let narrow = x as f32;
            if narrow < 1.0 {
                let (got, exact) = (f64::from(erfinv_f32(narrow)), erfinv(f64::from(narrow)));
                assert!((got - exact).abs() <= 5e-7 * exact, "{narrow}: {got} {exact}");
            }
        }
        assert_eq!((erfinv(1.0), erfinv_f32(-1.0)), (f64::INFINITY, f32::NEG_INFINITY));
        assert!(erfinv(1.5).is_nan() && erfinv_f32(f32::NAN).is_nan());
    }

    #[test]
    fn next_numbers_are_those_of_libm() {
        let values = [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 3e38, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, 1.5];
        for a in values {
            for b in values {
                assert_eq!(next_after(a, b).to_bits(), libm::nextafterf(a, b).to_bits(), "{a} {b}");
            }
        }
    }

    #[test]
    fn shifts_by_no_number_of_bits_leave_the_sign() {
        assert_eq!((shift_left(3, 4), shift_left(3, 40), shift_left(3, 64), shift_left(3, -1)), (48, 3 << 40, 0, 0));
        assert_eq!((shift_right(-5, 1), shift_right(-5, 64), shift_right(5, -1)), (-3, -1, 0));
        assert_eq!((gcd(12, 18), gcd(0, 5), gcd(0, 0)), (6, 5, 0));
    }
}
