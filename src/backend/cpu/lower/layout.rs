//! Which activations lie in the batch-blocked layout: those between kernels that all take them so.
//!
//! Small nets have few channels, and a vector over channels would leave most of its lanes empty. A
//! vector over images is always full. Activations that pass from one such kernel to the next stay in
//! this layout; what another step reads, or what leaves the graph, is stored row by row.

use crate::backend::cpu::kernel::BatchBlocked;
use crate::fusion::{Fusion, Group};
use crate::graph::{Graph, NodeId};
use std::collections::HashSet;

/// The values that lie in vectors of `lanes` images, where group `i` can take those that `takes[i]` says.
pub fn assign(g: &Graph, fusion: &Fusion, takes: &[BatchBlocked], lanes: usize) -> HashSet<NodeId> {
    let resolve = |id: NodeId| fusion.views.get(&id).copied().unwrap_or(id);
    let mut chosen: HashSet<NodeId> = HashSet::new();
    for (group, takes) in fusion.groups.iter().zip(takes) {
        let fits = |id: &&NodeId| {
            let shape = &g.fact(**id).shape;
            shape.rank() == 4 && !shape.is_empty() && shape[0].is_multiple_of(lanes)
        };
        if takes.output {
            chosen.extend(stores(group).iter().filter(fits));
        }
    }
    for &o in g.outputs() {
        chosen.remove(&resolve(o));
    }
    // What one reader cannot take drops out, and with it what has to lie as it does.
    loop {
        let mut dropped = HashSet::new();
        for (group, takes) in fusion.groups.iter().zip(takes) {
            let operands = group.prologue.as_ref().map_or(0, |region| region.operands.len());
            let lead = group.anchor.map_or(0, |anchor| g.node(anchor).inputs.len()) + operands;
            for (k, id) in group.inputs.iter().enumerate().filter(|(_, id)| chosen.contains(id)) {
                let taken = match group.anchor {
                    // An operand that is read through a view has another shape.
                    Some(anchor) if k < lead => takes.input(k) && g.node(anchor).inputs.get(k) == Some(id),
                    Some(_) => takes.output && is_full(g, group, k - lead, *id),
                    None => false,
                };
                if !taken {
                    dropped.insert(*id);
                }
            }
            // The output, and all that the epilogue reads element by element, lie alike. What it reads so of a value
            // of another shape, through a view, lies row by row.
            let straight = group.inputs[lead..].iter().enumerate().filter(|&(k, _)| is_straight(group, k));
            let through_view = straight.clone().any(|(k, &id)| !is_full(g, group, k, id));
            let alike: Vec<NodeId> = stores(group).iter().copied().chain(straight.map(|(_, &id)| id)).collect();
            if through_view || alike.iter().any(|id| !chosen.contains(id) || dropped.contains(id)) {
                dropped.extend(alike.iter().filter(|id| chosen.contains(id)));
            }
        }
        if dropped.is_empty() {
            return chosen;
        }
        chosen.retain(|id| !dropped.contains(id));
    }
}

/// What of a group's task lies in the batch-blocked layout.
pub fn of_group(group: &Group, chosen: &HashSet<NodeId>) -> BatchBlocked {
    let inputs = group.inputs.iter().enumerate().filter(|(_, id)| chosen.contains(id));
    BatchBlocked {
        inputs: inputs.map(|(k, _)| 1 << k).sum(),
        output: stores(group).first().is_some_and(|id| chosen.contains(id)),
    }
}

/// The outputs of a group that have its shape.
fn stores(group: &Group) -> &[NodeId] {
    &group.outputs[..group.region.as_ref().map_or(group.outputs.len(), |region| region.stores.len())]
}

/// Whether operand `k` of the group's region is read element by element in the region's order.
fn is_straight(group: &Group, k: usize) -> bool {
    group.region.as_ref().is_some_and(|region| {
        let straight = region.shape.strides();
        let steps = region.operands[k].strides.iter().zip(&straight).zip(&*region.shape);
        steps.into_iter().all(|((step, s), &n)| n == 1 || step == s)
    })
}

/// Whether operand `k` of the group's region, value `id`, has an element for each of the region's, in its shape.
fn is_full(g: &Graph, group: &Group, k: usize, id: NodeId) -> bool {
    is_straight(group, k) && group.region.as_ref().is_some_and(|region| g.fact(id).shape == region.shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::simd::Tier;
    use crate::dtype::DType;
    use crate::ops::conv2d::Conv2d;
    use crate::ops::pointwise::Function;
    use crate::ops::window::Padding;
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};

    /// Two convolutions of few channels with a sum between them; `view`: the other summand has another shape.
    fn between(view: bool) -> Graph {
        let mut g = Graph::new();
        let batch = 2 * Tier::current().unwrap().lanes();
        let f32s = |shape: &[usize]| Fact::new(shape, DType::F32);
        let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
        let x = g.input(f32s(&[batch, 6, 4, 1]));
        let (v, w) = (g.input(f32s(&[5, 5, 1, 2])), g.input(f32s(&[5, 5, 2, 1])));
        let other = g.input(f32s(&if view { [batch, 4, 6, 2] } else { [batch, 6, 4, 2] }));
        let scaled = g.scale(other, 0.5).unwrap();
        let added = g.reshape(scaled, [batch, 6, 4, 2].into()).unwrap();
        let y = g.apply(conv.clone(), &[x, v]).unwrap();
        let y = g.add(y, added).unwrap();
        let y = g.unary(Function::Relu, y).unwrap();
        let y = g.apply(conv, &[y, w]).unwrap();
        g.set_outputs(vec![y]);
        g
    }

    #[test]
    fn what_is_read_through_a_view_lies_row_by_row() {
        for view in [false, true] {
            check_plan(&between(view), &mut Rng::new(1), 1e-5);
        }
    }
}
