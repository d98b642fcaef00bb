//! How a workgroup brings blocks of operands into shared memory: in units of four lines by four steps.

use super::contraction::Side;
use crate::backend::gpu::caps::Vendor;
use crate::dtype::DType;
use std::fmt::Write;

/// What operands are in registers and shared memory between their reading and the products, which are those of float32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// float32.
    F32,
    /// float16, rounded by the device: what is too large becomes infinite.
    F16,
    /// float16, rounded by the kernel, for drivers that cut digits off and know no number that is too large.
    RoundedF16,
    /// bfloat16, two in a word.
    BF16,
}

impl Element {
    /// Of operands that may be rounded to `dtype`.
    pub fn of(dtype: DType, vendor: Vendor) -> Self {
        match dtype {
            DType::F16 if vendor == Vendor::Software => Element::RoundedF16,
            DType::F16 => Element::F16,
            DType::BF16 => Element::BF16,
            _ => Element::F32,
        }
    }

    /// Bytes of one.
    pub const fn bytes(self) -> usize {
        match self {
            Element::F32 => 4,
            Element::F16 | Element::RoundedF16 | Element::BF16 => 2,
        }
    }

    /// The type of four.
    pub const fn quad(self) -> &'static str {
        match self {
            Element::F32 => "vec4<f32>",
            Element::F16 | Element::RoundedF16 => "vec4<f16>",
            Element::BF16 => "vec2<u32>",
        }
    }

    /// Four, made of the four f32 that `x` is.
    pub fn narrowed(self, x: &str) -> String {
        match self {
            Element::F32 => x.to_owned(),
            Element::F16 => format!("vec4<f16>({x})"),
            Element::RoundedF16 => format!("vec4<f16>(float16_rounded({x}))"),
            Element::BF16 => format!("bfloat16_packed({x})"),
        }
    }

    /// The four f32 that the four of `x` are.
    pub fn widened(self, x: &str) -> String {
        match self {
            Element::F32 => x.to_owned(),
            Element::F16 | Element::RoundedF16 => format!("vec4<f32>({x})"),
            Element::BF16 => format!("bfloat16_unpacked({x})"),
        }
    }
}

/// How a block is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storing {
    /// In vectors of four lines. Groups of lines change places by step, so that lanes that hold the same lines at other
    /// steps write to other banks.
    Quads {
        /// Lines of one invocation.
        own: usize,
    },
    /// In rows of so many elements, one a step.
    Rows(usize),
}

/// The blocks of one side.
pub struct Stage<'a> {
    /// "a" or "b".
    pub name: &'static str,
    /// How it is read.
    pub side: &'a Side,
    /// Lines of a block.
    pub lines: usize,
    /// Steps of a block.
    pub steps: usize,
    /// What it is made of.
    pub element: Element,
    /// How it lies.
    pub storing: Storing,
    /// The number of its first unit among those of both sides.
    pub first: usize,
}

/// Units of one stage that the lanes of a workgroup take at once.
pub struct Slot<'a> {
    stage: &'a Stage<'a>,
    /// Tells its variables from other slots'.
    name: String,
    /// Added to a lane, the number of its unit within the stage.
    shift: isize,
    /// The lanes that take a unit, if not all do.
    guard: Option<String>,
}

/// The units of `stages`, of which a workgroup of so many lanes takes all.
pub fn slots<'a>(stages: &'a [Stage<'a>], lanes: usize) -> Vec<Slot<'a>> {
    let units: usize = stages.iter().map(Stage::units).sum();
    (0..units.div_ceil(lanes)).flat_map(|n| stages.iter().filter_map(move |stage| stage.slot(n, lanes))).collect()
}

impl<'a> Stage<'a> {
    /// Units of a block.
    pub fn units(&self) -> usize {
        self.lines / 4 * (self.steps / 4)
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

    /// Says which unit a lane has, and keeps what does not change with the block. A tile's lines begin at `first_row` and
    /// `first_col`.
    pub fn declared(&self) -> String {
        let Stage { name: side, lines, steps, side: of, element, .. } = self.stage;
        let name = &self.name;
        let first_line = if *side == "a" { "first_row" } else { "first_col" };
        let (groups, blocks) = (lines / 4, steps / 4);
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
            let _ = writeln!(text, "  var {name}_{j}: {};", element.quad());
        }
        text
    }

    /// Lines that are told apart.
    fn lines(&self) -> usize {
        if self.stage.side.along_lines && self.stage.side.quads { 1 } else { 4 }
    }

    /// Reads the unit of the block that begins at `k`: variable j is step j of four lines.
    pub fn read(&self, k: &str) -> String {
        let Stage { name: side, side: of, element, .. } = self.stage;
        let name = &self.name;
        let mut text = String::new();
        let steps = if of.quads && !of.along_lines { 1 } else { 4 };
        for j in 0..steps {
            let _ = writeln!(text, "      let s{j} = {side}_step({k} + {name}_step * 4u + {j}u, last_k);");
        }
        if of.quads && of.along_lines {
            for j in 0..4 {
                let _ = writeln!(
                    text,
                    "      {name}_{j} = {};",
                    element.narrowed(&format!("{side}_at({name}_line0, s{j})"))
                );
            }
        } else if of.quads {
            for j in 0..4 {
                let _ = writeln!(text, "      let x{j} = {side}_at({name}_line{j}, s0);");
            }
            for j in 0..4 {
                let step = format!("vec4<f32>(x0[{j}], x1[{j}], x2[{j}], x3[{j}])");
                let _ = writeln!(text, "      {name}_{j} = {};", element.narrowed(&step));
            }
        } else {
            for j in 0..4 {
                let parts = (0..4).map(|i| format!("{side}_at({name}_line{i}, s{j})")).collect::<Vec<_>>().join(", ");
                let _ = writeln!(text, "      {name}_{j} = {};", element.narrowed(&format!("vec4<f32>({parts})")));
            }
        }
        match &self.guard {
            Some(_) => self.guarded(&text),
            None => format!("    {{\n{text}    }}\n"),
        }
    }

    /// Writes what was read.
    pub fn written(&self) -> String {
        let Stage { name: side, lines, storing, .. } = self.stage;
        let name = &self.name;
        let mut text = String::new();
        for j in 0..4 {
            let step = format!("({name}_step * 4u + {j}u)");
            match storing {
                Storing::Quads { own } => {
                    let swap = swap(&format!("{name}_step"), lines / own);
                    let place = format!("{step} * {}u + ({name}_group ^ {swap})", lines / 4);
                    let _ = writeln!(text, "      {side}_block[{place}] = {name}_{j};");
                }
                Storing::Rows(row) => {
                    for e in 0..4 {
                        let place = format!("{step} * {row}u + {name}_group * 4u + {e}u");
                        let _ = writeln!(text, "      {side}_block[{place}] = {name}_{j}[{e}];");
                    }
                }
            }
        }
        self.guarded(&text)
    }
}

/// The groups of four lines that an invocation has of a side: the second is half a tile away, so that lanes side by side read
/// side by side.
pub fn groups_of(lines: usize, own: usize) -> Vec<usize> {
    (0..own / 4).map(|half| half * (lines / 4) / (own / 4)).collect()
}

/// By what groups of lines change places in a block of four steps, where so many invocations read side by side.
pub fn swap(step: &str, side_by_side: usize) -> String {
    match side_by_side {
        0..8 => format!("(({step} * 2u) & {}u)", side_by_side.max(1) - 1),
        _ => format!("({step} * 2u)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
