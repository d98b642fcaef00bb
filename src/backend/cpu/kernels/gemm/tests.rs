//! Products of many shapes against f64 sums, on every supported tier.

use super::*;
use crate::backend::cpu::kernels::attach::{PackHook, TileHook};
use crate::backend::cpu::kernels::chunked::run_serially;
use std::sync::Mutex;

/// Reproducible values in -0.5..0.5.
pub(crate) fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        })
        .collect()
}

/// max(2x + 3, 0), by its place: rows and columns must be told correctly.
struct Prologue {
    whole: *const f32,
}
// SAFETY: only read.
unsafe impl Sync for Prologue {}
impl PackHook for Prologue {
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
        for r in 0..pixels {
            for c in 0..cols {
                // SAFETY: the block lies within the matrix.
                unsafe {
                    let x = *self.whole.add((row0 + r) * src_ld + col0 + c);
                    *dst.add(r * dst_ld + c) = (2.0 * x + 3.0).max(0.0);
                }
            }
        }
    }
}

/// Adds row + 2 · column, counts elements, and checks begin and end.
struct Hook {
    seen: Mutex<(usize, Vec<usize>)>,
}
impl TileHook for Hook {
    fn begin(&self, chunk: usize) {
        self.seen.lock().unwrap().1.push(chunk);
    }
    unsafe fn tile(&self, chunk: usize, tile: *mut f32, ld: usize, row0: usize, rows: usize, col0: usize, cols: usize) {
        let mut seen = self.seen.lock().unwrap();
        assert_eq!(seen.1.last(), Some(&chunk));
        seen.0 += rows * cols;
        for r in 0..rows {
            for c in 0..cols {
                // SAFETY: the tile is rows × cols.
                unsafe { *tile.add(r * ld + c) += (row0 + r) as f32 + 2.0 * (col0 + c) as f32 };
            }
        }
    }
    fn end(&self, chunk: usize) {
        assert_eq!(self.seen.lock().unwrap().1.last(), Some(&chunk));
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum With {
    Nothing,
    Finish,
    Hooks,
}

fn check(m: usize, n: usize, k: usize, trans_a: bool, trans_b: bool, with: With, tier: Tier) {
    let label = format!("{tier} {m}x{n}x{k} {trans_a} {trans_b} {with:?}");
    let strides = [if trans_a { m } else { k } + 3, if trans_b { k } else { n } + 1, n + 2];
    let gemm = Gemm::with_strides(m, n, k, trans_a, trans_b, strides, tier);
    check_kernel(&gemm, [m, n, k], [trans_a, trans_b], strides, with, &label);
}

fn check_kernel(
    gemm: &dyn ChunkedKernel,
    [m, n, k]: [usize; 3],
    [trans_a, trans_b]: [bool; 2],
    [lda, ldb, ldc]: [usize; 3],
    with: With,
    label: &str,
) {
    let a = random(if trans_a { k } else { m } * lda, 1);
    let b = random(if trans_b { n } else { k } * ldb, 2);
    let (bias, residual) = (random(n, 3), random(m * ldc, 4));
    let mut c = vec![7.0f32; m * ldc];
    let prologue = Prologue { whole: a.as_ptr() };
    let hook = Hook { seen: Mutex::default() };
    let args = Args {
        inputs: [a.as_ptr(), b.as_ptr()],
        output: c.as_mut_ptr(),
        packed: std::ptr::null_mut(),
        workspace: std::ptr::null_mut(),
        prologue: (with == With::Hooks).then_some(&prologue as &dyn PackHook),
        epilogue: match with {
            With::Nothing => Epilogue::None,
            With::Finish => {
                Epilogue::Finish(Finish { bias: bias.as_ptr(), residual: residual.as_ptr(), lo: 0.0, hi: 0.75 })
            }
            With::Hooks => Epilogue::Hook(&hook),
        },
    };
    // SAFETY: the matrices have the shapes given.
    unsafe { run_serially(gemm, &args) };
    for i in 0..m {
        for j in 0..n {
            let (mut sum, mut size) = (0.0f64, 0.0f64);
            for p in 0..k {
                let mut x = f64::from(if trans_a { a[p * lda + i] } else { a[i * lda + p] });
                let y = f64::from(if trans_b { b[j * ldb + p] } else { b[p * ldb + j] });
                if with == With::Hooks {
                    x = (2.0 * x + 3.0).max(0.0);
                }
                sum += x * y;
                size += (x * y).abs();
            }
            match with {
                With::Nothing => {}
                With::Finish => sum = (sum + f64::from(bias[j] + residual[i * ldc + j])).clamp(0.0, 0.75),
                With::Hooks => sum += i as f64 + 2.0 * j as f64,
            }
            let got = f64::from(c[i * ldc + j]);
            let tolerance = 1e-6 * (size + sum.abs()) + 1e-6;
            assert!((got - sum).abs() <= tolerance, "{label}: C[{i}, {j}] = {got} instead of {sum}");
        }
        assert!(c[i * ldc + n..(i + 1) * ldc].iter().all(|&x| x == 7.0), "{label}: wrote past row {i}");
    }
    if with == With::Hooks {
        let seen = hook.seen.into_inner().unwrap();
        assert_eq!(seen.0, m * n, "{label}: every element passes the hook once");
        assert_eq!(seen.1.len(), gemm.chunks(gemm.phases() - 1), "{label}: chunks begin once");
    }
}

#[test]
fn shapes_tails_and_transposes() {
    let shapes = [
        (1, 1, 1),
        (1, 10, 84),
        (3, 33, 17),
        (13, 84, 120),
        (14, 32, 16),
        (64, 120, 400),
        (29, 65, 600),
        (29, 24, 100),
        (29, 19, 600),
        (29, 7, 600),
        (130, 10, 70),
        (131, 97, 530),
        (225, 31, 33),
        // Whole panels of three and of four AVX-512 vectors, and one column less.
        (19, 48, 70),
        (25, 143, 35),
        (13, 64, 66),
        (129, 127, 61),
        // Heads of attention, and the gradient of a dense layer's weights: blocks of K that the depth of copies does
        // not divide, and rows that make more than two chunks.
        (197, 64, 197),
        (197, 197, 64),
        (230, 66, 1031),
    ];
    for tier in Tier::supported() {
        for (m, n, k) in shapes {
            for (trans_a, trans_b) in [(false, false), (true, false), (false, true), (true, true)] {
                for with in [With::Nothing, With::Finish, With::Hooks] {
                    check(m, n, k, trans_a, trans_b, with, tier);
                }
            }
        }
    }
}

#[test]
fn one_row_over_a_matrix_as_it_is_and_packed() {
    for tier in Tier::supported() {
        // Sums of fewer and of more products than are written out, panels that are not full, several chunks and blocks of
        // K, and what is too long to be packed.
        for (n, k) in
            [(1, 1), (1, 7), (5, 3), (10, 512), (48, 1152), (63, 64), (65, 130), (300, 1100), (1000, 90), (7, 4100)]
        {
            for with in [With::Nothing, With::Finish, With::Hooks] {
                for constant in [false, true] {
                    let kernel = row_product(n, k, constant, tier);
                    let packed = constant && k < MIN_SPLIT_K;
                    assert_eq!(kernel.packed_len() > 0, packed, "{n} columns, {k} products");
                    let label = format!("{tier} {n} columns, {k} products, packed: {packed} {with:?}");
                    check_kernel(&*kernel, [1, n, k], [false; 2], [k, n, n], with, &label);
                }
            }
        }
        assert!(Gemm::row(1000, 90, tier).chunks(1) > 1);
    }
}

#[test]
fn long_sums_are_split() {
    for tier in Tier::supported() {
        for (trans_a, trans_b) in [(false, false), (true, false), (false, true)] {
            check(6, 25, 5000, trans_a, trans_b, With::Hooks, tier);
            check(70, 5, 4097, trans_a, trans_b, With::Finish, tier);
        }
        assert!(Gemm::new(6, 25, 5000, true, false, tier).parts > 1);
    }
}

#[test]
fn strides_that_collide_in_the_cache() {
    for tier in Tier::supported() {
        let (m, n, k) = (120, 40, 1024);
        let (a, b) = (random(m * k, 1), random(k * n, 2));
        let mut c = vec![0.0f32; m * n];
        let gemm = Gemm::new(m, n, k, false, false, tier);
        let args = Args {
            inputs: [a.as_ptr(), b.as_ptr()],
            output: c.as_mut_ptr(),
            packed: std::ptr::null_mut(),
            workspace: std::ptr::null_mut(),
            prologue: None,
            epilogue: Epilogue::None,
        };
        // SAFETY: the matrices have the shapes given.
        unsafe { run_serially(&gemm, &args) };
        for i in (0..m).step_by(7) {
            for j in 0..n {
                let sum: f64 = (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum();
                assert!((f64::from(c[i * n + j]) - sum).abs() < 1e-4, "{tier} C[{i}, {j}]");
            }
        }
    }
}
