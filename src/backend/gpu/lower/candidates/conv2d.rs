//! Convolution and its two gradients: element by element, and as products of matrices.

use super::{Anchor, Task};
use crate::backend::gpu::lower::attach::Attached;
use crate::backend::gpu::lower::contraction::{Contraction, MATRIX_PLACE, Side, matrix_side};
use crate::error::Result;
use crate::ops::Op;
use crate::ops::conv2d::Conv2d;

/// Which of the three primitives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The output, of image and filters.
    Forward,
    /// The gradient of the image, of that of the output and filters.
    InputGrad,
    /// The gradient of the filters, of the image and that of the output.
    FilterGrad,
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Height and width of the image.
    pub image: [usize; 2],
    /// Channels of the image.
    pub in_c: usize,
    /// Height and width of the output.
    pub out: [usize; 2],
    /// Channels of the output.
    pub out_c: usize,
    /// Height and width of the filters.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Step between elements of a window.
    pub dilation: [usize; 2],
    /// Padding at the top and left.
    pub before: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

/// Numbers of rows and columns stay far from what 32 bits hold.
const FAR: usize = 1 << 28;
/// Phases of a strided input gradient that have a dispatch each.
const PHASES: usize = 16;

impl Geometry {
    /// The convolution of `task`, and which of its primitives that is.
    ///
    /// # Errors
    /// When the task is none of the three, or windows do not fit.
    pub fn of(task: &Task) -> Result<(Geometry, Pass)> {
        let ([a, b], y) = ([&task.inputs[0].shape, &task.inputs[1].shape], &task.output.shape);
        Ok(match task.op {
            Op::Conv2d(op) => (Self::new(op, a, b, y)?, Pass::Forward),
            Op::Conv2dInputGrad(op) => (Self::new(&op.conv, y, b, a)?, Pass::InputGrad),
            Op::Conv2dFilterGrad(op) => (Self::new(&op.conv, a, y, b)?, Pass::FilterGrad),
            _ => return Err(task.wrong_op("conv2d")),
        })
    }

    fn new(conv: &Conv2d, x: &[usize], w: &[usize], y: &[usize]) -> Result<Self> {
        let place = conv.place(x, w)?;
        Ok(Geometry {
            batch: x[0],
            image: [x[1], x[2]],
            in_c: x[3],
            out: [y[1], y[2]],
            out_c: y[3],
            kernel: [w[0], w[1]],
            stride: conv.strides,
            dilation: conv.dilation,
            before: place.before,
            groups: conv.groups,
        })
    }

    /// Channels of the image in a group.
    pub fn group_in(&self) -> usize {
        self.in_c / self.groups
    }

    /// Channels of the output in a group.
    pub fn group_out(&self) -> usize {
        self.out_c / self.groups
    }

    /// Whether a sum has summands and places stay in range.
    pub fn is_ordinary(&self) -> bool {
        let sizes = [self.batch, self.image[0], self.image[1], self.in_c, self.out[0], self.out[1], self.out_c];
        let reach = |i: usize| {
            let far = (self.out[i] - 1).saturating_mul(self.stride[i]);
            far.saturating_add((self.kernel[i] - 1).saturating_mul(self.dilation[i])).saturating_add(self.before[i])
        };
        !sizes.contains(&0) && self.group_in() > 0 && self.group_out() > 0 && [0, 1].iter().all(|&i| reach(i) < FAR)
    }
}

/// The anchor of a convolution or of one of its gradients, element by element.
pub fn anchor(task: &Task) -> Result<Anchor> {
    let (g, pass) = Geometry::of(task)?;
    let (name, text) = match pass {
        Pass::Forward => ("conv2d", include_str!("conv2d.wgsl")),
        Pass::InputGrad => ("conv2d_input_grad", include_str!("conv2d_input_grad.wgsl")),
        Pass::FilterGrad => ("conv2d_filter_grad", include_str!("conv2d_filter_grad.wgsl")),
    };
    let groups = g.groups.max(1);
    Ok(Anchor::new(name, text).with(&[
        ("BATCH", g.batch),
        ("IN_H", g.image[0]),
        ("IN_W", g.image[1]),
        ("IN_C", g.in_c),
        ("OUT_H", g.out[0]),
        ("OUT_W", g.out[1]),
        ("OUT_C", g.out_c),
        ("KERNEL_H", g.kernel[0]),
        ("KERNEL_W", g.kernel[1]),
        ("GROUP_IN", g.in_c / groups),
        ("GROUP_OUT", g.out_c / groups),
        ("STRIDE_H", g.stride[0]),
        ("STRIDE_W", g.stride[1]),
        ("DILATION_H", g.dilation[0]),
        ("DILATION_W", g.dilation[1]),
        ("PAD_TOP", g.before[0]),
        ("PAD_LEFT", g.before[1]),
    ]))
}

/// The products that make a convolution; none where its sums are empty or its sizes out of the ordinary.
pub fn products(attached: &Attached) -> Result<Vec<Contraction>> {
    let (g, pass) = Geometry::of(&attached.task)?;
    if !g.is_ordinary() {
        return Ok(Vec::new());
    }
    Ok(match pass {
        Pass::Forward => vec![forward(&g, attached)],
        Pass::FilterGrad => vec![filter_grad(&g, attached)],
        Pass::InputGrad if g.stride[0] * g.stride[1] > PHASES => Vec::new(),
        Pass::InputGrad => (0..g.stride[0])
            .flat_map(|row| (0..g.stride[1]).map(move |col| [row, col]))
            .filter(|phase| phase[0] < g.image[0] && phase[1] < g.image[1])
            .map(|phase| input_grad(&g, phase, attached))
            .collect(),
    })
}

/// How the pixels of an image are read at windows and taps.
struct Patches {
    /// Height, width and channels of the image.
    image: [usize; 3],
    /// Images, and rows and columns of windows.
    windows: [usize; 3],
    /// Between windows, along both axes.
    steps: [usize; 2],
    /// The first row and column that a window meets.
    first: [i64; 2],
    /// Rows, columns and channels of a window.
    taps: [usize; 3],
    /// Between taps.
    dilation: [i64; 2],
}

impl Patches {
    /// The side of which windows are lines and taps are steps, or the other way round.
    fn side(&self, reader: &'static str, windows_are_lines: bool) -> Side {
        let [height, width, channels] = self.image;
        let [_, rows, cols] = self.windows;
        let [_, tap_cols, tap_channels] = self.taps;
        let windows: usize = self.windows.iter().product();
        let taps: usize = self.taps.iter().product();
        let outside = "-0x40000000i";
        let window =
            format!("  let q = at % {cols}u;\n  let p = (at / {cols}u) % {rows}u;\n  let n = at / {}u;\n", rows * cols);
        let tap = format!(
            "  let c = at % {tap_channels}u;\n  let j = (at / {tap_channels}u) % {tap_cols}u;\n  let i = at / {}u;\n",
            tap_channels * tap_cols
        );
        let base = format!("n * {}u + batch * {tap_channels}u", height * width * channels);
        let base_alone = format!("n * {}u", height * width * channels);
        let window_row = format!("i32(p * {}u) + {}i", self.steps[0], self.first[0]);
        let window_col = format!("i32(q * {}u) + {}i", self.steps[1], self.first[1]);
        let (tap_row, tap_col) = (format!("i32(i) * {}i", self.dilation[0]), format!("i32(j) * {}i", self.dilation[1]));
        let fields = "{ at: u32, row: i32, col: i32 }";
        let (line, step) = if windows_are_lines {
            (
                format!(
                    "{window}  return SIDELine({base}, select({outside}, {window_row}, at < {windows}u), {window_col});"
                ),
                format!("{tap}  return SIDEStep(c, select({outside}, {tap_row}, at < last), {tap_col});"),
            )
        } else {
            (
                format!(
                    "{tap}  return SIDELine(c + batch * {tap_channels}u, select({outside}, {tap_row}, at < {taps}u), {tap_col});"
                ),
                format!(
                    "{window}  return SIDEStep({base_alone}, select({outside}, {window_row}, at < last), {window_col});"
                ),
            )
        };
        let text = format!(
            "struct SIDELine {fields}\nstruct SIDEStep {fields}\n\
             fn SIDE_line(batch: u32, at: u32) -> SIDELine {{\n{line}\n}}\n\
             fn SIDE_step(at: u32, last: u32) -> SIDEStep {{\n{step}\n}}\n\
             fn SIDE_place(line: SIDELine, step: SIDEStep) -> u32 {{\n  let row = u32(line.row + step.row);\n  \
             let col = u32(line.col + step.col);\n  \
             let at = line.at + step.at + (row * {width}u + col) * {channels}u;\n  \
             return select(0xffffffffu, at, row < {height}u && col < {width}u);\n}}"
        );
        let quads = tap_channels.is_multiple_of(4);
        Side { text, reader, along_lines: !windows_are_lines, quads }
    }
}

/// The windows that the convolution reads of its images.
fn windows(g: &Geometry) -> Patches {
    Patches {
        image: [g.image[0], g.image[1], g.in_c],
        windows: [g.batch, g.out[0], g.out[1]],
        steps: g.stride,
        first: g.before.map(|n| -(n as i64)),
        taps: [g.kernel[0], g.kernel[1], g.group_in()],
        dilation: g.dilation.map(|n| n as i64),
    }
}

fn forward(g: &Geometry, attached: &Attached) -> Contraction {
    let mut a = windows(g).side("input0", true);
    a.quads &= attached.reads_quads();
    let cols = g.group_out();
    let base = format!("batch * {cols}u");
    let b = matrix_side("", &base, cols, 1, g.out_c);
    Contraction {
        batch: g.groups,
        rows: g.batch * g.out[0] * g.out[1],
        cols,
        inner: g.kernel[0] * g.kernel[1] * g.group_in(),
        a,
        b: Side { text: b, reader: "input1", along_lines: true, quads: cols.is_multiple_of(4) },
        place: channels_last(g.out_c, cols),
        stores_quads: cols.is_multiple_of(4) && attached.stores_quads(),
        elements: attached.task.output.shape.len(),
    }
}

/// The place of a column of group `batch` in rows of `channels` channels.
fn channels_last(channels: usize, group: usize) -> String {
    format!("fn place(batch: u32, row: u32, col: u32) -> u32 {{ return row * {channels}u + batch * {group}u + col; }}")
}

fn filter_grad(g: &Geometry, attached: &Attached) -> Contraction {
    let mut a = windows(g).side("input0", false);
    a.quads &= attached.reads_quads();
    let cols = g.group_out();
    let b = matrix_side("", &format!("batch * {cols}u"), cols, 1, g.out_c);
    Contraction {
        batch: g.groups,
        rows: g.kernel[0] * g.kernel[1] * g.group_in(),
        cols,
        inner: g.batch * g.out[0] * g.out[1],
        a,
        b: Side { text: b, reader: "input1", along_lines: true, quads: cols.is_multiple_of(4) },
        place: channels_last(g.out_c, cols),
        stores_quads: cols.is_multiple_of(4) && attached.stores_quads(),
        elements: attached.task.output.shape.len(),
    }
}

/// Along one axis, the taps that meet pixels of a phase: they are `count`, from `first` on with `step` between them, and the
/// window of tap t of pixel r is r + `window` − t · `back`.
#[derive(Debug, PartialEq, Eq)]
struct PhaseTaps {
    first: usize,
    step: usize,
    count: usize,
    window: i64,
    back: i64,
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Pixel `phase + stride · r` of the padded axis is met by tap i of window p where p · stride = pixel + before − i · dilation.
fn phase_taps(phase: usize, stride: usize, dilation: usize, before: usize, kernel: usize) -> PhaseTaps {
    let step = stride / gcd(dilation, stride);
    let first = (0..step.min(kernel)).find(|i| (phase + before + i * dilation * (stride - 1)).is_multiple_of(stride));
    let back = (step * dilation / stride) as i64;
    match first {
        None => PhaseTaps { first: 0, step, count: 0, window: 0, back },
        Some(first) => {
            let window = (phase as i64 + before as i64 - (first * dilation) as i64) / stride as i64;
            PhaseTaps { first, step, count: (kernel - first).div_ceil(step), window, back }
        }
    }
}

/// The pixels of the image whose row and column leave the remainders `phase` under the strides: they meet every so many taps
/// of the filters, and read the output's gradient without gaps.
fn input_grad(g: &Geometry, phase: [usize; 2], attached: &Attached) -> Contraction {
    let taps = [0, 1].map(|i| phase_taps(phase[i], g.stride[i], g.dilation[i], g.before[i], g.kernel[i]));
    let pixels = [0, 1].map(|i| (g.image[i] - phase[i]).div_ceil(g.stride[i]));
    let (group_in, group_out) = (g.group_in(), g.group_out());
    let counts = [taps[0].count, taps[1].count];
    let patches = Patches {
        image: [g.out[0], g.out[1], g.out_c],
        windows: [g.batch, pixels[0], pixels[1]],
        steps: [1, 1],
        first: [taps[0].window, taps[1].window],
        taps: [counts[0].max(1), counts[1].max(1), group_out],
        dilation: [-taps[0].back, -taps[1].back],
    };
    let mut a = patches.side("input0", true);
    a.quads &= attached.reads_quads();
    let b = format!(
        "struct SIDELine {{ at: u32, ok: bool }}\nstruct SIDEStep {{ at: u32, ok: bool }}\n\
         fn SIDE_line(batch: u32, line: u32) -> SIDELine {{\n  \
         return SIDELine(line * {}u + batch * {group_out}u, line < {group_in}u);\n}}\n\
         fn SIDE_step(k: u32, last: u32) -> SIDEStep {{\n  let c = k % {group_out}u;\n  \
         let j = (k / {group_out}u) % {tap_cols}u;\n  let i = k / {}u;\n  \
         let tap = ({}u + i * {}u) * {}u + {}u + j * {}u;\n  \
         return SIDEStep(tap * {}u + c, k < last);\n}}\n{MATRIX_PLACE}",
        g.out_c,
        group_out * counts[1].max(1),
        taps[0].first,
        taps[0].step,
        g.kernel[1],
        taps[1].first,
        taps[1].step,
        group_in * g.out_c,
        tap_cols = counts[1].max(1),
    );
    let place = format!(
        "fn place(batch: u32, row: u32, col: u32) -> u32 {{\n  let q = row % {cols}u;\n  \
         let p = (row / {cols}u) % {}u;\n  let n = row / {}u;\n  \
         let pixel = (n * {}u + p * {}u + {}u) * {}u + q * {}u + {}u;\n  \
         return pixel * {}u + batch * {group_in}u + col;\n}}",
        pixels[0],
        pixels[0] * pixels[1],
        g.image[0],
        g.stride[0],
        phase[0],
        g.image[1],
        g.stride[1],
        phase[1],
        g.in_c,
        cols = pixels[1],
    );
    Contraction {
        batch: g.groups,
        rows: g.batch * pixels[0] * pixels[1],
        cols: group_in,
        inner: counts[0] * counts[1] * group_out,
        a,
        b: Side { text: b, reader: "input1", along_lines: false, quads: group_out.is_multiple_of(4) },
        place,
        stores_quads: group_in.is_multiple_of(4) && attached.stores_quads(),
        elements: attached.task.output.shape.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_meet_the_taps_of_the_definition() {
        for (stride, dilation) in [(1, 1), (2, 1), (3, 1), (2, 2), (4, 2), (3, 2), (4, 6), (1, 3)] {
            for (before, kernel) in [(0, 1), (1, 3), (2, 5), (0, 7), (4, 4)] {
                for phase in 0..stride {
                    let taps = phase_taps(phase, stride, dilation, before, kernel);
                    for r in 0..5usize {
                        let pixel = (phase + stride * r + before) as i64;
                        let expected: Vec<(usize, i64)> = (0..kernel)
                            .filter(|i| (pixel - (i * dilation) as i64) % stride as i64 == 0)
                            .map(|i| (i, (pixel - (i * dilation) as i64) / stride as i64))
                            .collect();
                        let got: Vec<(usize, i64)> = (0..taps.count)
                            .map(|t| (taps.first + t * taps.step, r as i64 + taps.window - t as i64 * taps.back))
                            .collect();
                        assert_eq!(got, expected, "{stride} {dilation} {before} {kernel} {phase} {r}");
                    }
                }
            }
        }
    }
}
