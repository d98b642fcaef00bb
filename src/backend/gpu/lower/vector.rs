//! Products of few rows: lanes share the inner extent of some columns, and meet in a tree. Each element of B is read once.

use super::contraction::{Contraction, Split, define};
use super::shader::{Dispatch, Module};
use std::fmt::Write;

/// The most rows of a product in this form.
pub const ROWS: usize = 4;
/// Invocations of a workgroup.
const LANES: usize = 256;
/// Bytes of shared memory.
pub const SHARED_BYTES: usize = LANES * 16;

/// Groups of four columns that a workgroup computes.
pub fn groups(c: &Contraction) -> usize {
    // Lanes that are neighbours read neighbours: columns or steps.
    if c.b.along_lines { 16 } else { 2 }
}

/// The dispatch of `c`, whose rows are [`ROWS`] at most; `module` has the readers and `put`. Part p of a split adds p ·
/// [`Contraction::elements`] to the place of what it stores.
pub fn dispatch(mut module: Module, c: &Contraction, split: Split) -> Dispatch {
    define(&mut module, c);
    let across = groups(c);
    let down = LANES / across;
    let col_tiles = c.cols.div_ceil(across * 4);
    let tasks = col_tiles * split.parts * c.batch;
    let (tx, ty) = match c.b.along_lines {
        true => (format!("lane % {across}u"), format!("lane / {across}u")),
        false => (format!("lane / {down}u"), format!("lane % {down}u")),
    };
    let mut text = format!(
        "var<workgroup> partial: array<vec4<f32>, {LANES}>;\n\
         fn total(sum: vec4<f32>, lane: u32, tx: u32, ty: u32) -> vec4<f32> {{\n  \
         let own = ty * {across}u + tx;\n  partial[own] = sum;\n  workgroupBarrier();\n  \
         for (var half = {}u; half > 0u; half = half / 2u) {{\n    \
         if (ty < half) {{ partial[own] = partial[own] + partial[own + half * {across}u]; }}\n    \
         workgroupBarrier();\n  }}\n  let whole = partial[tx];\n  workgroupBarrier();\n  return whole;\n}}\n\
         @compute @workgroup_size({LANES})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let task = group.y * COLUMNS + group.x;\n  if (task >= {tasks}u) {{ return; }}\n  \
         let tx = {tx};\n  let ty = {ty};\n  \
         let col = ((task % {col_tiles}u) * {across}u + tx) * 4u;\n  let rest = task / {col_tiles}u;\n  \
         let part = rest % {}u;\n  let batch = rest / {}u;\n  let first_k = part * {}u;\n  \
         let last_k = min(first_k + {}u, {}u);\n",
        down / 2,
        split.parts,
        split.parts,
        split.length,
        split.length,
        c.inner,
    );
    let lines = |side: &super::contraction::Side, count: usize| if side.along_lines && side.quads { 1 } else { count };
    for j in 0..lines(&c.b, 4) {
        let _ = writeln!(text, "  let b_line{j} = b_line(batch, col + {j}u);");
    }
    for r in 0..lines(&c.a, c.rows) {
        let _ = writeln!(text, "  let a_line{r} = a_line(batch, {r}u);");
    }
    for r in 0..c.rows {
        let _ = writeln!(text, "  var c{r} = vec4<f32>(0.0);");
    }
    let _ = writeln!(text, "  for (var k = first_k + ty * 4u; k < last_k; k = k + {}u) {{", down * 4);
    text.push_str(&products(c));
    text.push_str("  }\n");
    for r in 0..c.rows {
        let _ = writeln!(text, "  let sum{r} = total(c{r}, lane, tx, ty);");
    }
    text.push_str("  if (ty == 0u) {\n");
    for r in 0..c.rows {
        let at = |e: usize| format!("part * {}u + place(batch, {r}u, col + {e}u)", c.elements);
        if c.stores_quads {
            let _ = writeln!(text, "    if (col < {}u) {{ put_4({}, sum{r}); }}", c.cols, at(0));
        } else {
            for e in 0..4 {
                let _ = writeln!(text, "    if (col + {e}u < {}u) {{ put({}, sum{r}[{e}]); }}", c.cols, at(e));
            }
        }
    }
    text.push_str("  }\n}");
    module.add(&text);
    module.finish(tasks)
}

/// The products of four steps from `k` on.
fn products(c: &Contraction) -> String {
    let mut text = String::new();
    for (name, _) in [("a", &c.a), ("b", &c.b)] {
        for j in 0..4 {
            let _ = writeln!(text, "    let {name}_s{j} = {name}_step(k + {j}u, last_k);");
        }
    }
    // t<j>: step j of four columns.
    match (c.b.quads, c.b.along_lines) {
        (true, true) => (0..4).for_each(|j| {
            let _ = writeln!(text, "    let t{j} = b_at(b_line0, b_s{j});");
        }),
        (true, false) => {
            for i in 0..4 {
                let _ = writeln!(text, "    let x{i} = b_at(b_line{i}, b_s0);");
            }
            for j in 0..4 {
                let _ = writeln!(text, "    let t{j} = vec4<f32>(x0[{j}], x1[{j}], x2[{j}], x3[{j}]);");
            }
        }
        (false, _) => (0..4).for_each(|j| {
            let parts = (0..4).map(|i| format!("b_at(b_line{i}, b_s{j})")).collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "    let t{j} = vec4<f32>({parts});");
        }),
    }
    // The element of a row at a step.
    let element = |r: usize, j: usize| match (c.a.quads, c.a.along_lines) {
        (true, true) => format!("u{j}[{r}]"),
        (true, false) => format!("u{r}[{j}]"),
        (false, _) => format!("a_at(a_line{r}, a_s{j})"),
    };
    match (c.a.quads, c.a.along_lines) {
        (true, true) => (0..4).for_each(|j| {
            let _ = writeln!(text, "    let u{j} = a_at(a_line0, a_s{j});");
        }),
        (true, false) => (0..c.rows).for_each(|r| {
            let _ = writeln!(text, "    let u{r} = a_at(a_line{r}, a_s0);");
        }),
        (false, _) => {}
    }
    for r in 0..c.rows {
        for j in 0..4 {
            let _ = writeln!(text, "    c{r} = fma(vec4<f32>({}), t{j}, c{r});", element(r, j));
        }
    }
    text
}
