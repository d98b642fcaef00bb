//! The reference interpreter: any graph on f64 arrays, through each op's `reference`.

use super::{Graph, NodeId};
use crate::error::{Error, Result};
use crate::ops::{Op, RefArray};
use crate::shape::Fact;
use smallvec::SmallVec;

/// Values of the graph's outputs, computed in f64 from `inputs` (in order of input index).
///
/// Integer and boolean values are exact in f64; conversions between element types round as the
/// engine does, except that float results keep f64 precision.
pub fn interpret(graph: &Graph, inputs: &[RefArray]) -> Result<Vec<RefArray>> {
    let all = interpret_all(graph, inputs)?;
    graph
        .outputs()
        .iter()
        .map(|o| all[o.index()].clone().ok_or_else(|| Error::state("an output was not computed")))
        .collect()
}

/// Values of all nodes that the outputs need (and of all inputs).
pub fn interpret_all(graph: &Graph, inputs: &[RefArray]) -> Result<Vec<Option<RefArray>>> {
    if inputs.len() != graph.inputs().len() {
        return Err(Error::value(format!("inputs: expected {}, received {}", graph.inputs().len(), inputs.len())));
    }
    let live = graph.live();
    let mut values: Vec<Option<RefArray>> = vec![None; graph.nodes().len()];
    for id in graph.ids() {
        let node = graph.node(id);
        if let Op::Input(input) = &node.op {
            let value = &inputs[input.index];
            if value.shape() != &*node.fact.shape {
                return Err(Error::value(format!(
                    "input {}: expected shape {}, received {:?}",
                    input.index,
                    node.fact.shape,
                    value.shape()
                )));
            }
            values[id.index()] = Some(value.clone());
            continue;
        }
        if !live[id.index()] {
            continue;
        }
        let args: SmallVec<[&RefArray; 4]> = node
            .inputs
            .iter()
            .map(|i| values[i.index()].as_ref().ok_or_else(|| Error::state("an input was not computed")))
            .collect::<Result<_>>()?;
        let value = interpret_node(graph, id, &args)?;
        drop(args);
        values[id.index()] = Some(value);
    }
    Ok(values)
}

/// The value of node `id`, which is no input, from the values of its inputs.
///
/// # Errors
/// What the op's reference says of the values, and `State` when it makes another shape than inference said.
pub fn interpret_node(graph: &Graph, id: NodeId, args: &[&RefArray]) -> Result<RefArray> {
    let node = graph.node(id);
    let facts: SmallVec<[Fact; 4]> = node.inputs.iter().map(|&i| graph.fact(i).clone()).collect();
    let value = node.op.def().reference(args, &facts, &node.fact)?;
    if value.shape() != &*node.fact.shape {
        return Err(Error::state(format!(
            "{}: the reference made shape {:?}, inference said {}",
            node.op.def().name(),
            value.shape(),
            node.fact.shape
        )));
    }
    Ok(value)
}
