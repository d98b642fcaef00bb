//! Reverse-mode differentiation as a pass: gradients are graph nodes like any others.
//!
//! The vector-Jacobian products come from each op's `grad`; contributions that meet are added in
//! the order in which their consumers are visited (descending node id), which is fixed.

use crate::error::{Error, Result};
use crate::graph::{Graph, Inputs, NodeId};
use crate::ops::pointwise::{Function, still_where_still};
use crate::ops::{Kind, Op};
use crate::passes::{Pass, PassContext};
use std::collections::HashMap;

/// Appends to `g` the gradients of `root` with respect to each of `wrt`; `None` where `root` does
/// not depend on it differentiably. `seed` is the gradient of `root`, 1 everywhere if absent.
///
/// # Errors
/// When `root` is no float, or an op on the way has no gradient.
pub fn differentiate(g: &mut Graph, root: NodeId, wrt: &[NodeId], seed: Option<NodeId>) -> Result<Vec<Option<NodeId>>> {
    let seed = match seed {
        Some(seed) => seed,
        None => {
            let fact = g.fact(root).clone();
            if !fact.dtype.is_float() {
                return Err(Error::dtype(format!("gradient: expected a float root, received {fact}")));
            }
            g.full(1.0, fact.shape, fact.dtype)?
        }
    };
    propagate(g, root, wrt, seed, None)
}

/// What the nodes of a composite have of the place where it stands.
#[derive(Clone, Copy)]
struct Composite {
    /// Whether it leads to a branch of a `where`.
    below_select: bool,
}

/// The gradients of `root`. Within a composite, nothing flows on through the nodes of `wrt`: their gradients are partial.
fn propagate(
    g: &mut Graph,
    root: NodeId,
    wrt: &[NodeId],
    seed: NodeId,
    within: Option<Composite>,
) -> Result<Vec<Option<NodeId>>> {
    // Which nodes up to the root depend on a node of `wrt` through float values.
    let mut depends = vec![false; root.index() + 1];
    for &w in wrt {
        if w <= root {
            depends[w.index()] = true;
        }
    }
    for id in g.ids().take(root.index() + 1) {
        let node = g.node(id);
        if node.fact.dtype.is_float() && node.inputs.iter().any(|i| depends[i.index()]) {
            depends[id.index()] = true;
        }
    }
    let below_select = match within {
        None => below_selects(g, root),
        // A composite bounds what its own selects do not take.
        Some(composite) => vec![composite.below_select; root.index() + 1],
    };
    let mut grads: HashMap<NodeId, NodeId> = HashMap::new();
    if depends[root.index()] {
        grads.insert(root, seed);
    }
    let before = (g.set_origin(None), g.set_gradient(true));
    for id in (0..=root.0).rev().map(NodeId) {
        if !depends[id.index()] || (within.is_some() && wrt.contains(&id)) {
            continue;
        }
        let Some(&dy) = grads.get(&id) else { continue };
        let node = g.node(id).clone();
        if !node.inputs.iter().any(|i| depends[i.index()]) {
            continue;
        }
        g.set_origin(node.origin.clone());
        let input_grads =
            vjp(g, &node.op, &node.inputs, id, dy, below_select[id.index()]).map_err(|e| e.at(node.op.def().name()))?;
        debug_assert_eq!(input_grads.len(), node.inputs.len(), "{:?}", node.op);
        for (&x, dx) in node.inputs.iter().zip(input_grads) {
            let Some(dx) = dx else { continue };
            if !depends[x.index()] {
                continue;
            }
            debug_assert_eq!(g.fact(dx), g.fact(x), "gradient of {:?}", node.op);
            let sum = match grads.get(&x) {
                Some(&old) => add(g, old, dx)?,
                None => dx,
            };
            grads.insert(x, sum);
        }
    }
    g.set_origin(before.0);
    g.set_gradient(before.1);
    Ok(wrt.iter().map(|w| grads.get(w).copied()).collect())
}

/// Of each node up to the root, whether it leads to a branch of a `where` that a program asks for: parts of its gradient
/// may be 0 because the other branch was taken, whatever is computed in this one.
fn below_selects(g: &Graph, root: NodeId) -> Vec<bool> {
    let mut below = vec![false; root.index() + 1];
    for id in (0..=root.0).rev().map(NodeId) {
        let node = g.node(id);
        let first = match &node.op {
            _ if below[id.index()] => 0,
            // Not the condition.
            Op::Pointwise(Function::Where) => 1,
            _ => continue,
        };
        for x in &node.inputs[first..] {
            below[x.index()] = true;
        }
    }
    below
}

/// The sum of two gradients of one value, computed in the type in which its own is computed with.
fn add(g: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId> {
    let dtype = g.fact(a).dtype;
    let (a, b) = (g.cast(a, dtype.computed())?, g.cast(b, dtype.computed())?);
    let sum = g.add(a, b)?;
    g.cast_loosely(sum, dtype)
}

fn vjp(
    g: &mut Graph,
    op: &Op,
    inputs: &[NodeId],
    output: NodeId,
    dy: NodeId,
    below_select: bool,
) -> Result<Vec<Option<NodeId>>> {
    let def = op.def();
    if let Op::Pointwise(function) = op {
        return function.gradients(g, inputs, output, dy, below_select);
    }
    if def.kind() != Kind::Composite || def.owns_gradient() {
        return def.grad(g, inputs, output, dy);
    }
    let inlined = def.inline(g, inputs)?;
    if inputs.contains(&inlined) {
        return Ok(inputs.iter().map(|&i| (i == inlined).then_some(dy)).collect());
    }
    if def.factors_gradient() {
        let one = g.constant_like(1.0, output)?;
        let derivative = propagate(g, inlined, inputs, one, Some(Composite { below_select: false }))?;
        let &[Some(derivative)] = derivative.as_slice() else {
            return Err(Error::state("a derivative of one input was asked for"));
        };
        let d = g.mul(dy, derivative)?;
        return Ok(vec![Some(if below_select { still_where_still(g, d, dy)? } else { d })]);
    }
    // An input given twice has one gradient; it belongs to its first place.
    let grads = propagate(g, inlined, inputs, dy, Some(Composite { below_select }))?;
    Ok(grads.iter().enumerate().map(|(i, &d)| if inputs[..i].contains(&inputs[i]) { None } else { d }).collect())
}

/// Replaces every `Gradient` node by the nodes that compute it.
pub struct Autodiff;

impl Pass for Autodiff {
    fn name(&self) -> &'static str {
        "autodiff"
    }

    fn does(&self) -> &'static str {
        "replaces gradients by the operations that compute them"
    }

    fn run(&self, graph: &Graph, context: &mut PassContext) -> Result<Graph> {
        expand_gradients(graph, context)
    }

    fn is_required(&self) -> bool {
        true
    }
}

fn expand_gradients(graph: &Graph, context: &mut PassContext) -> Result<Graph> {
    if !graph.nodes().iter().any(|n| matches!(n.op, Op::Gradient(_))) {
        return Ok(graph.clone());
    }
    let mut expanded: HashMap<Inputs, Vec<Option<NodeId>>> = HashMap::new();
    graph.rewrite(|g, node, inputs| {
        let Op::Gradient(gradient) = &node.op else { return g.apply(node.op.clone(), inputs) };
        let key = Inputs::from_slice(inputs);
        let lead = gradient.leading_inputs();
        if !expanded.contains_key(&key) {
            let seed = gradient.seeded.then(|| inputs[1]);
            let grads = differentiate(g, inputs[0], &inputs[lead..], seed)?;
            expanded.insert(key.clone(), grads);
        }
        let root = graph.node(node.inputs[0]);
        let with_respect_to = &graph.node(node.inputs[lead + gradient.index]).origin;
        match expanded[&key][gradient.index] {
            Some(grad) => {
                context.done(root, with_respect_to, "differentiated");
                Ok(grad)
            }
            None => {
                context.left(root, with_respect_to, "no gradient flows between this and {}: it is 0");
                g.full(0.0, node.fact.shape.clone(), node.fact.dtype)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;
    use crate::graph::interpret;
    use crate::ops::RefArray;
    use crate::ops::gradient::Gradient;
    use crate::ops::pointwise::Typing;
    use crate::shape::Fact;

    fn array(shape: &[usize], f: impl Fn(usize) -> f64) -> RefArray {
        RefArray::from_shape_vec(shape, (0..shape.iter().product()).map(f).collect()).unwrap()
    }

    #[test]
    fn gradients_of_storage_are_storage_and_add_up_in_float32() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([3, 2], DType::F16));
        let row = g.input(Fact::new([2], DType::BF16));
        let spread = g.broadcast_to(row, [3, 2].into()).unwrap();
        let picked = g.input(Fact::new([2], DType::I32));
        let rows = g.apply(crate::ops::gather::Gather { axis: 0 }, &[x, picked]).unwrap();
        let [a, b, c] = [x, spread, rows].map(|v| g.cast(v, DType::F32).unwrap());
        let product = g.mul(a, b).unwrap();
        let sums = [product, c].map(|v| g.sum(v, &[0, 1], false).unwrap());
        let y = g.add(sums[0], sums[1]).unwrap();
        let grads = differentiate(&mut g, y, &[x, row], None).unwrap();
        let grads: Vec<NodeId> = grads.into_iter().flatten().collect();
        assert_eq!(grads.iter().map(|&d| g.fact(d).dtype).collect::<Vec<_>>(), [DType::F16, DType::BF16]);
        g.set_outputs(grads);
        let inputs = [
            RefArray::from_shape_vec(vec![3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap(),
            RefArray::from_shape_vec(vec![2], vec![0.5, 0.25]).unwrap(),
            RefArray::from_shape_vec(vec![2], vec![1.0, 1.0]).unwrap(),
        ];
        crate::testing::check_plan_on(&g, &inputs, 0.0);
        let got = interpret(&g, &inputs).unwrap();
        assert_eq!(got[0].iter().copied().collect::<Vec<_>>(), [0.5, 0.25, 2.5, 2.25, 0.5, 0.25]);
        assert_eq!(got[1].iter().copied().collect::<Vec<_>>(), [9.0, 12.0]);
    }

    #[test]
    fn every_pointwise_derivative_agrees_with_central_differences() {
        for &f in Function::ALL {
            let row = f.row();
            if !matches!(row.typing, Typing::Number | Typing::Float | Typing::Any) {
                continue;
            }
            // Positive, away from kinks and integers; within all domains but those that end at 1.
            let points = [[0.37, 0.81], [1.43, 2.3], [0.62, 0.29]];
            for p in points {
                let mut g = Graph::new();
                let xs: Vec<_> = (0..row.arity).map(|_| g.input(Fact::new([1], DType::F32))).collect();
                let y = g.apply(f, &xs).unwrap();
                let grads = differentiate(&mut g, y, &xs, None).unwrap();
                for (k, d) in grads.iter().enumerate() {
                    let value = |delta: f64| {
                        let mut q = p;
                        q[k] += delta;
                        (row.value)(&q[..row.arity])
                    };
                    let expected = (value(1e-6) - value(-1e-6)) / 2e-6;
                    let Some(d) = d else {
                        assert!(expected.abs() < 1e-6 || f == Function::Mod, "{}", row.name);
                        continue;
                    };
                    g.set_outputs(vec![*d]);
                    let inputs: Vec<_> = p[..row.arity].iter().map(|&v| array(&[1], |_| v)).collect();
                    let got = interpret(&g, &inputs).unwrap()[0][[0]];
                    if expected.is_nan() {
                        assert!(got.is_nan(), "{}: {got} outside of the domain", row.name);
                        continue;
                    }
                    assert!((got - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{}: {got} {expected}", row.name);
                }
            }
        }
    }

    #[test]
    fn gradients_of_broadcast_operands_have_their_shapes() {
        let mut g = Graph::new();
        let a = g.input(Fact::new([4, 1, 3], DType::F32));
        let b = g.input(Fact::new([2, 1], DType::F32));
        let y = g.mul(a, b).unwrap();
        let s = g.sum(y, &[0, 1, 2], false).unwrap();
        let grads = differentiate(&mut g, s, &[a, b], None).unwrap();
        g.set_outputs(grads.iter().map(|d| d.unwrap()).collect());
        let av = array(&[4, 1, 3], |i| i as f64);
        let bv = array(&[2, 1], |i| 1.0 + i as f64);
        let out = interpret(&g, &[av.clone(), bv]).unwrap();
        assert!(out[0].iter().all(|&v| v == 3.0));
        assert!(out[1].iter().all(|&v| v == av.sum()));
    }

    #[test]
    fn a_value_used_twice_gets_both_contributions() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([3], DType::F32));
        let y = g.mul(x, x).unwrap();
        let z = g.add(y, x).unwrap();
        let grads = differentiate(&mut g, z, &[x], None).unwrap();
        g.set_outputs(vec![grads[0].unwrap()]);
        let out = interpret(&g, &[array(&[3], |i| i as f64)]).unwrap();
        assert_eq!(out[0].as_slice().unwrap(), &[1.0, 3.0, 5.0]);
    }

    #[test]
    fn gradient_nodes_expand_also_when_nested() {
        // d²(x³)/dx² = 6x
        let mut g = Graph::new();
        let x = g.input(Fact::new([2], DType::F32));
        let sq = g.mul(x, x).unwrap();
        let cube = g.mul(sq, x).unwrap();
        let first = g.apply(Gradient { index: 0, seeded: false }, &[cube, x]).unwrap();
        let second = g.apply(Gradient { index: 0, seeded: false }, &[first, x]).unwrap();
        g.set_outputs(vec![second]);
        let g = super::super::optimise(&g).unwrap();
        let out = interpret(&g, &[array(&[2], |i| 1.0 + i as f64)]).unwrap();
        assert_eq!(out[0].as_slice().unwrap(), &[6.0, 12.0]);
    }

    #[test]
    fn what_the_root_does_not_depend_on_has_no_gradient() {
        let mut g = Graph::new();
        let x = g.input(Fact::new([2], DType::F32));
        let other = g.input(Fact::new([2], DType::F32));
        let rounded = g.cast(x, DType::I32).unwrap();
        let back = g.cast(rounded, DType::F32).unwrap();
        let y = g.add(back, x).unwrap();
        let grads = differentiate(&mut g, y, &[x, other], None).unwrap();
        assert!(grads[0].is_some() && grads[1].is_none());
    }
}
