//! Regions as WGSL: stand-alone kernels, and functions that heavy kernels call on what they read and make.

use super::functions;
use super::shader::{Dispatch, Module, Operand, coordinates, lane_type, literal, offset, values_struct};
use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use std::fmt::Write;

/// A region as text, with its operands bound: the statements that compute it of the elements `x<k>` of its operands and,
/// where it is attached, of `anchor`.
pub struct RegionText<'a> {
    region: &'a Region,
    /// Tells its functions from other regions'.
    name: &'static str,
    code: String,
    /// What stands before the type of a lane of the heavy op, if the region is attached to one.
    anchor: Option<DType>,
    quads: bool,
}

/// How the four elements of an operand lie that a quad reads.
enum Quad {
    /// Behind each other, from this element on.
    Vector(String),
    /// All at one place.
    Same(String),
    /// By steps of this many elements.
    Steps(String, usize),
}

/// Whether `region` can be computed in quads: elements 4k to 4k + 3 lie in one row, or all operands are read in order.
pub fn takes_quads(region: &Region) -> bool {
    let row = region.shape.last().copied().unwrap_or(1);
    let in_order = |strides: &[usize]| region.is_straight(strides) || is_scalar(strides, &region.shape);
    region.shape.len().is_multiple_of(4)
        && (row.is_multiple_of(4) || region.operands.iter().all(|o| in_order(&o.strides)))
}

fn is_scalar(strides: &[usize], shape: &[usize]) -> bool {
    strides.iter().zip(shape).all(|(&s, &n)| s == 0 || n == 1)
}

/// Elements of an operand of these strides.
fn elements(strides: &[usize], shape: &[usize]) -> usize {
    1 + strides.iter().zip(shape).map(|(s, n)| s * n.saturating_sub(1)).sum::<usize>()
}

impl<'a> RegionText<'a> {
    /// Adds the loaders of the region's operands, which are the step's inputs from `first` on, to `module`. `name` tells
    /// them from other regions'; `anchor` is the type of the heavy op's values, if the region is attached to one. With
    /// `quads` there will be functions of four elements.
    pub fn new(
        module: &mut Module,
        region: &'a Region,
        first: usize,
        name: &'static str,
        anchor: Option<DType>,
        quads: bool,
    ) -> Self {
        debug_assert!(!quads || takes_quads(region));
        for (k, operand) in region.operands.iter().enumerate() {
            let (at, strides) = (Operand::Input(first + k), &operand.strides);
            let bytes = elements(strides, &region.shape) * operand.dtype.size();
            if quads && bytes.is_multiple_of(16) && !is_scalar(strides, &region.shape) {
                module.widen(at);
            }
            module.loader(&format!("{name}{k}"), at, operand.dtype);
            if quads {
                module.quad_loader(&format!("{name}{k}_4"), at, operand.dtype);
            }
        }
        let mut code = String::new();
        for (i, instruction) in region.code.iter().enumerate() {
            let args: Vec<String> = instruction
                .args
                .iter()
                .enumerate()
                .map(|(n, arg)| argument(*arg, functions::argument_dtype(instruction, n)))
                .collect();
            let value = functions::apply(instruction, &args);
            let _ = writeln!(code, "  let r{i}: {} = {value};", lane_type(instruction.dtype));
        }
        RegionText { region, name, code, anchor, quads }
    }

    /// Statements that cut `at` into coordinates, if an operand's place depends on them.
    fn coordinates(&self) -> String {
        let region = self.region;
        let in_order =
            |o: &crate::fusion::region::Operand| region.is_straight(&o.strides) || is_scalar(&o.strides, &region.shape);
        match region.operands.iter().all(in_order) {
            true => String::new(),
            false => coordinates("at", &region.shape, "c"),
        }
    }

    /// Adds `fn <name>_code(x0, x1, …[, anchor]) -> <result>`, and the functions that call it at elements: `fn
    /// <function>(at: u32[, anchor]) -> <result>` and, in quads, `fn <function>_4(at: u32[, anchor: vec4]) -> <many>`, where
    /// `many` is a type that is made of four results.
    fn functions(&self, module: &mut Module, function: &str, result: &str, value: &str, many: &str) {
        let Self { region, name, .. } = self;
        let lane = self.anchor.map(lane_type);
        let operands = region.operands.iter().enumerate();
        let mut parameters: Vec<String> = operands.map(|(k, o)| format!("x{k}: {}", lane_type(o.dtype))).collect();
        parameters.extend(lane.map(|lane| format!("anchor: {lane}")));
        module.add(&format!(
            "fn {name}_code({}) -> {result} {{\n{}  return {value};\n}}",
            parameters.join(", "),
            self.code
        ));
        let parameter = |of: &dyn Fn(&str) -> String| lane.map(|l| format!(", anchor: {}", of(l))).unwrap_or_default();
        let coordinates = self.coordinates();
        let at = |strides: &[usize]| match region.is_straight(strides) {
            true => "at".to_owned(),
            false => offset(&region.shape, strides, "c"),
        };
        let mut args: Vec<String> =
            region.operands.iter().enumerate().map(|(k, o)| format!("{name}{k}({})", at(&o.strides))).collect();
        args.extend(lane.map(|_| "anchor".to_owned()));
        module.add(&format!(
            "fn {function}(at: u32{}) -> {result} {{\n{coordinates}  return {name}_code({});\n}}",
            parameter(&str::to_owned),
            args.join(", ")
        ));
        if !self.quads {
            return;
        }
        let mut loads = String::new();
        let mut places = Vec::new();
        for (k, operand) in region.operands.iter().enumerate() {
            let lane = lane_type(operand.dtype);
            let value = match self.quad(&operand.strides, at(&operand.strides)) {
                Quad::Vector(at) => format!("{name}{k}_4({at})"),
                Quad::Same(at) => format!("vec4<{lane}>({name}{k}({at}))"),
                Quad::Steps(at, step) => {
                    let parts = (0..4).map(|e| format!("{name}{k}({at} + {}u)", e * step));
                    format!("vec4<{lane}>({})", parts.collect::<Vec<_>>().join(", "))
                }
            };
            let _ = writeln!(loads, "  let x{k} = {value};");
            places.push(format!("x{k}"));
        }
        places.extend(lane.map(|_| "anchor".to_owned()));
        let calls = (0..4).map(|e| {
            let args: Vec<String> = places.iter().map(|x| format!("{x}[{e}]")).collect();
            format!("{name}_code({})", args.join(", "))
        });
        module.add(&format!(
            "fn {function}_4(at: u32{}) -> {many} {{\n{coordinates}{loads}  return {many}({});\n}}",
            parameter(&|lane| format!("vec4<{lane}>")),
            calls.collect::<Vec<_>>().join(", ")
        ));
    }

    fn quad(&self, strides: &[usize], at: String) -> Quad {
        let region = self.region;
        let last = strides.last().copied().unwrap_or(0);
        let aligned = strides.iter().rev().skip(1).all(|s| s.is_multiple_of(4));
        match (region.is_straight(strides), last) {
            (true, _) => Quad::Vector(at),
            (_, 0) => Quad::Same(at),
            (_, 1) if aligned => Quad::Vector(at),
            // Places of an operand that is one element do not depend on coordinates.
            _ if is_scalar(strides, &region.shape) => Quad::Same(at),
            (_, step) => Quad::Steps(at, step),
        }
    }

    /// Adds the structure `Values` and `fn value(at: u32) -> Values`, or `fn attached(at: u32, anchor) -> Values`, that
    /// gives the stores; in quads also `Quad` of four `Values`, and what gives it.
    pub fn stores(&self, module: &mut Module) {
        let dtypes: Vec<DType> = self.region.stores.iter().map(|s| s.1).collect();
        module.add(&values_struct(&dtypes));
        if self.quads {
            module.add("struct Quad { e0: Values, e1: Values, e2: Values, e3: Values }");
        }
        let function = if self.anchor.is_some() { "attached" } else { "value" };
        self.results(module, function, "Values", &self.region.stores);
    }

    /// Adds `fn <function>(at: u32[, anchor]) -> <structure>` that gives `values` as its fields.
    pub fn results(&self, module: &mut Module, function: &str, structure: &str, values: &[(Arg, DType)]) {
        let values: Vec<String> = values.iter().map(|&(arg, dtype)| argument(arg, dtype)).collect();
        self.functions(module, function, structure, &format!("{structure}({})", values.join(", ")), "Quad");
    }

    /// Adds `fn <function>(at: u32[, anchor])` that gives one value, and what gives four in quads.
    pub fn function(&self, module: &mut Module, function: &str, arg: Arg, dtype: DType) {
        let lane = lane_type(dtype);
        self.functions(module, function, lane, &argument(arg, dtype), &format!("vec4<{lane}>"));
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

/// The dispatch of what a region stores, if it stores anything.
pub fn stores(region: &Region) -> Option<Dispatch> {
    if region.stores.is_empty() || region.shape.is_empty() {
        return None;
    }
    let mut module = Module::new();
    let quads = takes_quads(region);
    let stores: Vec<(Operand, DType)> =
        region.stores.iter().enumerate().map(|(k, s)| (Operand::Output(k), s.1)).collect();
    if quads {
        stores.iter().filter(|s| s.1.size() == 4).for_each(|s| module.widen(s.0));
    }
    RegionText::new(&mut module, region, 0, "operand", None, quads).stores(&mut module);
    let count = region.shape.len();
    Some(if quads { module.by_quads(count, &stores) } else { module.elementwise(count, &stores) })
}
