//! Mean and biased variance per channel: what batch normalisation measures.

use super::{Attributes, FromAttributes, Kind, OpDef, RefArray, expect_float, expect_inputs};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::movement::Slice;
use crate::shape::Fact;

/// x (…, C) → (2, C): the mean over all axes but the last, and the mean squared deviation from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelStats;

impl OpDef for ChannelStats {
    fn name(&self) -> &'static str {
        "channel_stats"
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("channel_stats", inputs, 1)?;
        expect_float("x", &inputs[0])?;
        let x = &inputs[0].shape;
        match x.last() {
            Some(&channels) if !x.is_empty() => Fact::checked([2, channels], inputs[0].dtype),
            _ => Err(Error::value(format!("x: expected elements in each channel, received shape {x}"))),
        }
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        // d mean / dx = 1/n; d var / dx = 2 (x − mean) / n.
        let x = inputs[0];
        let channels = g.fact(output).shape[1];
        let count = g.fact(x).shape.len() / channels.max(1);
        let row = |g: &mut Graph, of: NodeId, i: usize| -> Result<NodeId> {
            let part = g.apply(Slice::new(&[i, 0], &[i + 1, channels], &[1, 1]), &[of])?;
            g.reshape(part, [channels].into())
        };
        let (d_mean, d_var, mean) = (row(g, dy, 0)?, row(g, dy, 1)?, row(g, output, 0)?);
        let deviation = g.sub(x, mean)?;
        let slope = g.scale(d_var, 2.0 / count as f64)?;
        let from_var = g.mul(deviation, slope)?;
        let from_mean = g.scale(d_mean, 1.0 / count as f64)?;
        Ok(vec![Some(g.add(from_var, from_mean)?)])
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        let channels = output.shape[1];
        let x: Vec<f64> = inputs[0].iter().copied().collect();
        let count = (x.len() / channels) as f64;
        let mut out = RefArray::zeros(&*output.shape);
        for c in 0..channels {
            let column = || x.iter().skip(c).step_by(channels);
            let mean = column().sum::<f64>() / count;
            out[[0, c]] = mean;
            out[[1, c]] = column().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        }
        Ok(out)
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        4 * inputs[0].shape.len() as u64
    }
}

impl FromAttributes for ChannelStats {
    fn names() -> Vec<&'static str> {
        vec!["channel_stats"]
    }

    fn from_attributes(_: &str, _: &mut Attributes) -> Result<Self> {
        Ok(ChannelStats)
    }
}
