//! Values whose gradient a program gives: `ops.custom_gradient`.
//!
//! The program's function of the gradient is recorded once, with the op `upstream` in place of the gradient that will
//! arrive. Autodiff copies what was recorded, with that gradient in its place.

use super::{Attributes, Compose, Gradients, OwnGradient};
use crate::error::{Error, Result};
use crate::graph::{Graph, Inputs, NodeId};
use std::collections::HashMap;

/// A value with a gradient of a program's own, and the place of that gradient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Custom {
    /// (y): stands for the gradient that arrives at y; 1 until there is one.
    Upstream,
    /// (y, upstream of y, x₁ … xₙ, g₁ … gₙ): y, whose gradient with respect to xᵢ is gᵢ, of which upstream is an argument.
    Value,
}

impl Compose for Custom {
    const NAMES: &'static [&'static str] = &["upstream", "custom_gradient"];

    fn from_attributes(name: &str, _: &mut Attributes) -> Result<Self> {
        Ok(if name == "upstream" { Custom::Upstream } else { Custom::Value })
    }

    fn name(&self) -> &'static str {
        match self {
            Custom::Upstream => "upstream",
            Custom::Value => "custom_gradient",
        }
    }

    fn arity(&self) -> Option<usize> {
        match self {
            Custom::Upstream => Some(1),
            Custom::Value => None,
        }
    }

    fn inline(&self, g: &mut Graph, inputs: &[NodeId]) -> Result<NodeId> {
        match self {
            Custom::Upstream => {
                let fact = g.fact(inputs[0]).clone();
                let one = g.full(1.0, fact.shape, fact.dtype.computed())?;
                g.cast(one, fact.dtype)
            }
            Custom::Value => {
                arguments(g, inputs)?;
                Ok(inputs[0])
            }
        }
    }

    fn own_gradient(&self) -> Option<OwnGradient<Self>> {
        Some(|op, g, inputs, _, dy| match op {
            Custom::Upstream => Ok(vec![None]),
            Custom::Value => value_gradient(g, inputs, dy),
        })
    }
}

/// How many arguments have gradients.
fn arguments(g: &Graph, inputs: &[NodeId]) -> Result<usize> {
    let count = inputs.len().saturating_sub(2) / 2;
    if inputs.len() != 2 + 2 * count || g.fact(inputs[0]) != g.fact(inputs[1]) {
        return Err(Error::value("custom_gradient: expected a value, its upstream, arguments and as many gradients"));
    }
    for i in 0..count {
        let (x, gradient) = (g.fact(inputs[2 + i]), g.fact(inputs[2 + count + i]));
        if x != gradient {
            return Err(Error::value(format!(
                "custom_gradient: argument {i}: expected a gradient of {x}, as the argument has, received {gradient}"
            )));
        }
    }
    Ok(count)
}

fn value_gradient(g: &mut Graph, inputs: &[NodeId], dy: NodeId) -> Gradients {
    let count = arguments(g, inputs)?;
    let (xs, gradients) = inputs[2..].split_at(count);
    let replaced = with_in_place(g, inputs[1], dy, gradients)?;
    let mut result = vec![None; inputs.len()];
    for (i, gradient) in replaced.into_iter().enumerate() {
        // An argument given twice has the sum of both gradients, at its first place.
        let first = xs.iter().position(|x| *x == xs[i]).unwrap_or(i);
        result[2 + first] = Some(match result[2 + first] {
            None => gradient,
            Some(before) => g.add(before, gradient)?,
        });
    }
    Ok(result)
}

/// `roots` with `to` in place of `from`, of which copies of the nodes between are made.
fn with_in_place(g: &mut Graph, from: NodeId, to: NodeId, roots: &[NodeId]) -> Result<Vec<NodeId>> {
    let last = roots.iter().copied().max().unwrap_or(from);
    // Nodes that lead to a root.
    let mut wanted = vec![false; last.index() + 1];
    for root in roots {
        wanted[root.index()] = true;
    }
    for id in (0..=last.0).rev().map(NodeId) {
        if wanted[id.index()] {
            for x in &g.node(id).inputs {
                wanted[x.index()] = true;
            }
        }
    }
    let mut copies = HashMap::from([(from, to)]);
    for id in (from.0 + 1..=last.0).map(NodeId) {
        let node = g.node(id);
        if !wanted[id.index()] || !node.inputs.iter().any(|x| copies.contains_key(x)) {
            continue;
        }
        let op = node.op.clone();
        let inputs: Inputs = node.inputs.iter().map(|x| *copies.get(x).unwrap_or(x)).collect();
        let copy = g.apply(op, &inputs)?;
        copies.insert(id, copy);
    }
    Ok(roots.iter().map(|root| *copies.get(root).unwrap_or(root)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::shape::Fact;

    #[test]
    fn a_gradient_of_another_shape_is_refused() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([2], DType::F32));
        let one = g.full(1.0, [1].into(), DType::F32).unwrap();
        let u = g.apply(Custom::Upstream, &[x]).unwrap();
        let error = g.apply(Custom::Value, &[x, u, x, one]).unwrap_err().to_string();
        assert!(error.contains("expected a gradient of float32(2,)"), "{error}");
    }
}
