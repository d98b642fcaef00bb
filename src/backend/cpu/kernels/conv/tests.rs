//! Forward and both gradients of many geometries against f64 loops, on every supported tier.

use super::*;
use crate::backend::cpu::kernel::BatchBlocked;
use crate::backend::cpu::kernels::attach::{Epilogue, Finish, PackHook, TileHook};
use crate::backend::cpu::kernels::chunked::ChunkedKernel;
use crate::backend::cpu::kernels::chunked::{Args, run_serially};
use crate::backend::cpu::kernels::gemm::tests::random;
use crate::backend::cpu::kernels::winograd::{self, Form, WinogradFilterGrad, WinogradForward, WinogradStaged};
use crate::backend::cpu::lower::candidates::conv2d::cheapest;
use crate::backend::cpu::lower::cost::Pass;
use crate::precision::Precision;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// max(2x + 3, 0).
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

/// Adds row + 2 · column to every element and counts them.
struct Hook {
    elements: AtomicUsize,
    begun: AtomicUsize,
    ended: AtomicUsize,
}
impl TileHook for Hook {
    fn begin(&self, _: usize) {
        self.begun.fetch_add(1, Relaxed);
    }
    unsafe fn tile(&self, _: usize, tile: *mut f32, ld: usize, row0: usize, rows: usize, col0: usize, cols: usize) {
        self.elements.fetch_add(rows * cols, Relaxed);
        for r in 0..rows {
            for c in 0..cols {
                // SAFETY: the tile is rows × cols.
                unsafe { *tile.add(r * ld + c) += (row0 + r) as f32 + 2.0 * (col0 + c) as f32 };
            }
        }
    }
    fn end(&self, _: usize) {
        self.ended.fetch_add(1, Relaxed);
    }
}

/// The result in f64 and, per element, the sum of absolute products.
fn reference(g: &ConvGeometry, pass: Pass, x: &[f64], w: &[f64], dy: &[f64]) -> Vec<(f64, f64)> {
    let (cg, kg) = (g.in_c / g.groups, g.out_c / g.groups);
    let len = match pass {
        Pass::Forward => g.output_len(),
        Pass::InputGrad => g.input_len(),
        Pass::FilterGrad => g.filter_len(),
    };
    let mut out = vec![(0.0, 0.0); len];
    for n in 0..g.batch {
        for oy in 0..g.out_h {
            for ox in 0..g.out_w {
                for i in 0..g.kernel_h {
                    for j in 0..g.kernel_w {
                        let y = (oy * g.stride_h + i * g.dilation_h).wrapping_sub(g.pad_top);
                        let xx = (ox * g.stride_w + j * g.dilation_w).wrapping_sub(g.pad_left);
                        if y >= g.in_h || xx >= g.in_w {
                            continue;
                        }
                        for k in 0..g.out_c {
                            for c in 0..cg {
                                let xi = ((n * g.in_h + y) * g.in_w + xx) * g.in_c + k / kg * cg + c;
                                let wi = ((i * g.kernel_w + j) * cg + c) * g.out_c + k;
                                let yi = ((n * g.out_h + oy) * g.out_w + ox) * g.out_c + k;
                                let (at, product) = match pass {
                                    Pass::Forward => (yi, x[xi] * w[wi]),
                                    Pass::InputGrad => (xi, dy[yi] * w[wi]),
                                    Pass::FilterGrad => (wi, x[xi] * dy[yi]),
                                };
                                out[at].0 += product;
                                out[at].1 += product.abs();
                            }
                        }
                    }
                }
            }
        }
    }
    out
}

fn check(g: &ConvGeometry, pass: Pass, hooks: bool, tier: Tier) {
    let chosen = cheapest(g, pass, Precision::Strict, tier).unwrap();
    // Kernels that pack nothing take no prologue.
    if !(hooks && chosen.name == "conv_depthwise_rows") {
        check_kernel(&*chosen.kernel, g, pass, [hooks, chosen.residuals], tier, 0.0);
    }
    // The alternatives, whatever the choice is.
    if g.groups == 1 {
        let kernels: [Box<dyn ChunkedKernel>; 2] = match pass {
            Pass::Forward => {
                [Box::new(BlockedConv::forward(g, BatchBlocked::default(), tier)), Box::new(Direct::forward(g, tier))]
            }
            Pass::InputGrad => [
                Box::new(BlockedConv::input_grad(g, BatchBlocked::default(), tier)),
                Box::new(Direct::input_grad(g, tier)),
            ],
            Pass::FilterGrad => {
                [Box::new(BlockedFilterGrad::new(g, BatchBlocked::default(), tier)), Box::new(FilterGrad::new(g, tier))]
            }
        };
        for (kernel, residuals) in kernels.iter().zip([false, true]) {
            check_kernel(&**kernel, g, pass, [hooks, residuals], tier, 0.0);
        }
    }
    if blocked_winograd_supports(g) {
        let kernel: Box<dyn ChunkedKernel> = match pass {
            Pass::Forward => Box::new(BlockedWinograd::forward(g, BatchBlocked::default(), tier)),
            Pass::InputGrad => Box::new(BlockedWinograd::input_grad(g, BatchBlocked::default(), tier)),
            Pass::FilterGrad => Box::new(BlockedFilterGrad::winograd(g, BatchBlocked::default(), tier)),
        };
        check_kernel(&*kernel, g, pass, [hooks, false], tier, 2e-5);
    }
    if Depthwise::supports(g) {
        let kernel: Box<dyn ChunkedKernel> = match pass {
            Pass::Forward => Box::new(Depthwise::forward(g, tier)),
            Pass::InputGrad => Box::new(Depthwise::input_grad(g, tier)),
            Pass::FilterGrad => Box::new(DepthwiseFilterGrad::new(g, tier)),
        };
        check_kernel(&*kernel, g, pass, [hooks, pass != Pass::FilterGrad], tier, 0.0);
    }
    // Without a prologue.
    if DepthwiseRows::supports(g) && !hooks {
        let kernel: Box<dyn ChunkedKernel> = match pass {
            Pass::Forward => Box::new(DepthwiseRows::forward(g, tier)),
            Pass::InputGrad => Box::new(DepthwiseRows::input_grad(g, tier)),
            Pass::FilterGrad => Box::new(DepthwiseRowsFilterGrad::new(g, tier)),
        };
        check_kernel(&*kernel, g, pass, [false, true], tier, 0.0);
    }
    if winograd::form(g).is_some() {
        let kernel: Box<dyn ChunkedKernel> = match pass {
            Pass::Forward => Box::new(WinogradForward::forward(g, tier)),
            Pass::InputGrad => Box::new(WinogradForward::input_grad(g, tier)),
            Pass::FilterGrad => Box::new(WinogradFilterGrad::new(g, tier)),
        };
        check_kernel(&*kernel, g, pass, [hooks, true], tier, 1e-5);
    }
    for form in [Form::F2x2, Form::F4x4, Form::F4x4Of2x2, Form::F3x3Of4x4] {
        if winograd::works_in_stages(form, g, pass != Pass::Forward) {
            let staged = match pass {
                Pass::Forward => WinogradStaged::forward(form, g, tier),
                Pass::InputGrad => WinogradStaged::input_grad(form, g, tier),
                Pass::FilterGrad => return,
            };
            check_kernel(&staged, g, pass, [hooks, true], tier, 1e-5);
        }
    }
}

/// `slack`: how far an element may be off besides, relative to the root mean square of the result.
fn check_kernel(
    kernel: &dyn ChunkedKernel,
    g: &ConvGeometry,
    pass: Pass,
    [hooks, residuals]: [bool; 2],
    tier: Tier,
    slack: f64,
) {
    let label = format!("{tier} {pass:?} hooks {hooks} {g:?}");
    let (x, w, dy) = (random(g.input_len(), 1), random(g.filter_len(), 2), random(g.output_len(), 3));
    let (inputs, columns) = match pass {
        Pass::Forward => ([&x, &w], g.out_c),
        Pass::InputGrad => ([&dy, &w], g.in_c),
        Pass::FilterGrad => ([&x, &dy], g.out_c),
    };
    let f64s = |v: &[f32], prologue: bool| -> Vec<f64> {
        v.iter().map(|&x| f64::from(if prologue { (2.0 * x + 3.0).max(0.0) } else { x })).collect()
    };
    let on_x = hooks && pass != Pass::InputGrad;
    let want = reference(g, pass, &f64s(&x, on_x), &f64s(&w, false), &f64s(&dy, hooks && pass == Pass::InputGrad));
    let slack = slack * (want.iter().map(|w| w.0 * w.0).sum::<f64>() / want.len() as f64).sqrt();
    let mut out = vec![f32::NAN; want.len()];
    let (bias, residual) = (random(columns, 4), random(want.len(), 5));
    let prologue = Prologue { whole: inputs[0].as_ptr() };
    let hook = Hook { elements: AtomicUsize::new(0), begun: AtomicUsize::new(0), ended: AtomicUsize::new(0) };
    let args = Args {
        inputs: inputs.map(|v| v.as_ptr()),
        output: out.as_mut_ptr(),
        packed: std::ptr::null_mut(),
        workspace: std::ptr::null_mut(),
        prologue: hooks.then_some(&prologue as &dyn PackHook),
        epilogue: match hooks {
            true => Epilogue::Hook(&hook),
            false => Epilogue::Finish(Finish {
                bias: bias.as_ptr(),
                residual: if residuals { residual.as_ptr() } else { std::ptr::null() },
                lo: 0.0,
                hi: 0.75,
            }),
        },
    };
    // SAFETY: the operands have the geometry's lengths.
    unsafe { run_serially(kernel, &args) };
    for (i, (&got, (want, size))) in out.iter().zip(want).enumerate() {
        let (row, column) = (i / columns, i % columns);
        let want = match args.epilogue {
            Epilogue::None => want,
            Epilogue::Finish(_) => {
                let residual = if residuals { residual[i] } else { 0.0 };
                (want + f64::from(bias[column]) + f64::from(residual)).clamp(0.0, 0.75)
            }
            Epilogue::Hook(_) => want + row as f64 + 2.0 * column as f64,
        };
        let tolerance = 2e-6 * (size + want.abs()) + 1e-6 + slack;
        assert!((f64::from(got) - want).abs() <= tolerance, "{label}: element {i} is {got} instead of {want}");
    }
    if hooks {
        let chunks = kernel.finishing_chunks();
        assert_eq!(hook.elements.into_inner(), out.len(), "{label}: every element passes the hook once");
        assert_eq!((hook.begun.into_inner(), hook.ended.into_inner()), (chunks, chunks), "{label}");
    }
}

fn check_all(g: &ConvGeometry) {
    for tier in Tier::supported() {
        for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
            for hooks in [false, true] {
                check(g, pass, hooks, tier);
            }
        }
    }
}

/// A geometry whose output size follows from padding on all sides.
#[allow(clippy::too_many_arguments, reason = "a geometry")]
fn geometry(
    batch: usize,
    [in_h, in_w]: [usize; 2],
    in_c: usize,
    out_c: usize,
    [kernel_h, kernel_w]: [usize; 2],
    stride: usize,
    [pad_top, pad_left, pad_bottom, pad_right]: [usize; 4],
    dilation: usize,
    groups: usize,
) -> ConvGeometry {
    let out = |n: usize, pad: usize, k: usize| (n + pad - (k - 1) * dilation - 1) / stride + 1;
    ConvGeometry {
        batch,
        in_h,
        in_w,
        in_c,
        out_h: out(in_h, pad_top + pad_bottom, kernel_h),
        out_w: out(in_w, pad_left + pad_right, kernel_w),
        out_c,
        kernel_h,
        kernel_w,
        stride_h: stride,
        stride_w: stride,
        pad_top,
        pad_left,
        dilation_h: dilation,
        dilation_w: dilation,
        groups,
    }
}

#[test]
fn nets() {
    // LeNet's, a stem, a residual block's and its strided ones, and deep layers on small maps.
    check_all(&geometry(3, [28, 28], 1, 6, [5, 5], 1, [2; 4], 1, 1));
    check_all(&geometry(21, [14, 14], 6, 16, [5, 5], 1, [0; 4], 1, 1));
    check_all(&geometry(2, [29, 29], 3, 40, [7, 7], 2, [3; 4], 1, 1));
    check_all(&geometry(2, [16, 16], 33, 40, [3, 3], 1, [1; 4], 1, 1));
    check_all(&geometry(2, [15, 16], 32, 64, [3, 3], 2, [0, 0, 1, 1], 1, 1));
    check_all(&geometry(2, [8, 8], 24, 48, [1, 1], 2, [0; 4], 1, 1));
    check_all(&geometry(18, [4, 4], 65, 33, [3, 3], 1, [1; 4], 1, 1));
    check_all(&geometry(1, [3, 3], 512, 64, [3, 3], 1, [1; 4], 1, 1));
    check_all(&geometry(3, [6, 7], 20, 30, [1, 1], 1, [0; 4], 1, 1));
}

#[test]
fn three_by_three() {
    for (in_c, out_c) in [(1, 10), (3, 10), (17, 33), (33, 64)] {
        for size in [[1, 1], [2, 7], [4, 4], [9, 5], [8, 8]] {
            check_all(&geometry(1, size, in_c, out_c, [3, 3], 1, [1; 4], 1, 1));
        }
    }
    check_all(&geometry(2, [7, 9], 17, 10, [3, 3], 1, [0; 4], 1, 1));
    check_all(&geometry(2, [5, 6], 3, 10, [3, 3], 1, [2, 0, 1, 3], 1, 1));
    check_all(&geometry(1, [3, 2], 3, 10, [3, 3], 1, [4; 4], 1, 1));
    check_all(&geometry(70, [6, 5], 3, 70, [3, 3], 1, [1; 4], 1, 1));
    check_all(&geometry(127, [1, 1], 17, 10, [3, 3], 1, [1; 4], 1, 1));
    check_all(&geometry(127, [7, 7], 3, 10, [3, 3], 1, [1; 4], 1, 1));
    check_all(&geometry(3, [14, 14], 17, 10, [3, 3], 1, [1; 4], 1, 1));
}

#[test]
fn other_filters_by_tiles() {
    for taps in [2, 4, 5] {
        for (in_c, out_c) in [(1, 10), (17, 33)] {
            for size in [[5, 7], [9, 6]] {
                check_all(&geometry(2, size, in_c, out_c, [taps; 2], 1, [taps / 2, taps / 2, 1, 1], 1, 1));
            }
        }
        check_all(&geometry(1, [8, 9], 33, 20, [taps; 2], 1, [0; 4], 1, 1));
        check_all(&geometry(1, [5, 6], 3, 10, [taps; 2], 1, [taps, 0, 1, 3], 1, 1));
        check_all(&geometry(70, [6, 5], 3, 70, [taps; 2], 1, [1; 4], 1, 1));
    }
}

#[test]
fn strides_of_two_by_tiles() {
    // Even and odd filters, maps and padding; parities that fill no vector, and several panels of columns.
    for taps in [3, 4, 5, 6, 7, 10] {
        for pad in [[0, 0, 1, 1], [1; 4], [2, 3, 2, 3]] {
            check_all(&geometry(2, [11, 14], 5, 12, [taps; 2], 2, pad, 1, 1));
        }
        check_all(&geometry(1, [12, 11], 20, 33, [taps; 2], 2, [1; 4], 1, 1));
    }
    check_all(&geometry(2, [16, 16], 37, 40, [4, 4], 2, [1; 4], 1, 1));
    check_all(&geometry(1, [16, 16], 70, 21, [4, 4], 2, [1; 4], 1, 1));
    check_all(&geometry(127, [4, 4], 3, 10, [4, 4], 2, [1; 4], 1, 1));
    check_all(&geometry(70, [6, 5], 17, 10, [4, 4], 2, [1; 4], 1, 1));
    check_all(&geometry(1, [5, 6], 3, 10, [4, 4], 2, [4, 0, 1, 3], 1, 1));
}

#[test]
fn sizes_that_fill_no_tile() {
    for in_c in [1, 3, 17] {
        for batch in [1, 127] {
            // A dense layer on maps of one pixel, a window larger than its map, and maps of few pixels.
            check_all(&geometry(batch, [1, 1], in_c, 10, [1, 1], 1, [0; 4], 1, 1));
            check_all(&geometry(batch, [1, 1], in_c, 10, [3, 3], 1, [1; 4], 1, 1));
            check_all(&geometry(batch, [3, 2], in_c, 10, [3, 3], 2, [1; 4], 1, 1));
            check_all(&geometry(batch, [2, 3], in_c, 10, [1, 1], 2, [0; 4], 1, 1));
            check_all(&geometry(batch, [2, 2], in_c, in_c, [3, 3], 1, [1; 4], 1, in_c));
        }
    }
}

#[test]
fn groups_and_depthwise() {
    check_all(&geometry(2, [9, 8], 12, 20, [3, 3], 2, [1; 4], 1, 4));
    check_all(&geometry(2, [9, 8], 12, 6, [3, 3], 1, [1; 4], 1, 2));
    check_all(&geometry(3, [9, 10], 20, 20, [3, 3], 1, [1; 4], 1, 20));
    check_all(&geometry(2, [11, 9], 37, 37, [5, 5], 2, [2; 4], 1, 37));
    // Windows per channel: strides, rows of several tiles, no padding, much padding, and gaps between windows.
    check_all(&geometry(2, [9, 27], 33, 33, [3, 3], 1, [1; 4], 1, 33));
    check_all(&geometry(2, [9, 27], 33, 33, [3, 3], 2, [1; 4], 1, 33));
    check_all(&geometry(1, [8, 20], 16, 16, [3, 3], 2, [0, 0, 1, 1], 1, 16));
    check_all(&geometry(1, [10, 9], 17, 17, [3, 2], 1, [0; 4], 1, 17));
    check_all(&geometry(1, [5, 4], 5, 5, [3, 3], 1, [4; 4], 1, 5));
    check_all(&geometry(1, [9, 9], 8, 8, [7, 1], 2, [3, 0, 3, 0], 1, 8));
    check_all(&geometry(2, [9, 9], 5, 15, [3, 3], 2, [1; 4], 1, 5));
    check_all(&geometry(1, [8, 20], 18, 36, [3, 2], 1, [2; 4], 2, 18));
}

#[test]
fn channels_of_single_images_are_shared_out() {
    for (image, kernel, stride) in [([6, 6], 5, 1), ([12, 11], 5, 2), ([7, 5], 7, 1)] {
        let pad = kernel / 2;
        let g = geometry(1, image, 328, 328, [kernel; 2], stride, [pad; 4], 1, 328);
        check_all(&g);
        assert_eq!(Depthwise::forward(&g, Tier::Scalar).chunks(0), 4, "96, 80, 80 and 72 channels");
    }
    // Small maps that are read in place: windows beyond the image on all sides, dilated, and several images.
    check_all(&geometry(3, [4, 5], 131, 131, [5, 4], 1, [4, 3, 3, 4], 2, 131));
    check_all(&geometry(2, [3, 3], 144, 144, [5, 5], 2, [2; 4], 1, 144));
    check_all(&geometry(1, [2, 1], 130, 130, [3, 3], 1, [4, 0, 3, 2], 1, 130));
}

#[test]
fn pixels_that_count_as_one() {
    // A grey image, two filters of it, colours, and channels that leave part of a vector; rows that pixels together do not
    // fill, rows of fewer pixels, long windows, windows over the image's edge, and several images in a block.
    for channels in [1, 2, 3, 5, 17] {
        check_all(&geometry(2, [9, 37], channels, channels, [3, 3], 1, [1; 4], 1, channels));
        check_all(&geometry(1, [8, 50], channels, channels, [7, 5], 1, [3, 2, 3, 2], 1, channels));
        check_all(&geometry(1, [20, 7], channels, channels, [19, 1], 1, [9, 0, 9, 0], 1, channels));
        check_all(&geometry(1, [4, 33], channels, channels, [1, 31], 1, [0, 15, 0, 15], 1, channels));
        check_all(&geometry(1, [9, 21], channels, channels, [3, 3], 1, [2; 4], 2, channels));
        check_all(&geometry(1, [9, 21], channels, channels, [5, 3], 2, [2, 1, 2, 1], 1, channels));
        check_all(&geometry(70, [5, 6], channels, channels, [3, 3], 1, [1; 4], 1, channels));
    }
    check_all(&geometry(1, [9, 19], 1, 2, [3, 3], 1, [1; 4], 1, 1));
    check_all(&geometry(2, [70, 300], 1, 1, [3, 3], 1, [1; 4], 1, 1));
    // Rows and columns of different strides.
    let g = geometry(1, [9, 21], 3, 3, [3, 3], 1, [1; 4], 1, 3);
    check_all(&ConvGeometry { stride_h: 2, out_h: 5, ..g });
    check_all(&ConvGeometry { stride_w: 2, out_w: 11, ..g });
}

#[test]
fn inputs_that_no_output_reads() {
    // Stride 3 over windows of 2: some gradients are 0.
    check_all(&geometry(2, [11, 11], 4, 8, [2, 2], 3, [0; 4], 1, 1));
    check_all(&geometry(2, [11, 11], 4, 4, [2, 2], 3, [0; 4], 1, 4));
    // Windows that lie in the padding as a whole.
    check_all(&geometry(1, [2, 2], 3, 5, [2, 2], 1, [3; 4], 1, 1));
}

/// The output of a kernel, on one thread.
fn output(kernel: &dyn ChunkedKernel, inputs: [&[f32]; 2], len: usize) -> Vec<u32> {
    let mut y = vec![f32::NAN; len];
    let args = Args {
        inputs: inputs.map(<[f32]>::as_ptr),
        output: y.as_mut_ptr(),
        packed: std::ptr::null_mut(),
        workspace: std::ptr::null_mut(),
        prologue: None,
        epilogue: Epilogue::None,
    };
    // SAFETY: the operands have the geometry's sizes.
    unsafe { run_serially(kernel, &args) };
    y.into_iter().map(f32::to_bits).collect()
}

#[test]
fn finer_cuts_for_many_threads_have_the_same_bits() {
    type Make = fn(&ConvGeometry, Tier) -> Box<dyn ChunkedKernel>;
    let products: Make = |g, tier| Box::new(g.product(tier));
    let direct: Make = |g, tier| Box::new(Direct::forward(g, tier));
    let gradient: Make = |g, tier| Box::new(Direct::input_grad(g, tier));
    let winograd: Make = |g, tier| Box::new(WinogradForward::forward(g, tier));
    let rows: Make = |g, tier| Box::new(DepthwiseRows::forward(g, tier));
    let cases = [
        (products, geometry(1, [28, 28], 96, 200, [1, 1], 1, [0; 4], 1, 1)),
        (products, geometry(1, [7, 7], 512, 512, [1, 1], 1, [0; 4], 1, 1)),
        (products, geometry(1, [28, 28], 96, 65, [1, 1], 2, [0; 4], 1, 1)),
        (direct, geometry(1, [7, 7], 256, 512, [3, 3], 1, [1; 4], 1, 1)),
        (direct, geometry(1, [15, 14], 96, 100, [3, 3], 2, [1; 4], 1, 1)),
        // Rows whose halves have few pixels.
        (direct, geometry(1, [20, 20], 128, 128, [3, 3], 2, [0, 0, 1, 1], 1, 1)),
        (gradient, geometry(1, [15, 14], 96, 100, [3, 3], 2, [1; 4], 1, 1)),
        (winograd, geometry(1, [30, 27], 33, 64, [3, 3], 1, [1; 4], 1, 1)),
        (rows, geometry(1, [28, 28], 96, 96, [3, 3], 1, [1; 4], 1, 96)),
    ];
    for tier in Tier::supported() {
        for (case, (make, g)) in cases.iter().enumerate() {
            let len = |pass: bool| if pass { g.input_len() } else { g.output_len() };
            let backward = std::ptr::fn_addr_eq(*make, gradient);
            let (x, w) = (random(len(!backward), 3), random(g.filter_len(), 4));
            let kernel = make(g, tier);
            let last = kernel.phases() - 1;
            let expected = output(&*kernel, [&x, &w], len(backward));
            let mut most = 0;
            for threads in [5, 16, 64] {
                let mut finer = make(g, tier);
                finer.recut(threads);
                most = most.max(finer.chunks(last));
                assert!(output(&*finer, [&x, &w], len(backward)) == expected, "{tier}, {threads} threads: {g:?}");
            }
            assert!(most > kernel.chunks(last), "case {case} is cut finer: {most} chunks, {g:?}");
        }
    }
}

#[test]
fn wrong_geometries() {
    let good = geometry(1, [4, 4], 4, 4, [3, 3], 1, [1; 4], 1, 1);
    let zero = ConvGeometry { out_c: 0, ..good };
    let refused = |g: &ConvGeometry, pass| {
        cheapest(g, pass, Precision::Strict, Tier::Scalar).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(&zero, Pass::Forward).contains("positive"));
    let uneven = ConvGeometry { groups: 3, ..good };
    assert!(refused(&uneven, Pass::FilterGrad).contains("3 groups"));
}

proptest! {
    #![proptest_config(crate::testing::cases(64))]
    #[test]
    fn any_geometry(
        batch in 1usize..4,
        size in [3usize..12, 3..12],
        channels in [1usize..10, 1..40],
        kernel in [1usize..4, 1..4],
        stride in 1usize..4,
        pad in [0usize..3, 0..3, 0..3, 0..3],
        dilation in 1usize..3,
        groups in 1usize..4,
        hooks: bool,
    ) {
        let extent = |n: usize, a: usize, b: usize, k: usize| n + a + b > (k - 1) * dilation;
        prop_assume!(extent(size[0], pad[0], pad[2], kernel[0]) && extent(size[1], pad[1], pad[3], kernel[1]));
        let (in_c, out_c) = (channels[0] * groups, channels[1].div_ceil(groups) * groups);
        let g = geometry(batch, size, in_c, out_c, kernel, stride, pad, dilation, groups);
        for tier in Tier::supported() {
            for pass in [Pass::Forward, Pass::InputGrad, Pass::FilterGrad] {
                check(&g, pass, hooks, tier);
            }
        }
    }
}

#[test]
#[should_panic(expected = "need whole vectors, received 7 images")]
fn vectors_of_images_are_whole() {
    let images = BatchBlocked { inputs: 1, output: true };
    let g = geometry(7, [9, 9], 3, 5, [3, 3], 1, [1; 4], 1, 1);
    BlockedConv::forward(&g, images, Tier::current().unwrap());
}
