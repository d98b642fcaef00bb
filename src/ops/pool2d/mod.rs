//! Max and average pooling over windows of height and width, and their gradients; NHWC.
//!
//! Elements outside the image are excluded: never greatest, and counted in a mean only with
//! `count_include_pad`. The gradient of a maximum goes to the first greatest element in row-major
//! order; it is found again instead of kept.

mod pick;

pub use pick::MaxPool2dPick;

use super::window::{Padding, Placement, Window};
use super::{Attributes, AxisReads, FromAttributes, Kind, OpDef, Reads, RefArray, expect_float, expect_inputs, reads};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};

/// What a window is reduced to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The greatest element.
    Max,
    /// The mean; with the flag, padding counts as zeros.
    Average {
        /// Whether padding counts.
        count_include_pad: bool,
    },
}

/// A pooling of x.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool2d {
    /// What a window is reduced to.
    pub kind: PoolKind,
    /// The window.
    pub window: Window,
}

/// Gradient of a pooling by its input, from (x, output gradient).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool2dGrad {
    /// The pooling.
    pub pool: Pool2d,
}

impl Pool2d {
    pub(crate) fn place(&self, x: &[usize]) -> Result<Placement> {
        if x.len() != 4 {
            return Err(Error::value(format!("x: expected shape (batch, height, width, channels), received {x:?}")));
        }
        let place = self.window.place(x)?;
        // A window without elements has no maximum and no mean.
        let [size, strides] = [self.window.size, self.window.strides];
        let meets = |axis: usize| {
            place.before[axis] < size[axis] && (place.out[axis] - 1) * strides[axis] < x[axis + 1] + place.before[axis]
        };
        if !(meets(0) && meets(1)) {
            return Err(Error::value(format!(
                "padding: expected every window of pool_size {:?} to meet the input, received {} for input {}",
                (size[0], size[1]),
                self.window.padding,
                Shape::from(&x[1..])
            )));
        }
        Ok(place)
    }

    /// Calls `visit(window index, elements inside the image)` for every window of every channel.
    fn windows(&self, x: &[usize], mut visit: impl FnMut([usize; 4], &[[usize; 4]])) -> Result<()> {
        let place = self.place(x)?;
        let mut inside = Vec::new();
        for n in 0..x[0] {
            for p in 0..place.out[0] {
                for q in 0..place.out[1] {
                    for c in 0..x[3] {
                        inside.clear();
                        for i in 0..self.window.size[0] {
                            for j in 0..self.window.size[1] {
                                let row = (p * self.window.strides[0] + i).checked_sub(place.before[0]);
                                let col = (q * self.window.strides[1] + j).checked_sub(place.before[1]);
                                if let (Some(row), Some(col)) = (row, col)
                                    && row < x[1]
                                    && col < x[2]
                                {
                                    inside.push([n, row, col, c]);
                                }
                            }
                        }
                        visit([n, p, q, c], &inside);
                    }
                }
            }
        }
        Ok(())
    }

    fn divisor(&self, inside: usize) -> f64 {
        match self.kind {
            PoolKind::Average { count_include_pad: true } => (self.window.size[0] * self.window.size[1]) as f64,
            _ => inside as f64,
        }
    }
}

fn first_greatest(x: &RefArray, inside: &[[usize; 4]]) -> Option<[usize; 4]> {
    let mut best: Option<[usize; 4]> = None;
    for &at in inside {
        let v = x[at.as_slice()];
        let better = best.is_none_or(|b| {
            let old = x[b.as_slice()];
            !old.is_nan() && (v.is_nan() || v > old)
        });
        if better {
            best = Some(at);
        }
    }
    best
}

impl OpDef for Pool2d {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "max_pool2d",
            PoolKind::Average { .. } => "avg_pool2d",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 1)?;
        expect_float("x", &inputs[0])?;
        let x = &inputs[0].shape;
        let p = self.place(x)?;
        Fact::checked([x[0], p.out[0], p.out[1], x[3]], inputs[0].dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![Some(g.apply(Pool2dGrad { pool: self.clone() }, &[inputs[0], dy])?)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let x = inputs[0];
        let mut y = RefArray::zeros(&*output.shape);
        self.windows(&facts[0].shape, |at, inside| {
            y[at.as_slice()] = match self.kind {
                PoolKind::Max => first_greatest(x, inside).map_or(f64::NEG_INFINITY, |b| x[b.as_slice()]),
                PoolKind::Average { .. } => {
                    inside.iter().map(|i| x[i.as_slice()]).sum::<f64>() / self.divisor(inside.len())
                }
            };
        })?;
        Ok(y)
    }

    fn reads(&self, _: usize, inputs: &[Fact], _: &Fact) -> Reads {
        let Window { size, strides, dilation, .. } = self.window;
        match self.place(&inputs[0].shape) {
            Ok(place) => reads::images(size, strides, dilation, place, AxisReads::same(3), AxisReads::Window),
            Err(_) => Reads::All,
        }
    }

    fn flops(&self, _: &[Fact], output: &Fact) -> u64 {
        let [rows, columns] = self.window.size.map(|n| n as u64);
        (output.shape.len() as u64).saturating_mul(rows).saturating_mul(columns)
    }
}

impl OpDef for Pool2dGrad {
    fn name(&self) -> &'static str {
        match self.pool.kind {
            PoolKind::Max => "max_pool2d_grad",
            PoolKind::Average { .. } => "avg_pool2d_grad",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, 2)?;
        let y = self.pool.infer(&inputs[..1])?;
        if inputs[1] != y {
            return Err(Error::value(format!("dy: expected {y}, received {}", inputs[1])));
        }
        Ok(inputs[0].clone())
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dx: NodeId) -> Result<Vec<Option<NodeId>>> {
        // Linear in dy; x decides only where it goes.
        let by_dy = match self.pool.kind {
            PoolKind::Average { .. } => g.apply(self.pool.clone(), &[dx])?,
            PoolKind::Max => g.apply(MaxPool2dPick { window: self.pool.window }, &[inputs[0], dx])?,
        };
        Ok(vec![None, Some(by_dy)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let (x, dy) = (inputs[0], inputs[1]);
        let mut dx = RefArray::zeros(&*output.shape);
        self.pool.windows(&facts[0].shape, |at, inside| match self.pool.kind {
            PoolKind::Max => {
                if let Some(b) = first_greatest(x, inside) {
                    dx[b.as_slice()] += dy[at.as_slice()];
                }
            }
            PoolKind::Average { .. } => {
                let share = dy[at.as_slice()] / self.pool.divisor(inside.len());
                for i in inside {
                    dx[i.as_slice()] += share;
                }
            }
        })?;
        Ok(dx)
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        Reads::Axes(vec![AxisReads::same(0), AxisReads::All, AxisReads::All, AxisReads::same(3)])
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        (inputs[1].shape.len() * self.pool.window.size[0] * self.pool.window.size[1]) as u64
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}

impl FromAttributes for Pool2d {
    fn names() -> Vec<&'static str> {
        vec!["max_pool2d", "avg_pool2d"]
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        let size = a.sizes_or("pool_size", [2, 2])?;
        let window = Window {
            size,
            strides: a.sizes_or("strides", size)?,
            dilation: [1, 1],
            padding: Padding::take(a)?,
            ceil_mode: a.bool_or("ceil_mode", false)?,
        };
        let kind = if name == "max_pool2d" {
            PoolKind::Max
        } else {
            PoolKind::Average { count_include_pad: a.bool_or("count_include_pad", false)? }
        };
        Ok(Pool2d { kind, window })
    }
}

impl FromAttributes for Pool2dGrad {
    fn names() -> Vec<&'static str> {
        Vec::new()
    }

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Err(Error::state("gradients of pooling are made by autodiff"))
    }
}
