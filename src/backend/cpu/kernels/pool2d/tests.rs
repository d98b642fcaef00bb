//! Pooling and its gradient against plain loops, on every supported tier.

use super::*;
use crate::backend::cpu::kernels::attach::{PackHook, TileHook};
use crate::backend::cpu::kernels::chunked::run_serially;
use crate::backend::cpu::kernels::gemm::tests::random;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Negate {
    whole: *const f32,
}
// SAFETY: only read.
unsafe impl Sync for Negate {}
impl PackHook for Negate {
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
                unsafe { *dst.add(r * dst_ld + c) = -*self.whole.add((row0 + r) * src_ld + col0 + c) };
            }
        }
    }
}

/// Adds row + 2 · column and counts elements.
struct Count(AtomicUsize);
impl TileHook for Count {
    unsafe fn tile(&self, _: usize, tile: *mut f32, ld: usize, row0: usize, rows: usize, col0: usize, cols: usize) {
        self.0.fetch_add(rows * cols, Relaxed);
        for r in 0..rows {
            for c in 0..cols {
                // SAFETY: the tile is rows × cols.
                unsafe { *tile.add(r * ld + c) += (row0 + r) as f32 + 2.0 * (col0 + c) as f32 };
            }
        }
    }
}

/// Output and input gradient.
fn reference(g: &PoolGeometry, kind: PoolKind, x: &[f32], dy: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (mut out, mut dx) = (vec![0.0; g.output_len()], vec![0.0; g.input_len()]);
    for n in 0..g.batch {
        for oy in 0..g.out_h {
            for ox in 0..g.out_w {
                for c in 0..g.channels {
                    let mut window = Vec::new();
                    for i in 0..g.kernel_h {
                        for j in 0..g.kernel_w {
                            let y = (oy * g.stride_h + i).wrapping_sub(g.pad_top);
                            let xx = (ox * g.stride_w + j).wrapping_sub(g.pad_left);
                            if y < g.in_h && xx < g.in_w {
                                window.push(((n * g.in_h + y) * g.in_w + xx) * g.channels + c);
                            }
                        }
                    }
                    let o = ((n * g.out_h + oy) * g.out_w + ox) * g.channels + c;
                    match kind {
                        PoolKind::Max => {
                            let mut best = window[0];
                            for &i in &window {
                                if x[i] > x[best] || (x[i].is_nan() && !x[best].is_nan()) {
                                    best = i;
                                }
                            }
                            out[o] = f64::from(x[best]);
                            dx[best] += f64::from(dy[o]);
                        }
                        PoolKind::Average { count_include_pad } => {
                            let count = if count_include_pad { g.kernel_h * g.kernel_w } else { window.len() } as f64;
                            for &i in &window {
                                out[o] += f64::from(x[i]) / count;
                                dx[i] += f64::from(dy[o]) / count;
                            }
                        }
                    }
                }
            }
        }
    }
    (out, dx)
}

fn close(label: &str, got: &[f32], want: &[f64], hooked: bool, channels: usize) {
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let want = if hooked { want + (i / channels) as f64 + 2.0 * (i % channels) as f64 } else { want };
        let same = (f64::from(got) - want).abs() <= 1e-5 * want.abs().max(1.0) || (got.is_nan() && want.is_nan());
        assert!(same, "{label}: element {i} is {got} instead of {want}");
    }
}

fn check(g: &PoolGeometry) {
    // Few distinct values, so that windows hold ties, and a NaN.
    let mut x: Vec<f32> = random(g.input_len(), 1).iter().map(|v| (v * 5.0).round()).collect();
    x[g.input_len() / 2] = f32::NAN;
    let (dy, negate) = (random(g.output_len(), 2), Negate { whole: x.as_ptr() });
    let kinds = [true, false].map(|count_include_pad| PoolKind::Average { count_include_pad });
    for kind in [PoolKind::Max, kinds[0], kinds[1]] {
        for hooks in [false, true] {
            let seen: Vec<f32> = x.iter().map(|v| if hooks { -v } else { *v }).collect();
            let (want, want_dx) = reference(g, kind, &seen, &dy);
            for tier in Tier::supported() {
                let label = format!("{tier} {kind:?} hooks {hooks} {g:?}");
                let count = Count(AtomicUsize::new(0));
                let (mut out, mut dx) = (vec![f32::NAN; g.output_len()], vec![f32::NAN; g.input_len()]);
                let mut args = Args {
                    inputs: [x.as_ptr(), dy.as_ptr()],
                    output: out.as_mut_ptr(),
                    packed: std::ptr::null_mut(),
                    workspace: std::ptr::null_mut(),
                    prologue: hooks.then_some(&negate as &dyn PackHook),
                    epilogue: if hooks { Epilogue::Hook(&count) } else { Epilogue::None },
                };
                // SAFETY: the operands have the geometry's lengths.
                unsafe { run_serially(&Pool::new(g, kind, BatchBlocked::default(), tier).unwrap(), &args) };
                args.output = dx.as_mut_ptr();
                // SAFETY: as above.
                unsafe { run_serially(&PoolGrad::new(g, kind, BatchBlocked::default(), tier).unwrap(), &args) };
                close(&format!("forward {label}"), &out, &want, hooks, g.channels);
                close(&format!("gradient {label}"), &dx, &want_dx, hooks, g.channels);
                let elements = if hooks { out.len() + dx.len() } else { 0 };
                assert_eq!(count.0.into_inner(), elements, "{label}");
            }
        }
    }
}

#[test]
fn windows() {
    let base = PoolGeometry {
        batch: 2,
        in_h: 12,
        in_w: 10,
        channels: 6,
        out_h: 6,
        out_w: 5,
        kernel_h: 2,
        kernel_w: 2,
        stride_h: 2,
        stride_w: 2,
        pad_top: 0,
        pad_left: 0,
    };
    check(&base);
    check(&PoolGeometry { channels: 40, ..base });
    // Enough images for a vector of them.
    check(&PoolGeometry { batch: 29, ..base });
    check(&PoolGeometry { batch: 16, channels: 1, in_h: 11, in_w: 13, out_h: 5, out_w: 6, ..base });
    check(&PoolGeometry { batch: 15, channels: 2, in_h: 29, in_w: 30, kernel_h: 3, out_h: 14, out_w: 15, ..base });
    // Maps of one pixel, and batches of one image and of one less than whole vectors.
    for (batch, channels) in [(1, 1), (1, 3), (1, 17), (127, 1), (127, 3), (127, 17)] {
        let one = PoolGeometry { batch, channels, kernel_h: 1, kernel_w: 1, out_h: 1, out_w: 1, ..base };
        check(&PoolGeometry { in_h: 1, in_w: 1, ..one });
        check(&PoolGeometry { in_h: 2, in_w: 3, kernel_h: 2, kernel_w: 2, pad_top: 1, out_h: 1, out_w: 2, ..one });
    }
    // Overlapping windows, padding, and an uncovered or half-covered edge.
    check(&PoolGeometry {
        in_h: 13,
        in_w: 13,
        kernel_h: 3,
        kernel_w: 3,
        pad_top: 1,
        pad_left: 1,
        out_h: 7,
        out_w: 7,
        ..base
    });
    check(&PoolGeometry { in_h: 11, in_w: 13, out_h: 5, out_w: 6, channels: 17, ..base });
    check(&PoolGeometry { in_h: 11, in_w: 13, out_h: 6, out_w: 7, ..base });
    check(&PoolGeometry { kernel_h: 3, kernel_w: 4, stride_h: 1, stride_w: 3, out_h: 10, out_w: 3, ..base });
    // Stride beyond the window; the whole map; one row chunk per stride.
    check(&PoolGeometry { stride_h: 3, stride_w: 4, out_h: 4, out_w: 3, ..base });
    check(&PoolGeometry { kernel_h: 12, kernel_w: 10, out_h: 1, out_w: 1, channels: 33, ..base });
    check(&PoolGeometry { in_h: 40, in_w: 40, channels: 64, kernel_h: 3, kernel_w: 3, out_h: 19, out_w: 19, ..base });
    check(&PoolGeometry { in_h: 40, in_w: 40, channels: 65, pad_top: 1, kernel_h: 3, out_h: 20, out_w: 20, ..base });
}

#[test]
fn windows_in_the_padding_are_refused() {
    let bad = PoolGeometry {
        batch: 1,
        in_h: 4,
        in_w: 4,
        channels: 1,
        out_h: 4,
        out_w: 2,
        kernel_h: 2,
        kernel_w: 2,
        stride_h: 2,
        stride_w: 2,
        pad_top: 0,
        pad_left: 0,
    };
    let error = Pool::new(&bad, PoolKind::Max, BatchBlocked::default(), Tier::Scalar).err().unwrap().to_string();
    assert!(error.contains("meet the image"), "{error}");
}
