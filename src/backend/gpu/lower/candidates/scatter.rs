//! Rows combined by index: every element of the result looks for the updates that meet it, in the order of the indices.

use super::data::{around, function, wrapped};
use super::{Anchor, Task};
use crate::backend::gpu::lower::reduce::combined;
use crate::backend::gpu::lower::shader::{lane_type, literal};
use crate::error::{Integer, Result};
use crate::ops::Op;

/// The op, element by element.
pub fn anchor(task: &Task) -> Result<Anchor> {
    let Op::Scatter(op) = task.op else { return Err(task.wrong_op("scatter")) };
    let [_, extent, inner] = around(&op.shape, op.axis);
    let count = task.inputs[1].shape.len();
    let dtype = task.output.dtype;
    let lane = lane_type(dtype);
    let nothing = literal(op.kind.nothing(dtype), dtype);
    let begin = if op.onto { "input2(at)".to_owned() } else { nothing };
    let update = op.kind.reduction().map_or("update".to_owned(), |kind| combined(kind, dtype, "value", "update"));
    let body = format!(
        "  let row = (at / {inner}u) % {extent}u;\n  let before = at / {}u;\n  var value: {lane} = {begin};\n  \
         for (var i = 0u; i < {count}u; i = i + 1u) {{\n    if (wrapped(i) == i32(row)) {{\n      \
         let update = input0((before * {count}u + i) * {inner}u + at % {inner}u);\n      value = {update};\n    }}\n  }}\n  \
         return value;\n",
        inner * extent
    );
    let text = format!("{}{}", wrapped(extent), function(lane, &body));
    Ok(Anchor::new("scatter", text).checking(Integer::Index, 1, extent))
}
