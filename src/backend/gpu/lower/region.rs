//! Regions as WGSL: stand-alone kernels, and functions that heavy kernels call on what they read and make.

use super::functions;
use super::shader::{Dispatch, Module, Operand, WORKGROUP, coordinates, lane_type, literal, offset, values_struct};
use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use crate::ops::reduce::ReduceKind;
use std::fmt::Write;

/// A region as text, with its operands bound.
pub struct RegionText<'a> {
    region: &'a Region,
    /// Statements that compute everything, of `at` and, where it is attached, `anchor`.
    statements: String,
}

impl<'a> RegionText<'a> {
    /// Adds the loaders of the region's operands, which are the step's inputs from `first` on, to `module`. `name` tells
    /// them from other regions'.
    pub fn new(module: &mut Module, region: &'a Region, first: usize, name: &str) -> Self {
        let shape: &[usize] = &region.shape;
        let mut statements = String::new();
        let straight: Vec<bool> = region.operands.iter().map(|o| region.is_straight(&o.strides)).collect();
        let scalar = |strides: &[usize]| strides.iter().zip(shape).all(|(&s, &n)| s == 0 || n == 1);
        if region.operands.iter().zip(&straight).any(|(o, straight)| !straight && !scalar(&o.strides)) {
            statements.push_str(&coordinates("at", shape, "c"));
        }
        for (k, (operand, &straight)) in region.operands.iter().zip(&straight).enumerate() {
            let loader = format!("{name}{k}");
            module.loader(&loader, Operand::Input(first + k), operand.dtype);
            let at = match straight {
                true => "at".to_owned(),
                false => offset(shape, &operand.strides, "c"),
            };
            let _ = writeln!(statements, "  let x{k} = {loader}({at});");
        }
        for (i, instruction) in region.code.iter().enumerate() {
            let args: Vec<String> = instruction
                .args
                .iter()
                .enumerate()
                .map(|(n, arg)| argument(*arg, functions::argument_dtype(instruction, n)))
                .collect();
            let value = functions::apply(instruction, &args);
            let _ = writeln!(statements, "  let r{i}: {} = {value};", lane_type(instruction.dtype));
        }
        RegionText { region, statements }
    }

    /// Adds `fn value(at: u32[, anchor]) -> Values` that gives the stores.
    pub fn stores(&self, module: &mut Module, anchor: Option<DType>) {
        let dtypes: Vec<DType> = self.region.stores.iter().map(|s| s.1).collect();
        module.add(&values_struct(&dtypes));
        let values = self.region.stores.iter().map(|&(arg, dtype)| argument(arg, dtype));
        let values = values.collect::<Vec<_>>().join(", ");
        let (name, parameter) = match anchor {
            Some(dtype) => ("attached", format!(", anchor: {}", lane_type(dtype))),
            None => ("value", String::new()),
        };
        module.add(&format!(
            "fn {name}(at: u32{parameter}) -> Values {{\n{}  return Values({values});\n}}",
            self.statements
        ));
    }

    /// Adds `fn <name>(at: u32[, anchor: f32])` that gives one value.
    pub fn function(&self, module: &mut Module, name: &str, anchored: bool, arg: Arg, dtype: DType) {
        let parameter = if anchored { ", anchor: f32" } else { "" };
        let (lane, value) = (lane_type(dtype), argument(arg, dtype));
        module.add(&format!("fn {name}(at: u32{parameter}) -> {lane} {{\n{}  return {value};\n}}", self.statements));
    }
}

fn argument(arg: Arg, dtype: DType) -> String {
    match arg {
        Arg::Operand(k) => format!("x{k}"),
        Arg::Anchor => "anchor".to_owned(),
        Arg::Result(i) => format!("r{i}"),
        Arg::Literal(bits) => literal(f64::from_bits(bits), dtype),
    }
}

/// The dispatches of a region that runs alone.
pub fn alone(region: &Region) -> Vec<Dispatch> {
    let mut dispatches = Vec::new();
    if !region.stores.is_empty() && !region.shape.is_empty() {
        let mut module = Module::new();
        RegionText::new(&mut module, region, 0, "operand").stores(&mut module, None);
        let stores: Vec<(Operand, DType)> =
            region.stores.iter().enumerate().map(|(k, s)| (Operand::Output(k), s.1)).collect();
        dispatches.push(module.elementwise(region.shape.len(), &stores));
    }
    for k in 0..region.reductions.len() {
        dispatches.extend(reduction(region, k));
    }
    dispatches
}

/// Elements up to which one invocation reduces alone.
const FEW: usize = 32;

/// The dispatch of reduction `k` of a region; none where nothing is made.
fn reduction(region: &Region, k: usize) -> Option<Dispatch> {
    let reduction = &region.reductions[k];
    let shape: &[usize] = &region.shape;
    let reduced = |axis: &usize| region.reduce_axes.contains(axis);
    let straight = region.shape.strides();
    let part = |keep: bool| -> (Vec<usize>, Vec<usize>) {
        (0..shape.len()).filter(|a| reduced(a) != keep).map(|a| (shape[a], straight[a])).unzip()
    };
    let ((kept, kept_strides), (gone, gone_strides)) = (part(true), part(false));
    let (outputs, count): (usize, usize) = (kept.iter().product(), gone.iter().product());
    if outputs == 0 {
        return None;
    }
    let dtype = reduction.kind.result_dtype(reduction.dtype);
    let lane = lane_type(dtype);
    let mut module = Module::new();
    let text = RegionText::new(&mut module, region, 0, "operand");
    text.function(&mut module, "source", false, reduction.source, reduction.dtype);
    let (kind, identity) = (reduction.kind, identity(reduction.kind, dtype));
    module.add(&format!("fn combine(a: {lane}, b: {lane}) -> {lane} {{ return {}; }}", combine(kind, dtype)));
    let term = format!(
        "fn term(output: u32, i: u32) -> {lane} {{\n{}{}  return source({} + {});\n}}",
        coordinates("output", &kept, "k"),
        coordinates("i", &gone, "g"),
        offset(&kept, &kept_strides, "k"),
        offset(&gone, &gone_strides, "g"),
    );
    module.add(&term);
    let output = Operand::Output(region.stores.len() + k);
    if count <= FEW || dtype.size() < 4 {
        module.add(&values_struct(&[dtype]));
        module.add(&format!(
            "fn value(at: u32) -> Values {{\n  var total: {lane} = {identity};\n  \
             for (var i = 0u; i < {count}u; i = i + 1u) {{ total = combine(total, term(at, i)); }}\n  \
             return Values(total);\n}}"
        ));
        return Some(module.elementwise(outputs, &[(output, dtype)]));
    }
    let memory = module.bind(output);
    module.add(&tree(&format!("{count}u"), lane, &identity));
    module.add(&format!(
        "@compute @workgroup_size({WORKGROUP})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let output = group.y * COLUMNS + group.x;\n  if (output >= {outputs}u) {{ return; }}\n  \
         let total = reduce(output, lane);\n  \
         if (lane == 0u) {{ {memory}[output] = bitcast<u32>(total); }}\n}}"
    ));
    Some(module.finish(outputs))
}

/// `fn reduce(output, lane)`: what a workgroup reduces `term(output, 0..count)` to, in an order of its own. Calls to it
/// are uniform.
fn tree(count: &str, lane: &str, identity: &str) -> String {
    format!(
        "var<workgroup> partial: array<{lane}, {WORKGROUP}>;\n\
         fn reduce(output: u32, lane: u32) -> {lane} {{\n  \
         var total: {lane} = {identity};\n  \
         for (var i = lane; i < {count}; i = i + {WORKGROUP}u) {{ total = combine(total, term(output, i)); }}\n  \
         partial[lane] = total;\n  workgroupBarrier();\n  \
         for (var half = {}u; half > 0u; half = half / 2u) {{\n    \
         if (lane < half) {{ partial[lane] = combine(partial[lane], partial[lane + half]); }}\n    \
         workgroupBarrier();\n  }}\n  return partial[0];\n}}",
        WORKGROUP / 2
    )
}

fn identity(kind: ReduceKind, dtype: DType) -> String {
    match (kind, dtype.is_float()) {
        (ReduceKind::Max, false) => literal(f64::from(i32::MIN), dtype),
        (ReduceKind::Min, false) => literal(f64::from(i32::MAX), dtype),
        _ => literal(kind.identity(), dtype),
    }
}

fn combine(kind: ReduceKind, dtype: DType) -> &'static str {
    match (kind, dtype.is_float()) {
        (ReduceKind::Sum, _) => "a + b",
        (ReduceKind::Prod, _) => "a * b",
        (ReduceKind::Max, true) => "maximum_(a, b)",
        (ReduceKind::Min, true) => "minimum_(a, b)",
        (ReduceKind::Max, false) => "max(a, b)",
        (ReduceKind::Min, false) => "min(a, b)",
    }
}
