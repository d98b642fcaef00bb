//! Matrix products, batched with numpy's broadcasting of the leading axes. A vector on the left is a
//! row, on the right a column; its axis is not in the result.

use super::{
    Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_float, expect_inputs, expect_like,
};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};
use ndarray::{Axis, Ix2};

/// `op(a) · op(b)` over the last two axes, where `op` transposes if asked to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MatMul {
    /// Whether `a` is (…, k, m) instead of (…, m, k).
    pub transpose_a: bool,
    /// Whether `b` is (…, n, k) instead of (…, k, n).
    pub transpose_b: bool,
}

/// Extents of one product.
pub(crate) struct Extents {
    /// Leading axes of the result.
    pub batch: Shape,
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

impl MatMul {
    /// The shapes with two axes at least.
    pub(crate) fn matrices(&self, a: &Shape, b: &Shape) -> (Shape, Shape) {
        let wide = |s: &Shape, column: bool| match (&**s, column) {
            ([k], true) => Shape::from([*k, 1]),
            ([k], false) => Shape::from([1, *k]),
            _ => s.clone(),
        };
        (wide(a, self.transpose_a), wide(b, !self.transpose_b))
    }

    /// Extents for these shapes.
    ///
    /// # Errors
    /// When one is a scalar, or the inner extents differ.
    pub(crate) fn extents(&self, a: &Shape, b: &Shape) -> Result<Extents> {
        let (a2, b2) = self.matrices(a, b);
        let (Some((lead_a, [a0, a1])), Some((lead_b, [b0, b1]))) = (a2.split_last_chunk(), b2.split_last_chunk())
        else {
            return Err(Error::value(format!("expected shapes of at least 1 axis, received {a} and {b}")));
        };
        let (m, k) = if self.transpose_a { (*a1, *a0) } else { (*a0, *a1) };
        let (n, inner) = if self.transpose_b { (*b0, *b1) } else { (*b1, *b0) };
        if k != inner {
            return Err(Error::value(format!("inner extents differ: {a} has {k}, {b} has {inner}")));
        }
        Ok(Extents { batch: Shape::from(lead_a).broadcast(&Shape::from(lead_b))?, m, n, k })
    }

    /// Shapes under which one product is the same: vectors as matrices, and leading axes that only `a`
    /// has as rows.
    fn flattened(&self, a: &Shape, b: &Shape) -> (Shape, Shape) {
        let (a, b) = self.matrices(a, b);
        if self.transpose_a || b.rank() != 2 || a.rank() == 2 {
            return (a, b);
        }
        let (lead, inner) = a.split_at(a.rank() - 1);
        (Shape::from([lead.iter().product(), inner[0]]), b)
    }
}

impl OpDef for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("matmul", inputs, 2)?;
        let number = inputs[0].dtype.is_integer() || expect_float("a", &inputs[0]).is_ok();
        if !number {
            return Err(Error::dtype(format!("a: expected numbers, received {}", inputs[0].dtype)));
        }
        expect_like("b", &inputs[1], &inputs[0])?;
        let e = self.extents(&inputs[0].shape, &inputs[1].shape)?;
        let rows = (inputs[0].shape.rank() > 1).then_some(e.m);
        let columns = (inputs[1].shape.rank() > 1).then_some(e.n);
        Fact::checked(e.batch.iter().copied().chain(rows).chain(columns).collect::<Shape>(), inputs[0].dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let shapes = [0, 1].map(|i| g.fact(inputs[i]).shape.clone());
        let (flat_a, flat_b) = self.flattened(&shapes[0], &shapes[1]);
        let e = self.extents(&flat_a, &flat_b)?;
        let a = g.reshape(inputs[0], flat_a.clone())?;
        let b = g.reshape(inputs[1], flat_b.clone())?;
        let dy_flat = g.reshape(dy, e.batch.iter().copied().chain([e.m, e.n]).collect())?;
        let product =
            |g: &mut Graph, x, y, transpose_a, transpose_b| g.apply(MatMul { transpose_a, transpose_b }, &[x, y]);
        // In the shape of `a`, whose gradient's readers can be attached to it then.
        let led = !self.transpose_a && shapes[0].rank() > 2 && shapes[1].rank() == 2;
        let (dy, flat_a) = if led { (dy, shapes[0].clone()) } else { (dy_flat, flat_a) };
        let da = if self.transpose_a {
            product(g, b, dy, self.transpose_b, true)?
        } else {
            product(g, dy, b, false, !self.transpose_b)?
        };
        let db = if self.transpose_b {
            product(g, dy_flat, a, true, self.transpose_a)?
        } else {
            product(g, a, dy_flat, !self.transpose_a, false)?
        };
        let [shape_a, shape_b] = shapes;
        let da = g.sum_to(da, &flat_a)?;
        let db = g.sum_to(db, &flat_b)?;
        Ok(vec![Some(g.reshape(da, shape_a)?), Some(g.reshape(db, shape_b)?)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let e = self.extents(&facts[0].shape, &facts[1].shape)?;
        let (shape_a, shape_b) = self.matrices(&facts[0].shape, &facts[1].shape);
        let wide = |x: &RefArray, matrix: &Shape| -> Result<Vec<ndarray::Array2<f64>>> {
            let x = x.to_shape(&**matrix).map_err(|e| Error::state(e.to_string()))?;
            let (rows, cols) = (x.shape()[x.ndim() - 2], x.shape()[x.ndim() - 1]);
            let shape: Vec<usize> = e.batch.iter().copied().chain([rows, cols]).collect();
            let view = x.broadcast(shape).ok_or_else(|| Error::state("does not broadcast"))?;
            let flat = view
                .as_standard_layout()
                .into_owned()
                .into_shape_with_order((e.batch.len(), rows, cols))
                .map_err(|e| Error::state(e.to_string()))?;
            Ok(flat.axis_iter(Axis(0)).map(|m| m.to_owned()).collect())
        };
        let mut out = Vec::with_capacity(output.shape.len());
        for (a, b) in wide(inputs[0], &shape_a)?.into_iter().zip(wide(inputs[1], &shape_b)?) {
            let a = if self.transpose_a { a.reversed_axes() } else { a };
            let b = if self.transpose_b { b.reversed_axes() } else { b };
            out.extend(a.into_dimensionality::<Ix2>().map_err(|e| Error::state(e.to_string()))?.dot(&b).iter());
        }
        if output.dtype.is_integer() {
            out.iter_mut().for_each(|v| *v = output.dtype.wrap(*v as i128) as f64);
        }
        RefArray::from_shape_vec(&*output.shape, out).map_err(|e| Error::state(e.to_string()))
    }

    fn reads(&self, input: usize, inputs: &[Fact], output: &Fact) -> Reads {
        let [own, other] = [input, 1 - input].map(|i| &inputs[i].shape);
        if own.rank() < 2 || other.rank() < 2 {
            return Reads::All;
        }
        let rank = output.shape.rank();
        let turned = [self.transpose_a, self.transpose_b];
        // Of a, rows are the result's; of b, columns.
        let rows_are_inner = (input == 0) == turned[input];
        let other_rows_are_inner = (input == 1) == turned[1 - input];
        let free = AxisReads::same(if input == 0 { rank - 2 } else { rank - 1 });
        let of = if input == 0 { rank - 1 } else { rank - 2 };
        let inner = AxisReads::Weighted { of, by: 1 - input, across: other_rows_are_inner };
        let lead = (0..own.rank() - 2).map(|a| AxisReads::same(a + rank - own.rank()));
        let last = if rows_are_inner { [inner, free] } else { [free, inner] };
        Reads::Axes(lead.chain(last).collect())
    }

    fn sums_rows(&self, inputs: &[Fact]) -> bool {
        self.transpose_a && !self.transpose_b && inputs.iter().all(|fact| fact.shape.rank() == 2)
    }

    fn flops(&self, inputs: &[Fact], output: &Fact) -> u64 {
        self.extents(&inputs[0].shape, &inputs[1].shape).map_or(0, |e| 2 * (output.shape.len() * e.k) as u64)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}

impl FromAttributes for MatMul {
    fn names() -> Vec<&'static str> {
        vec!["matmul"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(MatMul { transpose_a: a.bool_or("transpose_a", false)?, transpose_b: a.bool_or("transpose_b", false)? })
    }
}
