//! Instructions that the main kernels execute on fixed small sizes, counted by callgrind and compared with
//! `benches/instructions.txt`: unlike times, counts do not depend on what else the machine does.
//!
//! `cargo bench --bench instructions -- check` fails where a count has left its place in the table by more
//! than 2%; `-- write` makes the table anew. Needs valgrind, which knows no AVX-512, so the kernels are those
//! of AVX2. Counts belong to the compiler that the table names.

use cnnrs::backend::cpu::kernel::{BatchBlocked, Lowered, Operands, Status};
use cnnrs::backend::cpu::kernels::attach::Epilogue;
use cnnrs::backend::cpu::kernels::chunked::{Args, ChunkedKernel};
use cnnrs::backend::cpu::kernels::conv::{
    BlockedConv, BlockedFilterGrad, BlockedWinograd, ConvGeometry, DepthwiseRows, DepthwiseRowsFilterGrad, Direct,
    FilterGrad,
};
use cnnrs::backend::cpu::kernels::gemm::Gemm;
use cnnrs::backend::cpu::kernels::pointwise::lower_region;
use cnnrs::backend::cpu::kernels::pool2d::{Pool, PoolGeometry, PoolGrad, PoolKind};
use cnnrs::backend::cpu::kernels::winograd::{Form, WinogradFilterGrad, WinogradForward, WinogradStaged};
use cnnrs::backend::cpu::simd::Tier;
use cnnrs::dtype::DType;
use cnnrs::fusion::region::{Arg, Instruction, Operand, Region};
use cnnrs::ops::pointwise::Function;
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

const TIER: Tier = Tier::Avx2;
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// How far a count may be from the table's.
const TOLERANCE: f64 = 0.02;
/// f32 of every operand, which no case exceeds.
const OPERAND: usize = 1 << 18;

/// What is counted.
enum Work {
    Kernel(Box<dyn ChunkedKernel>),
    Region(Lowered),
}

fn convolution(in_c: usize, out_c: usize, kernel: usize, stride: usize, groups: usize) -> ConvGeometry {
    let (size, pad) = (14, kernel / 2);
    let out = (size + 2 * pad - kernel) / stride + 1;
    ConvGeometry {
        batch: 2,
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
    }
}

fn pooling() -> PoolGeometry {
    PoolGeometry {
        batch: 2,
        in_h: 14,
        in_w: 14,
        channels: 48,
        out_h: 7,
        out_w: 7,
        kernel_h: 3,
        kernel_w: 3,
        stride_h: 2,
        stride_w: 2,
        pad_top: 1,
        pad_left: 1,
    }
}

/// max(x + bias, 0) over 512 pixels of 48 channels.
fn bias_relu() -> Lowered {
    let add = [Arg::Operand(0), Arg::Operand(1)];
    let instruction = |function, args: &[Arg]| Instruction {
        function,
        args: args.iter().copied().collect(),
        input_dtype: DType::F32,
        dtype: DType::F32,
    };
    let region = Region {
        shape: [512, 48].into(),
        operands: [[48, 1], [0, 1]]
            .map(|strides| Operand { dtype: DType::F32, strides: strides.into_iter().collect() })
            .into(),
        code: vec![instruction(Function::Add, &add), instruction(Function::Relu, &[Arg::Result(0)])],
        stores: vec![(Arg::Result(1), DType::F32)],
        ..Region::default()
    };
    lower_region(&region, TIER).expect("a region of two functions")
}

/// A name and what makes the work.
type Case = (&'static str, fn() -> Work);

fn kernel(kernel: impl ChunkedKernel + 'static) -> Work {
    Work::Kernel(Box::new(kernel))
}

const CASES: &[Case] = &[
    ("gemm", || kernel(Gemm::new(150, 70, 96, false, false, TIER))),
    ("gemm_transposed", || kernel(Gemm::new(150, 70, 96, true, true, TIER))),
    ("conv_direct", || kernel(Direct::forward(&convolution(24, 40, 3, 2, 1), TIER))),
    ("conv_direct_input_grad", || kernel(Direct::input_grad(&convolution(24, 40, 3, 2, 1), TIER))),
    ("conv_direct_filter_grad", || kernel(FilterGrad::new(&convolution(24, 40, 3, 2, 1), TIER))),
    ("conv_blocked", || kernel(BlockedConv::forward(&convolution(1, 6, 5, 1, 1), BatchBlocked::default(), TIER))),
    ("conv_blocked_winograd", || {
        kernel(BlockedWinograd::forward(&convolution(4, 6, 5, 1, 1), BatchBlocked::default(), TIER))
    }),
    ("conv_blocked_winograd_input_grad", || {
        kernel(BlockedWinograd::input_grad(&convolution(4, 6, 5, 1, 1), BatchBlocked::default(), TIER))
    }),
    ("conv_blocked_winograd_filter_grad", || {
        kernel(BlockedFilterGrad::winograd(&convolution(4, 6, 5, 1, 1), BatchBlocked::default(), TIER))
    }),
    ("conv_winograd", || kernel(WinogradForward::forward(&convolution(24, 40, 3, 1, 1), TIER))),
    ("conv_winograd_staged", || kernel(WinogradStaged::forward(Form::F4x4, &convolution(24, 40, 3, 1, 1), TIER))),
    ("conv_winograd_2x2", || kernel(WinogradStaged::forward(Form::F2x2, &convolution(24, 40, 3, 1, 1), TIER))),
    ("conv_winograd_filter_grad", || kernel(WinogradFilterGrad::new(&convolution(24, 40, 3, 1, 1), TIER))),
    ("depthwise", || kernel(DepthwiseRows::forward(&convolution(48, 48, 3, 1, 48), TIER))),
    ("depthwise_stride_2", || kernel(DepthwiseRows::forward(&convolution(48, 48, 3, 2, 48), TIER))),
    ("depthwise_filter_grad", || kernel(DepthwiseRowsFilterGrad::new(&convolution(48, 48, 3, 1, 48), TIER))),
    ("max_pool", || {
        kernel(Pool::new(&pooling(), PoolKind::Max, BatchBlocked::default(), TIER).expect("windows meet the image"))
    }),
    ("max_pool_grad", || {
        kernel(PoolGrad::new(&pooling(), PoolKind::Max, BatchBlocked::default(), TIER).expect("windows meet the image"))
    }),
    ("bias_relu", || Work::Region(bias_relu())),
];

/// f32 on a 64-byte boundary, the same at every run.
fn aligned(len: usize) -> *mut f32 {
    let memory: Vec<f32> = (0..len + 16).map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5).collect();
    let memory = memory.leak();
    let start = memory.as_ptr().align_offset(64);
    memory[start..].as_mut_ptr()
}

/// What callgrind counts: all phases of the work on one thread.
#[inline(never)]
#[unsafe(no_mangle)]
fn cnnrs_measured(work: &Work, [x, y, out, packed, workspace, scratch]: [*mut f32; 6]) {
    match work {
        Work::Kernel(kernel) => {
            let (inputs, output, epilogue) = ([x.cast_const(), y.cast_const()], out, Epilogue::None);
            let args = Args { inputs, output, packed, workspace, prologue: None, epilogue };
            for phase in 0..kernel.phases() {
                for chunk in 0..kernel.chunks(phase) {
                    // SAFETY: the operands hold more than any case needs; chunks run in order.
                    unsafe { kernel.run_chunk(phase, chunk, &args, scratch) };
                }
            }
        }
        Work::Region(region) => {
            let status = Status::default();
            let (inputs, outputs) = ([x.cast_const().cast(), y.cast_const().cast()], [out.cast()]);
            let operands = Operands {
                inputs: &inputs,
                outputs: &outputs,
                workspace: workspace.cast(),
                packed: &[packed.cast()],
                status: &status,
            };
            for phase in &region.phases {
                (0..phase.chunks).for_each(|chunk| (phase.run)(&operands, chunk, scratch.cast()));
            }
        }
    }
}

/// Runs the case `name`, as the process that callgrind watches.
fn run(name: &str) {
    let case = CASES.iter().find(|case| case.0 == name).expect("the name of a case");
    let work = case.1();
    let [packed, workspace, scratch] = match &work {
        Work::Kernel(kernel) => [kernel.packed_len(), kernel.workspace_len(), kernel.scratch_len()],
        Work::Region(region) => [0, region.workspace / 4, region.scratch / 4],
    };
    let lens = [OPERAND, OPERAND, OPERAND, packed, workspace, scratch];
    cnnrs_measured(&work, lens.map(aligned));
}

/// Instructions of the case `name`.
fn count(name: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"];
    let output = Command::new("valgrind")
        .args(options)
        .arg("--toggle-collect=cnnrs_measured")
        .arg(program)
        .args(["run", name])
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1));
    let count = collected.and_then(|n| n.trim().parse().ok()).filter(|&n| n > 0 && output.status.success());
    count.ok_or_else(|| format!("{name}: callgrind counted nothing:\n{text}"))
}

fn read() -> Result<BTreeMap<String, u64>, String> {
    let text = std::fs::read_to_string(TABLE).map_err(|e| format!("{TABLE}: {e}"))?;
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let row = line.split_once(' ').and_then(|(name, n)| Some((name.to_owned(), n.trim().parse().ok()?)));
        row.ok_or_else(|| format!("{TABLE}: expected a name and a count, received {line:?}"))
    })
    .collect()
}

fn check() -> Result<(), String> {
    let table = read()?;
    let mut wrong = Vec::new();
    for (name, _) in CASES {
        let (now, then) = (count(name)?, table.get(*name).copied().unwrap_or(0));
        let change = now as f64 / then as f64 - 1.0;
        println!("{name:28} {now:10} {:+7.2}%", 100.0 * change);
        if change.is_nan() || change.abs() > TOLERANCE {
            wrong.push(format!("{name}: {now} instructions instead of {then}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn write() -> Result<(), String> {
    let version = Command::new("rustc").arg("--version").output().map_err(|e| e.to_string())?;
    let version = String::from_utf8_lossy(&version.stdout);
    let release: Vec<&str> = version.split_whitespace().take(2).collect();
    let mut text = format!("# Instructions of the AVX2 kernels, bench profile, {}.\n", release.join(" "));
    for (name, _) in CASES {
        text += &format!("{name} {}\n", count(name)?);
    }
    std::fs::write(TABLE, text).map_err(|e| e.to_string())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", name] => {
            run(name);
            Ok(())
        }
        ["check"] => check(),
        ["write"] => write(),
        _ => {
            println!("instructions: pass `check` or `write`");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
