//! Reductions over axes.

use super::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, Real, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::movement::{Pad, Slice};
use crate::ops::pointwise::Function;
use crate::shape::{Dims, Fact, Shape};
use ndarray::Axis;
use smallvec::{SmallVec, smallvec};

/// How elements are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReduceKind {
    /// Σ; of booleans and uint8 into int32.
    Sum,
    /// Π.
    Prod,
    /// Largest; NaN wins.
    Max,
    /// Smallest; NaN wins.
    Min,
}

impl ReduceKind {
    const ALL: [(ReduceKind, &'static str); 4] =
        [(ReduceKind::Sum, "sum"), (ReduceKind::Prod, "prod"), (ReduceKind::Max, "max"), (ReduceKind::Min, "min")];

    /// The value of the empty reduction.
    pub fn identity(self) -> f64 {
        match self {
            ReduceKind::Sum => 0.0,
            ReduceKind::Prod => 1.0,
            ReduceKind::Max => f64::NEG_INFINITY,
            ReduceKind::Min => f64::INFINITY,
        }
    }

    /// The same in elements of `dtype`: of a maximum the least, of a minimum the greatest.
    pub fn identity_of(self, dtype: DType) -> f64 {
        match (self, dtype.range()) {
            (ReduceKind::Max, Some((least, _))) => least as f64,
            (ReduceKind::Min, Some((_, greatest))) => greatest as f64,
            _ => self.identity(),
        }
    }

    /// Combines two values.
    pub fn combine(self, a: f64, b: f64) -> f64 {
        match self {
            ReduceKind::Sum => a + b,
            ReduceKind::Prod => a * b,
            ReduceKind::Max if a.is_nan() || a >= b => a,
            ReduceKind::Min if a.is_nan() || a <= b => a,
            ReduceKind::Max | ReduceKind::Min => b,
        }
    }

    /// Combines two integers; sums and products wrap around.
    #[inline(always)]
    pub fn combine_integers(self, a: i32, b: i32) -> i32 {
        match self {
            ReduceKind::Sum => a.wrapping_add(b),
            ReduceKind::Prod => a.wrapping_mul(b),
            ReduceKind::Max => a.max(b),
            ReduceKind::Min => a.min(b),
        }
    }

    /// The same of the wide integers that plain kernels compute with.
    pub fn combine_wide(self, a: i128, b: i128) -> i128 {
        match self {
            ReduceKind::Sum => a.wrapping_add(b),
            ReduceKind::Prod => a.wrapping_mul(b),
            ReduceKind::Max => a.max(b),
            ReduceKind::Min => a.min(b),
        }
    }

    /// Element type of the result for elements of type `dtype`.
    pub fn result_dtype(self, dtype: DType) -> DType {
        match (self, dtype) {
            (ReduceKind::Sum | ReduceKind::Prod, DType::U8 | DType::Bool) => DType::I32,
            (_, other) => other,
        }
    }
}

/// A reduction of `axes` (sorted, distinct).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// How.
    pub kind: ReduceKind,
    /// Over which axes.
    pub axes: SmallVec<[usize; 6]>,
    /// Whether the reduced axes stay, with extent 1.
    pub keepdims: bool,
}

impl Reduce {
    /// Shape of the result for an input of `shape`.
    pub fn shape(&self, shape: &Shape) -> Shape {
        (0..shape.rank())
            .filter_map(|i| match (self.axes.contains(&i), self.keepdims) {
                (false, _) => Some(shape[i]),
                (true, true) => Some(1),
                (true, false) => None,
            })
            .collect()
    }
}

/// For each element of `x`, the product of all others along `axes`, without a division, so that zeros and derivatives
/// of any order are right: the product of those before it, times that of those behind it, in log2(extent) steps each
/// (Hillis and Steele, "Data parallel algorithms", 1986).
fn products_of_the_others(g: &mut Graph, x: NodeId, axes: &[usize]) -> Result<NodeId> {
    let shape = g.fact(x).shape.clone();
    let mut perm: Dims = (0..shape.rank()).filter(|a| !axes.contains(a)).collect();
    perm.extend(axes.iter().copied());
    let moved: Shape = perm.iter().map(|&a| shape[a]).collect();
    let extent: usize = axes.iter().map(|&a| shape[a]).product();
    let rows = shape.len().checked_div(extent).unwrap_or(0);
    let turned = g.transpose(x, &perm)?;
    let flat = g.reshape(turned, [rows, extent].into())?;
    let mut others = None;
    for from_start in [true, false] {
        // What stands `by` places before, or behind, and 1 where nothing does.
        let shifted = |g: &mut Graph, v: NodeId, by: usize| {
            let kept = extent.saturating_sub(by);
            let (first, ends) = if from_start { (0, [extent - kept, 0]) } else { (extent - kept, [0, extent - kept]) };
            let part = g.apply(Slice::new(&[0, first], &[rows, first + kept], &[1, 1]), &[v])?;
            let [before, after] = ends.map(|n| smallvec![0, n]);
            g.apply(Pad { before, after, inner: smallvec![0, 0], value: Real::new(1.0) }, &[part])
        };
        let mut products = shifted(g, flat, 1)?;
        let mut by = 1;
        while by < extent {
            let more = shifted(g, products, by)?;
            products = g.mul(products, more)?;
            by *= 2;
        }
        others = Some(match others {
            None => products,
            Some(before) => g.mul(before, products)?,
        });
    }
    let others = others.ok_or_else(|| Error::state("no products"))?;
    let moved = g.reshape(others, moved)?;
    let mut inverse: Dims = smallvec![0; perm.len()];
    perm.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    g.transpose(moved, &inverse)
}

impl OpDef for Reduce {
    fn name(&self) -> &'static str {
        ReduceKind::ALL.iter().find(|k| k.0 == self.kind).map_or("reduce", |k| k.1)
    }

    fn kind(&self) -> Kind {
        Kind::Reduce
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 1)?;
        let x = &inputs[0];
        super::expect_computed("x", x)?;
        if !self.axes.is_sorted_by(|a, b| a < b) || self.axes.last().is_some_and(|&a| a >= x.shape.rank()) {
            return Err(Error::value(format!(
                "axes: expected distinct axes of shape {}, received {:?}",
                x.shape, self.axes
            )));
        }
        let empty = self.axes.iter().any(|&a| x.shape[a] == 0);
        if empty && matches!(self.kind, ReduceKind::Max | ReduceKind::Min) {
            return Err(Error::value(format!("x: expected elements to reduce, received shape {}", x.shape)));
        }
        Fact::checked(self.shape(&x.shape), self.kind.result_dtype(x.dtype))
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let x = inputs[0];
        let full = g.fact(x).shape.clone();
        let kept = Reduce { keepdims: true, ..self.clone() }.shape(&full);
        let dy = g.reshape(dy, kept.clone())?;
        let dx = match self.kind {
            ReduceKind::Sum => g.broadcast_to(dy, full)?,
            ReduceKind::Prod => {
                let others = products_of_the_others(g, x, &self.axes)?;
                g.mul(dy, others)?
            }
            ReduceKind::Max | ReduceKind::Min => {
                // Shared equally among ties, as Keras's backends on JAX and TensorFlow do.
                let y = g.reshape(output, kept)?;
                let is_best = g.binary(Function::Equal, x, y)?;
                let mask = g.cast(is_best, g.fact(x).dtype)?;
                let count = g.sum(mask, &self.axes, true)?;
                let share = g.div(dy, count)?;
                g.mul(mask, share)?
            }
        };
        Ok(vec![Some(dx)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        let combine = |a: f64, b: f64| match output.dtype.is_float() {
            true => self.kind.combine(a, b),
            false => output.dtype.wrap(self.kind.combine_wide(a as i128, b as i128)) as f64,
        };
        let mut value = inputs[0].clone();
        for &a in self.axes.iter().rev() {
            let folded = value.fold_axis(Axis(a), self.kind.identity(), |&acc, &v| combine(acc, v));
            value = if self.keepdims { folded.insert_axis(Axis(a)) } else { folded };
        }
        Ok(if output.dtype.is_float() { value } else { value.mapv(|v| output.dtype.round(v)) })
    }

    fn reads(&self, _: usize, inputs: &[Fact], _: &Fact) -> Reads {
        let mut kept = 0;
        let axis = |a: usize| {
            let reduced = self.axes.contains(&a);
            let of = kept;
            kept += usize::from(!reduced || self.keepdims);
            if reduced { AxisReads::All } else { AxisReads::same(of) }
        };
        Reads::Axes((0..inputs[0].shape.rank()).map(axis).collect())
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        inputs[0].shape.len() as u64
    }
}

impl FromAttributes for Reduce {
    fn names() -> Vec<&'static str> {
        Vec::new()
    }

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Err(Error::state("reductions are made by the composites that normalise their axes"))
    }
}
