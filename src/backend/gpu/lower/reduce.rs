//! Reductions: lanes of a workgroup share the elements that one output is made of, and meet in a tree. Where outputs are too
//! few to fill a device, parts of the elements are reduced by workgroups of their own into the workspace, and then combined
//! in order. Everything is summed in an order that follows from shapes alone.

use super::cut::{self, Windows};
use super::region::RegionText;
use super::shader::{Code, Dispatch, Module, Operand, coordinates, literal, offset, values_struct};
use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use crate::ops::reduce::ReduceKind;
use std::fmt::Write;
use std::ops::Range;

/// Elements up to which one invocation reduces alone.
const FEW: usize = 32;
/// Invocations of a workgroup.
pub const LANES: usize = 256;
/// Workgroups that fill a device, about: more parts than that give nothing.
const FILL: usize = 512;
/// The fewest elements that a lane reduces where work is cut into parts.
const LEAST: usize = 16;
/// Reductions that one dispatch computes.
const TOGETHER: usize = 4;

/// Axes with the elements to step along them.
type Axes = (Vec<usize>, Vec<usize>);

/// What is reduced to what: an element of the iteration space for each pair of an output and a number below `count`.
pub struct Space {
    kept: Axes,
    gone: Axes,
    /// Whether outputs follow each other in memory; the elements of one output do otherwise.
    across: bool,
}

impl Space {
    /// The space of `shape` of which `axes` vanish.
    pub fn new(shape: &[usize], strides: &[usize], axes: &[usize]) -> Self {
        let part = |gone: bool| -> Axes {
            (0..shape.len()).filter(|a| axes.contains(a) == gone).map(|a| (shape[a], strides[a])).unzip()
        };
        let last = (0..shape.len()).rev().find(|&a| shape[a] > 1);
        Space { kept: part(false), gone: part(true), across: last.is_some_and(|a| !axes.contains(&a)) }
    }

    /// Outputs.
    pub fn outputs(&self) -> usize {
        self.kept.0.iter().product()
    }

    /// Elements of each.
    pub fn count(&self) -> usize {
        self.gone.0.iter().product()
    }

    /// `fn term(output: u32, i: u32) -> Terms`, the element by `fn terms(at: u32) -> Terms`.
    fn term(&self) -> String {
        format!(
            "fn term(output: u32, i: u32) -> Terms {{\n{}{}  return terms({} + {});\n}}",
            coordinates("output", &self.kept.0, "k"),
            coordinates("i", &self.gone.0, "g"),
            offset(&self.kept.0, &self.kept.1, "k"),
            offset(&self.gone.0, &self.gone.1, "g"),
        )
    }

    /// How its work is cut, into `most` parts at most.
    fn cut(&self, most: usize) -> Cut {
        let (outputs, count) = (self.outputs(), self.count());
        let columns = match self.across {
            // Lanes that read side by side; the others take rows of their own.
            true => outputs.next_power_of_two().min(32),
            false => (LANES / count.next_power_of_two().min(LANES)).min(outputs.next_power_of_two()),
        };
        let blocks = outputs.div_ceil(columns);
        let rows = LANES / columns;
        let parts = (FILL / blocks).min(count / (rows * LEAST)).clamp(1, most);
        let part = count.div_ceil(parts);
        Cut { columns, blocks, parts: count.div_ceil(part.max(1)).max(1), part }
    }
}

/// Lanes along outputs, blocks of them, and parts of the elements of an output with their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    columns: usize,
    blocks: usize,
    parts: usize,
    part: usize,
}

/// What is computed of the elements: texts over the fields `v0`, `v1`, … of `Terms`.
pub struct Fold {
    /// Types of the fields.
    pub fields: Vec<DType>,
    /// What `fn joined(a: Terms, b: Terms) -> Terms` does.
    pub joined: String,
    /// The value that changes nothing.
    pub nothing: String,
    /// Functions that results call.
    pub functions: &'static str,
    /// Results as expressions in `total`, and where they go: an operand, its type, and the first element there.
    pub results: Vec<(String, Operand, DType, usize)>,
}

impl Fold {
    fn define(&self, module: &mut Module) {
        module.add(&values_struct(&self.fields).replace("Values", "Terms"));
        module.add(&format!("fn joined(a: Terms, b: Terms) -> Terms {{ {} }}", self.joined));
        module.add(&format!("fn nothing() -> Terms {{ return {}; }}", self.nothing));
        module.add(self.functions);
    }

    /// Statements that store the results of `output`.
    fn stores(&self, module: &mut Module) -> String {
        let mut text = String::new();
        for (value, operand, dtype, first) in &self.results {
            let at = if *first == 0 { "output".to_owned() } else { format!("output + {first}u") };
            let _ = writeln!(text, "    {}", module.store_word(*operand, *dtype, &at, value));
        }
        text
    }
}

/// A part of what is reduced, some of the elements of every output, with what its dispatches bind.
pub type Part = (Space, Windows);

/// All of what is reduced.
pub fn whole(space: Space) -> [Part; 1] {
    [(space, Windows::new())]
}

/// The dispatches of `fold` over `parts`, which have the same outputs. `define` adds `fn terms(at: u32) -> Terms`, of the
/// elements of a part, behind the declaration of the type. What parts give lies in the workspace until it is combined in order,
/// in `room` bytes if it fits there.
pub fn dispatches(parts: &[Part], fold: &Fold, room: usize, define: impl Fn(&mut Module)) -> Code {
    let outputs = parts.first().map_or(0, |part| part.0.outputs());
    if outputs == 0 {
        return Code::default();
    }
    let begin = |space: &Space| {
        let mut module = Module::new();
        fold.define(&mut module);
        define(&mut module);
        module.add(&space.term());
        module
    };
    let bytes = outputs * fold.fields.len() * 4;
    let most = (room / bytes / parts.len()).max(1);
    let cuts: Vec<Cut> = parts.iter().map(|(space, _)| space.cut(most)).collect();
    if let ([(space, windows)], [cut]) = (parts, cuts.as_slice()) {
        let narrow = fold.results.iter().any(|r| r.2.size() < 4);
        let count = space.count();
        let only = if count <= FEW {
            let one_by_one =
                format!("  for (var i = 0u; i < {count}u; i = i + 1u) {{ total = joined(total, term(output, i)); }}\n");
            Some(finish(begin(space), fold, outputs, &one_by_one))
        } else if cut.parts == 1 && !narrow {
            let mut module = begin(space);
            let stores = fold.stores(&mut module);
            Some(tree(module, space, *cut, &stores))
        } else {
            None
        };
        if let Some(dispatch) = only {
            return Code::new(vec![Dispatch { windows: windows.clone(), ..dispatch }], 0);
        }
    }
    let total: usize = cuts.iter().map(|cut| cut.parts).sum();
    let place =
        |field: usize, first: usize| format!("{}u + part * {outputs}u + output", (field * total + first) * outputs);
    let (mut dispatches, mut first) = (Vec::new(), 0);
    for ((space, windows), cut) in parts.iter().zip(cuts) {
        let mut module = begin(space);
        let stores: String = (0..fold.fields.len())
            .map(|k| {
                let (dtype, value) = (whole_word(fold.fields[k]), format!("total.v{k}"));
                format!("    {}\n", module.store_word(Operand::Workspace, dtype, &place(k, first), &value))
            })
            .collect();
        dispatches.push(Dispatch { windows: windows.clone(), ..tree(module, space, cut, &stores) });
        first += cut.parts;
    }
    let mut module = Module::new();
    fold.define(&mut module);
    let mut fields = Vec::new();
    for (k, &dtype) in fold.fields.iter().enumerate() {
        module.loader(&format!("partial{k}"), Operand::Workspace, whole_word(dtype));
        fields.push(format!("partial{k}({})", place(k, 0)));
    }
    let combined = format!(
        "  for (var part = 0u; part < {total}u; part = part + 1u) {{ total = joined(total, Terms({})); }}\n",
        fields.join(", ")
    );
    dispatches.push(finish(module, fold, outputs, &combined));
    Code::new(dispatches, total * bytes)
}

/// The type of a lane of `dtype` in memory of its own.
fn whole_word(dtype: DType) -> DType {
    if dtype.is_float() { DType::F32 } else { DType::I32 }
}

/// A dispatch of one invocation for each output, which `body` computes as `total`.
fn finish(mut module: Module, fold: &Fold, outputs: usize, body: &str) -> Dispatch {
    let dtypes: Vec<DType> = fold.results.iter().map(|r| r.2).collect();
    let head = format!("(output: u32) -> Terms {{\n  var total = nothing();\n{body}  return total;\n}}");
    module.add(&format!("fn whole{head}"));
    if fold.results.iter().all(|r| r.3 == 0) {
        module.add(&values_struct(&dtypes));
        let values: Vec<&str> = fold.results.iter().map(|r| r.0.as_str()).collect();
        let values = values.join(", ");
        module
            .add(&format!("fn value(at: u32) -> Values {{\n  let total = whole(at);\n  return Values({values});\n}}"));
        let stores: Vec<(Operand, DType)> = fold.results.iter().map(|r| (r.1, r.2)).collect();
        return module.elementwise(outputs, &stores);
    }
    let stores = fold.stores(&mut module);
    module.add(&format!(
        "@compute @workgroup_size(64)\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let output = (group.y * COLUMNS + group.x) * 64u + lane;\n  if (output < {outputs}u) {{\n    \
         let total = whole(output);\n{stores}  }}\n}}"
    ));
    module.finish(outputs.div_ceil(64))
}

/// A dispatch in which workgroups reduce a part of the elements of some outputs. `stores` are statements over `output`,
/// `part` and `total`.
fn tree(mut module: Module, space: &Space, cut: Cut, stores: &str) -> Dispatch {
    let Cut { columns, blocks, parts, part } = cut;
    let (outputs, count, rows) = (space.outputs(), space.count(), LANES / columns);
    module.add(&format!(
        "var<workgroup> shared_terms: array<Terms, {LANES}>;\n\
         @compute @workgroup_size({LANES})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let task = group.y * COLUMNS + group.x;\n  if (task >= {}u) {{ return; }}\n  \
         let part = task / {blocks}u;\n  let output = (task % {blocks}u) * {columns}u + lane % {columns}u;\n  \
         let row = lane / {columns}u;\n  var sum = nothing();\n  if (output < {outputs}u) {{\n    \
         let end = min((part + 1u) * {part}u, {count}u);\n    \
         for (var i = part * {part}u + row; i < end; i = i + {rows}u) {{ sum = joined(sum, term(output, i)); }}\n  }}\n  \
         shared_terms[lane] = sum;\n  workgroupBarrier();\n  \
         for (var half = {}u; half > 0u; half = half / 2u) {{\n    \
         if (row < half) {{ shared_terms[lane] = joined(shared_terms[lane], shared_terms[lane + half * {columns}u]); }}\n    \
         workgroupBarrier();\n  }}\n  \
         if (row == 0u && output < {outputs}u) {{\n    let total = shared_terms[lane];\n{stores}  }}\n}}",
        blocks * parts,
        rows / 2,
    ));
    module.finish(blocks * parts)
}

/// The dispatches of the reductions of a region, which is in parts that have the same outputs; `room` is that of
/// [`dispatches`].
pub fn of_region(parts: &[(Region, Windows)], room: usize) -> Code {
    let Some((region, _)) = parts.first() else { return Code::default() };
    let space = |region: &Region| Space::new(&region.shape, &region.shape.strides(), &region.reduce_axes);
    let spaces: Vec<Part> = parts.iter().map(|(region, windows)| (space(region), windows.clone())).collect();
    let mut all = Code::default();
    for first in (0..region.reductions.len()).step_by(TOGETHER) {
        let some = &region.reductions[first..(first + TOGETHER).min(region.reductions.len())];
        let fields: Vec<DType> = some.iter().map(|r| r.kind.result_dtype(r.dtype)).collect();
        let joined = some.iter().zip(&fields).enumerate().map(|(k, (r, &dtype))| combine(r.kind, dtype, k));
        let nothing: Vec<String> = some.iter().zip(&fields).map(|(r, &dtype)| identity(r.kind, dtype)).collect();
        let result = |k: usize| (format!("total.v{k}"), Operand::Output(region.stores.len() + first + k), fields[k], 0);
        let fold = Fold {
            joined: format!("return Terms({});", joined.collect::<Vec<_>>().join(", ")),
            nothing: format!("Terms({})", nothing.join(", ")),
            functions: "",
            results: (0..some.len()).map(result).collect(),
            fields,
        };
        let sources: Vec<(Arg, DType)> = some.iter().map(|r| (r.source, r.dtype)).collect();
        let reduced = dispatches(&spaces, &fold, room, |module| {
            RegionText::new(module, region, 0, "operand", None, false).results(module, "terms", "Terms", &sources);
        });
        all.dispatches.extend(reduced.dispatches);
        all.workspace = all.workspace.max(reduced.workspace);
    }
    all
}

/// Mean and biased variance of each channel of input 0, `rows` rows of `dtype`: Welford's recurrence in each lane, then the pairwise
/// formula of Chan, Golub and LeVeque (1979). The mean is that of a plain sum, which infinities go through. A dispatch binds
/// `limit` bytes of the input at most.
pub fn channel_stats(rows: usize, channels: usize, dtype: DType, limit: usize) -> Code {
    let part =
        |(rows, windows): (Range<usize>, Windows)| (Space::new(&[rows.len(), channels], &[channels, 1], &[0]), windows);
    let parts: Vec<Part> =
        cut::of_rows(Operand::Input(0), rows, channels * dtype.size(), limit).into_iter().map(part).collect();
    let output = Operand::Output(0);
    let fold = Fold {
        // Count, sum, mean, squared deviations.
        fields: vec![DType::F32; 4],
        joined: "let n = a.v0 + b.v0;\n  if (b.v0 == 0.0) { return a; }\n  if (a.v0 == 0.0) { return b; }\n  \
                 let d = b.v2 - a.v2;\n  let share = b.v0 / n;\n  \
                 return Terms(n, a.v1 + b.v1, fma(d, share, a.v2), a.v3 + b.v3 + d * d * (a.v0 * share));"
            .to_owned(),
        nothing: "Terms(0.0, 0.0, 0.0, 0.0)".to_owned(),
        functions: "fn variance(sum: f32, spread: f32) -> f32 { return select(spread, nan(), is_nan(sum) || is_inf(sum)); }",
        results: vec![
            (format!("total.v1 / {rows}.0"), output, DType::F32, 0),
            // What is measured from a mean that is not finite is no number.
            (format!("variance(total.v1, total.v3 / {rows}.0)"), output, DType::F32, channels),
        ],
    };
    dispatches(&parts, &fold, limit, |module| {
        module.loader("input0", Operand::Input(0), dtype);
        module.add("fn terms(at: u32) -> Terms { let x = input0(at); return Terms(1.0, x, x, 0.0); }");
    })
}

/// The literal of what changes nothing.
pub fn identity(kind: ReduceKind, dtype: DType) -> String {
    match (kind, dtype.is_float()) {
        (ReduceKind::Max, false) => literal(f64::from(i32::MIN), dtype),
        (ReduceKind::Min, false) => literal(f64::from(i32::MAX), dtype),
        _ => literal(kind.identity(), dtype),
    }
}

/// The expression that combines field `k` of `a` and `b`.
fn combine(kind: ReduceKind, dtype: DType, k: usize) -> String {
    combined(kind, dtype, &format!("a.v{k}"), &format!("b.v{k}"))
}

/// The expression that combines two lanes.
pub fn combined(kind: ReduceKind, dtype: DType, a: &str, b: &str) -> String {
    let function = match (kind, dtype.is_float()) {
        (ReduceKind::Sum, _) => return format!("{a} + {b}"),
        (ReduceKind::Prod, _) => return format!("{a} * {b}"),
        (ReduceKind::Max, true) => "maximum_",
        (ReduceKind::Min, true) => "minimum_",
        (ReduceKind::Max, false) => "max",
        (ReduceKind::Min, false) => "min",
    };
    format!("{function}({a}, {b})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_cut_so_that_every_element_is_in_one_part() {
        for (shape, axes) in [
            (&[7usize, 5, 33][..], &[0usize, 1][..]),
            (&[1 << 20, 64], &[0]),
            (&[3, 1 << 20], &[1]),
            (&[1 << 19], &[0]),
            (&[40_001, 3], &[0]),
            (&[513, 70, 2], &[1]),
        ] {
            let strides: Vec<usize> = (0..shape.len()).map(|a| shape[a + 1..].iter().product()).collect();
            let space = Space::new(shape, &strides, axes);
            let cut = space.cut(FILL);
            assert!(cut.columns.is_power_of_two() && cut.columns <= LANES, "{cut:?}");
            assert!(cut.blocks * cut.columns >= space.outputs(), "{cut:?}");
            assert!(cut.parts * cut.part >= space.count() && (cut.parts - 1) * cut.part < space.count(), "{cut:?}");
        }
        let whole = Space::new(&[1 << 22], &[1], &[0]).cut(FILL);
        assert!(whole.parts >= 256, "a single sum is cut for the whole device: {whole:?}");
    }
}
