//! Every operation of every supported set against plain arithmetic, lane by lane.
#![allow(unsafe_op_in_unsafe_fn, reason = "test kernels under the contract of the trait")]

use super::*;

const A: [f32; 16] = [0.0, -0.0, 1.5, -1.5, 2.5, -2.5, 3.25, -7.75, 1e-3, 100.5, f32::NAN, 0.5, -0.5, 8.0, 1e10, -3.0];
const B: [f32; 16] = [1.0, 0.0, 1.5, 2.0, -2.5, 4.0, f32::NAN, -7.75, 1e-3, -3.0, 1.0, 0.25, -0.5, 9.0, 1e-10, 3.5];
const X: [i32; 16] = [0, 1, -1, i32::MAX, i32::MIN, 7, -7, 100, 3, -3, 12345, -12345, 1 << 20, -(1 << 20), 2, 5];
const Y: [i32; 16] = [0, -1, -1, 1, -1, 7, 8, 99, -4, -3, 54321, 4, 1 << 20, 1 << 12, 31, -5];

type Unary = unsafe fn(*const f32, *const f32, *const i32, *const i32, *mut f32, *mut i32);

#[inline(always)]
unsafe fn floats<S: Simd>(
    s: S,
    a: *const f32,
    b: *const f32,
    x: *const i32,
    _: *const i32,
    out: *mut f32,
    _: *mut i32,
) {
    let mut i = 0;
    while i < 16 {
        let (p, q) = (s.load(a.add(i)), s.load(b.add(i)));
        let m = s.lt(p, q);
        let results = [
            s.add(p, q),
            s.sub(p, q),
            s.mul(p, q),
            s.div(p, q),
            s.min(p, q),
            s.max(p, q),
            s.sqrt(p),
            s.abs(p),
            s.neg(p),
            s.floor(p),
            s.ceil(p),
            s.round_even(p),
            s.select(m, p, q),
            s.select(s.mnot(s.le(p, q)), p, q),
            s.select(s.mor(s.eq(p, q), m), s.splat(1.0), s.zero()),
            s.select(s.mand(s.eq(p, q), m), s.splat(1.0), s.zero()),
            s.to_f(s.iload(x.add(i))),
            s.with_bits(s.bits(p)),
            s.mul_add(p, q, s.splat(2.0)),
            s.neg_mul_add(p, q, s.splat(2.0)),
            s.lookup(&B, s.iload(x.add(i))),
        ];
        for (r, v) in results.into_iter().enumerate() {
            s.store(out.add(r * 16 + i), v);
        }
        i += S::LANES;
    }
}
dispatch! { fn select_floats[] => unsafe floats(a: *const f32, b: *const f32, x: *const i32, y: *const i32, out: *mut f32, iout: *mut i32); }

fn expected_floats(a: f32, b: f32, x: i32) -> [f32; 21] {
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
        B[(x & 15) as usize],
    ]
}

#[test]
fn float_operations() {
    for tier in Tier::supported() {
        let mut out = [0.0f32; 21 * 16];
        let f: Unary = select_floats(tier);
        // SAFETY: the arrays hold 16 elements, `out` 21 × 16.
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
unsafe fn ints<S: Simd>(s: S, a: *const f32, _: *const f32, x: *const i32, y: *const i32, _: *mut f32, out: *mut i32) {
    let mut i = 0;
    while i < 16 {
        let (p, q) = (s.iload(x.add(i)), s.iload(y.add(i)));
        let results = [
            s.iadd(p, q),
            s.isub(p, q),
            s.imul(p, q),
            s.iand(p, q),
            s.ior(p, q),
            s.ixor(p, q),
            s.ishl::<3>(p),
            s.ishr::<3>(p),
            s.ushr::<3>(p),
            s.iselect(s.ilt(p, q), p, q),
            s.iselect(s.ieq(p, q), s.isplat(1), s.isplat(0)),
            s.imin(p, q),
            s.imax(p, q),
            s.bits(s.load(a.add(i))),
        ];
        for (r, v) in results.into_iter().enumerate() {
            s.istore(out.add(r * 16 + i), v);
        }
        i += S::LANES;
    }
}
dispatch! { fn select_ints[] => unsafe ints(a: *const f32, b: *const f32, x: *const i32, y: *const i32, out: *mut f32, iout: *mut i32); }

#[test]
fn integer_operations() {
    for tier in Tier::supported() {
        let mut out = [0i32; 14 * 16];
        let f: Unary = select_ints(tier);
        // SAFETY: the arrays hold 16 elements, `out` 14 × 16.
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
unsafe fn partial<S: Simd, const ADD: bool>(
    s: S,
    n: usize,
    src: *const f32,
    dst: *mut f32,
    ints: *mut i32,
) -> [f32; 3] {
    let v = s.load_first(src, n);
    let shifted = if ADD { s.add(v, s.splat(1.0)) } else { v };
    s.store_first(dst, shifted, n);
    s.istore_first(ints, s.to_i(s.to_f(s.iload_first(ints, n))), n);
    [s.reduce_add(v), s.reduce_max(v), s.reduce_min(v)]
}
dispatch! { fn select_partial[const ADD: bool] => unsafe partial(n: usize, src: *const f32, dst: *mut f32, ints: *mut i32) -> [f32; 3]; }

#[test]
fn partial_vectors_and_reductions() {
    for tier in Tier::supported() {
        for n in 0..=tier.lanes() {
            let src: Vec<f32> = (0..n).map(|i| ((i * 7) % 5) as f32 - 2.0).collect();
            let mut dst = vec![9.0f32; 17];
            let mut ints: Vec<i32> = (0..n as i32).collect();
            // SAFETY: `n` elements are accessible.
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
unsafe fn four<S: Simd>(s: S, src: *const f32) -> [f32; 4] {
    let mut v = [s.zero(); 4];
    for (i, v) in v.iter_mut().enumerate() {
        *v = s.load(src.add(i * S::LANES));
    }
    s.reduce_add4(&v)
}
dispatch! { fn select_four[] => unsafe four(src: *const f32) -> [f32; 4]; }

#[test]
fn sums_of_four_vectors() {
    for tier in Tier::supported() {
        // Every lane counts for something else.
        let src: Vec<f32> = (0..4 * tier.lanes()).map(|i| ((i * i * 7) % 1013) as f32).collect();
        let want: Vec<f32> = src.chunks(tier.lanes()).map(|v| v.iter().sum()).collect();
        // SAFETY: four vectors are accessible.
        assert_eq!(unsafe { select_four(tier)(src.as_ptr()) }, *want, "{tier}");
    }
}

#[test]
fn kernels_of_sets_that_the_machine_lacks_are_not_to_be_had() {
    for tier in Tier::ALL {
        let selected = std::panic::catch_unwind(|| select_four(tier));
        assert_eq!(selected.is_ok(), Tier::supported().contains(&tier), "{tier}");
    }
    let foreign = if cfg!(target_arch = "aarch64") { Tier::Avx2 } else { Tier::Neon };
    assert!(Token::new(foreign).is_none() && !Tier::supported().contains(&foreign));
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
