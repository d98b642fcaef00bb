//! The loop over batches of rows.

use super::function::CompiledFunction;
use super::rows::{Rows, gather};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::shape::Fact;
use crate::value::Value;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl CompiledFunction {
    /// Runs the function once per batch: on rows of `arrays`, one for each argument, that are gathered for it. Batch
    /// `b` takes the rows that `indices` names from `b * batch_size` on. The loop is one [`Session`](super::Session).
    ///
    /// Rows are converted to the dtype of the argument as [`DType::round`](crate::DType::round) says.
    ///
    /// # Arguments
    /// - `arrays`: as many elements per row as the argument has per row.
    /// - `indices`: numbers of rows, in the order in which they are taken.
    /// - `batch_size`: the extent of the arguments' first axes.
    /// - `batches`: which of the batches run.
    /// - `limit`: the loop ends after the batch during which so much time has passed; one batch runs in any case.
    ///
    /// # Returns
    /// The first batch that has not run, and the outputs of the last one that has.
    ///
    /// # Errors
    /// When an array does not fit its argument, `indices` are too few or name a row that is not there, or a number
    /// exceeds int32 where the argument is one; and as [`CompiledFunction::call`]. Variables then are as the last
    /// batch that succeeded has left them.
    ///
    /// ```
    /// use cnnrs::{DType, Fact, Rows, Tensor, Trace, Variable};
    /// use std::time::Duration;
    /// let total = Variable::new(&Tensor::scalar(0.0, DType::F32)?, false, "total")?;
    /// let trace = Trace::enter();
    /// let x = trace.placeholder(Fact::new([2], DType::F32), "x");
    /// let y = trace.placeholder(Fact::new([2], DType::F32), "y");
    /// let products = x.apply_binary("mul", &y)?;
    /// let sum = Tensor::apply_named("sum", &[products.clone()], Default::default())?;
    /// total.assign(&total.value().apply_binary("add", &sum)?)?;
    /// let step = trace.compile(&[products])?;
    /// drop(trace);
    ///
    /// let (x, y) = ([1u8, 2, 3, 4], [1.0, 10.0, 100.0, 1000.0]);
    /// let rows = [Rows::from_slice(&[4], &x)?, Rows::from_slice(&[4], &y)?];
    /// let (next, outputs) = step.run_batches(&rows, &[3, 2, 1, 0], 2, 0..2, Duration::MAX)?;
    /// assert_eq!((next, outputs[0].to_vec::<f32>()?), (2, vec![20.0, 1.0]));
    /// assert_eq!(total.value().to_vec::<f32>()?, [4321.0]);
    /// # Ok::<(), cnnrs::Error>(())
    /// ```
    pub fn run_batches(
        &self,
        arrays: &[Rows<'_>],
        indices: &[i64],
        batch_size: usize,
        batches: Range<usize>,
        limit: Duration,
    ) -> Result<(usize, Vec<Value>)> {
        let start = Instant::now();
        let facts: Vec<&Fact> = self.argument_facts().collect();
        if arrays.len() != facts.len() {
            return Err(Error::dtype(format!("expected {} arrays, received {}", facts.len(), arrays.len())));
        }
        if batches.end.checked_mul(batch_size).is_none_or(|n| n > indices.len()) {
            return Err(Error::value(format!(
                "indices: expected {} batches of {batch_size}, received {}",
                batches.end,
                indices.len()
            )));
        }
        arrays.iter().zip(&facts).try_for_each(|(rows, fact)| rows.check(fact, batch_size))?;
        let zeros = |&fact: &&Fact| Ok(Arc::new(Value::from(Buffer::zeroed(fact.clone())?)));
        let mut staging: Vec<Arc<Value>> = facts.iter().map(zeros).collect::<Result<_>>()?;
        let mut values = Vec::new();
        let mut batch = batches.start;
        let mut session = self.begin()?;
        while batch < batches.end {
            gather(arrays, &indices[batch * batch_size..(batch + 1) * batch_size], &mut staging)?;
            values = session.run(&staging)?;
            batch += 1;
            if start.elapsed() >= limit {
                break;
            }
            if session.is_awaited() {
                session = session.give_way()?;
            }
        }
        session.finish()?;
        Ok((batch, values))
    }
}
