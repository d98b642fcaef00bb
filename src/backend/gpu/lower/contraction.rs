//! Sums of products as products of matrices: convolutions, their gradients and matrix products are batches of C = A · B, of
//! which A and B are read through functions that say where element (line, step) lies (implicit GEMM: Chetlur et al. 2014).

use super::shader::{Dispatch, Module};
use super::staging::{Element, Stage, Storing, groups_of, slots, swap};
use crate::backend::gpu::caps::Vendor;
use std::fmt::Write;

/// A or B of a product. Its lines are rows of A, or columns of B; its steps are numbered by the inner extent.
pub struct Side {
    /// WGSL, in which `SIDE` stands for the side's name: the structures `SIDELine` and `SIDEStep`; `fn SIDE_line(batch: u32,
    /// line: u32) -> SIDELine`; `fn SIDE_step(k: u32, last: u32) -> SIDEStep` of which those from `last` on are outside;
    /// and `fn SIDE_place(line: SIDELine, step: SIDEStep) -> u32`, the element or `OUTSIDE`, which counts as 0. Lines beyond
    /// the last are outside.
    pub text: String,
    /// The function that reads an element, which with `_4` behind its name reads four.
    pub reader: &'static str,
    /// Whether neighbouring lines are neighbours in memory; neighbouring steps are otherwise.
    pub along_lines: bool,
    /// Whether four neighbours from a multiple of 4 on are read as one: all of them are inside or none, and the first is at
    /// a multiple of 4 in memory.
    pub quads: bool,
}

/// A batch of products.
pub struct Contraction {
    /// Products.
    pub batch: usize,
    /// Rows of A.
    pub rows: usize,
    /// Columns of B.
    pub cols: usize,
    /// Summands.
    pub inner: usize,
    /// The left factor.
    pub a: Side,
    /// The right factor.
    pub b: Side,
    /// `fn place(batch: u32, row: u32, col: u32) -> u32`: the element of the output.
    pub place: String,
    /// Whether four neighbouring columns from a multiple of 4 on are stored as one, by `put_4`; each is by `put` otherwise.
    pub stores_quads: bool,
    /// Elements of the output.
    pub elements: usize,
}

/// Where a value is outside of the image.
pub const OUTSIDE: &str = "0xffffffffu";

/// A side of a matrix whose element (line, step) lies at `base + line · line_step + step · inner_step`; `base` is an
/// expression over `batch`, with `head` as the statements before it.
pub fn matrix_side(head: &str, base: &str, lines: usize, line_step: usize, inner_step: usize) -> String {
    format!(
        "struct SIDELine {{ at: u32, ok: bool }}\nstruct SIDEStep {{ at: u32, ok: bool }}\n\
         fn SIDE_line(batch: u32, line: u32) -> SIDELine {{\n{head}  \
         return SIDELine({base} + line * {line_step}u, line < {lines}u);\n}}\n\
         fn SIDE_step(k: u32, last: u32) -> SIDEStep {{ return SIDEStep(k * {inner_step}u, k < last); }}\n{MATRIX_PLACE}"
    )
}

/// `place` of a side whose lines and steps have fields `at` and `ok`.
pub const MATRIX_PLACE: &str = "fn SIDE_place(line: SIDELine, step: SIDEStep) -> u32 {\n  \
                                return select(0xffffffffu, line.at + step.at, line.ok && step.ok);\n}";

/// A cut of the output into tiles: a workgroup computes one, over blocks of the inner extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Rows of the tile.
    pub rows: usize,
    /// Columns of the tile.
    pub cols: usize,
    /// Rows that an invocation computes: 4 or 8.
    pub own_rows: usize,
    /// Columns that an invocation computes: 4 or 8.
    pub own_cols: usize,
}

/// Summands of a block.
pub const BLOCK: usize = 16;
/// Summands whose products are written out in the text, for GPUs. A driver that computes on the processor takes longer to
/// compile the text than it gains by it.
const UNROLLED: usize = 8;
/// The same for such a driver.
const UNROLLED_SOFTWARE: usize = 1;

impl Tile {
    /// Invocations of a workgroup.
    pub const fn lanes(&self) -> usize {
        self.rows * self.cols / (self.own_rows * self.own_cols)
    }

    /// Bytes of shared memory: one block of A and one of B.
    pub const fn shared_bytes(&self, element: Element) -> usize {
        (self.rows + self.cols) * BLOCK * element.bytes()
    }
}

/// A part of the inner extent, for each of which a workgroup computes a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Parts.
    pub parts: usize,
    /// Summands of each, a multiple of [`BLOCK`] unless there is one part.
    pub length: usize,
}

impl Split {
    /// One part of everything.
    pub const fn whole(inner: usize) -> Self {
        Split { parts: 1, length: inner }
    }

    /// About so many parts.
    pub fn of(inner: usize, parts: usize) -> Self {
        let length = inner.div_ceil(parts.max(1)).next_multiple_of(BLOCK);
        if length >= inner { Self::whole(inner) } else { Split { parts: inner.div_ceil(length), length } }
    }
}

/// What the text of a product calls besides readers and `put`: sides, places and their reading in quads.
pub fn define(module: &mut Module, c: &Contraction) {
    for (name, side) in [("a", &c.a), ("b", &c.b)] {
        module.add(&side.text.replace("SIDE", name));
        let reader = side.reader;
        let (suffix, value, zero) = match side.quads {
            true => ("_4", "vec4<f32>", "vec4<f32>(0.0)"),
            false => ("", "f32", "0.0"),
        };
        // The read is made in any case, of the first element where the value is outside: no branch waits for it.
        module.add(&format!(
            "fn {name}_at(line: {name}Line, step: {name}Step) -> {value} {{\n  let at = {name}_place(line, step);\n  \
             let inside = at != {OUTSIDE};\n  return select({zero}, {reader}{suffix}(select(0u, at, inside)), inside);\n}}"
        ));
    }
    module.add(&c.place);
}

/// Tiles of `c`, of which a workgroup computes one, and statements in which it finds the first row and column of its own, its
/// batch, and the first and last of its summands. `rows` and `cols` are those of a tile.
pub fn task(c: &Contraction, rows: usize, cols: usize, split: Split) -> (usize, String) {
    let (row_tiles, col_tiles) = (c.rows.div_ceil(rows), c.cols.div_ceil(cols));
    let tiles = row_tiles * col_tiles * c.batch * split.parts;
    let text = format!(
        "  let task = group.y * COLUMNS + group.x;\n  if (task >= {tiles}u) {{ return; }}\n  \
         let first_col = (task % {col_tiles}u) * {cols}u;\n  let task_row = task / {col_tiles}u;\n  \
         let first_row = (task_row % {row_tiles}u) * {rows}u;\n  let rest = task_row / {row_tiles}u;\n  \
         let part = rest % {parts}u;\n  let batch = rest / {parts}u;\n  \
         let first_k = part * {length}u;\n  let last_k = min(first_k + {length}u, {}u);\n",
        c.inner,
        parts = split.parts,
        length = split.length,
    );
    (tiles, text)
}

/// The dispatch of `c` in tiles of operands that are rounded to `element`; `module` has the readers and `put`. Part p of a
/// split adds p · [`Contraction::elements`] to the place of what it stores.
pub fn tiled(
    mut module: Module,
    c: &Contraction,
    tile: Tile,
    element: Element,
    split: Split,
    vendor: Vendor,
) -> Dispatch {
    define(&mut module, c);
    let stage = |name, side, lines, own, first| {
        let storing = Storing::Quads { own };
        Stage { name, side, lines, steps: BLOCK, element, storing, first }
    };
    let a = stage("a", &c.a, tile.rows, tile.own_rows, 0);
    let b = stage("b", &c.b, tile.cols, tile.own_cols, a.units());
    let stages = [a, b];
    let mut text = String::new();
    for stage in &stages {
        let (name, quads) = (stage.name, stage.lines * BLOCK / 4);
        let _ = writeln!(text, "var<workgroup> {name}_block: array<{}, {quads}>;", element.quad());
    }
    let lanes = tile.lanes();
    let (tiles, task) = task(c, tile.rows, tile.cols, split);
    let _ = write!(
        text,
        "@compute @workgroup_size({lanes})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n{task}",
    );
    let slots = slots(&stages, lanes);
    slots.iter().for_each(|slot| text.push_str(&slot.declared()));
    slots.iter().for_each(|slot| text.push_str(&slot.read("first_k")));
    for row in 0..tile.own_rows {
        for quad in 0..tile.own_cols / 4 {
            let _ = writeln!(text, "  var c{row}_{quad} = vec4<f32>(0.0);");
        }
    }
    let across = tile.cols / tile.own_cols;
    let _ = writeln!(text, "  let tx = lane % {across}u;\n  let ty = lane / {across}u;");
    let _ = writeln!(text, "  for (var k = first_k; k < last_k; k = k + {BLOCK}u) {{");
    slots.iter().for_each(|slot| text.push_str(&slot.written()));
    text.push_str("    workgroupBarrier();\n");
    let _ = writeln!(text, "    let next = k + {BLOCK}u;\n    if (next < last_k) {{");
    slots.iter().for_each(|slot| text.push_str(&slot.read("next")));
    text.push_str("    }\n");
    text.push_str(&products(tile, element, if vendor == Vendor::Software { UNROLLED_SOFTWARE } else { UNROLLED }));
    text.push_str("    workgroupBarrier();\n  }\n");
    text.push_str(&stored(c, tile));
    text.push('}');
    module.add(&text);
    module.finish(tiles)
}

/// All products of a block.
fn products(tile: Tile, element: Element, unrolled: usize) -> String {
    let mut text = format!("    for (var s = 0u; s < {BLOCK}u; s = s + {unrolled}u) {{\n");
    for k in 0..unrolled {
        let _ = writeln!(text, "      {{");
        for (name, lines, own, lane) in [("a", tile.rows, tile.own_rows, "ty"), ("b", tile.cols, tile.own_cols, "tx")] {
            // Which lines lie where at this step.
            let swap = swap(&format!("(s / 4u + {}u)", k / 4), lines / own);
            for (half, first) in groups_of(lines, own).into_iter().enumerate() {
                let row = format!("(s + {k}u) * {}u + {first}u", lines / 4);
                let quad = element.widened(&format!("{name}_block[{row} + ({lane} ^ {swap})]"));
                let _ = writeln!(text, "        let {name}{half} = {quad};");
            }
        }
        for row in 0..tile.own_rows {
            for quad in 0..tile.own_cols / 4 {
                let c = format!("c{row}_{quad}");
                let _ = writeln!(text, "        {c} = fma(vec4<f32>(a{}[{}]), b{quad}, {c});", row / 4, row % 4);
            }
        }
        let _ = writeln!(text, "      }}");
    }
    text.push_str("    }\n");
    text
}

/// Stores what an invocation has.
fn stored(c: &Contraction, tile: Tile) -> String {
    let mut text = String::new();
    let part = format!("part * {}u + ", c.elements);
    let (row_groups, col_groups) = (groups_of(tile.rows, tile.own_rows), groups_of(tile.cols, tile.own_cols));
    for row in 0..tile.own_rows {
        let first = row_groups[row / 4];
        let _ = writeln!(text, "  let row{row} = first_row + ({first}u + ty) * 4u + {}u;", row % 4);
        let _ = writeln!(text, "  if (row{row} < {}u) {{", c.rows);
        for (quad, first) in col_groups.iter().enumerate() {
            let _ = writeln!(text, "    let col{quad} = first_col + ({first}u + tx) * 4u;");
            let value = format!("c{row}_{quad}");
            if c.stores_quads {
                let at = format!("{part}place(batch, row{row}, col{quad})");
                let _ = writeln!(text, "    if (col{quad} < {}u) {{ put_4({at}, {value}); }}", c.cols);
            } else {
                for e in 0..4 {
                    let at = format!("{part}place(batch, row{row}, col{quad} + {e}u)");
                    let _ = writeln!(text, "    if (col{quad} + {e}u < {}u) {{ put({at}, {value}[{e}]); }}", c.cols);
                }
            }
        }
        text.push_str("  }\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_cover_the_inner_extent_in_whole_blocks() {
        for inner in [0, 1, 15, 16, 17, 100, 4096, 100_003] {
            for parts in [1, 2, 3, 7, 64] {
                let split = Split::of(inner, parts);
                assert!(split.parts <= parts && split.parts * split.length >= inner, "{inner} {parts} {split:?}");
                assert!(split.parts == 1 || split.length.is_multiple_of(BLOCK), "{split:?}");
                assert!(split.parts == 1 || (split.parts - 1) * split.length < inner, "{split:?}");
            }
        }
    }
}
