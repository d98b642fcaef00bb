//! Sums of products as products of matrices: convolutions, their gradients and matrix products are batches of C = A · B, of
//! which A and B are read through functions that say where element (line, step) lies (implicit GEMM: Chetlur et al. 2014).

use super::shader::{Dispatch, Module};
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
    pub const fn shared_bytes(&self) -> usize {
        (self.rows + self.cols) * BLOCK * 4
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

/// The dispatch of `c` in tiles; `module` has the readers and `put`. Part p of a split adds p · [`Contraction::elements`] to the
/// place of what it stores.
pub fn tiled(mut module: Module, c: &Contraction, tile: Tile, split: Split, vendor: Vendor) -> Dispatch {
    define(&mut module, c);
    let (row_tiles, col_tiles) = (c.rows.div_ceil(tile.rows), c.cols.div_ceil(tile.cols));
    let tiles = row_tiles * col_tiles * c.batch * split.parts;
    let stages = [
        Stage { name: "a", side: &c.a, lines: tile.rows, own: tile.own_rows, first: 0 },
        Stage { name: "b", side: &c.b, lines: tile.cols, own: tile.own_cols, first: tile.rows / 4 * (BLOCK / 4) },
    ];
    let mut text = String::new();
    for stage in &stages {
        let _ = writeln!(text, "var<workgroup> {}_block: array<vec4<f32>, {}>;", stage.name, stage.lines * BLOCK / 4);
    }
    let lanes = tile.lanes();
    let _ = write!(
        text,
        "@compute @workgroup_size({lanes})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let task = group.y * COLUMNS + group.x;\n  if (task >= {tiles}u) {{ return; }}\n  \
         let first_col = (task % {col_tiles}u) * {}u;\n  let task_row = task / {col_tiles}u;\n  \
         let first_row = (task_row % {row_tiles}u) * {}u;\n  let rest = task_row / {row_tiles}u;\n  \
         let part = rest % {}u;\n  let batch = rest / {}u;\n  \
         let first_k = part * {}u;\n  let last_k = min(first_k + {}u, {}u);\n",
        tile.cols, tile.rows, split.parts, split.parts, split.length, split.length, c.inner,
    );
    let units: usize = stages.iter().map(Stage::units).sum();
    let slots: Vec<Slot> =
        (0..units.div_ceil(lanes)).flat_map(|n| stages.iter().filter_map(move |stage| stage.slot(n, lanes))).collect();
    let line_of = |stage: &Stage| if stage.name == "a" { "first_row" } else { "first_col" };
    slots.iter().for_each(|slot| text.push_str(&slot.declared(line_of(slot.stage))));
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
    text.push_str(&products(tile, if vendor == Vendor::Software { UNROLLED_SOFTWARE } else { UNROLLED }));
    text.push_str("    workgroupBarrier();\n  }\n");
    text.push_str(&stored(c, tile));
    text.push('}');
    module.add(&text);
    module.finish(tiles)
}

/// How a workgroup brings a block of A or B into shared memory: in units of four lines by four steps.
struct Stage<'a> {
    name: &'static str,
    side: &'a Side,
    lines: usize,
    /// Lines of one invocation.
    own: usize,
    /// The number of its first unit among those of both sides.
    first: usize,
}

/// Units of one stage that the lanes of a workgroup take at once.
struct Slot<'a> {
    stage: &'a Stage<'a>,
    /// Tells its variables from other slots'.
    name: String,
    /// Added to a lane, the number of its unit within the stage.
    shift: isize,
    /// The lanes that take a unit, if not all do.
    guard: Option<String>,
}

impl<'a> Stage<'a> {
    fn units(&self) -> usize {
        self.lines / 4 * (BLOCK / 4)
    }

    fn slot(&'a self, n: usize, lanes: usize) -> Option<Slot<'a>> {
        let (begin, end) = (n * lanes, (n + 1) * lanes);
        let (from, to) = (self.first.max(begin), (self.first + self.units()).min(end));
        if from >= to {
            return None;
        }
        let mut tests = Vec::new();
        if from > begin {
            tests.push(format!("lane >= {}u", from - begin));
        }
        if to < end {
            tests.push(format!("lane < {}u", to - begin));
        }
        let guard = (!tests.is_empty()).then(|| tests.join(" && "));
        let shift = begin as isize - self.first as isize;
        Some(Slot { stage: self, name: format!("{}{n}", self.name), shift, guard })
    }
}

impl Slot<'_> {
    /// The number of a unit's group of four lines, and of its group of four steps: neighbouring lanes read neighbours.
    fn guarded(&self, statements: &str) -> String {
        match &self.guard {
            Some(guard) => format!("    if ({guard}) {{\n{statements}    }}\n"),
            None => statements.to_owned(),
        }
    }

    fn declared(&self, first_line: &str) -> String {
        let Stage { name: side, lines, side: of, .. } = self.stage;
        let name = &self.name;
        let (groups, blocks) = (lines / 4, BLOCK / 4);
        let unit = match self.shift {
            0 => "lane".to_owned(),
            shift if shift > 0 => format!("(lane + {shift}u)"),
            // Lanes that have no unit take any: they neither read nor write.
            shift => format!("(lane - {}u)", -shift),
        };
        let (line, step) = match of.along_lines {
            true => (format!("{unit} % {groups}u"), format!("({unit} / {groups}u) % {blocks}u")),
            false => (format!("({unit} / {blocks}u) % {groups}u"), format!("{unit} % {blocks}u")),
        };
        let mut text = format!("  let {name}_group = {line};\n  let {name}_step = {step};\n");
        for j in 0..self.lines() {
            let _ =
                writeln!(text, "  let {name}_line{j} = {side}_line(batch, {first_line} + {name}_group * 4u + {j}u);");
        }
        for j in 0..4 {
            let _ = writeln!(text, "  var {name}_{j}: vec4<f32>;");
        }
        text
    }

    /// Lines that are told apart.
    fn lines(&self) -> usize {
        if self.stage.side.along_lines && self.stage.side.quads { 1 } else { 4 }
    }

    /// Reads the unit of the block that begins at `k`: variable j is step j of four lines.
    fn read(&self, k: &str) -> String {
        let Stage { name: side, side: of, .. } = self.stage;
        let name = &self.name;
        let mut text = String::new();
        let steps = if of.quads && !of.along_lines { 1 } else { 4 };
        for j in 0..steps {
            let _ = writeln!(text, "      let s{j} = {side}_step({k} + {name}_step * 4u + {j}u, last_k);");
        }
        if of.quads && of.along_lines {
            for j in 0..4 {
                let _ = writeln!(text, "      {name}_{j} = {side}_at({name}_line0, s{j});");
            }
        } else if of.quads {
            for j in 0..4 {
                let _ = writeln!(text, "      let x{j} = {side}_at({name}_line{j}, s0);");
            }
            for j in 0..4 {
                let _ = writeln!(text, "      {name}_{j} = vec4<f32>(x0[{j}], x1[{j}], x2[{j}], x3[{j}]);");
            }
        } else {
            for j in 0..4 {
                let parts = (0..4).map(|i| format!("{side}_at({name}_line{i}, s{j})")).collect::<Vec<_>>().join(", ");
                let _ = writeln!(text, "      {name}_{j} = vec4<f32>({parts});");
            }
        }
        match &self.guard {
            Some(_) => self.guarded(&text),
            None => format!("    {{\n{text}    }}\n"),
        }
    }

    /// Writes what was read. Groups of lines change places by step, so that lanes that hold the same lines at other steps
    /// write to other banks.
    fn written(&self) -> String {
        let Stage { name: side, lines, own, .. } = self.stage;
        let name = &self.name;
        let swap = swap(&format!("{name}_step"), lines / own);
        let mut text = String::new();
        for j in 0..4 {
            let row = format!("({name}_step * 4u + {j}u) * {}u", lines / 4);
            let _ = writeln!(text, "      {side}_block[{row} + ({name}_group ^ {swap})] = {name}_{j};");
        }
        self.guarded(&text)
    }
}

/// The groups of four lines that an invocation has of a side: the second is half a tile away, so that lanes side by side read
/// side by side.
fn groups_of(lines: usize, own: usize) -> Vec<usize> {
    (0..own / 4).map(|half| half * (lines / 4) / (own / 4)).collect()
}

/// By what groups of lines change places in a block of four steps, where so many invocations read side by side.
fn swap(step: &str, side_by_side: usize) -> String {
    match side_by_side {
        0..8 => format!("(({step} * 2u) & {}u)", side_by_side.max(1) - 1),
        _ => format!("({step} * 2u)"),
    }
}

/// All products of a block.
fn products(tile: Tile, unrolled: usize) -> String {
    let mut text = format!("    for (var s = 0u; s < {BLOCK}u; s = s + {unrolled}u) {{\n");
    for k in 0..unrolled {
        let _ = writeln!(text, "      {{");
        for (name, lines, own, lane) in [("a", tile.rows, tile.own_rows, "ty"), ("b", tile.cols, tile.own_cols, "tx")] {
            // Which lines lie where at this step.
            let swap = swap(&format!("(s / 4u + {}u)", k / 4), lines / own);
            for (half, first) in groups_of(lines, own).into_iter().enumerate() {
                let row = format!("(s + {k}u) * {}u + {first}u", lines / 4);
                let _ = writeln!(text, "        let {name}{half} = {name}_block[{row} + ({lane} ^ {swap})];");
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

    #[test]
    fn every_lane_has_groups_of_its_own() {
        for (lines, own) in [(128, 8), (64, 8), (64, 4), (32, 4), (16, 4)] {
            let mut seen: Vec<usize> = (0..lines / own)
                .flat_map(|lane| groups_of(lines, own).into_iter().map(move |first| first + lane))
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..lines / 4).collect::<Vec<_>>());
        }
    }
}
