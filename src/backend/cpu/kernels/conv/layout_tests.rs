//! Kernels with equal layouts pack the same filters to the same bytes, whatever else they are built for.

use super::*;
use crate::backend::cpu::kernel::BatchBlocked;
use crate::backend::cpu::kernels::attach::Epilogue;
use crate::backend::cpu::kernels::chunked::Args;
use crate::backend::cpu::kernels::chunked::ChunkedKernel;
use crate::backend::cpu::kernels::gemm::tests::random;
use crate::backend::cpu::kernels::winograd::{self, Form, WinogradForward, WinogradStaged};
use crate::schedule::PackedLayout;
use std::collections::HashMap;

/// Filters packed by phase 0, on memory that holds the same bytes before; whatever scratch holds before and behind.
fn packed(kernel: &dyn ChunkedKernel, filters: &[f32]) -> Vec<u32> {
    let [bytes, others] = [f32::NAN, 0.25].map(|scratch| packed_over(kernel, filters, scratch));
    assert!(bytes == others, "{:?} depends on what scratch held", kernel.packed_layout());
    bytes
}

fn packed_over(kernel: &dyn ChunkedKernel, filters: &[f32], scratch: f32) -> Vec<u32> {
    let mut memory = vec![0.5f32; kernel.packed_len() + 16];
    let mut scratch = vec![scratch; kernel.scratch_len() + 32];
    let [at, own] = [&memory, &scratch].map(|memory| memory.as_ptr().align_offset(64));
    let args = Args {
        inputs: [std::ptr::null(), filters.as_ptr()],
        output: std::ptr::null_mut(),
        packed: memory[at..].as_mut_ptr(),
        workspace: std::ptr::null_mut(),
        prologue: None,
        epilogue: Epilogue::None,
    };
    for chunk in 0..kernel.chunks(0) {
        // SAFETY: phase 0 reads the filters alone; the other memory is as long as asked for.
        unsafe { kernel.run_chunk(0, chunk, &args, scratch[own..].as_mut_ptr()) };
    }
    memory[at..at + kernel.packed_len()].iter().map(|x| x.to_bits()).collect()
}

fn kernels(g: &ConvGeometry, tier: Tier) -> Vec<Box<dyn ChunkedKernel>> {
    let mut kernels: Vec<Box<dyn ChunkedKernel>> =
        vec![Box::new(Direct::forward(g, tier)), Box::new(Direct::input_grad(g, tier))];
    if g.groups == 1 {
        kernels.push(Box::new(BlockedConv::forward(g, BatchBlocked::default(), tier)));
        kernels.push(Box::new(BlockedConv::input_grad(g, BatchBlocked::default(), tier)));
    }
    if blocked_winograd_supports(g) {
        kernels.push(Box::new(BlockedWinograd::forward(g, BatchBlocked::default(), tier)));
        kernels.push(Box::new(BlockedWinograd::input_grad(g, BatchBlocked::default(), tier)));
    }
    if winograd::form(g).is_some() {
        kernels.push(Box::new(WinogradForward::forward(g, tier)));
        kernels.push(Box::new(WinogradForward::input_grad(g, tier)));
    }
    if winograd::is_plain_3x3(g) {
        for form in [Form::F2x2, Form::F4x4] {
            kernels.push(Box::new(WinogradStaged::forward(form, g, tier)));
            kernels.push(Box::new(WinogradStaged::input_grad(form, g, tier)));
        }
    }
    if g.is_pointwise() {
        let pixels = g.batch * g.out_h * g.out_w;
        kernels.push(Box::new(Gemm::convolution(pixels, g.out_c, g.in_c, None, tier)));
        kernels.push(Box::new(Gemm::new(pixels, g.in_c, g.out_c, false, true, tier)));
    }
    kernels.retain(|kernel| kernel.packed_len() > 0);
    kernels
}

#[test]
fn equal_layouts_are_equal_bytes() {
    for tier in Tier::supported() {
        for [in_c, out_c, groups] in [[3, 17, 1], [16, 40, 1], [33, 8, 1], [24, 72, 1], [64, 128, 1], [12, 24, 3]] {
            for [kernel, stride, dilation] in [[1, 1, 1], [1, 2, 1], [3, 1, 1], [3, 2, 1], [3, 1, 2], [5, 1, 1]] {
                let mut seen: HashMap<PackedLayout, Vec<u32>> = HashMap::new();
                let (mut asked, filters) = (0, random(kernel * kernel * in_c / groups * out_c, 1));
                for [batch, in_h, in_w] in [[1, 7, 9], [2, 12, 12], [16, 8, 7], [1, 40, 33], [3, 5, 64]] {
                    let pad = (kernel - 1) * dilation / 2;
                    let outputs = |inputs: usize| (inputs + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
                    let g = ConvGeometry {
                        batch,
                        in_h,
                        in_w,
                        in_c,
                        out_h: outputs(in_h),
                        out_w: outputs(in_w),
                        out_c,
                        kernel_h: kernel,
                        kernel_w: kernel,
                        stride_h: stride,
                        stride_w: stride,
                        pad_top: pad,
                        pad_left: pad,
                        dilation_h: dilation,
                        dilation_w: dilation,
                        groups,
                    };
                    for kernel in kernels(&g, tier) {
                        let bytes = packed(&*kernel, &filters);
                        let layout = kernel.packed_layout();
                        assert_ne!(layout, PackedLayout::new("none", []), "a kernel that packs says how");
                        asked += 1;
                        let first = seen.entry(layout.clone()).or_insert_with(|| bytes.clone());
                        assert!(*first == bytes, "{tier} {layout:?} of {g:?}");
                    }
                }
                // Sizes of images and batches change nothing.
                assert!(seen.len() * 2 <= asked, "{tier}: {} layouts of {asked}: {:?}", seen.len(), seen.keys());
            }
        }
    }
}
