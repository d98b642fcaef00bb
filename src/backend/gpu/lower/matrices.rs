//! Products on cooperative matrices: the invocations of a subgroup hold square fragments of float16 together, and multiply
//! them by one instruction, with sums in float32. What surrounds the multiplication is that of [`tiled`](super::contraction):
//! blocks are rounded while they are staged, and what is attached is applied on both sides.

use super::contraction::{Contraction, Split, define, task};
use super::shader::{Dispatch, Module};
use super::staging::{Element, Stage, Storing, slots};
use crate::backend::gpu::caps::Fragment;
use std::fmt::Write;

/// A tile of the output, cut into rectangles of fragments, each of which a subgroup computes. A workgroup has as many
/// subgroups as rectangles, or fewer, which then take them in rounds: the size of a subgroup can't be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Rows of the tile.
    pub rows: usize,
    /// Columns of the tile.
    pub cols: usize,
    /// Rectangles, down and across; their number is a power of two.
    pub cut: [usize; 2],
}

/// Summands of a block.
const BLOCK: usize = 32;
/// Elements between rows of a block: rows below each other begin in other banks.
const GAP: usize = 8;

impl Grid {
    const fn rectangles(&self) -> usize {
        self.cut[0] * self.cut[1]
    }

    /// Invocations of a workgroup.
    pub const fn lanes(&self, fragment: Fragment) -> usize {
        self.rectangles() * fragment.lanes
    }

    /// Bytes of shared memory: one block of A, one of B, and a fragment of the output for each subgroup.
    pub const fn shared_bytes(&self, fragment: Fragment) -> usize {
        let blocks = (self.rows + GAP + self.cols + GAP) * BLOCK * Element::F16.bytes();
        blocks + self.rectangles() * fragment.size * fragment.size * 4
    }
}

/// The dispatch of `c`; `module` has the readers and `put`. Part p of a split adds p · [`Contraction::elements`] to the place
/// of what it stores.
pub fn dispatch(
    mut module: Module,
    c: &Contraction,
    grid: Grid,
    element: Element,
    fragment: Fragment,
    split: Split,
) -> Dispatch {
    define(&mut module, c);
    let stage = |name, side, lines, first| {
        let storing = Storing::Rows(lines + GAP);
        Stage { name, side, lines, steps: BLOCK, element, storing, first }
    };
    let a = stage("a", &c.a, grid.rows, 0);
    let b = stage("b", &c.b, grid.cols, a.units());
    let stages = [a, b];
    let lanes = grid.lanes(fragment);
    let slots = slots(&stages, lanes);
    let (tiles, task) = task(c, grid.rows, grid.cols, split);
    let (size, rectangles) = (fragment.size, grid.rectangles());
    let [down, across] = [grid.rows / grid.cut[0], grid.cols / grid.cut[1]];
    let mut text = format!(
        "var<workgroup> a_block: array<f16, {}>;\nvar<workgroup> b_block: array<f16, {}>;\n\
         var<workgroup> c_block: array<f32, {}>;\n\
         @compute @workgroup_size({lanes})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32, \
         @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32, \
         @builtin(subgroup_invocation_id) own: u32, @builtin(subgroup_size) owners: u32) {{\n{task}",
        (grid.rows + GAP) * BLOCK,
        (grid.cols + GAP) * BLOCK,
        rectangles * size * size,
    );
    slots.iter().for_each(|slot| text.push_str(&slot.declared()));
    let _ = writeln!(
        text,
        "  for (var round = 0u; round < {rectangles}u; round = round + subgroups) {{\n  \
         let rectangle = round + subgroup;\n  let down = rectangle / {cut}u * {down}u;\n  \
         let across = rectangle % {cut}u * {across}u;",
        cut = grid.cut[1]
    );
    slots.iter().for_each(|slot| text.push_str(&slot.read("first_k")));
    let fragments = || (0..down / size).flat_map(|i| (0..across / size).map(move |j| (i, j)));
    for (i, j) in fragments() {
        let _ = writeln!(text, "  var c{i}_{j} = coop_mat{size}x{size}<f32, C>();");
    }
    let _ = writeln!(text, "  for (var k = first_k; k < last_k; k = k + {BLOCK}u) {{");
    slots.iter().for_each(|slot| text.push_str(&slot.written()));
    let _ = writeln!(text, "    workgroupBarrier();\n    let next = k + {BLOCK}u;\n    if (next < last_k) {{");
    slots.iter().for_each(|slot| text.push_str(&slot.read("next")));
    text.push_str("    }\n");
    for step in (0..BLOCK).step_by(size) {
        text.push_str("    {\n");
        // A step of a block is a row: A lies by columns, B by rows.
        for (name, load, count, lines, first) in [
            ("a", "coopLoad", down / size, grid.rows + GAP, "down"),
            ("b", "coopLoadT", across / size, grid.cols + GAP, "across"),
        ] {
            let role = name.to_uppercase();
            for i in 0..count {
                let _ = writeln!(
                    text,
                    "      let {name}{i} = {load}<coop_mat{size}x{size}<f16, {role}>>(&{name}_block[{}u + {first}], {lines}u);",
                    step * lines + i * size
                );
            }
        }
        for (i, j) in fragments() {
            let _ = writeln!(text, "      c{i}_{j} = coopMultiplyAdd(a{i}, b{j}, c{i}_{j});");
        }
        text.push_str("    }\n");
    }
    text.push_str("    workgroupBarrier();\n  }\n");
    fragments().for_each(|(i, j)| text.push_str(&stored(c, size, i, j)));
    text.push_str("  }\n}");
    module.add(&text);
    module.finish(tiles)
}

/// Stores fragment (i, j) of a rectangle by way of shared memory: which invocation holds which element is the driver's own.
fn stored(c: &Contraction, size: usize, i: usize, j: usize) -> String {
    let (elements, across) = (size * size, size / 4);
    let mut text = format!(
        "  coopStoreT(c{i}_{j}, &c_block[subgroup * {elements}u], {size}u);\n  workgroupBarrier();\n  \
         for (var quad = own; quad < {}u; quad = quad + owners) {{\n    \
         let row = first_row + down + {}u + quad / {across}u;\n    \
         let col = first_col + across + {}u + quad % {across}u * 4u;\n    \
         let at = subgroup * {elements}u + quad * 4u;\n    if (row < {}u) {{\n",
        elements / 4,
        i * size,
        j * size,
        c.rows,
    );
    let place = |e: usize| format!("part * {}u + place(batch, row, col + {e}u)", c.elements);
    if c.stores_quads {
        let quad = "vec4<f32>(c_block[at], c_block[at + 1u], c_block[at + 2u], c_block[at + 3u])";
        let _ = writeln!(text, "      if (col < {}u) {{ put_4({}, {quad}); }}", c.cols, place(0));
    } else {
        for e in 0..4 {
            let _ = writeln!(text, "      if (col + {e}u < {}u) {{ put({}, c_block[at + {e}u]); }}", c.cols, place(e));
        }
    }
    text.push_str("    }\n  }\n  workgroupBarrier();\n");
    text
}
