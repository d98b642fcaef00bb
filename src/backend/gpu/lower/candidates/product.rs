//! Candidates for sums of products: tiles of some sizes, whole or with the inner extent in parts, and the form for few rows.

use super::{Candidate, Context};
use crate::backend::gpu::caps::{Speed, Tier, Vendor};
use crate::backend::gpu::lower::attach::Attached;
use crate::backend::gpu::lower::contraction::{BLOCK, Contraction, Split, Tile, tiled};
use crate::backend::gpu::lower::shader::{Code, Dispatch, Module, Operand};
use crate::backend::gpu::lower::vector;
use crate::dtype::DType;
use crate::error::Result;

/// How the products of a candidate are cut.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The tile; `None` for few rows.
    pub tile: Option<Tile>,
    /// Whether the inner extent is cut into parts.
    pub split: bool,
    /// The share of the multiply-adds of a busy processor that it reaches, about.
    pub efficiency: f64,
}

const fn tile(rows: usize, cols: usize, own_rows: usize, own_cols: usize) -> Tile {
    Tile { rows, cols, own_rows, own_cols }
}

const fn form(tile: Tile, split: bool, efficiency: f64) -> Form {
    Form { tile: Some(tile), split, efficiency }
}

const LARGE: Tile = tile(128, 128, 8, 8);
const TALL: Tile = tile(128, 64, 8, 8);
const MIDDLE: Tile = tile(64, 64, 8, 4);
/// The smallest tile.
pub const SMALL: Tile = tile(32, 32, 4, 4);
const NARROW: Tile = tile(128, 16, 8, 4);

/// All forms, by the name of their kernel.
pub const FORMS: [(&str, Form); 11] = [
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
    ("gemm_vector", Form { tile: None, split: false, efficiency: 0.1 }),
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
    let mut found = Vec::new();
    for (name, form) in FORMS {
        let Some((cost, split)) = plan(&shapes, form, context) else { continue };
        let build = move || Ok(build(attached, &products()?, form, split, context.caps.vendor));
        found.push(Candidate { name, cost, build: Box::new(build) });
    }
    Ok(found)
}

/// What a form costs, in cycles of the device, and how it is cut; `None` where it does not fit.
pub fn plan(shapes: &[Contraction], form: Form, context: &Context) -> Option<(f64, Split)> {
    let (caps, speed) = (context.caps, context.caps.speed());
    let (lanes, shared) = match form.tile {
        Some(tile) => (tile.lanes(), tile.shared_bytes()),
        None => (256, vector::SHARED_BYTES),
    };
    if lanes > caps.invocations || shared > caps.shared_bytes {
        return None;
    }
    if form.tile.is_none() && shapes.iter().any(|c| c.rows > vector::ROWS) {
        return None;
    }
    let [only] = shapes else {
        let cost = shapes.iter().map(|c| cost(c, form, Split::whole(c.inner), &speed)).sum();
        return (!form.split).then(|| (cost, Split::whole(0)));
    };
    if !form.split {
        return Some((cost(only, form, Split::whole(only.inner), &speed), Split::whole(only.inner)));
    }
    let most = (only.inner / SHORTEST).min(PARTS).min(workspace_parts(only, context));
    let least = only.inner.div_ceil(LONGEST).max(2);
    let mut best: Option<(f64, Split)> = None;
    let mut parts = least;
    while parts <= most {
        let split = Split::of(only.inner, parts);
        let cycles = cost(only, form, split, &speed);
        if split.parts > 1 && best.is_none_or(|(least, _)| cycles < least) {
            best = Some((cycles, split));
        }
        parts = (parts * 3 / 2).max(parts + 1);
    }
    // Forced, any cut that has two parts will do.
    let forced = || Split::of(only.inner, 3);
    best.or_else(|| (context.forced.is_some() && forced().parts > 1).then(|| (f64::INFINITY, forced())))
}

/// Parts whose sums one binding holds.
fn workspace_parts(c: &Contraction, context: &Context) -> usize {
    (context.caps.tensor_bytes as usize / 4) / c.elements.max(1)
}

/// Cycles of one product.
fn cost(c: &Contraction, form: Form, split: Split, speed: &Speed) -> f64 {
    let (rows, cols, lanes) = match form.tile {
        Some(tile) => (tile.rows, tile.cols, tile.lanes()),
        None => (c.rows, vector::groups(c) * 4, 256),
    };
    let groups = (c.rows.div_ceil(rows) * c.cols.div_ceil(cols) * c.batch * split.parts) as f64;
    // Workgroups that the fullest processor runs, and how busy they keep it.
    let own = (groups / speed.units).ceil();
    let busy = (own * lanes as f64 / speed.busy).min(1.0);
    let inner = split.length.max(1).next_multiple_of(BLOCK) as f64;
    let compute = own * (rows * cols) as f64 * inner / (speed.products * form.efficiency * busy);
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
fn build(attached: &Attached, products: &[Contraction], form: Form, split: Split, vendor: Vendor) -> Code {
    let mut code = Code::default();
    for c in products {
        let mut module = Module::new();
        attached.inputs(&mut module, &[c.a.quads, c.b.quads]);
        if !form.split {
            attached.outputs(&mut module, c.stores_quads);
            code.dispatches.push(dispatch(module, c, form, Split::whole(c.inner), vendor));
            continue;
        }
        workspace_writer(&mut module, c.stores_quads);
        code.dispatches.push(dispatch(module, c, form, split, vendor));
        code.dispatches.push(summed(attached, c, split));
        code.workspace = code.workspace.max(split.parts * c.elements * 4);
    }
    code
}

fn dispatch(module: Module, c: &Contraction, form: Form, split: Split, vendor: Vendor) -> Dispatch {
    match form.tile {
        Some(tile) => tiled(module, c, tile, split, vendor),
        None => vector::dispatch(module, c, split),
    }
}

/// Adds `put`, or `put_4`, that stores in the workspace as it is.
pub fn workspace_writer(module: &mut Module, quads: bool) {
    let at = Operand::Workspace;
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
