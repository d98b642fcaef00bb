//! Matrix products.

use super::{Anchor, Task};
use crate::backend::gpu::lower::shader::{coordinates, offset};
use crate::error::Result;
use crate::ops::Op;

/// The anchor of a product.
pub fn anchor(task: &Task) -> Result<Anchor> {
    let Op::MatMul(op) = task.op else { return Err(task.wrong_op("matmul")) };
    let [a, b] = [&task.inputs[0].shape, &task.inputs[1].shape];
    let extents = op.extents(a, b)?;
    let (a, b) = op.matrices(a, b);
    let batch: &[usize] = &extents.batch;
    // Elements to step along each batch axis; 0 where the operand is repeated.
    let strides = |shape: &[usize]| -> Vec<usize> {
        let lead = &shape[..shape.len() - 2];
        let mut step: usize = shape[shape.len() - 2..].iter().product();
        let mut strides = vec![0; batch.len()];
        for (axis, &extent) in lead.iter().enumerate().rev() {
            strides[axis + batch.len() - lead.len()] = if extent == 1 { 0 } else { step };
            step *= extent;
        }
        strides
    };
    let (rows, cols, inner) = (extents.m, extents.n, extents.k);
    let a_steps = if op.transpose_a { [1, rows] } else { [inner, 1] };
    let b_steps = if op.transpose_b { [inner, 1] } else { [1, cols] };
    let text = format!(
        "// Element `at` of a batch of products.\nfn anchor(at: u32) -> f32 {{\n  let col = at % COLS;\n  \
         let row = (at / COLS) % ROWS;\n{}  let a = {} + row * A_ROW;\n  let b = {} + col * B_COL;\n  \
         var sum = 0.0;\n  for (var first = 0u; first < INNER; first = first + 32u) {{\n    var part = 0.0;\n    \
         for (var i = first; i < min(first + 32u, INNER); i = i + 1u) {{\n      \
         part = fma(input0(a + i * A_INNER), input1(b + i * B_INNER), part);\n    }}\n    \
         sum = sum + part;\n  }}\n  return sum;\n}}",
        coordinates("at / (ROWS * COLS)", batch, "c"),
        offset(batch, &strides(&a), "c"),
        offset(batch, &strides(&b), "c"),
    );
    Ok(Anchor::new("matmul", text).with(&[
        ("ROWS", rows),
        ("COLS", cols),
        ("INNER", inner),
        ("A_ROW", a_steps[0]),
        ("A_INNER", a_steps[1]),
        ("B_COL", b_steps[0]),
        ("B_INNER", b_steps[1]),
    ]))
}
