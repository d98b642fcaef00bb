//! Greedy choice of boxes: the best first, and none that overlaps a chosen one too much.

use super::{Attributes, FromAttributes, Kind, OpDef, Real, RefArray};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};

/// Non-maximum suppression of each image's boxes. Inputs are corners of shape (..., n, 4) in any order of axes, opposite
/// corners in any order, scores of shape (..., n), and optionally classes of that shape, int32: boxes of different classes
/// leave each other alone. The result has shape (..., count, 2): the place of a box among the n, and its score; places
/// behind the last choice are −1, their scores 0. Equal scores keep their order; a score of NaN is never chosen.
///
/// With `sigma`, the score of a box falls by exp(−IoU² / (2·sigma)) for each chosen one (Bodla et al. 2017, "Soft-NMS",
/// arXiv:1704.04503, equation 3 with its σ = 2·sigma), and becomes 0 above the limit of the overlap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NonMaxSuppression {
    /// How many boxes are chosen at most.
    pub count: usize,
    /// The greatest overlap (intersection over union) of a box with a chosen one.
    pub overlap: Real,
    /// What a score must exceed.
    pub least: Real,
    /// The width of the soft form; 0 for the hard form.
    pub sigma: Real,
}

/// Extents of a task.
#[derive(Clone, Copy, Debug)]
pub struct Extents {
    /// Images.
    pub images: usize,
    /// Boxes of each.
    pub boxes: usize,
}

impl NonMaxSuppression {
    /// How many images there are, and boxes of each.
    pub fn extents(scores: &Shape) -> Extents {
        match scores.split_last() {
            Some((&boxes, lead)) => Extents { images: lead.iter().product(), boxes },
            None => Extents { images: 0, boxes: 0 },
        }
    }
}

/// The part of the union of two boxes that both cover; 0 where one has no area.
fn overlap(a: &[f64], b: &[f64]) -> f64 {
    let side = |a: &[f64], low: usize| (a[low].min(a[low + 2]), a[low].max(a[low + 2]));
    let common = |k| {
        let ((a0, a1), (b0, b1)) = (side(a, k), side(b, k));
        (a1.min(b1) - a0.max(b0)).max(0.0)
    };
    let area = |a: &[f64]| (a[2] - a[0]).abs() * (a[3] - a[1]).abs();
    let both = common(0) * common(1);
    if area(a) > 0.0 && area(b) > 0.0 { both / (area(a) + area(b) - both) } else { 0.0 }
}

impl OpDef for NonMaxSuppression {
    fn name(&self) -> &'static str {
        "non_max_suppression"
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        let [boxes, scores, classes @ ..] = inputs else {
            return Err(Error::dtype(format!("expected boxes, scores and classes, received {} inputs", inputs.len())));
        };
        for (name, fact, dtype) in [("boxes", boxes, DType::F32), ("scores", scores, DType::F32)]
            .into_iter()
            .chain(classes.iter().map(|fact| ("classes", fact, DType::I32)))
        {
            if fact.dtype != dtype {
                return Err(Error::dtype(format!("{name}: expected {dtype}, received {}", fact.dtype)));
            }
        }
        let Some((4, lead)) = boxes.shape.split_last().map(|(n, lead)| (*n, lead)).filter(|(_, l)| !l.is_empty())
        else {
            return Err(Error::value(format!("boxes: expected shape (..., n, 4), received {}", boxes.shape)));
        };
        for (name, fact) in std::iter::once(("scores", scores)).chain(classes.iter().map(|fact| ("classes", fact))) {
            if *fact.shape != *lead {
                return Err(Error::value(format!(
                    "{name}: expected shape {}, a number for each of the boxes, received {}",
                    Shape::from(lead),
                    fact.shape
                )));
            }
        }
        if classes.len() > 1 {
            return Err(Error::dtype(format!("expected at most 3 inputs, received {}", inputs.len())));
        }
        // Places are written as f32.
        let boxes = lead[lead.len() - 1];
        if boxes > 1 << 24 {
            return Err(Error::value(format!("boxes: expected at most 2^24 of them, received {boxes}")));
        }
        let shape: Shape = lead[..lead.len() - 1].iter().copied().chain([self.count, 2]).collect();
        Fact::checked(shape, DType::F32)
    }

    fn grad(&self, _: &mut Graph, inputs: &[NodeId], _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>> {
        Ok(vec![None; inputs.len()])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let Extents { images, boxes } = Self::extents(&facts[1].shape);
        let [corners, points] = [0, 1].map(|k| inputs[k].iter().copied().collect::<Vec<f64>>());
        let classes: Option<Vec<f64>> = inputs.get(2).map(|x| x.iter().copied().collect());
        let (sigma, limit, least) = (self.sigma.get(), self.overlap.get(), self.least.get());
        let mut made = vec![];
        for image in 0..images {
            let at = |i: usize| &corners[(image * boxes + i) * 4..][..4];
            let mut scores = points[image * boxes..][..boxes].to_vec();
            let mut open: Vec<bool> = scores.iter().map(|s| *s > least).collect();
            for _ in 0..self.count {
                let better = |best: Option<usize>, i: usize| match best {
                    Some(b) if scores[b] >= scores[i] => best,
                    _ => Some(i),
                };
                let Some(best) = (0..boxes).filter(|&i| open[i]).fold(None, better) else {
                    made.extend([-1.0, 0.0]);
                    continue;
                };
                made.extend([best as f64, scores[best]]);
                open[best] = false;
                for i in (0..boxes).filter(|&i| open[i]).collect::<Vec<_>>() {
                    if classes.as_ref().is_some_and(|c| c[image * boxes + i] != c[image * boxes + best]) {
                        continue;
                    }
                    let common = overlap(at(i), at(best));
                    if sigma > 0.0 {
                        scores[i] *= if common > limit { 0.0 } else { (-common * common / (2.0 * sigma)).exp() };
                        open[i] = scores[i] > least;
                    } else {
                        open[i] = common.partial_cmp(&limit) != Some(std::cmp::Ordering::Greater);
                    }
                }
            }
        }
        RefArray::from_shape_vec(&*output.shape, made).map_err(|e| Error::state(e.to_string()))
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        // A division and about 12 operations for each pair that is compared, of which a candidate has half the choices.
        (inputs[1].shape.len() * self.count.min(inputs[1].shape.last().copied().unwrap_or(0))) as u64 * 6
    }
}

impl FromAttributes for NonMaxSuppression {
    fn names() -> Vec<&'static str> {
        vec!["non_max_suppression"]
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        let count = a.int("count")?;
        let count = usize::try_from(count)
            .map_err(|_| Error::value(format!("max_output_size: expected an integer >= 0, received {count}")))?;
        Ok(NonMaxSuppression {
            count,
            overlap: a.real_or("overlap", 0.5)?,
            least: a.real_or("least", f64::NEG_INFINITY)?,
            sigma: a.real_or("sigma", 0.0)?,
        })
    }
}
