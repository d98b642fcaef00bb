//! The order of elements: blocks of each line sorted by counting, then merged, two runs an invocation's element at a time,
//! by binary search. Equal elements keep their order, and every length will do.

use super::{Kernel, Task};
use crate::backend::gpu::lower::shader::{Code, Dispatch, Module, Operand, WORKGROUP};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::Op;

/// Elements of a run that is sorted by counting.
const BLOCK: usize = 64;

/// Lines of keys, `inner` of which lie side by side.
pub struct Lines {
    /// Blocks of lines.
    pub outer: usize,
    /// Elements of a line.
    pub extent: usize,
    /// Lines of a block.
    pub inner: usize,
}

impl Lines {
    fn elements(&self) -> usize {
        self.outer * self.extent * self.inner
    }

    fn constants(&self, module: &mut Module) {
        module.constants(&[("EXTENT", self.extent), ("INNER", self.inner)]);
    }
}

/// `fn key(line: u32, i: u32) -> u32`: an unsigned integer with the order of the elements of input `input`. NaN has the
/// greatest, and 0 and −0 have one.
fn key(module: &mut Module, input: usize, dtype: DType, descending: bool) {
    module.loader("element", Operand::Input(input), dtype);
    let bits = match dtype.is_float() {
        true => {
            "  let bits = bitcast<u32>(x);\n  var k = select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);\n  \
                 if (bits == 0x80000000u) { k = 0x80000000u; }\n  \
                 if ((bits & 0x7fffffffu) > 0x7f800000u) { k = 0xffffffffu; }\n"
        }
        false => "  let k = bitcast<u32>(x) ^ 0x80000000u;\n",
    };
    let sign = if descending { "~" } else { "" };
    module.add(&format!(
        "fn key(line: u32, i: u32) -> u32 {{\n  let x = element((line / INNER * EXTENT + i) * INNER + line % INNER);\n\
         {bits}  return {sign}k;\n}}"
    ));
}

/// Frames `body`, which places element `i` of `line` at `place` of that line.
fn frame(mut module: Module, lines: &Lines, body: &str, store: &str) -> Dispatch {
    let count = lines.elements();
    module.add(&format!(
        "@compute @workgroup_size({WORKGROUP})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let at = (group.y * COLUMNS + group.x) * {WORKGROUP}u + lane;\n  if (at >= {count}u) {{ return; }}\n  \
         let line = at / EXTENT;\n  let start = line * EXTENT;\n  let position = at - start;\n{body}{store}}}"
    ));
    module.finish(count.div_ceil(WORKGROUP as usize))
}

/// The dispatches that sort lines of input `input`; the last does `store(module)`, a statement over `line`, `place` and the
/// index `i`, and has the workspace to itself from word `first` on.
pub fn dispatches(
    lines: &Lines,
    input: usize,
    dtype: DType,
    descending: bool,
    first: usize,
    store: impl Fn(&mut Module) -> String,
) -> Code {
    let mut dispatches = Vec::new();
    let passes = lines.extent.div_ceil(BLOCK).next_power_of_two().trailing_zeros() as usize;
    let half = lines.elements();
    let keep = |module: &mut Module, pass: usize| {
        let memory = module.bind(Operand::Workspace);
        format!("  {memory}[{}u + start + place] = i;\n", first + pass % 2 * half)
    };
    let begun = || {
        let mut module = Module::new();
        lines.constants(&mut module);
        key(&mut module, input, dtype, descending);
        module
    };
    let mut module = begun();
    let stored = if passes == 0 { store(&mut module) } else { keep(&mut module, 0) };
    let body = format!(
        "  let i = position;\n  let low = i / {BLOCK}u * {BLOCK}u;\n  let high = min(low + {BLOCK}u, EXTENT);\n  \
         let own = key(line, i);\n  var place = low;\n  for (var j = low; j < high; j = j + 1u) {{\n    \
         let other = key(line, j);\n    if (other < own || (other == own && j < i)) {{ place = place + 1u; }}\n  }}\n"
    );
    dispatches.push(frame(module, lines, &body, &stored));
    for pass in 0..passes {
        let width = BLOCK << pass;
        let mut module = begun();
        let memory = module.bind(Operand::Workspace);
        let from = first + pass % 2 * half;
        let stored = if pass + 1 == passes { store(&mut module) } else { keep(&mut module, pass + 1) };
        // What stands in the other run before the element: what is less, or equal and from the run before.
        let body = format!(
            "  let i = {memory}[{from}u + at];\n  let run = position / {width}u;\n  let own = key(line, i);\n  \
             let other = (run ^ 1u) * {width}u;\n  var low = min(other, EXTENT);\n  \
             var high = min(other + {width}u, EXTENT);\n  let begin = low;\n  while (low < high) {{\n    \
             let middle = (low + high) / 2u;\n    let found = key(line, {memory}[{from}u + start + middle]);\n    \
             if (found < own || (found == own && (run & 1u) == 1u)) {{ low = middle + 1u; }} else {{ high = middle; }}\n  }}\n  \
             let place = run / 2u * {}u + position - run * {width}u + low - begin;\n",
            2 * width
        );
        dispatches.push(frame(module, lines, &body, &stored));
    }
    let words = match passes {
        0 => 0,
        1 => half,
        _ => 2 * half,
    };
    Code::new(dispatches, (first + words) * 4)
}

/// The op.
pub fn kernel(task: &Task) -> Result<Kernel> {
    let Op::Argsort(op) = task.op else { return Err(task.wrong_op("argsort")) };
    let [outer, extent, inner] = op.extents(&task.inputs[0].shape)?;
    let count = op.count.unwrap_or(extent);
    let lines = Lines { outer, extent, inner };
    if task.output.shape.is_empty() {
        return Ok(Kernel::Own("argsort", Code::default()));
    }
    let store = |module: &mut Module| {
        let memory = module.bind(Operand::Output(0));
        format!(
            "  if (place < {count}u) {{ {memory}[(line / INNER * {count}u + place) * INNER + line % INNER] = i; }}\n"
        )
    };
    Ok(Kernel::Own("argsort", dispatches(&lines, 0, task.inputs[0].dtype, op.descending, 0, store)))
}
