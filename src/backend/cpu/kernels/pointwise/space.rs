//! The iteration space of a region: axes merged where everything steps through them as one.

use crate::fusion::region::Region;

/// A merged axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Extent.
    pub extent: usize,
    /// Whether reductions run over it.
    pub reduced: bool,
    /// Step of each operand, in elements.
    pub steps: Vec<usize>,
    /// Step in the reductions' outputs; 0 if reduced.
    pub kept_step: usize,
}

/// Axes, outermost first; at least two, so that the last two are rows and columns.
#[derive(Clone, Debug)]
pub struct Space {
    /// The axes.
    pub axes: Vec<Axis>,
    /// Elements of each reduction's output.
    pub kept: usize,
}

impl Space {
    /// The space of a region. A region without reductions reduces nothing.
    pub fn new(region: &Region) -> Space {
        let reduces = !region.reductions.is_empty();
        let mut axes: Vec<Axis> = Vec::new();
        for (a, &extent) in region.shape.iter().enumerate() {
            if extent == 1 {
                continue;
            }
            let reduced = reduces && region.reduce_axes.contains(&a);
            let steps: Vec<usize> = region.operands.iter().map(|o| o.strides[a]).collect();
            if let Some(last) = axes.last_mut()
                && last.reduced == reduced
                && last.steps.iter().zip(&steps).all(|(outer, inner)| *outer == inner * extent)
            {
                last.extent *= extent;
                last.steps = steps;
                continue;
            }
            axes.push(Axis { extent, reduced, steps, kept_step: 0 });
        }
        while axes.len() < 2 {
            axes.insert(0, Axis { extent: 1, reduced: false, steps: vec![0; region.operands.len()], kept_step: 0 });
        }
        let mut kept = 1;
        for axis in axes.iter_mut().rev().filter(|a| !a.reduced) {
            axis.kept_step = kept;
            kept *= axis.extent;
        }
        Space { axes, kept }
    }

    /// The first axis of more than one position, and its number; none in an empty space and in one of a single element.
    pub fn outermost(&self) -> Option<(usize, &Axis)> {
        self.axes.iter().enumerate().find(|(_, a)| a.extent > 1).filter(|_| self.len() > 0)
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.axes.iter().map(|a| a.extent).product()
    }
}
