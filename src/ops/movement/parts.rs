//! Slice, pad and concatenate.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::{Attribute, Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, Real, RefArray, expect_inputs};
use crate::shape::{Fact, Shape};
use ndarray::Axis;
use smallvec::SmallVec;

/// Along each axis `count` elements from `start` by `step`, which may be negative.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// First element.
    pub starts: SmallVec<[usize; 6]>,
    /// Number of elements.
    pub counts: SmallVec<[usize; 6]>,
    /// Distance between elements.
    pub steps: SmallVec<[i64; 6]>,
}

impl Slice {
    /// Elements `starts..stops` by positive `steps`.
    pub fn new(starts: &[usize], stops: &[usize], steps: &[usize]) -> Self {
        let counts = starts.iter().zip(stops).zip(steps).map(|((a, b), s)| b.saturating_sub(*a).div_ceil(*s));
        Slice { starts: starts.into(), counts: counts.collect(), steps: steps.iter().map(|&s| s as i64).collect() }
    }

    /// All of `shape`, turned round along `axes`.
    pub fn flip(shape: &Shape, axes: &[usize]) -> Self {
        let turned = |a: usize| axes.contains(&a);
        Slice {
            starts: (0..shape.rank()).map(|a| if turned(a) { shape[a].saturating_sub(1) } else { 0 }).collect(),
            counts: shape.iter().copied().collect(),
            steps: (0..shape.rank()).map(|a| if turned(a) { -1 } else { 1 }).collect(),
        }
    }
}

impl OpDef for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn moves(&self) -> bool {
        true
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        let axis = |a: usize| AxisReads::steps(a, self.starts[a], self.steps[a]);
        Reads::Axes((0..self.starts.len()).map(axis).collect())
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("slice", inputs, 1)?;
        let shape = &inputs[0].shape;
        let ranks_fit = [self.starts.len(), self.counts.len(), self.steps.len()] == [shape.rank(); 3];
        let inside = |a: usize| {
            let last = self.starts[a] as i64 + (self.counts[a].max(1) as i64 - 1) * self.steps[a];
            self.counts[a] == 0 || (self.starts[a] < shape[a] && last >= 0 && last < shape[a] as i64)
        };
        if !ranks_fit || !(0..shape.rank()).all(inside) {
            return Err(Error::value(format!(
                "slice: starts {:?}, counts {:?}, steps {:?} do not fit shape {shape}",
                self.starts, self.counts, self.steps
            )));
        }
        Fact::checked(self.counts.iter().copied().collect::<Shape>(), inputs[0].dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let shape = g.fact(inputs[0]).shape.clone();
        let turned: Vec<usize> = (0..shape.rank()).filter(|&a| self.steps[a] < 0).collect();
        let mut dy = dy;
        let mut before: SmallVec<[usize; 6]> = self.starts.clone();
        if !turned.is_empty() {
            let own = g.fact(dy).shape.clone();
            dy = g.apply(Slice::flip(&own, &turned), &[dy])?;
            for &a in &turned {
                before[a] = (self.starts[a] as i64 + (self.counts[a].max(1) as i64 - 1) * self.steps[a]) as usize;
            }
        }
        let inner: SmallVec<[usize; 6]> = self.steps.iter().map(|s| s.unsigned_abs() as usize - 1).collect();
        let spread = |a: usize| if self.counts[a] == 0 { 0 } else { (self.counts[a] - 1) * (inner[a] + 1) + 1 };
        let after = (0..shape.rank()).map(|a| shape[a] - before[a].min(shape[a]) - spread(a).min(shape[a])).collect();
        let pad = Pad { before, after, inner, value: Real::new(0.0) };
        Ok(vec![Some(g.apply(pad, &[dy])?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        let mut y = inputs[0].clone();
        for a in 0..self.starts.len() {
            let at = |i: usize| (self.starts[a] as i64 + i as i64 * self.steps[a]) as usize;
            let picked: Vec<usize> = (0..self.counts[a]).map(at).collect();
            y = y.select(Axis(a), &picked);
        }
        Ok(y.as_standard_layout().into_owned())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Slice {}

/// `value` around x and, with `inner`, between its elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pad {
    /// Elements before, per axis.
    pub before: SmallVec<[usize; 6]>,
    /// Elements after.
    pub after: SmallVec<[usize; 6]>,
    /// Elements between neighbours.
    pub inner: SmallVec<[usize; 6]>,
    /// What they hold.
    pub value: Real,
}

impl OpDef for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn moves(&self) -> bool {
        true
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        let axis = |a: usize| AxisReads::padded(a, self.before[a], self.inner[a] + 1);
        Reads::Axes((0..self.before.len()).map(axis).collect())
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("pad", inputs, 1)?;
        let shape = &inputs[0].shape;
        if [self.before.len(), self.after.len(), self.inner.len()] != [shape.rank(); 3] {
            return Err(Error::value(format!(
                "paddings: expected {} pairs for shape {shape}, received {}",
                shape.rank(),
                self.before.len()
            )));
        }
        let padded = |a: usize| {
            let spread = shape[a] + shape[a].saturating_sub(1).checked_mul(self.inner[a])?;
            spread.checked_add(self.before[a])?.checked_add(self.after[a])
        };
        let dims: Option<Shape> = (0..shape.rank()).map(padded).collect();
        let dims = dims.ok_or_else(|| Error::memory(format!("paddings of shape {shape} overflow")))?;
        Fact::checked(dims, inputs[0].dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let slice = Slice {
            starts: self.before.clone(),
            counts: g.fact(inputs[0]).shape.iter().copied().collect(),
            steps: self.inner.iter().map(|&i| i as i64 + 1).collect(),
        };
        Ok(vec![Some(g.apply(slice, &[dy])?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        let mut y = RefArray::from_elem(&*output.shape, output.dtype.round(self.value.get()));
        for (index, &v) in inputs[0].indexed_iter() {
            let at: Vec<usize> =
                (0..self.before.len()).map(|a| self.before[a] + index[a] * (self.inner[a] + 1)).collect();
            y[at.as_slice()] = v;
        }
        Ok(y)
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Pad {
    fn names() -> Vec<&'static str> {
        vec!["pad"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        let wrong = |received: &Attribute| {
            Error::value(format!("paddings: expected a (before, after) pair an axis, received {received:?}"))
        };
        let value = a.real_or("value", 0.0)?;
        let list = a.take("paddings");
        let Attribute::List(axes) = &list else { return Err(wrong(&list)) };
        let mut pad = Pad { before: SmallVec::new(), after: SmallVec::new(), inner: SmallVec::new(), value };
        for axis in axes {
            let Attribute::List(ends) = axis else { return Err(wrong(&list)) };
            let [Attribute::Int(before), Attribute::Int(after)] = ends.as_slice() else { return Err(wrong(&list)) };
            pad.before.push(usize::try_from(*before).map_err(|_| wrong(&list))?);
            pad.after.push(usize::try_from(*after).map_err(|_| wrong(&list))?);
            pad.inner.push(0);
        }
        Ok(pad)
    }
}

/// Inputs one after the other along `axis`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// The axis, counted from the end if negative.
    pub axis: i64,
}

impl OpDef for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn moves(&self) -> bool {
        true
    }

    fn reads(&self, input: usize, inputs: &[Fact], output: &Fact) -> Reads {
        let Ok(axis) = output.shape.axis(self.axis) else { return Reads::All };
        let before = inputs[..input].iter().map(|f| f.shape[axis]).sum();
        let along = |a: usize| AxisReads::padded(a, if a == axis { before } else { 0 }, 1);
        Reads::Axes((0..output.shape.rank()).map(along).collect())
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        let first = inputs.first().ok_or_else(|| Error::value("concat: expected at least one input, received none"))?;
        let axis = first.shape.axis(self.axis)?;
        let mut extent = 0usize;
        for f in inputs {
            let fits = f.dtype == first.dtype
                && f.shape.rank() == first.shape.rank()
                && (0..f.shape.rank()).all(|a| a == axis || f.shape[a] == first.shape[a]);
            if !fits {
                return Err(Error::value(format!("concat along axis {axis}: {f} does not fit {first}")));
            }
            extent = extent
                .checked_add(f.shape[axis])
                .ok_or_else(|| Error::memory("concat: the result exceeds the address space"))?;
        }
        let dims: Shape = (0..first.shape.rank()).map(|a| if a == axis { extent } else { first.shape[a] }).collect();
        Fact::checked(dims, first.dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let axis = g.fact(dy).shape.axis(self.axis)?;
        let mut start = 0;
        let mut grads = Vec::new();
        for &x in inputs {
            let counts = g.fact(x).shape.clone();
            let rank = counts.rank();
            let slice = Slice {
                starts: (0..rank).map(|a| if a == axis { start } else { 0 }).collect(),
                counts: counts.iter().copied().collect(),
                steps: smallvec::smallvec![1; rank],
            };
            start += counts[axis];
            grads.push(Some(g.apply(slice, &[dy])?));
        }
        Ok(grads)
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], _: &Fact) -> Result<RefArray> {
        let axis = facts[0].shape.axis(self.axis)?;
        let views: Vec<_> = inputs.iter().map(|x| x.view()).collect();
        let joined = ndarray::concatenate(Axis(axis), &views).map_err(|e| Error::state(e.to_string()))?;
        Ok(joined.as_standard_layout().into_owned())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Concat {
    fn names() -> Vec<&'static str> {
        vec!["concat"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(Concat { axis: a.int_or("axis", -1)? })
    }
}

/// The value itself, through which no gradient flows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StopGradient;

impl OpDef for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn kind(&self) -> Kind {
        Kind::View
    }

    fn moves(&self) -> bool {
        true
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        Reads::Same
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("stop_gradient", inputs, 1)?;
        Ok(inputs[0].clone())
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], _: &Fact) -> Result<RefArray> {
        Ok(inputs[0].clone())
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for StopGradient {
    fn names() -> Vec<&'static str> {
        vec!["stop_gradient"]
    }

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Ok(StopGradient)
    }
}

/// 0, 1, 2 … along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Iota {
    /// Shape of the result.
    pub shape: Shape,
    /// The axis along which values grow.
    pub axis: usize,
    /// Element type.
    pub dtype: DType,
}

impl OpDef for Iota {
    fn name(&self) -> &'static str {
        "iota"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn moves(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("iota", inputs, 0)?;
        if self.axis >= self.shape.rank() {
            return Err(Error::value(format!("axis: expected an axis of {}, received {}", self.shape, self.axis)));
        }
        Fact::checked(self.shape.clone(), self.dtype)
    }

    fn grad(&self, _: &mut Graph, _: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(Vec::new())
    }

    fn reference(&self, _: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        Ok(RefArray::from_shape_fn(&*output.shape, |i| output.dtype.round(i[self.axis] as f64)))
    }

    fn flops(&self, _: &[Fact], _: &Fact) -> u64 {
        0
    }
}

impl FromAttributes for Iota {
    fn names() -> Vec<&'static str> {
        vec!["iota"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        let shape = Shape::from(a.extents("shape")?.as_slice());
        let axis = shape.axis(a.int_or("axis", 0)?)?;
        Ok(Iota { axis, dtype: a.dtype_or("dtype", DType::I32)?, shape })
    }
}
