//! Pooling, its gradient, and the second derivative of its maximum.

use super::{Anchor, Task};
use crate::error::Result;
use crate::ops::Op;
use crate::ops::pool2d::{Pool2d, PoolKind};

const PLACE: &str = "  let c = at % CHANNELS;\n  let q = (at / CHANNELS) % OUT_W;\n  \
                     let p = (at / (CHANNELS * OUT_W)) % OUT_H;\n  let n = at / (CHANNELS * OUT_W * OUT_H);\n";

/// The anchor of pooling or of one of its derivatives.
pub fn anchor(task: &Task) -> Result<Anchor> {
    let x = &task.inputs[0].shape;
    let of_window = |value: &str| {
        format!("fn anchor(at: u32) -> f32 {{\n{PLACE}  let best = window(n, p, q, c);\n  return {value};\n}}")
    };
    let (name, pool, text) = match task.op {
        Op::Pool2d(op) => {
            let value = if op.kind == PoolKind::Max { "best.value" } else { "best.sum / divisor(best.count)" };
            ("pool2d", op.clone(), of_window(value))
        }
        Op::MaxPool2dPick(op) => ("max_pool2d_pick", op.pool(), of_window("input1(best.at)")),
        Op::Pool2dGrad(op) => ("pool2d_grad", op.pool.clone(), gradient(&op.pool)),
        _ => return Err(task.wrong_op("pool2d")),
    };
    let place = pool.place(x)?;
    let count_pad = matches!(pool.kind, PoolKind::Average { count_include_pad: true });
    let window = pool.window;
    Ok(Anchor::new(name, format!("{}{text}", include_str!("pool2d.wgsl"))).with(&[
        ("IN_H", x[1]),
        ("IN_W", x[2]),
        ("CHANNELS", x[3]),
        ("OUT_H", place.out[0]),
        ("OUT_W", place.out[1]),
        ("KERNEL_H", window.size[0]),
        ("KERNEL_W", window.size[1]),
        ("STRIDE_H", window.strides[0]),
        ("STRIDE_W", window.strides[1]),
        ("PAD_TOP", place.before[0]),
        ("PAD_LEFT", place.before[1]),
        ("COUNT_PAD", usize::from(count_pad)),
    ]))
}

/// What every window that contains an element gives back to it, in the order of windows.
fn gradient(pool: &Pool2d) -> String {
    let part = match pool.kind {
        PoolKind::Max => "if (best.at == at) { sum = sum + input1(y); }",
        PoolKind::Average { .. } => "sum = sum + input1(y) / divisor(best.count);",
    };
    format!(
        "fn first_window(at: u32, kernel: u32, stride: u32) -> u32 {{\n  \
         return select(0u, (at - kernel) / stride + 1u, at >= kernel);\n}}\n\
         fn anchor(at: u32) -> f32 {{\n  let c = at % CHANNELS;\n  let col = (at / CHANNELS) % IN_W + PAD_LEFT;\n  \
         let row = (at / (CHANNELS * IN_W)) % IN_H + PAD_TOP;\n  let n = at / (CHANNELS * IN_W * IN_H);\n  \
         var sum = 0.0;\n  for (var p = first_window(row, KERNEL_H, STRIDE_H); p < OUT_H && p * STRIDE_H <= row; p = p + 1u) {{\n    \
         for (var q = first_window(col, KERNEL_W, STRIDE_W); q < OUT_W && q * STRIDE_W <= col; q = q + 1u) {{\n      \
         let best = window(n, p, q, c);\n      let y = ((n * OUT_H + p) * OUT_W + q) * CHANNELS + c;\n      {part}\n    \
         }}\n  }}\n  return sum;\n}}"
    )
}
