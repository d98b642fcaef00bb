//! Regions that one dispatch computes: each is a *segment* of the dispatch, some of its workgroups. Segments of one program
//! share its text, whatever their extents, and differ in what they read and write.

use super::region::{RegionText, fields, takes_quads};
use super::shader::{Dispatch, Module, Operand, WORKGROUP, lane_type, values_struct};
use crate::fusion::region::Region;
use std::fmt::Write;

/// Where an operand or a store lies: in one of the dispatch's bindings, from an element of its type on.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// The binding's number.
    pub binding: usize,
    /// The element, a multiple of 16.
    pub first: usize,
}

/// A region with the places of its operands and stores.
pub struct Segment<'a> {
    /// What is computed. It stores something, and reduces nothing.
    pub region: &'a Region,
    /// By operand. Segments may read the same.
    pub inputs: Vec<At>,
    /// By store. No other segment reads or writes there.
    pub outputs: Vec<At>,
}

/// Whether a region can be a segment. One that stores elements of 8 or 16 bits has to store four at once.
pub fn fits(region: &Region) -> bool {
    !region.stores.is_empty()
        && region.reductions.is_empty()
        && region.moments.is_empty()
        && !region.shape.is_empty()
        && (takes_quads(region) || region.stores.iter().all(|store| store.1.size() == 4))
}

/// Workgroups of a segment: every invocation computes four elements, or what is left.
fn groups(region: &Region) -> usize {
    region.shape.len().div_ceil(4 * WORKGROUP as usize)
}

/// Whether both compute the same of their elements, wherever these lie.
fn same_program(a: &Region, b: &Region) -> bool {
    let dtypes = |region: &Region| region.operands.iter().map(|o| o.dtype).collect::<Vec<_>>();
    a.code == b.code && a.stores == b.stores && dtypes(a) == dtypes(b)
}

/// Whether binding `binding` of `bytes` bytes can be an array of vectors, and is read or written as one: words are written
/// in fours alone.
fn is_wide(binding: usize, bytes: usize, segments: &[Segment]) -> bool {
    let quads = |segment: &Segment| takes_quads(segment.region);
    let stores = |segment: &Segment| {
        let stores = segment.outputs.iter().zip(&segment.region.stores).filter(|(at, _)| at.binding == binding);
        stores.map(|(_, store)| store.1.size()).collect::<Vec<_>>()
    };
    let reads = |segment: &Segment| segment.inputs.iter().any(|at| at.binding == binding);
    let in_fours = |segment: &Segment| stores(segment).iter().all(|&size| quads(segment) && size == 4);
    let touched = segments.iter().any(|segment| quads(segment) && (reads(segment) || !stores(segment).is_empty()));
    bytes.is_multiple_of(16) && touched && segments.iter().all(in_fours)
}

/// The dispatch of `segments`, whose bindings have `bytes` bytes.
pub fn dispatch(segments: &[Segment], bytes: &[usize]) -> Dispatch {
    let mut module = Module::new();
    let wide = bytes.iter().enumerate().filter(|(binding, bytes)| is_wide(*binding, **bytes, segments));
    wide.for_each(|(binding, _)| module.widen(Operand::Shared(binding)));
    let mut texts: Vec<RegionText> = Vec::with_capacity(segments.len());
    for (k, segment) in segments.iter().enumerate() {
        let text = RegionText::of(segment.region, &format!("segment{k}_"), None, takes_quads(segment.region));
        let inputs: Vec<_> = segment.inputs.iter().map(|at| (Operand::Shared(at.binding), at.first)).collect();
        text.loaders(&mut module, &inputs);
        texts.push(text);
    }
    // Segments of one program follow each other.
    let mut programs: Vec<Vec<usize>> = Vec::new();
    for (k, segment) in segments.iter().enumerate() {
        match programs.iter_mut().find(|some| same_program(segments[some[0]].region, segment.region)) {
            Some(some) => some.push(k),
            None => programs.push(vec![k]),
        }
    }
    let mut choice = String::new();
    let mut first = 0;
    for (p, members) in programs.iter().enumerate() {
        let begin = first;
        let starts: Vec<usize> = members
            .iter()
            .map(|&k| {
                let start = first;
                first += groups(segments[k].region);
                start
            })
            .collect();
        define(&mut module, p, members, &starts, segments, &texts);
        let _ = writeln!(choice, "  if (block >= {begin}u && block < {first}u) {{ program{p}(block, lane); }}");
    }
    module.add(&format!(
        "@compute @workgroup_size({WORKGROUP})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let block = group.y * COLUMNS + group.x;\n{choice}}}"
    ));
    module.finish(first)
}

/// Adds `fn program<p>(block: u32, lane: u32)`, which computes four elements of the segment among `members` whose workgroup
/// `block` is; `starts` are the first workgroups of each.
fn define(module: &mut Module, p: usize, members: &[usize], starts: &[usize], all: &[Segment], texts: &[RegionText]) {
    let region = all[members[0]].region;
    let values = format!("Values{p}");
    let dtypes: Vec<_> = region.stores.iter().map(|store| store.1).collect();
    module.add(&values_struct(&dtypes).replace("Values", &values));
    let program = RegionText::of(region, &format!("program{p}"), None, false);
    program.code(module, &values, &fields(&values, &region.stores));
    let mut text = format!("fn program{p}(block: u32, lane: u32) {{\n");
    let whole = |k: usize| all[k].region.shape.len();
    let _ = writeln!(text, "  var segment = 0u;\n  var start = {}u;\n  var count = {}u;", starts[0], whole(members[0]));
    for (s, (&k, start)) in members.iter().zip(starts).enumerate().skip(1) {
        let _ =
            writeln!(text, "  if (block >= {start}u) {{ segment = {s}u; start = {start}u; count = {}u; }}", whole(k));
    }
    let _ = writeln!(
        text,
        "  let at = ((block - start) * {WORKGROUP}u + lane) * 4u;\n  if (at >= count) {{ return; }}\n  \
         let last = count - 1u;"
    );
    for (k, operand) in region.operands.iter().enumerate() {
        let _ = writeln!(text, "  var x{k}: vec4<{}>;", lane_type(operand.dtype));
    }
    if !region.operands.is_empty() {
        text.push_str(&by_segment(members, |k| loads(module, &texts[k], &all[k])));
    }
    let vectors: Vec<String> = (0..region.operands.len()).map(|k| format!("x{k}")).collect();
    for e in 0..4 {
        let _ = writeln!(text, "  let e{e} = {};", program.call(&vectors, e));
    }
    text.push_str(&by_segment(members, |k| stores(module, &all[k])));
    text.push('}');
    module.add(&text);
}

/// The statements of each of `members`, of which the segment's run.
fn by_segment(members: &[usize], mut statements: impl FnMut(usize) -> String) -> String {
    if let [only] = members {
        return format!("  {{\n{}  }}\n", statements(*only));
    }
    let mut text = "  switch segment {\n".to_owned();
    for (s, &k) in members.iter().enumerate() {
        // One of them is for all that is left, as the language wants it.
        let case = if s + 1 == members.len() { "default".to_owned() } else { format!("case {s}u") };
        let _ = writeln!(text, "  {case}: {{\n{}  }}", statements(k));
    }
    text.push_str("  }\n");
    text
}

/// Statements that read four elements of each operand as `x<k>`. What lies beyond the last is that one.
fn loads(module: &mut Module, text: &RegionText, segment: &Segment) -> String {
    if takes_quads(segment.region) {
        let values = text.quad_values().into_iter().enumerate();
        let values: String = values.map(|(k, value)| format!("  x{k} = {value};\n")).collect();
        return format!("{}{values}", text.coordinates());
    }
    let values = text.values().into_iter().zip(&segment.region.operands).enumerate();
    let mut statements = String::new();
    for (k, (value, operand)) in values {
        let (name, lane) = (format!("{}{k}_of", text.name()), lane_type(operand.dtype));
        let coordinates = text.coordinates();
        module.add(&format!("fn {name}(at: u32) -> {lane} {{\n{coordinates}  return {value};\n}}"));
        let element = |e: u32| format!("{name}(min(at + {e}u, last))");
        let elements = [0, 1, 2, 3].map(element).join(", ");
        let _ = writeln!(statements, "  x{k} = vec4<{lane}>({elements});");
    }
    statements
}

/// Statements that store what `e0` to `e3` are, as far as there are so many elements.
fn stores(module: &mut Module, segment: &Segment) -> String {
    let mut text = String::new();
    let quads = takes_quads(segment.region);
    for (k, (&at, &(_, dtype))) in segment.outputs.iter().zip(&segment.region.stores).enumerate() {
        let values = [0, 1, 2, 3].map(|e| format!("e{e}.v{k}"));
        let (operand, first) = (Operand::Shared(at.binding), at.first);
        if quads {
            let to = if first == 0 { "at".to_owned() } else { format!("(at + {first}u)") };
            let _ = writeln!(text, "    {}", module.store_quad(operand, dtype, &to, &values));
            continue;
        }
        for (e, value) in values.iter().enumerate() {
            let store = module.store_word(operand, dtype, &format!("at + {}u", first + e), value);
            let _ = writeln!(text, "    if (at + {e}u < count) {{ {store} }}");
        }
    }
    text
}
