//! Convolutions with one filter a channel. An invocation computes four channels of some columns side by side: what it reads
//! of a row serves all of them. The filters' gradient is a reduction over pixels, of all taps of a channel at once.

use super::conv2d::{Geometry, Pass};
use super::{Candidate, Context};
use crate::backend::gpu::caps::Tier;
use crate::backend::gpu::lower::attach::Attached;
use crate::backend::gpu::lower::reduce::{Fold, LANES, Space, dispatches, whole};
use crate::backend::gpu::lower::shader::{Code, Module, Operand, WORKGROUP};
use crate::dtype::DType;
use crate::error::Result;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The kernel's name.
pub const NAME: &str = "depthwise";

/// Columns that an invocation computes: a multiple of the strides that it takes.
const COLUMNS: usize = 4;
/// The most elements of a window: each is written out.
const TAPS: usize = 49;
/// The share of the multiply-adds of a busy processor that it reaches, about: it waits for memory.
const EFFICIENCY: f64 = 0.12;

/// The candidate of a convolution, if this form fits it.
///
/// # Errors
/// When sizes do not fit.
pub fn candidate<'a>(attached: &'a Attached<'a>, context: &'a Context<'a>) -> Result<Option<Candidate<'a>>> {
    let (g, pass) = Geometry::of(&attached.task)?;
    let taps = g.kernel[0] * g.kernel[1];
    let one_filter = g.groups == g.in_c && g.out_c == g.in_c && g.in_c > 1;
    if context.tier < Tier::Tiled || !one_filter || !g.is_ordinary() || taps > TAPS {
        return Ok(None);
    }
    let fits = match pass {
        Pass::FilterGrad => attached.is_bare() && taps * LANES * 4 <= context.caps.shared_bytes,
        _ => {
            let strides = pass == Pass::Forward || COLUMNS.is_multiple_of(g.stride[1]);
            g.in_c.is_multiple_of(4) && attached.reads_quads() && attached.stores_quads() && strides
        }
    };
    if !fits {
        return Ok(None);
    }
    let speed = context.caps.speed();
    let work = g.batch * g.out[0] * g.out[1] * g.out_c * taps;
    let cost = work as f64 / (speed.units * speed.products * EFFICIENCY) + speed.dispatch;
    let build = move || {
        Ok(match pass {
            Pass::FilterGrad => filter_grad(attached, &g, context.caps.binding_bytes()),
            _ => by_rows(attached, &g, pass),
        })
    };
    Ok(Some(Candidate { name: NAME, cost, build: Box::new(build) }))
}

/// For each column of the source, counted from the first that the block has, the pairs of a column of the block and a tap that
/// meet there.
fn meetings(g: &Geometry, pass: Pass) -> BTreeMap<i64, Vec<(usize, usize)>> {
    let (stride, dilation, before) = (g.stride[1] as i64, g.dilation[1] as i64, g.before[1] as i64);
    let mut found: BTreeMap<i64, Vec<(usize, usize)>> = BTreeMap::new();
    for own in 0..COLUMNS {
        for tap in 0..g.kernel[1] {
            let (o, shift) = (own as i64, tap as i64 * dilation);
            let column = match pass {
                Pass::InputGrad if (o + before - shift).rem_euclid(stride) != 0 => continue,
                Pass::InputGrad => (o + before - shift).div_euclid(stride),
                _ => o * stride + shift - before,
            };
            found.entry(column).or_default().push((own, tap));
        }
    }
    found
}

/// The forward pass or the input's gradient.
fn by_rows(attached: &Attached, g: &Geometry, pass: Pass) -> Code {
    let (source, result) = match pass {
        Pass::InputGrad => (g.out, g.image),
        _ => (g.image, g.out),
    };
    let channels = g.in_c;
    let blocks = result[1].div_ceil(COLUMNS);
    let count = g.batch * result[0] * blocks * channels / 4;
    let mut module = Module::new();
    attached.inputs(&mut module, &[true, true]);
    attached.outputs(&mut module, true);
    let (first, row) = match pass {
        Pass::InputGrad => (
            format!("first / {}u", g.stride[1]),
            format!(
                "    let reach = i32(p + {}u) - i32(i * {}u);\n    if (reach < 0 || reach % {stride}i != 0) {{ continue; }}\n    \
                 let row = u32(reach / {stride}i);\n",
                g.before[0],
                g.dilation[0],
                stride = g.stride[0]
            ),
        ),
        _ => (
            format!("first * {}u", g.stride[1]),
            format!("    let row = u32(i32(p * {}u + i * {}u) - {}i);\n", g.stride[0], g.dilation[0], g.before[0]),
        ),
    };
    let mut text = format!(
        "@compute @workgroup_size({WORKGROUP})\n\
         fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{\n  \
         let at = (group.y * COLUMNS + group.x) * {WORKGROUP}u + lane;\n  if (at >= {count}u) {{ return; }}\n  \
         let c = (at % {quads}u) * 4u;\n  let block = at / {quads}u;\n  let first = (block % {blocks}u) * {COLUMNS}u;\n  \
         let p = (block / {blocks}u) % {height}u;\n  let n = block / {}u;\n  let begin = i32({first});\n",
        blocks * result[0],
        quads = channels / 4,
        height = result[0],
    );
    (0..COLUMNS).for_each(|o| {
        let _ = writeln!(text, "  var sum{o} = vec4<f32>(0.0);");
    });
    let _ = writeln!(text, "  for (var i = 0u; i < {}u; i = i + 1u) {{", g.kernel[0]);
    let _ = writeln!(text, "{row}    if (row >= {}u) {{ continue; }}", source[0]);
    let _ = writeln!(text, "    let line = (n * {}u + row) * {}u;", source[0], source[1]);
    for j in 0..g.kernel[1] {
        let _ = writeln!(text, "    let w{j} = input1_4((i * {}u + {j}u) * {channels}u + c);", g.kernel[1]);
    }
    for (k, (column, pairs)) in meetings(g, pass).into_iter().enumerate() {
        let _ = writeln!(text, "    let col{k} = u32(begin + {column}i);\n    let in{k} = col{k} < {}u;", source[1]);
        let at = format!("select(0u, (line + col{k}) * {channels}u + c, in{k})");
        let _ = writeln!(text, "    let x{k} = select(vec4<f32>(0.0), input0_4({at}), in{k});");
        for (own, tap) in pairs {
            let _ = writeln!(text, "    sum{own} = fma(x{k}, w{tap}, sum{own});");
        }
    }
    text.push_str("  }\n");
    let _ = writeln!(text, "  let to = ((n * {}u + p) * {}u + first) * {channels}u + c;", result[0], result[1]);
    for o in 0..COLUMNS {
        let _ = writeln!(text, "  if (first + {o}u < {}u) {{ put_4(to + {}u, sum{o}); }}", result[1], o * channels);
    }
    text.push('}');
    module.add(&text);
    Code::new(vec![module.finish(count.div_ceil(WORKGROUP as usize))], 0)
}

/// The filters' gradient.
fn filter_grad(attached: &Attached, g: &Geometry, room: usize) -> Code {
    let (channels, pixels) = (g.in_c, g.batch * g.out[0] * g.out[1]);
    let taps = g.kernel[0] * g.kernel[1];
    let space = Space::new(&[pixels, channels], &[channels, 1], &[0]);
    let fields = |value: &dyn Fn(usize) -> String| (0..taps).map(value).collect::<Vec<_>>().join(", ");
    let fold = Fold {
        fields: vec![DType::F32; taps],
        joined: format!("return Terms({});", fields(&|k| format!("a.v{k} + b.v{k}"))),
        nothing: format!("Terms({})", fields(&|_| "0.0".to_owned())),
        functions: "",
        results: (0..taps).map(|k| (format!("total.v{k}"), Operand::Output(0), DType::F32, k * channels)).collect(),
    };
    let [height, width] = g.image;
    let mut text = format!(
        "fn terms(at: u32) -> Terms {{\n  let c = at % {channels}u;\n  let pixel = at / {channels}u;\n  \
         let q = pixel % {}u;\n  let p = (pixel / {}u) % {}u;\n  let image = pixel / {}u * {}u;\n  \
         let dy = input1(at);\n  let top = i32(p * {}u) - {}i;\n  let left = i32(q * {}u) - {}i;\n",
        g.out[1],
        g.out[1],
        g.out[0],
        g.out[0] * g.out[1],
        height * width,
        g.stride[0],
        g.before[0],
        g.stride[1],
        g.before[1],
    );
    for k in 0..taps {
        let (i, j) = (k / g.kernel[1], k % g.kernel[1]);
        let _ = writeln!(
            text,
            "  let row{k} = u32(top + {}i);\n  let col{k} = u32(left + {}i);",
            i * g.dilation[0],
            j * g.dilation[1]
        );
        let _ = writeln!(text, "  let in{k} = row{k} < {height}u && col{k} < {width}u;");
        let at = format!("select(0u, (image + row{k} * {width}u + col{k}) * {channels}u + c, in{k})");
        let _ = writeln!(text, "  let x{k} = select(0.0, input0({at}), in{k});");
    }
    let _ = write!(text, "  return Terms({});\n}}", fields(&|k| format!("x{k} * dy")));
    dispatches(&whole(space), &fold, room, |module| {
        attached.inputs(module, &[]);
        module.add(&text);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_meet_the_taps_of_the_definition() {
        for (stride, dilation, before, kernel) in [(1, 1, 1, 3), (2, 1, 0, 3), (2, 2, 3, 5), (4, 1, 2, 2)] {
            let g = Geometry {
                batch: 1,
                image: [16, 16],
                in_c: 4,
                out: [16, 16],
                out_c: 4,
                kernel: [1, kernel],
                stride: [1, stride],
                dilation: [1, dilation],
                before: [0, before],
                groups: 4,
            };
            for first in [0, 4, 8] {
                for own in 0..COLUMNS {
                    for tap in 0..kernel {
                        let pixel = |window: i64| window * stride as i64 + (tap * dilation) as i64 - before as i64;
                        let of = |pass| {
                            let all = meetings(&g, pass);
                            all.into_iter().find(|(_, pairs)| pairs.contains(&(own, tap))).map(|found| found.0)
                        };
                        let window = (first + own) as i64;
                        let begin = (first * stride) as i64;
                        assert_eq!(of(Pass::Forward).map(|c| begin + c), Some(pixel(window)));
                        // The window, whatever its number, whose tap meets the pixel.
                        let expected = (-40..40).find(|&w| pixel(w) == (first + own) as i64);
                        assert_eq!(of(Pass::InputGrad).map(|c| (first / stride) as i64 + c), expected);
                    }
                }
            }
        }
    }
}
