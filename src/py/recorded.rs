//! The operations that a function recorded, as plain Python data.

use super::convert;
use crate::graph::{Graph, NodeId};
use crate::lazy::{CompiledFunction, InputSource};
use crate::ops::{AxisReads, Op, Places, Reads};
use crate::shape::Fact;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// Nodes as dictionaries with `op`, `origin`, `shape`, `dtype`, `inputs`, `reads` (for each input), `flops` and
/// `source` (of inputs of the graph), and the numbers of the outputs.
pub fn to_python<'py>(py: Python<'py>, function: &CompiledFunction) -> PyResult<(Bound<'py, PyList>, Vec<usize>)> {
    let graph = function.recorded()?;
    let nodes = graph.ids().map(|id| node(py, function, &graph, id)).collect::<PyResult<Vec<_>>>()?;
    Ok((PyList::new(py, nodes)?, graph.outputs().iter().map(|id| id.index()).collect()))
}

fn node<'py>(py: Python<'py>, function: &CompiledFunction, graph: &Graph, id: NodeId) -> PyResult<Bound<'py, PyDict>> {
    let node = graph.node(id);
    let facts: Vec<Fact> = node.inputs.iter().map(|&i| graph.fact(i).clone()).collect();
    let item = PyDict::new(py);
    item.set_item("op", node.op.def().name())?;
    item.set_item("origin", node.origin.as_deref().unwrap_or_default())?;
    item.set_item("shape", PyTuple::new(py, node.fact.shape.iter())?)?;
    item.set_item("dtype", node.fact.dtype.name())?;
    item.set_item("inputs", node.inputs.iter().map(|i| i.index()).collect::<Vec<_>>())?;
    let reads = (0..facts.len()).map(|input| reads(py, &node.op.def().reads(input, &facts, &node.fact)));
    item.set_item("reads", PyList::new(py, reads.collect::<PyResult<Vec<_>>>()?)?)?;
    item.set_item("flops", graph.flops(id))?;
    if let Op::Input(input) = &node.op {
        item.set_item("source", source(py, function.source(input.index))?)?;
    }
    Ok(item)
}

/// The number of an argument, the array that was captured, or None for a variable.
fn source<'py>(py: Python<'py>, source: InputSource<'_>) -> PyResult<Bound<'py, PyAny>> {
    match source {
        InputSource::Argument(i) => Ok(i.into_pyobject(py)?.into_any()),
        InputSource::Variable => Ok(py.None().into_bound(py)),
        InputSource::Captured(value) => convert::to_numpy(py, value.host()?),
    }
}

fn reads<'py>(py: Python<'py>, reads: &Reads) -> PyResult<Bound<'py, PyAny>> {
    match reads {
        Reads::All => Ok(py.None().into_bound(py)),
        Reads::Same => Ok("same".into_pyobject(py)?.into_any()),
        Reads::Order => Ok("order".into_pyobject(py)?.into_any()),
        Reads::Axes(axes) => {
            let axes = axes.iter().map(|axis| along(py, axis)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, axes)?.into_any())
        }
    }
}

fn along<'py>(py: Python<'py>, axis: &AxisReads) -> PyResult<Bound<'py, PyAny>> {
    let places = |kind: &str, p: &Places| {
        (kind, p.of, p.size, p.stride, p.dilation, p.before).into_pyobject(py).map(Bound::into_any)
    };
    match axis {
        AxisReads::All => Ok(py.None().into_bound(py)),
        AxisReads::Window(p) => places("window", p),
        AxisReads::Spread(p) => places("spread", p),
        AxisReads::Looked { of, by } => Ok(("looked", *of, *by).into_pyobject(py)?.into_any()),
        AxisReads::Weighted { of, by, across } => Ok(("weighted", *of, *by, *across).into_pyobject(py)?.into_any()),
    }
}
