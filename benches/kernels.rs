//! Raw CPU kernels against the FMA rate of the same threads at the same time.
//!
//! `cargo bench --bench kernels -- [filter]` prints the least time of a run on 1 thread and its percent of
//! the FMA rate, there also without packing filters, and both on 2 threads without it, with the least time
//! of each phase where there are several. Percents are medians, each run against a burst of multiply-adds
//! just before it. Packed filters come from memory, not from caches that an earlier run has left them in.

use cnnrs::backend::cpu::kernel::BatchBlocked;
use cnnrs::backend::cpu::kernels::attach::Epilogue;
use cnnrs::backend::cpu::kernels::chunked::{Args, ChunkedKernel};
use cnnrs::backend::cpu::kernels::conv::{
    BlockedConv, BlockedFilterGrad, BlockedWinograd, ConvGeometry, DepthwiseRows, DepthwiseRowsFilterGrad, Direct,
    FilterGrad, blocked_winograd_supports,
};
use cnnrs::backend::cpu::kernels::gemm::Gemm;
use cnnrs::backend::cpu::kernels::pool2d::{Pool, PoolGeometry, PoolGrad, PoolKind};
use cnnrs::backend::cpu::kernels::winograd::{self, Form, WinogradFilterGrad, WinogradForward, WinogradStaged};
use cnnrs::backend::cpu::lower::candidates::conv2d::cheapest;
use cnnrs::backend::cpu::lower::cost::Pass;
use cnnrs::backend::cpu::simd::Tier;
use cnnrs::backend::cpu::simd::peak::{CHAINS, multiply_add_chains};
use cnnrs::buffer::Buffer;
use cnnrs::precision::Precision;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// f32 memory as plans have it: aligned, and in huge pages where the system gives them.
struct Aligned(Buffer);

impl Aligned {
    fn new(len: usize) -> Self {
        let values: Vec<f32> = (0..len).map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5).collect();
        Aligned(Buffer::from_slice(&[len], &values).expect("memory for a bench"))
    }

    fn ptr(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

/// The kernel that a plan of precision "strict" runs.
fn chosen(g: &ConvGeometry, pass: Pass, tier: Tier) -> Box<dyn ChunkedKernel> {
    cheapest(g, pass, Precision::Strict, tier).expect("the geometry is valid").kernel
}

/// GFLOP/s of multiply-adds on this thread, over some tens of microseconds.
fn burst(tier: Tier) -> f64 {
    let rounds = 20_000;
    let start = Instant::now();
    black_box(multiply_add_chains(tier)(rounds));
    (2 * CHAINS * tier.lanes() * rounds) as f64 / start.elapsed().as_secs_f64() / 1e9
}

/// Best GFLOP/s of multiply-adds on `threads` threads together.
fn peak(tier: Tier, threads: usize) -> f64 {
    let best_of = || (0..300).map(|_| burst(tier)).fold(0.0, f64::max);
    std::thread::scope(|s| {
        let others: Vec<_> = (1..threads).map(|_| s.spawn(best_of)).collect();
        best_of() + others.into_iter().map(|t| t.join().expect("a thread of multiply-adds")).sum::<f64>()
    })
}

/// The rate of `vdpbf16ps` (bf16 products in pairs, summed in f32) as a multiple of the FMA rate on this
/// thread, where the processor has it: below 1, bf16 makes no product faster.
#[cfg(target_arch = "x86_64")]
fn bf16_share(tier: Tier) -> Option<f64> {
    use std::arch::x86_64::{
        __m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_setzero_ps,
    };

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn dot_chains(x: __m512bh, y: __m512bh, rounds: usize) -> f32 {
        let mut acc: [_; 12] = std::array::from_fn(|i| _mm512_set1_ps(i as f32));
        for _ in 0..rounds {
            for sum in &mut acc {
                *sum = _mm512_dpbf16_ps(*sum, x, y);
            }
        }
        acc.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn dot_burst(rounds: usize) -> f64 {
        let pair = |value| _mm512_cvtne2ps_pbh(_mm512_set1_ps(value), _mm512_setzero_ps());
        let (x, y) = (pair(black_box(0.5)), pair(black_box(1e-3)));
        let start = Instant::now();
        black_box(dot_chains(x, y, rounds));
        (2 * 12 * 32 * rounds) as f64 / start.elapsed().as_secs_f64() / 1e9
    }

    if tier.lanes() != 16 || !std::arch::is_x86_feature_detected!("avx512bf16") {
        return None;
    }
    // SAFETY: the processor has the features, as just detected.
    let best = (0..300).map(|_| unsafe { dot_burst(20_000) }).fold(0.0, f64::max);
    Some(best / peak(tier, 1))
}

#[cfg(not(target_arch = "x86_64"))]
fn bf16_share(_: Tier) -> Option<f64> {
    None
}

/// What a number of runs of a kernel showed.
struct Measured {
    /// Seconds of the quickest run.
    least: f64,
    /// The runs' median share of the FMA rate that the same threads had just before them: a shared machine
    /// changes its pace between runs, and both sides follow it.
    share: f64,
}

/// `runs`: seconds of each run, and GFLOP/s of multiply-adds just before it.
fn measured(flops: f64, runs: &[(f64, f64)]) -> Measured {
    let mut shares: Vec<f64> = runs.iter().map(|(seconds, rate)| flops / seconds / 1e9 / rate).collect();
    let middle = shares.len() / 2;
    let (_, share, _) = shares.select_nth_unstable_by(middle, f64::total_cmp);
    Measured { least: runs.iter().map(|r| r.0).fold(f64::MAX, f64::min), share: *share }
}

/// Copies of what a kernel packs once, which runs take in turns: in a network, other layers' filters
/// and activations pass through the caches before the same filters are read again.
fn copies(kernel: &dyn ChunkedKernel) -> Vec<Aligned> {
    const COLD: usize = 192 << 20;
    let count = COLD / (size_of::<f32>() * kernel.packed_len().max(1));
    (0..count.clamp(2, 24)).map(|_| Aligned::new(kernel.packed_len())).collect()
}

fn with_packed<'a>(args: &Args<'a>, packed: *mut f32) -> Args<'a> {
    Args { packed, ..*args }
}

/// Runs of a kernel's chunks on one thread: whole ones, and without what is packed once.
fn serial(tier: Tier, case: &Case, args: &Args) -> [Measured; 2] {
    let kernel = &*case.kernel;
    let (mut workspace, mut scratch) = (Aligned::new(kernel.workspace_len()), Aligned::new(kernel.scratch_len()));
    let mut packed = copies(kernel);
    let args = Args { workspace: workspace.ptr(), ..*args };
    let mut run = |phases: std::ops::Range<usize>, packed: *mut f32| {
        let args = with_packed(&args, packed);
        let start = Instant::now();
        for phase in phases {
            for chunk in 0..kernel.chunks(phase) {
                // SAFETY: buffers fit the geometry, phases run in order.
                unsafe { kernel.run_chunk(phase, chunk, &args, scratch.ptr()) };
            }
        }
        start.elapsed().as_secs_f64()
    };
    let first = usize::from(kernel.packed_len() > 0);
    for packed in &mut packed {
        run(0..first, packed.ptr());
    }
    let mut runs: [Vec<(f64, f64)>; 2] = Default::default();
    let begin = Instant::now();
    while runs[0].len() < 4 || (begin.elapsed() < Duration::from_millis(600) && runs[0].len() < 20_000) {
        let (at, count) = (runs[0].len(), packed.len());
        let rate = burst(tier);
        let rest = run(first..kernel.phases(), packed[at % count].ptr());
        let packing = run(0..first, packed[(at + count / 2) % count].ptr());
        runs[0].push((packing + rest, rate));
        runs[1].push((rest, rate));
    }
    runs.map(|runs| measured(case.flops, &runs))
}

/// Best GB/s of copies between arrays beyond all caches, read and written bytes together.
fn bandwidth(threads: usize) -> f64 {
    let len = 1 << 24;
    let (src, mut dst) = (vec![1f32; len], vec![0f32; len]);
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        std::thread::scope(|s| {
            for (a, b) in src.chunks(len / threads).zip(dst.chunks_mut(len / threads)) {
                s.spawn(move || black_box(b).copy_from_slice(black_box(a)));
            }
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    (2 * 4 * len) as f64 / best / 1e9
}

/// Runs on `threads` threads that claim chunks by tickets, without what is packed once.
///
/// Auxiliaries that, the least seconds of each phase.
fn parallel(tier: Tier, case: &Case, args: &Args, threads: usize) -> (Measured, Vec<f64>) {
    let kernel = &*case.kernel;
    let (mut workspace, mut packed) = (Aligned::new(kernel.workspace_len()), copies(kernel));
    let packed: Vec<AtomicPtr<f32>> = packed.iter_mut().map(|p| AtomicPtr::new(p.ptr())).collect();
    let args = Args { workspace: workspace.ptr(), ..*args };
    let tickets: Vec<AtomicUsize> = (0..kernel.phases()).map(|_| AtomicUsize::new(0)).collect();
    let done: Vec<AtomicUsize> = (0..kernel.phases()).map(|_| AtomicUsize::new(0)).collect();
    let round = AtomicUsize::new(0);
    let stop = usize::MAX;
    let work = |scratch: *mut f32, ended: &mut dyn FnMut(usize)| {
        // The first rounds pack what is packed once.
        let at = round.load(Ordering::Relaxed) - 1;
        let first = usize::from(kernel.packed_len() > 0 && at >= packed.len());
        let args = with_packed(&args, packed[at % packed.len()].load(Ordering::Relaxed));
        for phase in first..kernel.phases() {
            let chunks = kernel.chunks(phase);
            loop {
                let chunk = tickets[phase].fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    break;
                }
                // SAFETY: buffers fit the geometry; phases are ordered by the wait below.
                unsafe { kernel.run_chunk(phase, chunk, &args, scratch) };
                done[phase].fetch_add(1, Ordering::Release);
            }
            while done[phase].load(Ordering::Acquire) < chunks {
                std::hint::spin_loop();
            }
            ended(phase);
        }
    };
    let (finished, rates) = (AtomicUsize::new(0), Mutex::new(0.0));
    let before = || *rates.lock().expect("no thread panics with the lock") += burst(tier);
    let mut runs = Vec::new();
    let mut phases = vec![f64::MAX; kernel.phases()];
    std::thread::scope(|s| {
        for _ in 1..threads {
            s.spawn(|| {
                let mut scratch = Aligned::new(kernel.scratch_len());
                let mut seen = 0;
                loop {
                    let now = round.load(Ordering::Acquire);
                    if now == stop {
                        break;
                    }
                    if now == seen {
                        std::hint::spin_loop();
                        continue;
                    }
                    seen = now;
                    before();
                    finished.fetch_add(1, Ordering::Release);
                    while finished.load(Ordering::Acquire) < threads {
                        std::hint::spin_loop();
                    }
                    work(scratch.ptr(), &mut |_| ());
                    finished.fetch_add(1, Ordering::Release);
                }
            });
        }
        let mut scratch = Aligned::new(kernel.scratch_len());
        let begin = Instant::now();
        let mut rounds = 0;
        while rounds < packed.len() + 3 || (begin.elapsed() < Duration::from_millis(400) && rounds < 2000) {
            rounds += 1;
            tickets.iter().chain(&done).for_each(|t| t.store(0, Ordering::Relaxed));
            finished.store(0, Ordering::Relaxed);
            *rates.lock().expect("no thread panics with the lock") = 0.0;
            round.store(rounds, Ordering::Release);
            before();
            while finished.load(Ordering::Acquire) < threads - 1 {
                std::hint::spin_loop();
            }
            let rate = *rates.lock().expect("no thread panics with the lock");
            let start = Instant::now();
            finished.fetch_add(1, Ordering::Release);
            let mut begun = start;
            work(scratch.ptr(), &mut |phase| {
                let now = Instant::now();
                phases[phase] = (now - begun).as_secs_f64().min(phases[phase]);
                begun = now;
            });
            while finished.load(Ordering::Acquire) < 2 * threads - 1 {
                std::hint::spin_loop();
            }
            if rounds > packed.len() {
                runs.push((start.elapsed().as_secs_f64(), rate));
            }
        }
        round.store(stop, Ordering::Release);
    });
    phases.drain(..usize::from(kernel.packed_len() > 0));
    (measured(case.flops, &runs), phases)
}

/// What is measured: a name, floating-point operations, the kernel, lengths of its operands.
struct Case {
    name: String,
    flops: f64,
    kernel: Box<dyn ChunkedKernel>,
    lens: [usize; 3],
}

fn gemms(tier: Tier) -> Vec<Case> {
    let shapes = [
        (256, 256, 256),
        (512, 512, 512),
        (1024, 1024, 1024),
        (2048, 2048, 2048),
        (64, 120, 400),
        (64, 84, 120),
        (64, 10, 84),
        (1, 1000, 512),
        (64, 576, 32768),
        (25088, 64, 64),
        (8192, 256, 128),
        // ViT-Ti, eight images: dense layers, their filters' gradients, and attention's two products of a head.
        (1576, 768, 192),
        (1576, 192, 768),
        (768, 192, 1576),
        (192, 768, 1576),
        (192, 192, 1576),
        (197, 64, 197),
        (197, 197, 64),
    ];
    let mut cases = Vec::new();
    for (m, n, k) in shapes {
        for (name, ta, tb) in [("", false, false), (" Aᵀ", true, false), (" Bᵀ", false, true)] {
            cases.push(Case {
                name: format!("gemm {m}x{n}x{k}{name}"),
                flops: 2.0 * (m * n * k) as f64,
                kernel: Box::new(Gemm::new(m, n, k, ta, tb, tier)),
                lens: [m * k, k * n, m * n],
            });
        }
    }
    cases
}

/// Convolutions `(batch, in size, in_c, out_c, kernel, stride, pad, groups)` in all three passes.
fn convolutions(tier: Tier) -> Vec<Case> {
    let shapes = [
        (128, 32, 64, 64, 3, 1, 1, 1),
        (128, 16, 128, 128, 3, 1, 1, 1),
        (128, 8, 256, 256, 3, 1, 1, 1),
        (128, 4, 512, 512, 3, 1, 1, 1),
        (128, 32, 64, 128, 3, 2, 1, 1),
        (128, 32, 64, 128, 1, 2, 0, 1),
        (32, 56, 64, 256, 1, 1, 0, 1),
        (8, 224, 3, 64, 7, 2, 3, 1),
        (1, 56, 64, 64, 3, 1, 1, 1),
        (1, 28, 128, 128, 3, 1, 1, 1),
        (1, 14, 256, 256, 3, 1, 1, 1),
        (1, 7, 512, 512, 3, 1, 1, 1),
        (1, 112, 32, 64, 3, 1, 1, 1),
        (4, 4, 64, 64, 3, 1, 1, 1),
        (8, 28, 64, 128, 3, 1, 1, 1),
        (16, 7, 512, 512, 3, 1, 1, 1),
        (16, 9, 24, 48, 3, 1, 1, 1),
        (32, 14, 256, 256, 3, 1, 1, 1),
        (32, 16, 32, 32, 3, 1, 1, 1),
        (32, 28, 16, 16, 3, 1, 1, 1),
        (64, 28, 3, 32, 3, 1, 1, 1),
        (1, 112, 32, 32, 3, 1, 1, 32),
        (1, 56, 144, 144, 3, 1, 1, 144),
        (1, 14, 576, 576, 3, 1, 1, 576),
        (1, 7, 960, 960, 3, 1, 1, 960),
        (1, 112, 96, 96, 3, 2, 1, 96),
        (32, 56, 144, 144, 3, 1, 1, 144),
        (32, 56, 144, 144, 3, 2, 1, 144),
        (64, 28, 1, 6, 5, 1, 2, 1),
        (64, 14, 6, 16, 5, 1, 0, 1),
        (64, 28, 8, 8, 3, 1, 1, 1),
        (64, 13, 8, 16, 3, 1, 0, 1),
        (64, 28, 3, 8, 7, 1, 3, 1),
        (64, 32, 3, 32, 3, 1, 1, 1),
        (64, 28, 1, 32, 3, 1, 1, 1),
    ];
    let mut cases = Vec::new();
    for (batch, size, in_c, out_c, kernel, stride, pad, groups) in shapes {
        let out = (size + 2 * pad - kernel) / stride + 1;
        let g = ConvGeometry {
            batch,
            in_h: size,
            in_w: size,
            in_c,
            out_h: out,
            out_w: out,
            out_c,
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            pad_top: pad,
            pad_left: pad,
            dilation_h: 1,
            dilation_w: 1,
            groups,
        };
        let label = format!("conv {batch}x{size}x{size}x{in_c}->{out_c} {kernel}x{kernel}/{stride} g{groups}");
        let (x, w, y) = (g.input_len(), g.filter_len(), g.output_len());
        for (pass, kernel, lens) in [
            ("forward", chosen(&g, Pass::Forward, tier), [x, w, y]),
            ("input", chosen(&g, Pass::InputGrad, tier), [y, w, x]),
            ("filter", chosen(&g, Pass::FilterGrad, tier), [x, y, w]),
        ] {
            cases.push(Case { name: format!("{label} {pass}"), flops: g.flops(), kernel, lens });
        }
        if winograd::form(&g).is_some() {
            let mut kernels: Vec<(&str, Box<dyn ChunkedKernel>, [usize; 3])> = vec![
                ("forward winograd", Box::new(WinogradForward::forward(&g, tier)), [x, w, y]),
                ("input winograd", Box::new(WinogradForward::input_grad(&g, tier)), [y, w, x]),
                ("filter winograd", Box::new(WinogradFilterGrad::new(&g, tier)), [x, y, w]),
            ];
            for (form, forward, input) in [
                (Form::F4x4, "forward winograd staged", "input winograd staged"),
                (Form::F2x2, "forward winograd 2x2", "input winograd 2x2"),
            ] {
                if winograd::is_plain_3x3(&g) {
                    kernels.push((forward, Box::new(WinogradStaged::forward(form, &g, tier)), [x, w, y]));
                    kernels.push((input, Box::new(WinogradStaged::input_grad(form, &g, tier)), [y, w, x]));
                }
            }
            for (pass, kernel, lens) in kernels {
                cases.push(Case { name: format!("{label} {pass}"), flops: g.flops(), kernel, lens });
            }
        }
        if DepthwiseRows::supports(&g) {
            let kernels: [(&str, Box<dyn ChunkedKernel>, [usize; 3]); 3] = [
                ("forward rows", Box::new(DepthwiseRows::forward(&g, tier)), [x, w, y]),
                ("input rows", Box::new(DepthwiseRows::input_grad(&g, tier)), [y, w, x]),
                ("filter rows", Box::new(DepthwiseRowsFilterGrad::new(&g, tier)), [x, y, w]),
            ];
            for (pass, kernel, lens) in kernels {
                cases.push(Case { name: format!("{label} {pass}"), flops: g.flops(), kernel, lens });
            }
        }
        if groups > 1 || in_c > 16 {
            continue;
        }
        // As within a net: the images that come in lie row by row, all other activations in the batch-blocked layout, if
        // they fill these.
        let images = match batch.is_multiple_of(tier.lanes()) {
            true => BatchBlocked { inputs: if in_c == 1 { 0b10 } else { 0b11 }, output: true },
            false => BatchBlocked::default(),
        };
        let kernels: [(&str, Box<dyn ChunkedKernel>, [usize; 3]); 6] = [
            ("forward direct", Box::new(Direct::forward(&g, tier)), [x, w, y]),
            ("forward images", Box::new(BlockedConv::forward(&g, images, tier)), [x, w, y]),
            ("input direct", Box::new(Direct::input_grad(&g, tier)), [y, w, x]),
            ("input images", Box::new(BlockedConv::input_grad(&g, images, tier)), [y, w, x]),
            ("filter direct", Box::new(FilterGrad::new(&g, tier)), [x, y, w]),
            ("filter images", Box::new(BlockedFilterGrad::new(&g, images, tier)), [x, y, w]),
        ];
        for (pass, kernel, lens) in kernels {
            cases.push(Case { name: format!("{label} {pass}"), flops: g.flops(), kernel, lens });
        }
        if blocked_winograd_supports(&g) {
            let kernels: [(&str, Box<dyn ChunkedKernel>, [usize; 3]); 3] = [
                ("forward images winograd", Box::new(BlockedWinograd::forward(&g, images, tier)), [x, w, y]),
                ("input images winograd", Box::new(BlockedWinograd::input_grad(&g, images, tier)), [y, w, x]),
                ("filter images winograd", Box::new(BlockedFilterGrad::winograd(&g, images, tier)), [x, y, w]),
            ];
            for (pass, kernel, lens) in kernels {
                cases.push(Case { name: format!("{label} {pass}"), flops: g.flops(), kernel, lens });
            }
        }
    }
    cases
}

/// Forward passes of the layers of ResNet-50 and MobileNetV2 that are not 3×3 of stride 1, on 224×224 images:
/// `(in size, in_c, out_c, kernel, stride)`, as the lowering builds them.
fn layers(tier: Tier) -> Vec<Case> {
    let resnet50 = [
        (224, 3, 64, 7, 2),
        (56, 64, 64, 1, 1),
        (56, 64, 256, 1, 1),
        (56, 256, 64, 1, 1),
        (56, 256, 128, 1, 1),
        (56, 128, 128, 3, 2),
        (56, 256, 512, 1, 2),
        (28, 128, 512, 1, 1),
        (28, 512, 128, 1, 1),
        (28, 256, 256, 3, 2),
        (28, 512, 1024, 1, 2),
        (14, 256, 1024, 1, 1),
        (14, 1024, 256, 1, 1),
        (14, 1024, 2048, 1, 2),
        (14, 512, 512, 3, 2),
        (7, 512, 2048, 1, 1),
        (7, 2048, 512, 1, 1),
        (1, 2048, 1000, 1, 1),
    ];
    let mobilenet = [
        (224, 3, 32, 3, 2),
        (112, 32, 16, 1, 1),
        (112, 16, 96, 1, 1),
        (56, 96, 24, 1, 1),
        (56, 24, 144, 1, 1),
        (56, 144, 24, 1, 1),
        (28, 144, 32, 1, 1),
        (28, 32, 192, 1, 1),
        (14, 192, 64, 1, 1),
        (14, 64, 384, 1, 1),
        (14, 384, 96, 1, 1),
        (14, 96, 576, 1, 1),
        (7, 576, 160, 1, 1),
        (7, 160, 960, 1, 1),
        (7, 960, 320, 1, 1),
        (7, 320, 1280, 1, 1),
        (1, 1280, 1000, 1, 1),
    ];
    let mut cases = Vec::new();
    for batch in [1, 32] {
        for (net, layers) in [("resnet50", &resnet50[..]), ("mobilenet", &mobilenet[..])] {
            for &(size, in_c, out_c, kernel, stride) in layers {
                // As much padding as the output size ⌈size / stride⌉ asks for.
                let out = usize::div_ceil(size, stride);
                let pad = ((out - 1) * stride + kernel).saturating_sub(size) / 2;
                let g = ConvGeometry {
                    batch,
                    in_h: size,
                    in_w: size,
                    in_c,
                    out_h: out,
                    out_w: out,
                    out_c,
                    kernel_h: kernel,
                    kernel_w: kernel,
                    stride_h: stride,
                    stride_w: stride,
                    pad_top: pad,
                    pad_left: pad,
                    dilation_h: 1,
                    dilation_w: 1,
                    groups: 1,
                };
                let name = format!("{net} {batch}x{size}x{size}x{in_c}->{out_c} {kernel}x{kernel}/{stride}");
                let lens = [g.input_len(), g.filter_len(), g.output_len()];
                let kernel = chosen(&g, Pass::Forward, tier);
                cases.push(Case { name, flops: g.flops(), kernel, lens });
            }
        }
    }
    cases
}

/// Poolings `(batch, in size, channels, kernel, stride)`; a window element counts as one operation.
fn poolings(tier: Tier) -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, size, channels, kernel, stride) in [(64, 28, 6, 2, 2), (64, 10, 16, 2, 2), (32, 112, 64, 3, 2)] {
        let out = (size - kernel) / stride + 1;
        let g = PoolGeometry {
            batch,
            in_h: size,
            in_w: size,
            channels,
            out_h: out,
            out_w: out,
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            pad_top: 0,
            pad_left: 0,
        };
        let flops = (g.output_len() * kernel * kernel) as f64;
        let average = PoolKind::Average { count_include_pad: false };
        for (name, kind) in [("max", PoolKind::Max), ("average", average)] {
            let label = format!("{name} pool {batch}x{size}x{size}x{channels} {kernel}x{kernel}/{stride}");
            let make = "the geometry is valid";
            let (x, y) = (g.input_len(), g.output_len());
            let forward = Box::new(Pool::new(&g, kind, BatchBlocked::default(), tier).expect(make));
            cases.push(Case { name: format!("{label} forward"), flops, kernel: forward, lens: [x, 1, y] });
            let grad = Box::new(PoolGrad::new(&g, kind, BatchBlocked::default(), tier).expect(make));
            cases.push(Case { name: format!("{label} gradient"), flops, kernel: grad, lens: [x, y, x] });
        }
    }
    cases
}

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let tier = Tier::current().expect("CNNRS_ISA names a supported instruction set");
    println!("{tier}: FMA peak {:.0} GFLOP/s on 1 thread, {:.0} on 2", peak(tier, 1), peak(tier, 2));
    if let Some(share) = bf16_share(tier) {
        println!("bf16 dot products (vdpbf16ps): {share:.2} times the FMA peak");
    }
    println!("copies beyond the caches: {:.1} GB/s on 1 thread, {:.1} on 2", bandwidth(1), bandwidth(2));
    println!("{:56} {:>10} {:>6} {:>8} {:>10} {:>8}", "", "1: µs", "%", "packed %", "2: µs", "packed %");
    for case in gemms(tier).into_iter().chain(convolutions(tier)).chain(layers(tier)).chain(poolings(tier)) {
        if !case.name.contains(&filter) {
            continue;
        }
        let [mut x, mut y, mut out] = case.lens.map(Aligned::new);
        let args = Args {
            inputs: [x.ptr(), y.ptr()],
            output: out.ptr(),
            packed: std::ptr::null_mut(),
            workspace: std::ptr::null_mut(),
            prologue: None,
            epilogue: Epilogue::None,
        };
        print!("{:56}", case.name);
        let [whole, packed] = serial(tier, &case, &args);
        print!(" {:10.1} {:6.1} {:8.1}", whole.least * 1e6, 100.0 * whole.share, 100.0 * packed.share);
        let (both, phases) = parallel(tier, &case, &args, 2);
        print!(" {:10.1} {:8.1}", both.least * 1e6, 100.0 * both.share);
        let phases: Vec<String> = phases.iter().map(|seconds| format!("{:.1}", seconds * 1e6)).collect();
        println!("{}", if phases.len() > 1 { format!("  {}", phases.join(" + ")) } else { String::new() });
    }
}
