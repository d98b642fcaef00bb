//! Candidates for convolutions and their gradients.

use super::super::attachments::{attaches_by_rows, epilogue, prologue, step, zeros};
use super::super::cost::{self, Pass};
use crate::backend::cpu::kernel::{BatchBlocked, Cost, CpuKernel, Lowered, Task};
use crate::backend::cpu::kernels::chunked::ChunkedKernel;
use crate::backend::cpu::kernels::conv::{
    BlockedConv, BlockedFilterGrad, BlockedWinograd, ConvGeometry, Depthwise, DepthwiseFilterGrad, DepthwiseRows,
    DepthwiseRowsFilterGrad, Direct, FilterGrad, blocked_winograd_supports,
};
use crate::backend::cpu::kernels::gemm::{Gemm, row_product};
use crate::backend::cpu::kernels::winograd::{self, Form, WinogradFilterGrad, WinogradForward, WinogradStaged};
use crate::backend::cpu::simd::Tier;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::ops::conv2d::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad};
use crate::precision::Precision;

/// All candidates, for all three primitives.
pub const KERNELS: &[&dyn CpuKernel] = &[
    &GEMM_1X1,
    &DEPTHWISE_ROWS,
    &DEPTHWISE,
    &BLOCKED,
    &BLOCKED_WINOGRAD,
    &WINOGRAD,
    &WINOGRAD_STAGED,
    &WINOGRAD_2X2,
    &DIRECT,
    &EMPTY,
];

/// The candidates that sum or transform something.
const CANDIDATES: &[&Candidate] = &[
    &GEMM_1X1,
    &DEPTHWISE_ROWS,
    &DEPTHWISE,
    &BLOCKED,
    &BLOCKED_WINOGRAD,
    &WINOGRAD,
    &WINOGRAD_STAGED,
    &WINOGRAD_2X2,
    &DIRECT,
];

/// A kernel by itself, as a plan would choose it.
pub struct Chosen {
    /// Its name.
    pub name: &'static str,
    /// Whether it adds a residual while it stores.
    pub residuals: bool,
    /// The kernel.
    pub kernel: Box<dyn ChunkedKernel>,
}

/// The cheapest kernel for a convolution with nothing attached, whose filters are packed in every run.
///
/// # Errors
/// As [`ConvGeometry::check`].
pub fn cheapest(g: &ConvGeometry, pass: Pass, precision: Precision, tier: Tier) -> Result<Chosen> {
    g.check()?;
    let mut best: Option<(&Candidate, f64)> = None;
    for &candidate in CANDIDATES.iter().filter(|c| c.strict || precision == Precision::Fast) {
        if let Ok(times) = (candidate.fits)(g, pass, tier)
            && best.is_none_or(|(_, least)| times.total(false) < least)
        {
            best = Some((candidate, times.total(false)));
        }
    }
    let (candidate, _) = best.ok_or_else(|| Error::state("no kernel fits a convolution"))?;
    let kernel = (candidate.build)(g, pass, Target { blocked: BatchBlocked::default(), tier, constant: false });
    Ok(Chosen { name: candidate.name, residuals: candidate.residuals, kernel })
}

/// What a kernel is built for, besides geometry and pass.
#[derive(Clone, Copy)]
struct Target {
    blocked: BatchBlocked,
    tier: Tier,
    /// Whether filters stay the same over many runs.
    constant: bool,
}

type Build = fn(&ConvGeometry, Pass, Target) -> Box<dyn ChunkedKernel>;
type Fits = fn(&ConvGeometry, Pass, Tier) -> std::result::Result<cost::Times, &'static str>;

/// A candidate: its cost as [`cost`] counts, or why it does not fit, and its kernels.
struct Candidate {
    name: &'static str,
    /// Whether it reads and writes activations in the batch-blocked layout.
    images: bool,
    /// Whether it packs input 0, and can work on it meanwhile.
    packs: bool,
    fits: Fits,
    build: Build,
    /// Whether it adds a residual while it stores.
    residuals: bool,
    /// Whether it sums the products themselves, as [`Precision::Strict`] asks.
    strict: bool,
    /// What else it can do.
    extra: Extra,
}

/// What single candidates can do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    /// Nothing.
    None,
    /// It can be one of several convolutions that run row by row as one step.
    WorksByRows,
    /// It takes windows that sprawl far beyond the image.
    TakesSprawling,
}

/// A convolution with windows of one element is a product of matrices.
const GEMM_1X1: Candidate = Candidate {
    name: "conv_gemm_1x1",
    images: false,
    packs: true,
    fits: |g, pass, _| match pass {
        Pass::Forward if g.is_strided_pointwise() => Ok(cost::gemm(g)),
        _ if g.is_pointwise() => Ok(cost::gemm(g)),
        _ => Err("windows of one element, one group, no padding, and stride 1 for gradients"),
    },
    build: |g, pass, Target { tier, constant, .. }| {
        let pixels = g.pixels();
        match pass {
            Pass::Forward if pixels == 1 => row_product(g.out_c, g.in_c, constant, tier),
            Pass::Forward => Box::new(g.product(tier)),
            Pass::InputGrad => Box::new(Gemm::new(pixels, g.in_c, g.out_c, false, true, tier)),
            Pass::FilterGrad => Box::new(Gemm::new(g.in_c, g.out_c, pixels, true, false, tier)),
        }
    },
    residuals: true,
    strict: true,
    extra: Extra::WorksByRows,
};

/// Runs of pixels with the same taps inside, without a copy of the input.
const DEPTHWISE_ROWS: Candidate = Candidate {
    name: "conv_depthwise_rows",
    fits: |g, _, tier| match DepthwiseRows::supports(g) {
        true => Ok(cost::depthwise_rows(g, tier)),
        false => {
            Err("one filter per channel of at most 7 rows and 3 columns, stride at most 2, no dilation of columns")
        }
    },
    build: |g, pass, Target { tier, .. }| match pass {
        Pass::Forward => Box::new(DepthwiseRows::forward(g, tier)),
        Pass::InputGrad => Box::new(DepthwiseRows::input_grad(g, tier)),
        Pass::FilterGrad => Box::new(DepthwiseRowsFilterGrad::new(g, tier)),
    },
    residuals: true,
    strict: true,
    images: false,
    packs: false,
    extra: Extra::WorksByRows,
};

/// Vectors over channels, filters in registers.
const DEPTHWISE: Candidate = Candidate {
    name: "conv_depthwise",
    images: false,
    packs: true,
    fits: |g, pass, tier| match Depthwise::supports(g) {
        true => Ok(cost::depthwise(g, pass, tier)),
        false => Err("as many groups as input channels, and few filters where there is one"),
    },
    build: |g, pass, Target { tier, .. }| match pass {
        Pass::Forward => Box::new(Depthwise::forward(g, tier)),
        Pass::InputGrad => Box::new(Depthwise::input_grad(g, tier)),
        Pass::FilterGrad => Box::new(DepthwiseFilterGrad::new(g, tier)),
    },
    residuals: true,
    strict: true,
    extra: Extra::None,
};

/// Vectors over images: full lanes however few the channels.
const BLOCKED: Candidate = Candidate {
    name: "conv_blocked",
    images: true,
    packs: true,
    fits: |g, pass, tier| {
        if g.groups == 1 { Ok(cost::batch_blocked(g, pass, tier)) } else { Err("one group") }
    },
    build: |g, pass, Target { blocked: images, tier, .. }| match pass {
        Pass::Forward => Box::new(BlockedConv::forward(g, images, tier)),
        Pass::InputGrad => Box::new(BlockedConv::input_grad(g, images, tier)),
        Pass::FilterGrad => Box::new(BlockedFilterGrad::new(g, images, tier)),
    },
    residuals: false,
    strict: true,
    extra: Extra::None,
};

/// Nine products for M outputs of a row and R taps, M + R = 10, in vectors over images.
const BLOCKED_WINOGRAD: Candidate = Candidate {
    name: "conv_blocked_winograd",
    fits: |g, pass, tier| match blocked_winograd_supports(g) {
        true => Ok(cost::blocked_winograd(g, pass, tier)),
        false => Err("filters of 3, 5 or 7 columns, stride 1, dilation 1, one group"),
    },
    build: |g, pass, Target { blocked: images, tier, .. }| match pass {
        Pass::Forward => Box::new(BlockedWinograd::forward(g, images, tier)),
        Pass::InputGrad => Box::new(BlockedWinograd::input_grad(g, images, tier)),
        Pass::FilterGrad => Box::new(BlockedFilterGrad::winograd(g, images, tier)),
    },
    strict: false,
    ..BLOCKED
};

/// Products over transformed windows: fewer multiplications, two to three times the rounding error.
const WINOGRAD: Candidate = Candidate {
    name: "conv_winograd",
    images: false,
    packs: true,
    fits: |g, pass, tier| match winograd::form(g) {
        Some(form) => Ok(cost::winograd(form, g, pass, tier)),
        None => Err("square filters of 2 to 5 taps, or of 4 to 10 and stride 2, dilation 1, one group"),
    },
    build: |g, pass, Target { tier, .. }| match pass {
        Pass::Forward => Box::new(WinogradForward::forward(g, tier)),
        Pass::InputGrad => Box::new(WinogradForward::input_grad(g, tier)),
        Pass::FilterGrad => Box::new(WinogradFilterGrad::new(g, tier)),
    },
    residuals: true,
    strict: false,
    extra: Extra::None,
};

/// The same, all windows of a part of the batch at a time: for many channels, or few windows.
const WINOGRAD_STAGED: Candidate = Candidate {
    name: "conv_winograd_staged",
    fits: |g, pass, tier| staged_fits(largest(g), g, pass, tier),
    build: |g, pass, Target { tier, .. }| staged(largest(g), g, pass, tier),
    ..WINOGRAD
};

/// 16 products over smaller windows: where so few of them meet the filters that 36 points of these take longer to
/// arrive from memory than to be multiplied.
const WINOGRAD_2X2: Candidate = Candidate {
    name: "conv_winograd_2x2",
    fits: |g, pass, tier| staged_fits(Form::F2x2, g, pass, tier),
    build: |g, pass, Target { tier, .. }| staged(Form::F2x2, g, pass, tier),
    ..WINOGRAD
};

/// The form with the largest windows.
fn largest(g: &ConvGeometry) -> Form {
    winograd::form(g).unwrap_or(Form::F4x4)
}

fn staged_fits(form: Form, g: &ConvGeometry, pass: Pass, tier: Tier) -> std::result::Result<cost::Times, &'static str> {
    match pass {
        Pass::FilterGrad => Err("no gradient for filters"),
        _ if winograd::works_in_stages(form, g, pass == Pass::InputGrad) => {
            Ok(cost::winograd_staged(form, g, pass, tier))
        }
        _ => Err(
            "3x3 filters, stride 1, dilation 1, one group; or forward an even number of taps, stride 2, whole vectors of channels",
        ),
    }
}

fn staged(form: Form, g: &ConvGeometry, pass: Pass, tier: Tier) -> Box<dyn ChunkedKernel> {
    match pass {
        Pass::Forward => Box::new(WinogradStaged::forward(form, g, tier)),
        _ => Box::new(WinogradStaged::input_grad(form, g, tier)),
    }
}

/// Register tiles over packed rows, tap by tap; takes every convolution.
const DIRECT: Candidate = Candidate {
    name: "conv_direct",
    images: false,
    packs: true,
    fits: |g, pass, tier| Ok(cost::direct(g, pass, tier)),
    build: |g, pass, Target { tier, .. }| match pass {
        Pass::Forward => Box::new(Direct::forward(g, tier)),
        Pass::InputGrad => Box::new(Direct::input_grad(g, tier)),
        Pass::FilterGrad => Box::new(FilterGrad::new(g, tier)),
    },
    residuals: true,
    strict: true,
    extra: Extra::TakesSprawling,
};

/// Sums over nothing: no images, or no channels.
const EMPTY: Empty = Empty;

struct Empty;

/// The sizes of `conv` on activations and filters of these shapes.
///
/// # Errors
/// When windows do not fit.
pub fn geometry(conv: &Conv2d, x: &[usize], w: &[usize]) -> Result<ConvGeometry> {
    let place = conv.place(x, w)?;
    // The step of a single window, and the distance of a single element, say nothing.
    let steps = |numbers: [usize; 2], counts: [usize; 2]| [0, 1].map(|i| if counts[i] > 1 { numbers[i] } else { 1 });
    let (strides, dilation) = (steps(conv.strides, place.out), steps(conv.dilation, [w[0], w[1]]));
    Ok(ConvGeometry {
        batch: x[0],
        in_h: x[1],
        in_w: x[2],
        in_c: x[3],
        out_h: place.out[0],
        out_w: place.out[1],
        out_c: w[3],
        kernel_h: w[0],
        kernel_w: w[1],
        stride_h: strides[0],
        stride_w: strides[1],
        pad_top: place.before[0],
        pad_left: place.before[1],
        dilation_h: dilation[0],
        dilation_w: dilation[1],
        groups: conv.groups,
    })
}

fn read(task: &Task) -> Result<(ConvGeometry, Pass)> {
    match task.op {
        Op::Conv2d(c) => Ok((geometry(c, &task.inputs[0].shape, &task.inputs[1].shape)?, Pass::Forward)),
        Op::Conv2dInputGrad(Conv2dInputGrad { conv, .. }) => {
            Ok((geometry(conv, &task.output.shape, &task.inputs[1].shape)?, Pass::InputGrad))
        }
        Op::Conv2dFilterGrad(Conv2dFilterGrad { conv, .. }) => {
            Ok((geometry(conv, &task.inputs[0].shape, &task.output.shape)?, Pass::FilterGrad))
        }
        other => Err(Error::state(format!("{other:?} is no convolution"))),
    }
}

fn is_empty(task: &Task) -> bool {
    task.output.shape.is_empty() || task.inputs.iter().any(|f| f.shape.is_empty())
}

impl CpuKernel for Candidate {
    fn name(&self) -> &'static str {
        self.name
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        if task.prologue.is_some() && !self.packs {
            return Err("takes no prologue, for it packs nothing".into());
        }
        prologue(task)?;
        epilogue(task, self.residuals)?;
        if task.precision == Precision::Strict && !self.strict {
            return Err("precision \"fast\"".into());
        }
        if is_empty(task) {
            return Err("a sum over something".into());
        }
        let (g, pass) = read(task).map_err(|e| e.to_string())?;
        if g.is_sprawling() {
            // Rows of the filter gradient that no pixel meets are zeros, which no epilogue sees.
            let bare = pass != Pass::FilterGrad || task.epilogue.is_none();
            return match self.extra == Extra::TakesSprawling && bare {
                true => Ok(Cost(1.0)),
                false => Err("windows that stay near the image".into()),
            };
        }
        let tier = task.tier;
        Ok(Cost((self.fits)(&g, pass, tier)?.total(task.is_constant(1))))
    }

    fn takes_batch_blocked(&self, task: &Task) -> BatchBlocked {
        match task.op {
            _ if !self.images || task.prologue.is_some() => BatchBlocked::default(),
            Op::Conv2dFilterGrad(_) => BatchBlocked { inputs: 0b11, output: false },
            _ => BatchBlocked { inputs: 0b01, output: true },
        }
    }

    fn works_by_rows(&self) -> bool {
        self.extra == Extra::WorksByRows
    }

    fn rows(&self, task: &Task) -> Option<usize> {
        let (g, pass) = read(task).ok()?;
        if self.name != GEMM_1X1.name || !g.is_pointwise() || !attaches_by_rows(task) {
            return None;
        }
        let product = match pass {
            Pass::Forward => g.product(task.tier),
            Pass::InputGrad => Gemm::new(g.pixels(), g.in_c, g.out_c, false, true, task.tier),
            Pass::FilterGrad => return None,
        };
        product.works_by_rows().then(|| g.pixels())
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        let (g, pass) = read(task)?;
        g.check()?;
        let target = Target { blocked: task.blocked, tier: task.tier, constant: task.is_constant(1) };
        let kernel = (self.build)(&g, pass, target);
        let prologue = prologue(task).map_err(Error::state)?;
        let epilogue = epilogue(task, self.residuals).map_err(Error::state)?;
        Ok(step(self.name, kernel, [Some(0), Some(1)], task, prologue, epilogue))
    }
}

impl CpuKernel for Empty {
    fn name(&self) -> &'static str {
        "conv_empty"
    }

    fn supports(&self, task: &Task) -> std::result::Result<Cost, String> {
        match task.epilogue.or(task.prologue) {
            Some(_) => Err("takes no attachments".into()),
            None if is_empty(task) => Ok(Cost(0.0)),
            None => Err("a sum over nothing".into()),
        }
    }

    fn lower(&self, task: &Task) -> Result<Lowered> {
        Ok(zeros("conv_empty", task.output.shape.len()))
    }
}
