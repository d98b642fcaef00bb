//! Plans: immutable code of a graph. Interim form that interprets in f64; the runtime replaces it.

use crate::buffer::Buffer;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, interpret};
use crate::ops::RefArray;
use crate::passes;
use std::sync::Arc;

/// How a graph is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlanOptions {
    /// Pairs (input, output): the output may take the input's buffer.
    pub donations: Vec<(usize, usize)>,
}

/// What stands at an input of one run.
pub enum Slot {
    /// Read only.
    Shared(Arc<Buffer>),
    /// May be overwritten by the output that it is donated to.
    Donated(Option<Buffer>),
}

/// Immutable code of a graph.
pub struct Plan {
    graph: Graph,
}

impl Plan {
    /// Compiles `graph`.
    pub fn compile(graph: &Graph, _options: &PlanOptions) -> Result<Plan> {
        Ok(Plan { graph: passes::optimise(graph)? })
    }

    /// Runs the plan.
    pub fn run(&self, inputs: &mut [Slot], _poll: &dyn Fn() -> bool) -> Result<Vec<Buffer>> {
        let arrays = inputs
            .iter()
            .map(|s| match s {
                Slot::Shared(b) => to_array(b),
                Slot::Donated(Some(b)) => to_array(b),
                Slot::Donated(None) => Err(Error::state("a donated buffer is missing")),
            })
            .collect::<Result<Vec<_>>>()?;
        interpret(&self.graph, &arrays)?
            .iter()
            .zip(self.graph.outputs())
            .map(|(v, &o)| {
                let fact = self.graph.fact(o).clone();
                let values: Vec<f64> = v.iter().copied().collect();
                match fact.dtype {
                    DType::F32 => {
                        Buffer::from_slice(&fact.shape, &values.iter().map(|&v| v as f32).collect::<Vec<_>>())
                    }
                    DType::I32 => {
                        Buffer::from_slice(&fact.shape, &values.iter().map(|&v| v as i32).collect::<Vec<_>>())
                    }
                    _ => Ok(Buffer::from_slice(&fact.shape, &values.iter().map(|&v| v as u8).collect::<Vec<_>>())?
                        .with_fact(fact)),
                }
            })
            .collect()
    }

    /// Bytes of the arena.
    pub fn peak_bytes(&self) -> usize {
        0
    }

    /// Floating-point operations.
    pub fn flops(&self) -> u64 {
        0
    }

    /// The steps as text.
    pub fn describe(&self) -> String {
        self.graph.to_string()
    }
}

fn to_array(b: &Buffer) -> Result<RefArray> {
    let values: Vec<f64> = match b.fact().dtype {
        DType::F32 => b.as_slice::<f32>().iter().map(|&v| f64::from(v)).collect(),
        DType::I32 => b.as_slice::<i32>().iter().map(|&v| f64::from(v)).collect(),
        _ => b.as_slice::<u8>().iter().map(|&v| f64::from(v)).collect(),
    };
    RefArray::from_shape_vec(&*b.fact().shape, values).map_err(|e| Error::state(e.to_string()))
}
