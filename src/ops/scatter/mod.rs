//! Rows written, added or otherwise combined by index.

mod grad;

use super::gather::{Gather, index_at};
use super::{Attributes, FromAttributes, Kind, OpDef, RefArray, expect_inputs};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::reduce::ReduceKind;
use crate::shape::{Fact, Shape};
use ndarray::{Axis, IxDyn, Zip};

/// What an update does to the row that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScatterKind {
    /// Takes its place.
    Set,
    /// Is added to it.
    Add,
    /// Is multiplied with it.
    Multiply,
    /// Leaves the larger of both; NaN wins.
    Max,
    /// Leaves the smaller of both; NaN wins.
    Min,
}

const KINDS: [(&str, ScatterKind); 5] = [
    ("set", ScatterKind::Set),
    ("add", ScatterKind::Add),
    ("multiply", ScatterKind::Multiply),
    ("max", ScatterKind::Max),
    ("min", ScatterKind::Min),
];

impl ScatterKind {
    /// The reduction of the updates of a row; `None` where the last stays.
    pub fn reduction(self) -> Option<ReduceKind> {
        match self {
            ScatterKind::Set => None,
            ScatterKind::Add => Some(ReduceKind::Sum),
            ScatterKind::Multiply => Some(ReduceKind::Prod),
            ScatterKind::Max => Some(ReduceKind::Max),
            ScatterKind::Min => Some(ReduceKind::Min),
        }
    }

    /// What a row holds that nothing is combined with, in elements of `dtype`.
    pub fn nothing(self, dtype: DType) -> f64 {
        self.reduction().map_or(0.0, |kind| kind.identity_of(dtype))
    }

    /// `update` combined with what is there.
    fn combine(self, old: f64, update: f64, dtype: DType) -> f64 {
        let Some(kind) = self.reduction() else { return update };
        match dtype.is_float() {
            true => kind.combine(old, update),
            false => dtype.wrap(kind.combine_wide(old as i128, update as i128)) as f64,
        }
    }
}

/// (updates, indices), and with `onto` a tensor of `shape` as a third: that tensor, or one of what [`ScatterKind::nothing`]
/// says, with the slices of `updates` combined into it at `indices` along `axis`, in the order of the indices. The shape of
/// `updates` is that of a [`Gather`] at the indices. Negative indices count from the end; one outside the axis fails the
/// run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scatter {
    /// The axis.
    pub axis: usize,
    /// Shape of the result.
    pub shape: Shape,
    /// What an update does.
    pub kind: ScatterKind,
    /// Whether there is a tensor to begin with.
    pub onto: bool,
}

impl Scatter {
    /// The gradient of looking up rows: zeros of `shape` to which slices are added.
    pub fn add(axis: usize, shape: Shape) -> Self {
        Scatter { axis, shape, kind: ScatterKind::Add, onto: false }
    }

    /// What looks up the rows that updates were written to.
    fn gather(&self) -> Gather {
        Gather { axis: self.axis as i64 }
    }
}

impl OpDef for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn indices(&self) -> Option<usize> {
        Some(1)
    }

    fn moves(&self) -> bool {
        self.kind == ScatterKind::Set
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("scatter", inputs, if self.onto { 3 } else { 2 })?;
        let updates = &inputs[0];
        if !self.moves() {
            super::expect_computed("updates", updates)?;
        }
        if updates.dtype == DType::Bool && matches!(self.kind, ScatterKind::Add | ScatterKind::Multiply) {
            return Err(Error::dtype("updates: expected numbers, received bool"));
        }
        let to = Fact::checked(self.shape.clone(), updates.dtype)?;
        let expected = self.gather().infer(&[to.clone(), inputs[1].clone()])?;
        if expected != *updates {
            return Err(Error::value(format!("updates: expected {expected}, received {updates}")));
        }
        if let Some(x) = inputs.get(2)
            && *x != to
        {
            let message = format!("x: expected {to}, received {x}");
            return Err(if x.dtype == to.dtype { Error::value(message) } else { Error::dtype(message) });
        }
        Ok(to)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        grad::gradients(self, g, inputs, output, dy)
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let dtype = output.dtype;
        let mut y = match inputs.get(2) {
            Some(&x) => x.clone(),
            None => RefArray::from_elem(&*self.shape, self.kind.nothing(dtype)),
        };
        let rank = facts[1].shape.rank();
        for (p, (at, &v)) in inputs[1].indexed_iter().enumerate() {
            let row = index_at(v, p, self.shape[self.axis])?;
            let at: IxDyn = at;
            let mut slice = inputs[0].view();
            for a in 0..rank {
                slice = slice.index_axis_move(Axis(self.axis), at[a]);
            }
            let target = y.index_axis_mut(Axis(self.axis), row);
            Zip::from(target).and(&slice).for_each(|old, &new| *old = self.kind.combine(*old, new, dtype));
        }
        Ok(y)
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        if self.moves() { 0 } else { inputs[0].shape.len() as u64 }
    }
}

impl FromAttributes for Scatter {
    fn names() -> Vec<&'static str> {
        vec!["scatter"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        let shape = Shape::from(&a.extents("shape")?[..]);
        let axis = shape.axis(a.int_or("axis", 0)?)?;
        let name = a.text_opt("kind")?.unwrap_or_else(|| "set".to_owned());
        let kind = KINDS.iter().find(|row| row.0 == name).map(|row| row.1);
        let kind = kind.ok_or_else(|| {
            let known: Vec<&str> = KINDS.iter().map(|row| row.0).collect();
            Error::value(format!("reduction: expected one of {}, received \"{name}\"", known.join(", ")))
        })?;
        Ok(Scatter { axis, shape, kind, onto: a.bool_or("onto", false)? })
    }
}
