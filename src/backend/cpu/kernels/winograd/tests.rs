//! How Winograd kernels cut their work; that they are right is tested beside the other convolutions.

use super::*;
use crate::backend::cpu::kernels::attach::Epilogue;
use crate::backend::cpu::kernels::chunked::{Args, ChunkedKernel};
use crate::backend::cpu::kernels::gemm::tests::random;
use crate::backend::cpu::simd::Tier;

fn geometry(batch: usize, size: usize, in_c: usize, out_c: usize) -> ConvGeometry {
    ConvGeometry {
        batch,
        in_h: size,
        in_w: size,
        in_c,
        out_h: size,
        out_w: size,
        out_c,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: 1,
        stride_w: 1,
        pad_top: 1,
        pad_left: 1,
        dilation_h: 1,
        dilation_w: 1,
        groups: 1,
    }
}

/// The bits of the output, with the chunks of each phase in the order that `order` makes of their numbers.
fn run(kernel: &dyn ChunkedKernel, lens: [usize; 3], order: impl Fn(usize, usize) -> usize) -> Vec<u32> {
    let inputs = [random(lens[0], 1), random(lens[1], 2)];
    let aligned = |len: usize| {
        let memory = vec![f32::NAN; len + 16];
        let start = memory.as_ptr().align_offset(64);
        (memory, start)
    };
    let mut output = vec![f32::NAN; lens[2]];
    let ((mut workspace, w), (mut scratch, s)) = (aligned(kernel.workspace_len()), aligned(kernel.scratch_len()));
    let (mut packed, p) = aligned(kernel.packed_len());
    let args = Args {
        inputs: [inputs[0].as_ptr(), inputs[1].as_ptr()],
        output: output.as_mut_ptr(),
        packed: packed[p..].as_mut_ptr(),
        workspace: workspace[w..].as_mut_ptr(),
        prologue: None,
        epilogue: Epilogue::None,
    };
    for phase in 0..kernel.phases() {
        let chunks = kernel.chunks(phase);
        for chunk in 0..chunks {
            scratch.fill(f32::NAN);
            // SAFETY: the buffers have the lengths asked for; phases run in order.
            unsafe { kernel.run_chunk(phase, order(chunk, chunks), &args, scratch[s..].as_mut_ptr()) };
        }
    }
    output.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn the_order_of_chunks_does_not_show_in_the_bits() {
    for tier in Tier::supported() {
        for (batch, size, in_c, out_c) in [(5, 14, 17, 40), (127, 7, 3, 10), (1, 28, 32, 64)] {
            let g = geometry(batch, size, in_c, out_c);
            let (x, w, y) = (g.input_len(), g.filter_len(), g.output_len());
            let kernels: [(Box<dyn ChunkedKernel>, [usize; 3]); 7] = [
                (Box::new(WinogradForward::forward(&g, tier)), [x, w, y]),
                (Box::new(WinogradForward::input_grad(&g, tier)), [y, w, x]),
                (Box::new(WinogradStaged::forward(Form::F4x4, &g, tier)), [x, w, y]),
                (Box::new(WinogradStaged::input_grad(Form::F4x4, &g, tier)), [y, w, x]),
                (Box::new(WinogradStaged::forward(Form::F2x2, &g, tier)), [x, w, y]),
                (Box::new(WinogradStaged::input_grad(Form::F2x2, &g, tier)), [y, w, x]),
                (Box::new(WinogradFilterGrad::new(&g, tier)), [x, y, w]),
            ];
            for (i, (kernel, lens)) in kernels.into_iter().enumerate() {
                assert!(kernel.chunks(kernel.phases() - 1) > 1 || kernel.chunks(0) > 1, "{g:?} {i}");
                let forwards = run(&*kernel, lens, |chunk, _| chunk);
                let backwards = run(&*kernel, lens, |chunk, chunks| chunks - 1 - chunk);
                assert_eq!(forwards, backwards, "{tier} {g:?} {i}");
            }
        }
    }
}

#[test]
fn work_is_cut_for_several_threads_and_partial_sums_are_bounded() {
    for tier in Tier::supported() {
        for (batch, size, channels) in [
            (1, 56, 64),
            (1, 28, 128),
            (1, 14, 256),
            (1, 7, 512),
            (128, 32, 64),
            (128, 16, 128),
            (128, 8, 256),
            (128, 4, 512),
            (512, 4, 512),
        ] {
            let g = geometry(batch, size, channels, channels);
            for kernel in [WinogradForward::forward(&g, tier), WinogradForward::input_grad(&g, tier)] {
                assert!(kernel.packed_len() > 0 && kernel.chunks(1) >= 8, "{tier} {g:?}: {} chunks", kernel.chunks(1));
            }
            for form in [Form::F2x2, Form::F4x4] {
                let staged = WinogradStaged::forward(form, &g, tier);
                assert!((1..staged.phases()).all(|phase| staged.chunks(phase) >= 16), "{tier} {g:?}");
                assert!(staged.workspace_len() <= 8 << 20, "{tier} {g:?}: {} f32", staged.workspace_len());
            }
            let gradient = WinogradFilterGrad::new(&g, tier);
            assert!(gradient.chunks(0) >= 8, "{tier} {g:?}: {} chunks", gradient.chunks(0));
            assert!(gradient.workspace_len() <= (16 * g.filter_len()).min(4 << 20), "{tier} {g:?}");
        }
    }
}

#[test]
fn parts_of_the_tiles_give_the_bits_of_all_at_once() {
    for tier in Tier::supported() {
        // 144 windows of 17 and 40 channels: parts of 56 and of 48 windows.
        let g = geometry(9, 14, 17, 40);
        let (x, w, y) = (g.input_len(), g.filter_len(), g.output_len());
        for (gradient, lens) in [(false, [x, w, y]), (true, [y, w, x])] {
            let whole = WinogradStaged::new(Form::F4x4, &g, gradient, 1 << 30, tier);
            let parts = WinogradStaged::new(Form::F4x4, &g, gradient, 0, tier);
            assert_eq!((whole.phases(), parts.phases()), (4, 10));
            assert_eq!(run(&whole, lens, |chunk, _| chunk), run(&parts, lens, |chunk, _| chunk), "{tier} {gradient}");
        }
    }
}
