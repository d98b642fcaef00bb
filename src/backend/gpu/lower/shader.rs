//! Texts of kernels: how elements lie in memory, and the frames in which values are computed.
//!
//! All memory is an array of u32, bound for reading and writing: one buffer holds the intermediates of a run, and may be
//! read and written by one dispatch under no other binding. Lanes are f32 for all floats and i32 for integers and bool.

use super::library;
use crate::dtype::DType;
use crate::schedule::Packed;
use std::fmt::Write;
use std::ops::Range;

/// Invocations of a workgroup.
pub const WORKGROUP: u32 = 64;
/// Most workgroups along one axis of a dispatch, on every device.
pub const MAX_GROUPS: u32 = 65_535;

/// What one binding of a dispatch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// An input of the step, by number.
    Input(usize),
    /// An output of the step, by number.
    Output(usize),
    /// Where the step says that it met bad data.
    Status,
    /// Memory that the dispatches of the step share while it runs.
    Workspace,
    /// The sum of those parts of the step that are done: a window of the same memory.
    Sum,
    /// What a part adds to it: another.
    Part,
    /// An input in the form into which the step packs it.
    Packed,
    /// What several steps share a dispatch on, by number.
    Shared(usize),
}

/// One dispatch: a shader, what it is bound to and how many workgroups run.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The module; its entry point is `main`.
    pub text: String,
    /// By binding.
    pub operands: Vec<Operand>,
    /// Workgroups along two axes.
    pub groups: [u32; 2],
    /// The bytes of operands that are bound, of those that are not bound whole.
    pub windows: Vec<(Operand, Range<usize>)>,
}

/// Dispatches, and the bytes of the workspace that they share.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// In order.
    pub dispatches: Vec<Dispatch>,
    /// Bytes of the workspace.
    pub workspace: usize,
    /// What comes before them, where the step packs an input.
    pub packing: Option<Packing>,
}

/// Dispatches that bring an input into the form that the step reads instead. They depend on nothing else, so that a form is
/// kept as long as the input is.
#[derive(Clone, Debug)]
pub struct Packing {
    /// In order. They write [`Operand::Packed`].
    pub dispatches: Vec<Dispatch>,
    /// Which input, and its form.
    pub packed: Packed,
}

impl Code {
    /// Dispatches that pack nothing and share `workspace` bytes.
    pub fn new(dispatches: Vec<Dispatch>, workspace: usize) -> Self {
        Code { dispatches, workspace, packing: None }
    }
}

/// The WGSL type of lanes of `dtype`.
pub fn lane_type(dtype: DType) -> &'static str {
    if dtype.is_float() { "f32" } else { "i32" }
}

/// A literal of the lane type of `dtype`.
pub fn literal(value: f64, dtype: DType) -> String {
    if !dtype.is_float() {
        return format!("bitcast<i32>({:#x}u)", value as i32);
    }
    let value = value as f32;
    match value {
        v if v.is_nan() => "nan()".to_owned(),
        f32::INFINITY => "infinity()".to_owned(),
        f32::NEG_INFINITY => "(-infinity())".to_owned(),
        v => format!("bitcast<f32>({:#x}u)", v.to_bits()),
    }
}

/// A module under construction.
#[derive(Default)]
pub struct Module {
    operands: Vec<Operand>,
    /// Operands that are arrays of vectors of four words.
    wide: Vec<Operand>,
    body: String,
}

impl Module {
    /// An empty module.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares `operand`, which no text names yet, as an array of vectors: it is read in vectors or words, and written in
    /// whole vectors alone. Its bytes are a multiple of 16.
    pub fn widen(&mut self, operand: Operand) {
        if !self.wide.contains(&operand) {
            self.wide.push(operand);
        }
    }

    /// Binds `operand` and returns the name of its array.
    pub fn bind(&mut self, operand: Operand) -> String {
        let at = self.operands.iter().position(|o| *o == operand).unwrap_or_else(|| {
            self.operands.push(operand);
            self.operands.len() - 1
        });
        format!("memory{at}")
    }

    /// Whether `operand` is an array of vectors.
    pub fn is_wide(&self, operand: Operand) -> bool {
        self.wide.contains(&operand)
    }

    /// Adds constants of type u32.
    pub fn constants(&mut self, values: &[(&str, usize)]) {
        for (name, value) in values {
            let _ = writeln!(self.body, "const {name}: u32 = {value}u;");
        }
    }

    /// Adds text.
    pub fn add(&mut self, text: &str) {
        self.body.push_str(text);
        self.body.push('\n');
    }

    /// Adds a function `name(at)` that gives element `at` of `operand` as a lane.
    pub fn loader(&mut self, name: &str, operand: Operand, dtype: DType) {
        self.loader_by(name, operand, dtype, 0);
    }

    /// The same of what lies `shift` elements behind the begin of what is bound, or begins before it.
    pub fn loader_by(&mut self, name: &str, operand: Operand, dtype: DType, shift: i64) {
        let memory = self.bind(operand);
        let in_word = 4 / dtype.size();
        let place = if in_word == 1 { "at".to_owned() } else { format!("at / {in_word}u") };
        let word = match self.is_wide(operand) {
            true => format!("{memory}[({place}) / 4u][({place}) % 4u]"),
            false => format!("{memory}[{place}]"),
        };
        self.shifted(name, lane_type(dtype), &lane_of(&word, "at", dtype), shift);
    }

    /// Adds a function `name(at)` that gives elements `at` to `at + 3` of `operand`, where `at` is a multiple of 4.
    pub fn quad_loader(&mut self, name: &str, operand: Operand, dtype: DType) {
        self.quad_loader_by(name, operand, dtype, 0);
    }

    /// The same of what lies `shift` elements behind the begin of what is bound.
    pub fn quad_loader_by(&mut self, name: &str, operand: Operand, dtype: DType, shift: i64) {
        let memory = self.bind(operand);
        let lane = lane_type(dtype);
        let wide = self.is_wide(operand);
        let words = dtype.size();
        // The words that hold the four elements.
        let word = |k: usize| match (wide, words) {
            (true, 4) => format!("{memory}[at / 4u][{k}]"),
            (true, 2) => format!("{memory}[at / 8u][(at / 2u) % 4u + {k}u]"),
            (true, _) => format!("{memory}[at / 16u][(at / 4u) % 4u]"),
            (false, 4) => format!("{memory}[at + {k}u]"),
            (false, 2) => format!("{memory}[at / 2u + {k}u]"),
            (false, _) => format!("{memory}[at / 4u]"),
        };
        let value = match (wide, words) {
            (true, 4) => format!("bitcast<vec4<{lane}>>({memory}[at / 4u])"),
            _ => {
                let in_word = 4 / words;
                let parts = (0..4).map(|e| lane_of(&word(e / in_word), &format!("{e}u"), dtype));
                format!("vec4<{lane}>({})", parts.collect::<Vec<_>>().join(", "))
            }
        };
        self.shifted(name, &format!("vec4<{lane}>"), &value, shift);
    }

    /// Adds a function `name` of what `value` is, an expression over `at`, `shift` elements behind its parameter.
    fn shifted(&mut self, name: &str, result: &str, value: &str, shift: i64) {
        let sign = if shift < 0 { '-' } else { '+' };
        let _ = match shift.unsigned_abs() {
            0 => writeln!(self.body, "fn {name}(at: u32) -> {result} {{ return {value}; }}"),
            by => writeln!(self.body, "fn {name}(i: u32) -> {result} {{ let at = i {sign} {by}u; return {value}; }}"),
        };
    }

    /// A statement that stores the four lanes `values` at elements `at` to `at + 3`, `at` a multiple of 4.
    pub fn store_quad(&mut self, operand: Operand, dtype: DType, at: &str, values: &[String; 4]) -> String {
        let memory = self.bind(operand);
        let bits = |k: usize| stored_bits(&values[k], dtype);
        let shift = dtype.size() * 8;
        match dtype.size() {
            4 if self.is_wide(operand) => {
                format!("{memory}[{at} / 4u] = vec4<u32>({}, {}, {}, {});", bits(0), bits(1), bits(2), bits(3))
            }
            4 => (0..4).map(|k| format!("{memory}[{at} + {k}u] = {};", bits(k))).collect::<Vec<_>>().join(" "),
            2 => [0, 1]
                .map(|k| format!("{memory}[{at} / 2u + {k}u] = {} | ({} << {shift}u);", bits(2 * k), bits(2 * k + 1)))
                .join(" "),
            _ => {
                let parts = (1..4).map(|k| format!(" | ({} << {}u)", bits(k), k * shift)).collect::<String>();
                format!("{memory}[{at} / 4u] = {}{parts};", bits(0))
            }
        }
    }

    /// A statement that stores one lane of four bytes at element `at`.
    pub fn store_word(&mut self, operand: Operand, dtype: DType, at: &str, value: &str) -> String {
        debug_assert!(dtype.size() == 4 && !self.is_wide(operand));
        format!("{}[{at}] = {};", self.bind(operand), stored_bits(value, dtype))
    }

    /// The directives that the text needs, which stand before all else.
    fn extensions(&self) -> String {
        let used = |what: &str| self.body.contains(what);
        let enable = |what: &str| format!("enable {what};\n");
        let half = (used("<f16")).then(|| enable("f16"));
        let matrix = used("coop_mat").then(|| enable("wgpu_cooperative_matrix"));
        half.into_iter().chain(matrix).collect()
    }

    /// The dispatch, with `groups` workgroups in all.
    pub fn finish(self, groups: usize) -> Dispatch {
        let groups = u32::try_from(groups).unwrap_or(u32::MAX);
        let columns = groups.clamp(1, MAX_GROUPS);
        let folded = [columns, groups.div_ceil(columns)];
        let mut text = self.extensions();
        text.push_str(&library::called_by(&self.body));
        for (at, operand) in self.operands.iter().enumerate() {
            let element = match operand {
                Operand::Status => "atomic<u32>",
                _ if self.is_wide(*operand) => "vec4<u32>",
                _ => "u32",
            };
            let _ = writeln!(text, "@group(0) @binding({at}) var<storage, read_write> memory{at}: array<{element}>;");
        }
        let _ = writeln!(text, "const COLUMNS: u32 = {columns}u;");
        text.push_str(&self.body);
        Dispatch { text, operands: self.operands, groups: folded, windows: Vec::new() }
    }

    /// Frames `fn value(at: u32) -> Values`, whose field `v<k>` is element `at` of store `k`: every invocation computes
    /// the elements that share a word of memory. `stores` are operands with their element types.
    pub fn elementwise(mut self, count: usize, stores: &[(Operand, DType)]) -> Dispatch {
        let per = stores.iter().map(|(_, dtype)| 4 / dtype.size()).max().unwrap_or(1);
        let memories: Vec<String> = stores.iter().map(|&(operand, _)| self.bind(operand)).collect();
        let b = &mut self.body;
        let _ = writeln!(b, "@compute @workgroup_size({WORKGROUP})");
        let _ = writeln!(
            b,
            "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{"
        );
        let _ = writeln!(b, "  let first = ((group.y * COLUMNS + group.x) * {WORKGROUP}u + lane) * {per}u;");
        let _ = writeln!(b, "  if (first >= {count}u) {{ return; }}");
        let _ = writeln!(b, "  let e0 = value(first);");
        for e in 1..per {
            let _ = writeln!(b, "  var e{e}: Values;");
            let _ = writeln!(b, "  if (first + {e}u < {count}u) {{ e{e} = value(first + {e}u); }}");
        }
        for (k, (memory, &(_, dtype))) in memories.iter().zip(stores).enumerate() {
            let in_word = 4 / dtype.size();
            for word in 0..per / in_word {
                let parts = (0..in_word).map(|i| {
                    let bits = stored_bits(&format!("e{}.v{k}", word * in_word + i), dtype);
                    if i == 0 { bits } else { format!("({bits} << {}u)", i * dtype.size() * 8) }
                });
                let bits = parts.collect::<Vec<_>>().join(" | ");
                let at = format!("first / {in_word}u + {word}u");
                let guard = format!("if (first + {}u < {count}u) ", word * in_word);
                let _ = writeln!(b, "  {guard}{{ {memory}[{at}] = {bits}; }}");
            }
        }
        let _ = writeln!(b, "}}");
        let invocations = count.div_ceil(per);
        self.finish(invocations.div_ceil(WORKGROUP as usize))
    }

    /// Frames `fn value_4(at: u32) -> Quad`, whose fields `e0` to `e3` are `Values` of four elements: every invocation
    /// computes four. `count` is a multiple of 4.
    pub fn by_quads(mut self, count: usize, stores: &[(Operand, DType)]) -> Dispatch {
        let stored: String = stores
            .iter()
            .enumerate()
            .map(|(k, &(operand, dtype))| {
                let values = [0, 1, 2, 3].map(|e| format!("q.e{e}.v{k}"));
                format!("  {}\n", self.store_quad(operand, dtype, "first", &values))
            })
            .collect();
        let _ = write!(
            self.body,
            "@compute @workgroup_size({WORKGROUP})\n\
             fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
             let first = ((group.y * COLUMNS + group.x) * {WORKGROUP}u + lane) * 4u;\n  \
             if (first >= {count}u) {{ return; }}\n  let q = value_4(first);\n{stored}}}\n"
        );
        self.finish((count / 4).div_ceil(WORKGROUP as usize))
    }
}

/// The lane that element `at` is, of the word that holds it.
fn lane_of(word: &str, at: &str, dtype: DType) -> String {
    match dtype {
        DType::F32 => format!("bitcast<f32>({word})"),
        DType::I32 => format!("bitcast<i32>({word})"),
        DType::U8 | DType::Bool => format!("i32(({word} >> (({at} % 4u) * 8u)) & 0xffu)"),
        DType::F16 => format!("float16_value(({word} >> (({at} % 2u) * 16u)) & 0xffffu)"),
        DType::BF16 => format!("bfloat16_value(({word} >> (({at} % 2u) * 16u)) & 0xffffu)"),
        other => unreachable!("{other} has no lanes"),
    }
}

/// The bits of a lane as memory has them.
fn stored_bits(lane: &str, dtype: DType) -> String {
    match dtype {
        DType::F32 | DType::I32 => format!("bitcast<u32>({lane})"),
        DType::U8 | DType::Bool => format!("(u32({lane}) & 0xffu)"),
        DType::F16 => format!("float16_bits({lane})"),
        DType::BF16 => format!("bfloat16_bits({lane})"),
        other => unreachable!("{other} has no lanes"),
    }
}

/// Declares `Values` with a field a store.
pub fn values_struct(dtypes: &[DType]) -> String {
    let fields = dtypes.iter().enumerate().map(|(k, &d)| format!("v{k}: {}", lane_type(d)));
    format!("struct Values {{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

/// Statements that cut `at` into coordinates `<prefix>0`, `<prefix>1`, … of `shape`. Axes of extent 1 are 0.
pub fn coordinates(at: &str, shape: &[usize], prefix: &str) -> String {
    let mut text = format!("  var {prefix}_rest = {at};\n");
    for (axis, &extent) in shape.iter().enumerate().rev() {
        if extent == 1 {
            let _ = writeln!(text, "  let {prefix}{axis} = 0u;");
        } else {
            let _ = writeln!(text, "  let {prefix}{axis} = {prefix}_rest % {extent}u;");
            let _ = writeln!(text, "  {prefix}_rest = {prefix}_rest / {extent}u;");
        }
    }
    text
}

/// Σ coordinate · stride.
pub fn offset(shape: &[usize], strides: &[usize], prefix: &str) -> String {
    let terms = shape.iter().zip(strides).enumerate().filter(|(_, (n, s))| **n > 1 && **s > 0);
    let terms: Vec<String> = terms
        .map(
            |(axis, (_, &stride))| {
                if stride == 1 { format!("{prefix}{axis}") } else { format!("{prefix}{axis} * {stride}u") }
            },
        )
        .collect();
    if terms.is_empty() { "0u".to_owned() } else { terms.join(" + ") }
}
