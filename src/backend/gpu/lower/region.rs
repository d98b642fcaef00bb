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
    name: String,
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
    region.shape.len().is_multiple_of(4)
        && (row.is_multiple_of(4) || region.operands.iter().all(|o| is_in_order(region, &o.strides)))
}

/// Whether an operand of these strides is read in the order in which it lies, or is one element.
pub fn is_in_order(region: &Region, strides: &[usize]) -> bool {
    region.is_straight(strides) || is_scalar(strides, &region.shape)
}

fn is_scalar(strides: &[usize], shape: &[usize]) -> bool {
    strides.iter().zip(shape).all(|(&s, &n)| s == 0 || n == 1)
}

/// Elements of an operand of these strides.
pub fn elements(strides: &[usize], shape: &[usize]) -> usize {
    1 + strides.iter().zip(shape).map(|(s, n)| s * n.saturating_sub(1)).sum::<usize>()
}

impl<'a> RegionText<'a> {
    /// The text of `region`. `name` tells its functions from other regions'; `anchor` is the type of the heavy op's values, if
    /// the region is attached to one. With `quads` there will be functions of four elements.
    pub fn of(region: &'a Region, name: &str, anchor: Option<DType>, quads: bool) -> Self {
        debug_assert!(!quads || takes_quads(region));
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
        RegionText { region, name: name.to_owned(), code, anchor, quads }
    }

    /// As [`RegionText::of`], with the loaders of its operands, which are the step's inputs from `first` on, in `module`.
    pub fn new(
        module: &mut Module,
        region: &'a Region,
        first: usize,
        name: &str,
        anchor: Option<DType>,
        quads: bool,
    ) -> Self {
        let text = Self::of(region, name, anchor, quads);
        let operands: Vec<Operand> = (first..first + region.operands.len()).map(Operand::Input).collect();
        text.widen(module, &operands);
        text.loaders(module, &operands.into_iter().map(|at| (at, 0)).collect::<Vec<_>>());
        text
    }

    /// Declares those of `operands`, which are the region's, as arrays of vectors that are read in vectors. No text names them
    /// yet.
    fn widen(&self, module: &mut Module, operands: &[Operand]) {
        let region = self.region;
        for (operand, &at) in region.operands.iter().zip(operands) {
            let bytes = elements(&operand.strides, &region.shape) * operand.dtype.size();
            if self.quads && bytes.is_multiple_of(16) && !is_scalar(&operand.strides, &region.shape) {
                module.widen(at);
            }
        }
    }

    /// Adds `fn <name><k>(at: u32)` that gives an element of operand k, by its place in memory, which is `operands[k]` from some
    /// element on, and in quads `fn <name><k>_4(at: u32)`.
    pub fn loaders(&self, module: &mut Module, operands: &[(Operand, usize)]) {
        let name = &self.name;
        for (k, (operand, &(at, first))) in self.region.operands.iter().zip(operands).enumerate() {
            module.loader_by(&format!("{name}{k}"), at, operand.dtype, first as i64);
            if self.quads {
                module.quad_loader_by(&format!("{name}{k}_4"), at, operand.dtype, first as i64);
            }
        }
    }

    /// Statements that cut `at` into coordinates, if an operand's place depends on them.
    pub fn coordinates(&self) -> String {
        let region = self.region;
        match region.operands.iter().all(|o| is_in_order(region, &o.strides)) {
            true => String::new(),
            false => coordinates("at", &region.shape, "c"),
        }
    }

    /// The place of an operand's element that belongs to element `at`, behind [`RegionText::coordinates`].
    fn place(&self, strides: &[usize]) -> String {
        match self.region.is_straight(strides) {
            true => "at".to_owned(),
            false => offset(&self.region.shape, strides, "c"),
        }
    }

    /// Expressions of the elements of all operands that belong to element `at`, behind [`RegionText::coordinates`].
    pub fn values(&self) -> Vec<String> {
        let operands = self.region.operands.iter().enumerate();
        operands.map(|(k, o)| format!("{}{k}({})", self.name, self.place(&o.strides))).collect()
    }

    /// The same of the four elements from `at` on.
    pub fn quad_values(&self) -> Vec<String> {
        let name = &self.name;
        let operands = self.region.operands.iter().enumerate();
        let value = |(k, operand): (usize, &crate::fusion::region::Operand)| {
            let lane = lane_type(operand.dtype);
            match self.quad(&operand.strides, self.place(&operand.strides)) {
                Quad::Vector(at) => format!("{name}{k}_4({at})"),
                Quad::Same(at) => format!("vec4<{lane}>({name}{k}({at}))"),
                Quad::Steps(at, step) => {
                    let parts = (0..4).map(|e| format!("{name}{k}({at} + {}u)", e * step));
                    format!("vec4<{lane}>({})", parts.collect::<Vec<_>>().join(", "))
                }
            }
        };
        operands.map(value).collect()
    }

    /// Adds `fn <name>_code(x0, x1, …[, anchor]) -> <result>`, which gives `value`.
    pub fn code(&self, module: &mut Module, result: &str, value: &str) {
        let operands = self.region.operands.iter().enumerate();
        let mut parameters: Vec<String> = operands.map(|(k, o)| format!("x{k}: {}", lane_type(o.dtype))).collect();
        parameters.extend(self.anchor.map(|dtype| format!("anchor: {}", lane_type(dtype))));
        module.add(&format!(
            "fn {}_code({}) -> {result} {{\n{}  return {value};\n}}",
            self.name,
            parameters.join(", "),
            self.code
        ));
    }

    /// Adds `fn <name>_code(x0, x1, …[, anchor]) -> <result>`, and the functions that call it at elements: `fn
    /// <function>(at: u32[, anchor]) -> <result>` and, in quads, `fn <function>_4(at: u32[, anchor: vec4]) -> <many>`, where
    /// `many` is a type that is made of four results.
    fn functions(&self, module: &mut Module, function: &str, result: &str, value: &str, many: &str) {
        let Self { region, name, .. } = self;
        let lane = self.anchor.map(lane_type);
        self.code(module, result, value);
        let parameter = |of: &dyn Fn(&str) -> String| lane.map(|l| format!(", anchor: {}", of(l))).unwrap_or_default();
        let coordinates = self.coordinates();
        let mut args = self.values();
        args.extend(lane.map(|_| "anchor".to_owned()));
        module.add(&format!(
            "fn {function}(at: u32{}) -> {result} {{\n{coordinates}  return {name}_code({});\n}}",
            parameter(&str::to_owned),
            args.join(", ")
        ));
        if !self.quads {
            return;
        }
        let loads = self.quad_values().into_iter().enumerate();
        let loads: String = loads.map(|(k, value)| format!("  let x{k} = {value};\n")).collect();
        let mut places: Vec<String> = (0..region.operands.len()).map(|k| format!("x{k}")).collect();
        places.extend(lane.map(|_| "anchor".to_owned()));
        module.add(&format!(
            "fn {function}_4(at: u32{}) -> {many} {{\n{coordinates}{loads}  return {many}({});\n}}",
            parameter(&|lane| format!("vec4<{lane}>")),
            (0..4).map(|e| self.call(&places, e)).collect::<Vec<_>>().join(", ")
        ));
    }

    /// What tells its functions from other regions'.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A call of `<name>_code` with element `e` of each of `vectors`.
    pub fn call(&self, vectors: &[String], e: usize) -> String {
        let args: Vec<String> = vectors.iter().map(|x| format!("{x}[{e}]")).collect();
        format!("{}_code({})", self.name, args.join(", "))
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
        self.functions(module, function, structure, &fields(structure, values), "Quad");
    }

    /// Adds `fn <function>(at: u32[, anchor])` that gives one value, and what gives four in quads.
    pub fn function(&self, module: &mut Module, function: &str, arg: Arg, dtype: DType) {
        let lane = lane_type(dtype);
        self.functions(module, function, lane, &argument(arg, dtype), &format!("vec4<{lane}>"));
    }
}

/// A `structure` of `values`.
pub fn fields(structure: &str, values: &[(Arg, DType)]) -> String {
    let values: Vec<String> = values.iter().map(|&(arg, dtype)| argument(arg, dtype)).collect();
    format!("{structure}({})", values.join(", "))
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
