//! The contracts of the three primitives. Each one's gradients are the other two.

use super::{Conv2d, Conv2dFilterGrad, Conv2dInputGrad, infer_conv, infer_filter_grad, infer_input_grad, reference};
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::{AxisReads, Kind, OpDef, Reads, RefArray, reads};
use crate::shape::Fact;

fn input_grad(g: &mut Graph, conv: &Conv2d, dy: NodeId, w: NodeId, x: NodeId) -> Result<NodeId> {
    let shape = &g.fact(x).shape;
    let op = Conv2dInputGrad { conv: conv.clone(), size: [shape[1], shape[2]] };
    g.apply(op, &[dy, w])
}

fn filter_grad(g: &mut Graph, conv: &Conv2d, x: NodeId, dy: NodeId, w: NodeId) -> Result<NodeId> {
    let shape = &g.fact(w).shape;
    let op = Conv2dFilterGrad { conv: conv.clone(), kernel_size: [shape[0], shape[1]] };
    g.apply(op, &[x, dy])
}

impl OpDef for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        infer_conv(self, inputs)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let (x, w) = (inputs[0], inputs[1]);
        Ok(vec![Some(input_grad(g, self, dy, w, x)?), Some(filter_grad(g, self, x, dy, w)?)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        reference::forward(self, inputs, facts, output)
    }

    fn reads(&self, input: usize, inputs: &[Fact], _: &Fact) -> Reads {
        let (x, w) = (&inputs[0].shape, &inputs[1].shape);
        match self.place(x, w) {
            Ok(at) if input == 0 => {
                reads::images([w[0], w[1]], self.strides, self.dilation, at, AxisReads::All, AxisReads::Window)
            }
            _ => Reads::All,
        }
    }

    fn flops(&self, inputs: &[Fact], output: &Fact) -> u64 {
        self.flops(&output.shape, &inputs[1].shape)
    }

    fn takes_prologue(&self) -> bool {
        true
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}

impl OpDef for Conv2dInputGrad {
    fn name(&self) -> &'static str {
        "conv2d_input_grad"
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        infer_input_grad(self, inputs)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dx: NodeId) -> Result<Vec<Option<NodeId>>> {
        let (dy, w) = (inputs[0], inputs[1]);
        let by_dy = g.apply(self.conv.clone(), &[dx, w])?;
        Ok(vec![Some(by_dy), Some(filter_grad(g, &self.conv, dx, dy, w)?)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        reference::input_grad(self, inputs, facts, output)
    }

    fn reads(&self, input: usize, inputs: &[Fact], output: &Fact) -> Reads {
        let (conv, w) = (&self.conv, &inputs[1].shape);
        match conv.place(&output.shape, w) {
            Ok(at) if input == 0 => {
                reads::images([w[0], w[1]], conv.strides, conv.dilation, at, AxisReads::All, AxisReads::Spread)
            }
            _ => Reads::All,
        }
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        self.conv.flops(&inputs[0].shape, &inputs[1].shape)
    }

    fn takes_epilogue(&self) -> bool {
        true
    }
}

impl OpDef for Conv2dFilterGrad {
    fn name(&self) -> &'static str {
        "conv2d_filter_grad"
    }

    fn kind(&self) -> Kind {
        Kind::Heavy
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        infer_filter_grad(self, inputs)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dw: NodeId) -> Result<Vec<Option<NodeId>>> {
        let (x, dy) = (inputs[0], inputs[1]);
        let by_dy = g.apply(self.conv.clone(), &[x, dw])?;
        Ok(vec![Some(input_grad(g, &self.conv, dy, dw, x)?), Some(by_dy)])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        reference::filter_grad(self, inputs, facts, output)
    }

    fn sums_rows(&self, _: &[Fact]) -> bool {
        true
    }

    fn flops(&self, inputs: &[Fact], output: &Fact) -> u64 {
        self.conv.flops(&inputs[1].shape, &output.shape)
    }

    fn takes_prologue(&self) -> bool {
        true
    }
}
