//! Ops that move elements, look them up, compare or make them.

use super::{Anchor, Task};
use crate::backend::gpu::lower::shader::{coordinates, lane_type, literal};
use crate::error::{Error, Integer, Result};
use crate::ops::Op;
use crate::ops::random::{Distribution, threshold};
use crate::shape::Shape;
use std::fmt::Write;

pub(super) fn function(lane: &str, body: &str) -> String {
    format!("fn anchor(at: u32) -> {lane} {{\n{body}}}")
}

/// Transposition: an element each, by strides.
pub fn transpose(task: &Task) -> Result<Anchor> {
    let Op::Transpose(op) = task.op else { return Err(task.wrong_op("transpose")) };
    let strides = task.inputs[0].shape.strides();
    let steps: Vec<i64> = op.perm.iter().map(|&axis| strides[axis] as i64).collect();
    Ok(Anchor::new("transpose", strided(task, 0, &steps)))
}

/// Part of a tensor; steps may be negative.
pub fn slice(task: &Task) -> Result<Anchor> {
    let Op::Slice(op) = task.op else { return Err(task.wrong_op("slice")) };
    let strides = task.inputs[0].shape.strides();
    let start = op.starts.iter().zip(&*strides).map(|(a, s)| a * s).sum();
    // Along an axis of one element no step is made, however far it were.
    let made = |axis: usize| if task.output.shape[axis] > 1 { op.steps[axis] * strides[axis] as i64 } else { 0 };
    let steps: Vec<i64> = (0..strides.len()).map(made).collect();
    Ok(Anchor::new("slice", strided(task, start, &steps)))
}

/// Reads element start + Σ coordinate · step.
fn strided(task: &Task, start: usize, steps: &[i64]) -> String {
    let shape: &[usize] = &task.output.shape;
    let mut at = format!("{start}u");
    for (axis, step) in steps.iter().enumerate().filter(|(axis, _)| shape[*axis] > 1) {
        let sign = if *step < 0 { '-' } else { '+' };
        let _ = write!(at, " {sign} c{axis} * {}u", step.unsigned_abs());
    }
    function(lane_type(task.output.dtype), &format!("{}  return input0({at});\n", coordinates("at", shape, "c")))
}

/// A border and room between elements.
pub fn pad(task: &Task) -> Result<Anchor> {
    let Op::Pad(op) = task.op else { return Err(task.wrong_op("pad")) };
    let (shape, from) = (&task.output.shape, &task.inputs[0].shape);
    let strides = from.strides();
    let lane = lane_type(task.output.dtype);
    let value = literal(op.value.get(), task.output.dtype);
    let mut body = format!("{}  var start = 0u;\n", coordinates("at", shape, "c"));
    for axis in 0..shape.rank() {
        let (before, step, extent) = (op.before[axis], op.inner[axis] + 1, from[axis]);
        let _ = write!(
            body,
            "  if (c{axis} < {before}u || (c{axis} - {before}u) % {step}u != 0u || (c{axis} - {before}u) / {step}u >= \
             {extent}u) {{ return {value}; }}\n  start = start + (c{axis} - {before}u) / {step}u * {}u;\n",
            strides[axis]
        );
    }
    body.push_str("  return input0(start);\n");
    Ok(Anchor::new("pad", function(lane, &body)))
}

/// Extents before, of and behind an axis.
pub(super) fn around(shape: &Shape, axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

/// Some inputs of a concatenation, `first..` of which the task has; others' elements stay as they are in the output.
pub fn concat(task: &Task, inputs: std::ops::Range<usize>) -> Result<Anchor> {
    let Op::Concat(op) = task.op else { return Err(task.wrong_op("concat")) };
    let axis = task.output.shape.axis(op.axis)?;
    let [_, extent, inner] = around(&task.output.shape, axis);
    let mut body = format!(
        "  let c = (at / {inner}u) % {extent}u;\n  let before = at / {};\n",
        format_args!("{}u", inner * extent)
    );
    let mut from = task.inputs[..inputs.start].iter().map(|fact| fact.shape[axis]).sum::<usize>();
    for (k, fact) in inputs.clone().zip(&task.inputs[inputs]) {
        let own = fact.shape[axis];
        let end = from + own;
        let at = format!("(before * {own}u + c - {from}u) * {inner}u + at % {inner}u");
        let _ = writeln!(body, "  if (c >= {from}u && c < {end}u) {{ return input{k}({at}); }}");
        from = end;
    }
    body.push_str("  return output0(at);\n");
    Ok(Anchor::new("concat", function(lane_type(task.output.dtype), &body)))
}

/// Counting along an axis.
pub fn iota(task: &Task) -> Result<Anchor> {
    let Op::Iota(op) = task.op else { return Err(task.wrong_op("iota")) };
    let [_, extent, inner] = around(&op.shape, op.axis);
    let lane = lane_type(op.dtype);
    Ok(Anchor::new("iota", function(lane, &format!("  return {lane}((at / {inner}u) % {extent}u);\n"))))
}

/// Slices at indices.
pub fn gather(task: &Task) -> Result<Anchor> {
    let Op::Gather(op) = task.op else { return Err(task.wrong_op("gather")) };
    let shape = &task.inputs[0].shape;
    let [_, extent, inner] = around(shape, shape.axis(op.axis)?);
    let count = task.inputs[1].shape.len();
    let body = format!(
        "  let position = (at / {inner}u) % {count}u;\n  let row = wrapped(position);\n  \
         if (row < 0) {{ return {}(0); }}\n  \
         return input0((at / {} * {extent}u + u32(row)) * {inner}u + at % {inner}u);\n",
        lane_type(task.output.dtype),
        format_args!("{}u", inner * count),
    );
    let text = format!("{}{}", wrapped(extent), function(lane_type(task.output.dtype), &body));
    Ok(Anchor::new("gather", text).checking(Integer::Index, 1, extent))
}

/// `fn wrapped(position) -> i32`: the index there, from the begin of the axis; −1 outside of it, which is reported.
pub(super) fn wrapped(extent: usize) -> String {
    format!(
        "fn wrapped(position: u32) -> i32 {{\n  let index = input1(position);\n  let extent = {}i;\n  \
         if (index < -extent || index >= extent) {{ report(position); return -1; }}\n  \
         return select(index, index + extent, index < 0);\n}}\n",
        extent.min(i32::MAX as usize)
    )
}

/// Indices as unit vectors.
pub fn one_hot(task: &Task) -> Result<Anchor> {
    let Op::OneHot(op) = task.op else { return Err(task.wrong_op("one_hot")) };
    let lane = lane_type(op.dtype);
    let depth = op.depth.max(1);
    let report = if op.strict {
        format!("  if (index < 0 || index >= {}i) {{ report(at / {depth}u); }}\n", depth.min(i32::MAX as usize))
    } else {
        String::new()
    };
    let body = format!(
        "  let index = input0(at / {depth}u);\n{report}  return {lane}(select(0, 1, index == i32(at % {depth}u)));\n"
    );
    let anchor = Anchor::new("one_hot", function(lane, &body));
    Ok(if op.strict { anchor.checking(Integer::Label, 0, op.depth) } else { anchor })
}

/// Where the largest or smallest element is; the first of equal ones, and NaN before all.
pub fn arg_reduce(task: &Task) -> Result<Anchor> {
    let Op::ArgReduce(op) = task.op else { return Err(task.wrong_op("arg_reduce")) };
    let [_, count, inner] = op.extents(&task.inputs[0].shape)?;
    let dtype = task.inputs[0].dtype;
    let lane = lane_type(dtype);
    let sign = if op.largest { '>' } else { '<' };
    let displaces = match dtype.is_float() {
        true => format!("!is_nan(best) && (is_nan(x) || x {sign} best)"),
        false => format!("x {sign} best"),
    };
    let body = format!(
        "  let start = at / {inner}u * {}u + at % {inner}u;\n  var best: {lane} = input0(start);\n  var place = 0u;\n  \
         for (var i = 1u; i < {count}u; i = i + 1u) {{\n    let x = input0(start + i * {inner}u);\n    \
         if ({displaces}) {{ best = x; place = i; }}\n  }}\n  return i32(place);\n",
        inner * count
    );
    Ok(Anchor::new("arg_reduce", function("i32", &body)))
}

/// Random numbers of Philox, four to a block.
pub fn random(task: &Task) -> Result<Anchor> {
    let Op::Random(op) = task.op else { return Err(task.wrong_op("random")) };
    let value = match op.distribution {
        Distribution::Bits => "bitcast<i32>(word)".to_owned(),
        Distribution::Uniform => "f32(word >> 8u) * 5.9604645e-8".to_owned(),
        Distribution::Bernoulli { p } => match u32::try_from(threshold(p)) {
            Ok(below) => format!("select(0, 1, word < {below}u)"),
            Err(_) => "1".to_owned(),
        },
        Distribution::Normal => "normal(w[at & 2u], w[(at & 2u) + 1u], at & 1u)".to_owned(),
    };
    let body = format!(
        "  let w = philox(vec4<u32>(at / 4u, 0u, bitcast<u32>(input0(1u)), 0u), vec2<u32>(bitcast<u32>(input0(0u)), 0u));\n  \
         let word = w[at & 3u];\n  return {value};\n"
    );
    Ok(Anchor::new("random_philox", function(lane_type(task.output.dtype), &body)))
}

/// What no kernel is made for.
pub fn none(task: &Task) -> Result<Anchor> {
    Err(Error::state(format!("{} is no op of its own on a GPU", task.op.def().name())))
}
