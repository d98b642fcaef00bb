//! Convolutions by 3×3 filters of stride 1 over tiles of 2×2 (Winograd 1980; Lavin and Gray 2016): 16 products for the 36 of
//! the definition. Tiles of 4×4 pixels are transformed into the workspace, the filters into memory of their own, which is kept
//! as long as they stay; one batch of 16 products of matrices follows, and tiles of its results are transformed back. The
//! filters' gradient has the outputs' gradient in place of the filters, and sums over tiles. All three interpolate at 0, 1, −1
//! and infinity.

use super::conv2d::{Geometry, Pass};
use super::product::{self, FORMS, Means, writer};
use super::{Candidate, Context};
use crate::backend::gpu::caps::{Tier, Vendor};
use crate::backend::gpu::lower::attach::Attached;
use crate::backend::gpu::lower::contraction::{Contraction, Side, Split, Tile, matrix_side, tiled};
use crate::backend::gpu::lower::shader::{Code, Dispatch, Module, Operand, Packing, WORKGROUP};
use crate::backend::gpu::lower::staging::Element;
use crate::dtype::DType;
use crate::error::Result;
use crate::precision::Precision;
use crate::schedule::{Packed, PackedLayout};
use std::fmt::Write;
use std::ops::Range;

/// The kernel's name.
pub const NAME: &str = "winograd_2x2";

/// Points of a transformed tile.
const POINTS: usize = 16;
/// The most bytes of the workspace: larger batches are computed in turns.
const BYTES: usize = 1 << 29;
/// The same where the device is the processor: what its caches hold.
const BYTES_SOFTWARE: usize = 1 << 18;
/// The most turns, each of which has kernels of its own.
const TURNS: usize = 8;

/// What brings four pixels, three filter taps, two gradients to four points, and four points to two outputs or three taps.
const PIXELS: &[&[f64]] =
    &[&[1.0, 0.0, -1.0, 0.0], &[0.0, 1.0, 1.0, 0.0], &[0.0, -1.0, 1.0, 0.0], &[0.0, -1.0, 0.0, 1.0]];
const TAPS: &[&[f64]] = &[&[1.0, 0.0, 0.0], &[0.5, 0.5, 0.5], &[0.5, -0.5, 0.5], &[0.0, 0.0, 1.0]];
const GRADS: &[&[f64]] = &[&[1.0, 0.0], &[0.5, 0.5], &[0.5, -0.5], &[0.0, 1.0]];
const OUTPUTS: &[&[f64]] = &[&[1.0, 1.0, 1.0, 0.0], &[0.0, 1.0, -1.0, 1.0]];
const TAP_SUMS: &[&[f64]] = &[&[1.0, 1.0, 1.0, 0.0], &[0.0, 1.0, -1.0, 0.0], &[0.0, 1.0, 1.0, 1.0]];

/// A convolution with its tiles.
#[derive(Clone, Copy)]
struct Tiles {
    g: Geometry,
    pass: Pass,
    /// Height, width and channels of what is read in tiles of 4×4.
    source: [usize; 3],
    /// The same of what is made, or for filters' gradients read, in tiles of 2×2.
    result: [usize; 3],
    /// Rows and columns before the first pixel of the source.
    before: [i64; 2],
    /// Tiles of an image, along both axes.
    across: [usize; 2],
    /// Images of a turn.
    images: usize,
    /// How the products are cut.
    tile: Tile,
    split: Split,
}

impl Tiles {
    fn new(g: Geometry, pass: Pass) -> Self {
        let image = [g.image[0], g.image[1], g.in_c];
        let out = [g.out[0], g.out[1], g.out_c];
        let (source, result, before) = match pass {
            Pass::InputGrad => (out, image, g.before.map(|n| 2 - n as i64)),
            _ => (image, out, g.before.map(|n| n as i64)),
        };
        let across = [result[0].div_ceil(2), result[1].div_ceil(2)];
        let (tile, split) = (product::SMALL, Split::whole(0));
        Tiles { g, pass, source, result, before, across, images: g.batch, tile, split }
    }

    fn turns(&self) -> usize {
        self.g.batch.div_ceil(self.images)
    }

    /// The images of turn `n`.
    fn turn(&self, n: usize) -> Range<usize> {
        n * self.images..((n + 1) * self.images).min(self.g.batch)
    }

    fn tiles(&self, images: usize) -> usize {
        images * self.across[0] * self.across[1]
    }

    /// First elements of the tiles, of the gradients that they are multiplied with, and of the products, and all elements of
    /// the workspace.
    fn layout(&self) -> [usize; 4] {
        let [channels, others] = [self.source[2], self.result[2]];
        let tiles = self.tiles(self.images);
        let (grads, products) = match self.pass {
            Pass::FilterGrad => (tiles * others, self.turns() * self.split.parts * channels * others),
            _ => (0, tiles * others),
        };
        let sizes = [tiles * channels, grads, products].map(|n| n * POINTS);
        [0, sizes[0], sizes[0] + sizes[1], sizes.iter().sum()]
    }

    /// Elements of the transformed filters, which lie apart: they stay where the filters do.
    fn filters(&self) -> usize {
        match self.pass {
            Pass::FilterGrad => 0,
            _ => POINTS * self.g.in_c * self.g.out_c,
        }
    }

    /// Elements of all that is transformed, and of the products.
    fn elements(&self) -> usize {
        self.layout()[3] + self.filters()
    }

    /// The products of a turn.
    fn contraction(&self, turn: usize) -> Contraction {
        let [first, grads, products, _] = self.layout();
        let [channels, others] = [self.source[2], self.result[2]];
        let tiles = self.tiles(self.turn(turn).len());
        let side = |reader, base: usize, step: usize, [lines, line_step, inner_step]: [usize; 3]| Side {
            text: matrix_side("", &format!("{base}u + batch * {step}u"), lines, line_step, inner_step),
            reader,
            along_lines: line_step == 1,
            quads: true,
        };
        let (rows, inner, a, b) = match self.pass {
            Pass::Forward => (
                tiles,
                channels,
                side("work", first, tiles * channels, [tiles, channels, 1]),
                side("filters", 0, channels * others, [others, 1, others]),
            ),
            // The filters stay as they lie: the channels of the image are their lines.
            Pass::InputGrad => (
                tiles,
                channels,
                side("work", first, tiles * channels, [tiles, channels, 1]),
                side("filters", 0, channels * others, [others, channels, 1]),
            ),
            Pass::FilterGrad => (
                channels,
                tiles,
                side("work", first, tiles * channels, [channels, 1, channels]),
                side("work", grads, tiles * others, [others, 1, others]),
            ),
        };
        let elements = POINTS * rows * others;
        let start = match self.pass {
            Pass::FilterGrad => products + turn * self.split.parts * elements,
            _ => products,
        };
        Contraction {
            batch: POINTS,
            rows,
            cols: others,
            inner,
            a,
            b,
            place: format!(
                "fn place(batch: u32, row: u32, col: u32) -> u32 {{ return {start}u + (batch * {rows}u + row) * \
                 {others}u + col; }}"
            ),
            stores_quads: true,
            elements,
        }
    }
}

/// The candidate of a convolution, if this form fits it.
///
/// # Errors
/// When sizes do not fit.
pub fn candidate<'a>(attached: &'a Attached<'a>, context: &'a Context<'a>) -> Result<Option<Candidate<'a>>> {
    let (g, pass) = Geometry::of(&attached.task)?;
    let plain_windows = g.kernel == [3, 3] && g.stride == [1, 1] && g.dilation == [1, 1] && g.groups == 1;
    let in_quads = g.in_c.is_multiple_of(4) && g.out_c.is_multiple_of(4);
    let attaches = attached.reads_quads() && attached.stores_quads();
    let allowed = context.tier >= Tier::Winograd && context.precision == Precision::Fast;
    if !(allowed && plain_windows && in_quads && attaches && g.is_ordinary()) {
        return Ok(None);
    }
    let mut tiles = Tiles::new(g, pass);
    let bytes = if context.caps.vendor == Vendor::Software { BYTES_SOFTWARE } else { BYTES };
    let limit = bytes.min(context.caps.tensor_bytes as usize);
    while tiles.elements() > limit / 4 && tiles.images > 1 {
        tiles.images = tiles.images.div_ceil(2);
    }
    let mut best: Option<f64> = None;
    let whole = tiles.contraction(0);
    for (_, form) in FORMS {
        let Means::Tile(tile) = form.means else { continue };
        // Only sums over tiles are long enough to be cut.
        if form.split && pass != Pass::FilterGrad {
            continue;
        }
        let context = Context { forced: None, ..*context };
        let found = product::plan(std::slice::from_ref(&whole), form, Element::F32, &context);
        if let Some((cost, split)) = found
            && best.is_none_or(|least| cost < least)
        {
            best = Some(cost);
            (tiles.tile, tiles.split) = (tile, split);
        }
    }
    let Some(products) = best.filter(|_| tiles.elements() <= limit / 4 && tiles.turns() <= TURNS) else {
        return Ok(None);
    };
    let speed = context.caps.speed();
    let moved = 2 * tiles.elements() * 4 * tiles.turns();
    let cost = products * tiles.turns() as f64 + moved as f64 / (speed.units * speed.bytes) + 3.0 * speed.dispatch;
    let build = move || Ok(build(attached, &tiles, context));
    Ok(Some(Candidate { name: NAME, cost, build: Box::new(build) }))
}

fn build(attached: &Attached, tiles: &Tiles, context: &Context) -> Code {
    let mut dispatches = Vec::new();
    for turn in 0..tiles.turns() {
        dispatches.push(pixels(attached, tiles, turn));
        if tiles.pass == Pass::FilterGrad {
            dispatches.push(grads(attached, tiles, turn));
        }
        let mut module = Module::new();
        writer(&mut module, Operand::Workspace, true);
        module.loader("work", Operand::Workspace, DType::F32);
        module.quad_loader("work_4", Operand::Workspace, DType::F32);
        if tiles.pass != Pass::FilterGrad {
            module.widen(Operand::Packed);
            module.loader("filters", Operand::Packed, DType::F32);
            module.quad_loader("filters_4", Operand::Packed, DType::F32);
        }
        let c = tiles.contraction(turn);
        let split = if tiles.split.parts > 1 {
            // A turn of fewer images has as many parts, of which some may be empty.
            tiles.split
        } else {
            Split::whole(c.inner)
        };
        dispatches.push(tiled(module, &c, tiles.tile, Element::F32, split, context.caps.vendor));
        if tiles.pass != Pass::FilterGrad {
            dispatches.push(outputs(attached, tiles, turn));
        }
    }
    if tiles.pass == Pass::FilterGrad {
        dispatches.push(tap_sums(attached, tiles));
    }
    let packing = (tiles.pass != Pass::FilterGrad).then(|| {
        let turned = usize::from(tiles.pass == Pass::InputGrad);
        let layout = PackedLayout::new(NAME, [tiles.g.in_c, tiles.g.out_c, turned]);
        let packed = Packed { operand: 1, bytes: tiles.filters() * 4, layout };
        Packing { dispatches: vec![filters(attached, tiles)], packed }
    });
    Code { packing, ..Code::new(dispatches, tiles.layout()[3] * 4) }
}

/// Prints M x Mᵀ of the values `<from><i>_<j>`, as `<to><i>_<j>`.
fn sandwich(matrix: &[&[f64]], from: &str, to: &str) -> String {
    let sum = |row: &[f64], name: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for (k, &factor) in row.iter().enumerate().filter(|(_, factor)| **factor != 0.0) {
            let sign = if factor < 0.0 { " - " } else { " + " };
            text.push_str(if text.is_empty() && factor > 0.0 { "" } else { sign });
            match factor.abs() {
                1.0 => text.push_str(&name(k)),
                size => {
                    let _ = write!(text, "{size:?} * {}", name(k));
                }
            }
        }
        text
    };
    let (rows, cols) = (matrix.len(), matrix[0].len());
    let mut text = String::new();
    for (i, row) in matrix.iter().enumerate() {
        for j in 0..cols {
            let _ = writeln!(text, "  let {to}h{i}_{j} = {};", sum(row, &|k| format!("{from}{k}_{j}")));
        }
    }
    for i in 0..rows {
        for (j, row) in matrix.iter().enumerate() {
            let _ = writeln!(text, "  let {to}{i}_{j} = {};", sum(row, &|k| format!("{to}h{i}_{k}")));
        }
    }
    text
}

/// A dispatch of `count` invocations, numbered `at`.
fn each(mut module: Module, count: usize, body: &str) -> Dispatch {
    module.add(&format!(
        "@compute @workgroup_size({WORKGROUP})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let at = (group.y * COLUMNS + group.x) * {WORKGROUP}u + lane;\n  if (at >= {count}u) {{ return; }}\n{body}}}"
    ));
    module.finish(count.div_ceil(WORKGROUP as usize))
}

/// Statements that store the 16 points `u<i>_<j>` of element `element`, `step` elements from point to point.
fn points_stored(first: usize, step: usize, element: &str) -> String {
    (0..POINTS).map(|k| format!("  put_4({}u + {element}, u{}_{});\n", first + k * step, k / 4, k % 4)).collect()
}

/// Statements that cut `at` into the first of four channels `c` and the tile: `n`, `p`, `q`, and its number `tile`.
fn tile_of(channels: usize, across: [usize; 2]) -> String {
    format!(
        "  let c = (at % {quads}u) * 4u;\n  let tile = at / {quads}u;\n  let q = tile % {}u;\n  \
         let p = (tile / {}u) % {}u;\n  let n = tile / {}u;\n",
        across[1],
        across[1],
        across[0],
        across[0] * across[1],
        quads = channels / 4
    )
}

/// Statements that read `size`² pixels of a tile as `x<i>_<j>`, 0 outside of the image.
fn tile_read(reader: &str, image: [usize; 3], before: [i64; 2], size: usize, first_image: usize) -> String {
    let [height, width, channels] = image;
    let mut text = format!("  let image = (n + {first_image}u) * {}u + c;\n", height * width * channels);
    for i in 0..size {
        let _ = writeln!(text, "  let row{i} = u32(i32(p * 2u) + {}i);", i as i64 - before[0]);
        let _ = writeln!(text, "  let col{i} = u32(i32(q * 2u) + {}i);", i as i64 - before[1]);
    }
    for i in 0..size {
        for j in 0..size {
            let inside = format!("row{i} < {height}u && col{j} < {width}u");
            let at = format!("image + (row{i} * {width}u + col{j}) * {channels}u");
            let _ = writeln!(text, "  let in{i}_{j} = {inside};");
            let _ = writeln!(
                text,
                "  let x{i}_{j} = select(vec4<f32>(0.0), {reader}_4(select(0u, {at}, in{i}_{j})), in{i}_{j});"
            );
        }
    }
    text
}

/// Tiles of 4×4 pixels of the images of a turn.
fn pixels(attached: &Attached, tiles: &Tiles, turn: usize) -> Dispatch {
    let images = tiles.turn(turn);
    let channels = tiles.source[2];
    let count = tiles.tiles(images.len());
    let mut module = Module::new();
    attached.input(&mut module, 0, true);
    writer(&mut module, Operand::Workspace, true);
    let body = format!(
        "{}{}{}{}",
        tile_of(channels, tiles.across),
        tile_read("input0", tiles.source, tiles.before, 4, images.start),
        sandwich(PIXELS, "x", "u"),
        points_stored(tiles.layout()[0], count * channels, &format!("tile * {channels}u + c")),
    );
    each(module, count * channels / 4, &body)
}

/// Tiles of 2×2 of the output's gradient.
fn grads(attached: &Attached, tiles: &Tiles, turn: usize) -> Dispatch {
    let images = tiles.turn(turn);
    let channels = tiles.result[2];
    let count = tiles.tiles(images.len());
    let mut module = Module::new();
    attached.input(&mut module, 1, true);
    writer(&mut module, Operand::Workspace, true);
    let body = format!(
        "{}{}{}{}",
        tile_of(channels, tiles.across),
        tile_read("input1", tiles.result, [0, 0], 2, images.start),
        sandwich(GRADS, "x", "u"),
        points_stored(tiles.layout()[1], count * channels, &format!("tile * {channels}u + c")),
    );
    each(module, count * channels / 4, &body)
}

/// The filters, for the input's gradient turned by half a circle.
fn filters(attached: &Attached, tiles: &Tiles) -> Dispatch {
    let size = tiles.g.in_c * tiles.g.out_c;
    let mut module = Module::new();
    attached.input(&mut module, 1, true);
    writer(&mut module, Operand::Packed, true);
    let mut body = "  let pair = at * 4u;\n".to_owned();
    for k in 0..9 {
        let tap = if tiles.pass == Pass::InputGrad { 8 - k } else { k };
        let _ = writeln!(body, "  let x{}_{} = input1_4({}u + pair);", k / 3, k % 3, tap * size);
    }
    body.push_str(&sandwich(TAPS, "x", "u"));
    body.push_str(&points_stored(0, size, "pair"));
    each(module, size / 4, &body)
}

/// Reads of the 16 points `x<i>_<j>` of element `element`.
fn points_read(first: usize, step: usize, element: &str) -> String {
    (0..POINTS).map(|k| format!("  let x{}_{} = work_4({}u + {element});\n", k / 4, k % 4, first + k * step)).collect()
}

/// Tiles of 2×2 of the output of the images of a turn.
fn outputs(attached: &Attached, tiles: &Tiles, turn: usize) -> Dispatch {
    let images = tiles.turn(turn);
    let [height, width, channels] = tiles.result;
    let count = tiles.tiles(images.len());
    let mut module = Module::new();
    module.widen(Operand::Workspace);
    module.quad_loader("work_4", Operand::Workspace, DType::F32);
    attached.outputs(&mut module, true);
    let mut body = format!(
        "{}{}{}  let image = (n + {}u) * {}u;\n",
        tile_of(channels, tiles.across),
        points_read(tiles.layout()[2], count * channels, &format!("tile * {channels}u + c")),
        sandwich(OUTPUTS, "x", "u"),
        images.start,
        height * width
    );
    for k in 0..4 {
        let (i, j) = (k / 2, k % 2);
        let (row, col) = (format!("p * 2u + {i}u"), format!("q * 2u + {j}u"));
        let _ = writeln!(
            body,
            "  if ({row} < {height}u && {col} < {width}u) {{ put_4((image + ({row}) * {width}u + {col}) * {channels}u + c, \
             u{i}_{j}); }}"
        );
    }
    each(module, count * channels / 4, &body)
}

/// The filters' gradient: the sums of all parts, in order, and what they become.
fn tap_sums(attached: &Attached, tiles: &Tiles) -> Dispatch {
    let size = tiles.g.in_c * tiles.g.out_c;
    let parts = tiles.turns() * tiles.split.parts;
    let first = tiles.layout()[2];
    let mut module = Module::new();
    module.widen(Operand::Workspace);
    module.quad_loader("work_4", Operand::Workspace, DType::F32);
    attached.outputs(&mut module, true);
    module.add(&format!(
        "fn point(at: u32) -> vec4<f32> {{\n  var sum = vec4<f32>(0.0);\n  \
         for (var p = 0u; p < {parts}u; p = p + 1u) {{ sum = sum + work_4(at + p * {}u); }}\n  return sum;\n}}",
        POINTS * size
    ));
    let mut body = "  let pair = at * 4u;\n".to_owned();
    for k in 0..POINTS {
        let _ = writeln!(body, "  let x{}_{} = point({}u + pair);", k / 4, k % 4, first + k * size);
    }
    body.push_str(&sandwich(TAP_SUMS, "x", "u"));
    for k in 0..9 {
        let _ = writeln!(body, "  put_4({}u + pair, u{}_{});", k * size, k / 3, k % 3);
    }
    each(module, size / 4, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(matrix: &[&[f64]], x: &[f64]) -> Vec<f64> {
        matrix.iter().map(|row| row.iter().zip(x).map(|(m, x)| m * x).sum()).collect()
    }

    #[test]
    fn transforms_give_the_sums_of_the_definition() {
        let (pixels, taps, grads) = ([3.0, -1.5, 2.0, 7.0], [0.5, -2.0, 4.0], [1.25, -3.0]);
        let product = |a: Vec<f64>, b: Vec<f64>| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
        let forward = apply(OUTPUTS, &product(apply(PIXELS, &pixels), apply(TAPS, &taps)));
        for (p, y) in forward.iter().enumerate() {
            let expected: f64 = (0..3).map(|i| pixels[p + i] * taps[i]).sum();
            assert!((y - expected).abs() < 1e-12, "{forward:?}");
        }
        let of_taps = apply(TAP_SUMS, &product(apply(PIXELS, &pixels), apply(GRADS, &grads)));
        for (i, y) in of_taps.iter().enumerate() {
            let expected: f64 = (0..2).map(|p| pixels[p + i] * grads[p]).sum();
            assert!((y - expected).abs() < 1e-12, "{of_taps:?}");
        }
    }
}
