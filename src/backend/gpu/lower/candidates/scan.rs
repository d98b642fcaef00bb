//! Running sums and the like: totals of blocks of each line, the running totals of these, and then what each element makes
//! with all before it. A line of n elements takes about √n steps, always in the same order.

use super::{Kernel, Task};
use crate::backend::gpu::lower::reduce::{combined, identity};
use crate::backend::gpu::lower::shader::{Code, Dispatch, Module, Operand, WORKGROUP, lane_type, literal};
use crate::error::Result;
use crate::ops::Op;
use crate::ops::reduce::ReduceKind;

/// Elements of a block at least.
const LEAST: usize = 64;

fn frame(mut module: Module, count: usize, body: &str) -> Dispatch {
    module.add(&format!(
        "@compute @workgroup_size({WORKGROUP})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let task = (group.y * COLUMNS + group.x) * {WORKGROUP}u + lane;\n  if (task >= {count}u) {{ return; }}\n\
         {body}}}"
    ));
    module.finish(count.div_ceil(WORKGROUP as usize))
}

/// The op.
pub fn kernel(task: &Task) -> Result<Kernel> {
    let Op::Scan(op) = task.op else { return Err(task.wrong_op("scan")) };
    let [outer, extent, inner] = op.extents(&task.inputs[0].shape)?;
    let dtype = task.output.dtype;
    if task.output.shape.is_empty() {
        return Ok(Kernel::Own("scan", Code::default()));
    }
    let lines = outer * inner;
    let block = extent.isqrt().max(LEAST).min(extent);
    let blocks = extent.div_ceil(block);
    let begun = || {
        let mut module = Module::new();
        module.loader("input0", Operand::Input(0), dtype);
        let lane = lane_type(dtype);
        let place = if op.reverse { format!("{}u - k", extent - 1) } else { "k".to_owned() };
        module.add(&format!(
            "fn place(line: u32, k: u32) -> u32 {{ return (line / {inner}u * {extent}u + {place}) * {inner}u + line % {inner}u; }}\n\
             fn combined(a: {lane}, b: {lane}) -> {lane} {{ return {}; }}",
            combined(op.kind, dtype, "a", "b")
        ));
        module
    };
    // −0 changes no number, nor −0.
    let nothing = match op.kind {
        ReduceKind::Sum if dtype.is_float() && !op.exclusive => literal(-0.0, dtype),
        kind => identity(kind, dtype),
    };
    let lane = lane_type(dtype);
    let range = format!(
        "  let line = task / {blocks}u;\n  let first = task % {blocks}u * {block}u;\n  \
         let end = min(first + {block}u, {extent}u);\n"
    );
    let mut dispatches = Vec::new();
    if blocks > 1 {
        let mut module = begun();
        let memory = module.bind(Operand::Workspace);
        let body = format!(
            "{range}  var total: {lane} = {nothing};\n  \
             for (var k = first; k < end; k = k + 1u) {{ total = combined(total, input0(place(line, k))); }}\n  \
             {memory}[task] = bitcast<u32>(total);\n"
        );
        dispatches.push(frame(module, lines * blocks, &body));
        let mut module = begun();
        let memory = module.bind(Operand::Workspace);
        let body = format!(
            "  var total: {lane} = {nothing};\n  for (var b = 0u; b < {blocks}u; b = b + 1u) {{\n    \
             let at = task * {blocks}u + b;\n    let own = bitcast<{lane}>({memory}[at]);\n    \
             {memory}[at] = bitcast<u32>(total);\n    total = combined(total, own);\n  }}\n"
        );
        dispatches.push(frame(module, lines, &body));
    }
    let mut module = begun();
    let start = match blocks {
        1 => nothing.clone(),
        _ => format!("bitcast<{lane}>({}[task])", module.bind(Operand::Workspace)),
    };
    // A block is added up by itself: beside the total of all before it, small numbers would round one way.
    let value = if op.exclusive { "combined(start, own)" } else { "combined(start, next)" };
    let store = module.store_word(Operand::Output(0), dtype, "at", value);
    let body = format!(
        "{range}  let start: {lane} = {start};\n  var own: {lane} = {nothing};\n  \
         for (var k = first; k < end; k = k + 1u) {{\n    \
         let at = place(line, k);\n    let next = combined(own, input0(at));\n    {store}\n    own = next;\n  }}\n"
    );
    dispatches.push(frame(module, lines * blocks, &body));
    let workspace = if blocks > 1 { lines * blocks * 4 } else { 0 };
    Ok(Kernel::Own("scan", Code::new(dispatches, workspace)))
}
