//! Every operation of every supported set against plain arithmetic, lane by lane.
#![allow(unsafe_op_in_unsafe_fn, reason = "test kernels under the contract of the trait")]

use super::*;

const A: [f32; 16] = [0.0, -0.0, 1.5, -1.5, 2.5, -2.5, 3.25, -7.75, 1e-3, 100.5, f32::NAN, 0.5, -0.5, 8.0, 1e10, -3.0];
const B: [f32; 16] = [1.0, 0.0, 1.5, 2.0, -2.5, 4.0, f32::NAN, -7.75, 1e-3, -3.0, 1.0, 0.25, -0.5, 9.0, 1e-10, 3.5];
const X: [i32; 16] = [0, 1, -1, i32::MAX, i32::MIN, 7, -7, 100, 3, -3, 12345, -12345, 1 << 20, -(1 << 20), 2, 5];
const Y: [i32; 16] = [0, -1, -1, 1, -1, 7, 8, 99, -4, -3, 54321, 4, 1 << 20, 1 << 12, 31, -5];

type Unary = unsafe fn(*const f32, *const f32, *const i32, *const i32, *mut f32, *mut i32);

#[inline(always)]
unsafe fn floats<S: Simd>(a: *const f32, b: *const f32, x: *const i32, _: *const i32, out: *mut f32, _: *mut i32) {
    let mut i = 0;
    while i < 16 {
        let (p, q) = (S::load(a.add(i)), S::load(b.add(i)));
        let m = S::lt(p, q);
        let results = [
            S::add(p, q),
            S::sub(p, q),
            S::mul(p, q),
            S::div(p, q),
            S::min(p, q),
            S::max(p, q),
            S::sqrt(p),
            S::abs(p),
            S::neg(p),
            S::floor(p),
            S::ceil(p),
            S::round_even(p),
            S::select(m, p, q),
            S::select(S::mnot(S::le(p, q)), p, q),
            S::select(S::mor(S::eq(p, q), m), S::splat(1.0), S::zero()),
            S::select(S::mand(S::eq(p, q), m), S::splat(1.0), S::zero()),
            S::to_f(S::iload(x.add(i))),
            S::from_bits(S::bits(p)),
            S::mul_add(p, q, S::splat(2.0)),
            S::neg_mul_add(p, q, S::splat(2.0)),
        ];
        for (r, v) in results.into_iter().enumerate() {
            S::store(out.add(r * 16 + i), v);
        }
        i += S::LANES;
    }
}
crate::dispatch! { fn select_floats[] => floats(a: *const f32, b: *const f32, x: *const i32, y: *const i32, out: *mut f32, iout: *mut i32); }

fn expected_floats(a: f32, b: f32, x: i32) -> [f32; 20] {
    let or = |c: bool| if c { 1.0 } else { 0.0 };
    [
        a + b,
        a - b,
        a * b,
        a / b,
        if a < b { a } else { b },
        if a > b { a } else { b },
        a.sqrt(),
        a.abs(),
        -a,
        a.floor(),
        a.ceil(),
        a.round_ties_even(),
        if a < b { a } else { b },
        if a <= b { b } else { a },
        or(a <= b),
        or(false),
        x as f32,
        a,
        a * b + 2.0,
        2.0 - a * b,
    ]
}

#[test]
fn float_operations() {
    for tier in Tier::supported() {
        let mut out = [0.0f32; 320];
        let f: Unary = select_floats(tier);
        // SAFETY: the tier is supported and the arrays hold 16 elements, `out` 20 × 16.
        unsafe { f(A.as_ptr(), B.as_ptr(), X.as_ptr(), Y.as_ptr(), out.as_mut_ptr(), std::ptr::null_mut()) };
        for i in 0..16 {
            for (r, want) in expected_floats(A[i], B[i], X[i]).into_iter().enumerate() {
                let got = out[r * 16 + i];
                // The last two may be rounded once or twice.
                let close = r >= 18 && (got - want).abs() <= want.abs() * 1e-6;
                assert!(
                    got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()) || close,
                    "{tier} operation {r} lane {i}: {got} instead of {want}"
                );
            }
        }
    }
}

#[inline(always)]
unsafe fn ints<S: Simd>(a: *const f32, _: *const f32, x: *const i32, y: *const i32, _: *mut f32, out: *mut i32) {
    let mut i = 0;
    while i < 16 {
        let (p, q) = (S::iload(x.add(i)), S::iload(y.add(i)));
        let results = [
            S::iadd(p, q),
            S::isub(p, q),
            S::imul(p, q),
            S::iand(p, q),
            S::ior(p, q),
            S::ixor(p, q),
            S::ishl::<3>(p),
            S::ishr::<3>(p),
            S::ushr::<3>(p),
            S::iselect(S::ilt(p, q), p, q),
            S::iselect(S::ieq(p, q), S::isplat(1), S::isplat(0)),
            S::imin(p, q),
            S::imax(p, q),
            S::bits(S::load(a.add(i))),
        ];
        for (r, v) in results.into_iter().enumerate() {
            S::istore(out.add(r * 16 + i), v);
        }
        i += S::LANES;
    }
}
crate::dispatch! { fn select_ints[] => ints(a: *const f32, b: *const f32, x: *const i32, y: *const i32, out: *mut f32, iout: *mut i32); }

#[test]
fn integer_operations() {
    for tier in Tier::supported() {
        let mut out = [0i32; 14 * 16];
        let f: Unary = select_ints(tier);
        // SAFETY: the tier is supported and the arrays hold 16 elements, `out` 14 × 16.
        unsafe { f(A.as_ptr(), B.as_ptr(), X.as_ptr(), Y.as_ptr(), std::ptr::null_mut(), out.as_mut_ptr()) };
        for i in 0..16 {
            let (p, q) = (X[i], Y[i]);
            let want = [
                p.wrapping_add(q),
                p.wrapping_sub(q),
                p.wrapping_mul(q),
                p & q,
                p | q,
                p ^ q,
                p << 3,
                p >> 3,
                ((p as u32) >> 3) as i32,
                p.min(q),
                i32::from(p == q),
                p.min(q),
                p.max(q),
                A[i].to_bits() as i32,
            ];
            for (r, want) in want.into_iter().enumerate() {
                assert_eq!(out[r * 16 + i], want, "{tier} operation {r} lane {i}");
            }
        }
    }
}

#[inline(always)]
unsafe fn partial<S: Simd, const ADD: bool>(n: usize, src: *const f32, dst: *mut f32, ints: *mut i32) -> [f32; 3] {
    let v = S::load_first(src, n);
    let shifted = if ADD { S::add(v, S::splat(1.0)) } else { v };
    S::store_first(dst, shifted, n);
    S::istore_first(ints, S::to_i(S::to_f(S::iload_first(ints, n))), n);
    [S::reduce_add(v), S::reduce_max(v), S::reduce_min(v)]
}
crate::dispatch! { fn select_partial[const ADD: bool] => partial(n: usize, src: *const f32, dst: *mut f32, ints: *mut i32) -> [f32; 3]; }

#[test]
fn partial_vectors_and_reductions() {
    for tier in Tier::supported() {
        for n in 0..=tier.lanes() {
            let src: Vec<f32> = (0..n).map(|i| ((i * 7) % 5) as f32 - 2.0).collect();
            let mut dst = vec![9.0f32; 17];
            let mut ints: Vec<i32> = (0..n as i32).collect();
            // SAFETY: the tier is supported and `n` elements are accessible.
            let [sum, max, min] =
                unsafe { select_partial::<true>(tier)(n, src.as_ptr(), dst.as_mut_ptr(), ints.as_mut_ptr()) };
            let zero = if n < tier.lanes() { 0.0 } else { f32::NAN };
            assert_eq!(sum, src.iter().sum::<f32>(), "{tier} {n}");
            assert_eq!(max, src.iter().copied().fold(zero, f32::max), "{tier} {n}");
            assert_eq!(min, src.iter().copied().fold(zero, f32::min), "{tier} {n}");
            assert!(dst[..n].iter().zip(&src).all(|(d, s)| *d == s + 1.0) && dst[n..].iter().all(|d| *d == 9.0));
            assert_eq!(ints, (0..n as i32).collect::<Vec<_>>());
        }
    }
}

#[inline(always)]
unsafe fn four<S: Simd>(src: *const f32) -> [f32; 4] {
    let mut v = [S::zero(); 4];
    for (i, v) in v.iter_mut().enumerate() {
        *v = S::load(src.add(i * S::LANES));
    }
    S::reduce_add4(&v)
}
crate::dispatch! { fn select_four[] => four(src: *const f32) -> [f32; 4]; }

#[test]
fn sums_of_four_vectors() {
    for tier in Tier::supported() {
        // Every lane counts for something else.
        let src: Vec<f32> = (0..4 * tier.lanes()).map(|i| ((i * i * 7) % 1013) as f32).collect();
        let want: Vec<f32> = src.chunks(tier.lanes()).map(|v| v.iter().sum()).collect();
        // SAFETY: the tier is supported and four vectors are accessible.
        assert_eq!(unsafe { select_four(tier)(src.as_ptr()) }, *want, "{tier}");
    }
}

#[test]
fn names() {
    assert_eq!(Tier::parse(" Scalar").unwrap(), Tier::Scalar);
    let error = Tier::parse("sse9").unwrap_err().to_string();
    assert!(error.contains("sse9") && error.contains("scalar"), "{error}");
    for tier in Tier::ALL {
        assert_eq!(Tier::parse(tier.name()).is_ok(), tier.is_supported());
    }
}
