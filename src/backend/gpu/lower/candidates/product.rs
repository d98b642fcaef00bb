//! Candidates for sums of products: tiles of some sizes, of float32 or of halves, and on cooperative matrices, whole or with
//! the inner extent in parts, and the form for few rows.

use super::{Candidate, Context};
use crate::backend::gpu::caps::{Caps, Halves, Speed, Tier};
use crate::backend::gpu::lower::attach::Attached;
use crate::backend::gpu::lower::contraction::{BLOCK, Contraction, Split, Tile, tiled};
use crate::backend::gpu::lower::matrices::{self, Grid};
use crate::backend::gpu::lower::shader::{Code, Dispatch, Module, Operand};
use crate::backend::gpu::lower::staging::Element;
use crate::backend::gpu::lower::vector;
use crate::dtype::DType;
use crate::error::{Error, Result};

/// What computes the products of a candidate.
#[derive(Clone, Copy, Debug)]
pub enum Means {
    /// Lanes side by side over the summands of few rows.
    Rows,
    /// Tiles of float32.
    Tile(Tile),
    /// Tiles of the type of 16 bits that the product's layer computes in.
    Halves(Tile),
    /// Cooperative matrices of float16.
    Matrices(Grid),
}

/// How the products of a candidate are cut.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// What computes them.
    pub means: Means,
    /// Whether the inner extent is cut into parts.
    pub split: bool,
    /// The share of the multiply-adds of a busy processor that it reaches, about.
    pub efficiency: f64,
}

const fn tile(rows: usize, cols: usize, own_rows: usize, own_cols: usize) -> Tile {
    Tile { rows, cols, own_rows, own_cols }
}

impl Form {
    /// Rows and columns of a tile; none of the form for few rows.
    pub fn tile(&self) -> Option<[usize; 2]> {
        match self.means {
            Means::Rows => None,
            Means::Tile(tile) | Means::Halves(tile) => Some([tile.rows, tile.cols]),
            Means::Matrices(grid) => Some([grid.rows, grid.cols]),
        }
    }

    /// Whether it computes products whose operands may be rounded to `operands`.
    fn takes(&self, operands: Option<DType>, context: &Context) -> bool {
        let (caps, halves) = (context.caps, context.halves);
        match self.means {
            Means::Rows | Means::Tile(_) => true,
            Means::Halves(_) => halves.in_tiles() && operands.is_some_and(|dtype| dtype == DType::BF16 || caps.float16),
            Means::Matrices(_) => halves.on_matrices() && operands == Some(DType::F16) && caps.fragment.is_some(),
        }
    }

    /// Invocations and bytes of shared memory of a workgroup.
    fn needs(&self, element: Element, caps: &Caps) -> Option<[usize; 2]> {
        Some(match self.means {
            Means::Rows => [256, vector::SHARED_BYTES],
            Means::Tile(tile) => [tile.lanes(), tile.shared_bytes(Element::F32)],
            Means::Halves(tile) => [tile.lanes(), tile.shared_bytes(element)],
            Means::Matrices(grid) => [grid.lanes(caps.fragment?), grid.shared_bytes(caps.fragment?)],
        })
    }

    /// The rate of its multiply-adds, relative to those of float32.
    fn rate(&self, element: Element, speed: &Speed) -> f64 {
        match (self.means, element) {
            (Means::Rows | Means::Tile(_), _) | (Means::Halves(_), Element::F32) => 1.0,
            (Means::Halves(_), Element::F16 | Element::RoundedF16) => speed.float16,
            (Means::Halves(_), Element::BF16) => Speed::BFLOAT16,
            (Means::Matrices(_), _) => speed.matrices,
        }
    }
}

const fn form(tile: Tile, split: bool, efficiency: f64) -> Form {
    Form { means: Means::Tile(tile), split, efficiency }
}

const fn halves(tile: Tile, split: bool, efficiency: f64) -> Form {
    Form { means: Means::Halves(tile), split, efficiency }
}

const fn matrices(grid: Grid, split: bool, efficiency: f64) -> Form {
    Form { means: Means::Matrices(grid), split, efficiency }
}

const LARGE: Tile = tile(128, 128, 8, 8);
const TALL: Tile = tile(128, 64, 8, 8);
const MIDDLE: Tile = tile(64, 64, 8, 4);
/// The smallest tile.
pub const SMALL: Tile = tile(32, 32, 4, 4);
const NARROW: Tile = tile(128, 16, 8, 4);
const LARGE_GRID: Grid = Grid { rows: 128, cols: 128, cut: [4, 2] };
const MIDDLE_GRID: Grid = Grid { rows: 64, cols: 64, cut: [2, 2] };

/// All forms, by the name of their kernel.
pub const FORMS: [(&str, Form); 25] = [
    ("gemm_128x128", form(LARGE, false, 0.75)),
    ("gemm_128x64", form(TALL, false, 0.7)),
    ("gemm_64x64", form(MIDDLE, false, 0.55)),
    ("gemm_32x32", form(SMALL, false, 0.3)),
    ("gemm_128x128_split", form(LARGE, true, 0.75)),
    ("gemm_128x64_split", form(TALL, true, 0.7)),
    ("gemm_64x64_split", form(MIDDLE, true, 0.55)),
    ("gemm_32x32_split", form(SMALL, true, 0.3)),
    ("gemm_128x16", form(NARROW, false, 0.3)),
    ("gemm_128x16_split", form(NARROW, true, 0.3)),
    ("gemm_vector", Form { means: Means::Rows, split: false, efficiency: 0.1 }),
    ("half_128x128", halves(LARGE, false, 0.75)),
    ("half_128x64", halves(TALL, false, 0.7)),
    ("half_64x64", halves(MIDDLE, false, 0.55)),
    ("half_32x32", halves(SMALL, false, 0.3)),
    ("half_128x128_split", halves(LARGE, true, 0.75)),
    ("half_128x64_split", halves(TALL, true, 0.7)),
    ("half_64x64_split", halves(MIDDLE, true, 0.55)),
    ("half_32x32_split", halves(SMALL, true, 0.3)),
    ("half_128x16", halves(NARROW, false, 0.3)),
    ("half_128x16_split", halves(NARROW, true, 0.3)),
    ("matrix_128x128", matrices(LARGE_GRID, false, 0.5)),
    ("matrix_64x64", matrices(MIDDLE_GRID, false, 0.35)),
    ("matrix_128x128_split", matrices(LARGE_GRID, true, 0.5)),
    ("matrix_64x64_split", matrices(MIDDLE_GRID, true, 0.35)),
];

/// Summands that one invocation adds up in f32 at most, where parts can be summed apart.
const LONGEST: usize = 1 << 14;
/// The shortest part worth a workgroup of its own.
const SHORTEST: usize = 4 * BLOCK;
/// The most parts.
const PARTS: usize = 128;

/// The candidates that compute `products`, whose outputs together are the op's.
pub fn candidates<'a>(
    attached: &'a Attached<'a>,
    context: &'a Context<'a>,
    products: impl Fn() -> Result<Vec<Contraction>> + Copy + 'a,
) -> Result<Vec<Candidate<'a>>> {
    let shapes = products()?;
    let fits = shapes.iter().all(|c| c.stores_quads || attached.stores_words());
    if context.tier < Tier::Tiled || !fits || shapes.is_empty() {
        return Ok(Vec::new());
    }
    let operands = attached.task.operands;
    let element = operands.map_or(Element::F32, |dtype| Element::of(dtype, context.caps.vendor));
    let mut found = Vec::new();
    for (name, form) in FORMS.into_iter().filter(|(_, form)| form.takes(operands, context)) {
        let Some((cost, split)) = plan(&shapes, form, element, context) else { continue };
        let build = move || build(attached, &products()?, form, element, split, context.caps);
        found.push(Candidate { name, cost, build: Box::new(build) });
    }
    Ok(found)
}

/// Leaves those of `found` that `halves` forces, if there are any; says whether there are.
pub fn keep_forced(found: &mut Vec<Candidate>, halves: Halves) -> bool {
    let means = |c: &Candidate| FORMS.iter().find(|(name, _)| *name == c.name).map(|(_, form)| form.means);
    let matrices = |c: &Candidate| matches!(means(c), Some(Means::Matrices(_)));
    let tiles = |c: &Candidate| matches!(means(c), Some(Means::Halves(_)));
    if halves == Halves::Matrices && found.iter().any(matrices) {
        found.retain(matrices);
        return true;
    }
    let kept = halves.is_forced() && found.iter().any(tiles);
    found.retain(|c| !kept || tiles(c));
    kept
}

/// What a form costs, in cycles of the device, and how it is cut; `None` where it does not fit.
pub fn plan(shapes: &[Contraction], form: Form, element: Element, context: &Context) -> Option<(f64, Split)> {
    let (caps, speed) = (context.caps, context.caps.speed());
    let [lanes, shared] = form.needs(element, caps)?;
    let cost = |c: &Contraction, split| cost(c, form, lanes, split, form.rate(element, &speed), &speed);
    if lanes > caps.invocations || shared > caps.shared_bytes {
        return None;
    }
    if form.tile().is_none() && shapes.iter().any(|c| c.rows > vector::ROWS) {
        return None;
    }
    let [only] = shapes else {
        let cost = shapes.iter().map(|c| cost(c, Split::whole(c.inner))).sum();
        return (!form.split).then(|| (cost, Split::whole(0)));
    };
    if !form.split {
        return Some((cost(only, Split::whole(only.inner)), Split::whole(only.inner)));
    }
    let room = workspace_parts(only, context);
    let most = (only.inner / SHORTEST).min(PARTS).min(room);
    let least = only.inner.div_ceil(LONGEST).max(2);
    let mut best: Option<(f64, Split)> = None;
    let mut parts = least;
    while parts <= most {
        let split = Split::of(only.inner, parts);
        let cycles = cost(only, split);
        if split.parts > 1 && best.is_none_or(|(least, _)| cycles < least) {
            best = Some((cycles, split));
        }
        parts = (parts * 3 / 2).max(parts + 1);
    }
    // Forced, any cut that has two parts will do.
    let forced = || Split::of(only.inner, 3);
    best.or_else(|| {
        (context.forced.is_some() && (2..=room).contains(&forced().parts)).then(|| (f64::INFINITY, forced()))
    })
}

/// Parts whose sums one binding holds.
fn workspace_parts(c: &Contraction, context: &Context) -> usize {
    (context.caps.tensor_bytes as usize / 4) / c.elements.max(1)
}

/// Cycles of one product.
fn cost(c: &Contraction, form: Form, lanes: usize, split: Split, rate: f64, speed: &Speed) -> f64 {
    let [rows, cols] = form.tile().unwrap_or([c.rows, vector::groups(c) * 4]);
    let groups = (c.rows.div_ceil(rows) * c.cols.div_ceil(cols) * c.batch * split.parts) as f64;
    // Workgroups that the fullest processor runs, and how busy they keep it.
    let own = (groups / speed.units).ceil();
    let busy = (own * lanes as f64 / speed.busy).min(1.0);
    let inner = split.length.max(1).next_multiple_of(BLOCK) as f64;
    let compute = own * (rows * cols) as f64 * inner / (speed.products * rate * form.efficiency * busy);
    // A long sum in one piece loses digits: it is dear.
    let exact = if split.length > LONGEST { 4.0 } else { 1.0 };
    let partial = if split.parts > 1 { (2 * split.parts * c.elements * 4) as f64 } else { 0.0 };
    let dispatches = if split.parts > 1 { 2.0 } else { 1.0 };
    compute * exact + partial / (speed.units * speed.bytes) + dispatches * speed.dispatch
}

/// Cycles of the same element by element.
pub fn plain_cost(elements: usize, inner: usize, speed: &Speed) -> f64 {
    const LANES: f64 = 64.0;
    const EFFICIENCY: f64 = 0.04;
    let own = (elements as f64 / LANES / speed.units).ceil();
    let busy = (own * LANES / speed.busy).min(1.0);
    let exact = if inner > LONGEST { 4.0 } else { 1.0 };
    own * LANES * inner as f64 / (speed.products * EFFICIENCY * busy) * exact + speed.dispatch
}

/// The dispatches of `products`.
fn build(
    attached: &Attached,
    products: &[Contraction],
    form: Form,
    element: Element,
    split: Split,
    caps: &Caps,
) -> Result<Code> {
    let mut code = Code::default();
    for c in products {
        let mut module = Module::new();
        attached.inputs(&mut module, &[c.a.quads, c.b.quads]);
        if !form.split {
            attached.outputs(&mut module, c.stores_quads);
            code.dispatches.push(dispatch(module, c, form, element, Split::whole(c.inner), caps)?);
            continue;
        }
        writer(&mut module, Operand::Workspace, c.stores_quads);
        code.dispatches.push(dispatch(module, c, form, element, split, caps)?);
        code.dispatches.push(summed(attached, c, split));
        code.workspace = code.workspace.max(split.parts * c.elements * 4);
    }
    Ok(code)
}

fn dispatch(
    module: Module,
    c: &Contraction,
    form: Form,
    element: Element,
    split: Split,
    caps: &Caps,
) -> Result<Dispatch> {
    let none = || Error::state("the device multiplies no cooperative matrices");
    Ok(match form.means {
        Means::Rows => vector::dispatch(module, c, split),
        Means::Tile(tile) => tiled(module, c, tile, Element::F32, split, caps.vendor),
        Means::Halves(tile) => tiled(module, c, tile, element, split, caps.vendor),
        Means::Matrices(grid) => matrices::dispatch(module, c, grid, element, caps.fragment.ok_or_else(none)?, split),
    })
}

/// Adds `put`, or `put_4`, that stores in `at`, which is the step's own, as it is.
pub fn writer(module: &mut Module, at: Operand, quads: bool) {
    if quads {
        module.widen(at);
        let store = module.store_quad(at, DType::F32, "at", &[0, 1, 2, 3].map(|e| format!("x[{e}]")));
        module.add(&format!("fn put_4(at: u32, x: vec4<f32>) {{ {store} }}"));
    } else {
        let store = module.store_word(at, DType::F32, "at", "x");
        module.add(&format!("fn put(at: u32, x: f32) {{ {store} }}"));
    }
}

/// The dispatch that adds up parts in order, and does what is attached to the sums.
fn summed(attached: &Attached, c: &Contraction, split: Split) -> Dispatch {
    let mut module = Module::new();
    let quads = attached.stores_quads() && c.elements.is_multiple_of(4);
    let (suffix, value, zero) = if quads { ("_4", "vec4<f32>", "vec4<f32>(0.0)") } else { ("", "f32", "0.0") };
    if quads {
        module.widen(Operand::Workspace);
        module.quad_loader("part_4", Operand::Workspace, DType::F32);
    } else {
        module.loader("part", Operand::Workspace, DType::F32);
    }
    module.add(&format!(
        "fn anchor{suffix}(at: u32) -> {value} {{\n  var sum = {zero};\n  \
         for (var p = 0u; p < {}u; p = p + 1u) {{ sum = sum + part{suffix}(p * {}u + at); }}\n  return sum;\n}}",
        split.parts, c.elements
    ));
    attached.elementwise(module, quads)
}
