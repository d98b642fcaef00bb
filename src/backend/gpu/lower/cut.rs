//! Work on tensors that are larger than a binding: cut along the outermost axis into parts that are not. Each part has
//! dispatches of its own, which bind its rows alone; what every row reads is bound whole.

use super::candidates::Task;
use super::region::{elements, is_in_order};
use super::shader::{Code, Operand};
use crate::backend::gpu::device::ALIGNMENT;
use crate::fusion::Group;
use crate::fusion::region::{self, Region};
use crate::graph::Graph;
use crate::ops::reads::{AxisReads, Reads};
use crate::shape::{Fact, Shape};
use std::ops::Range;

/// Bytes of operands that a dispatch binds, of those of which it binds a part.
pub type Windows = Vec<(Operand, Range<usize>)>;

/// A part of a heavy op with what is attached to it.
pub struct Part {
    /// Its regions, of the part's extents.
    pub group: Group,
    /// Facts of the op's inputs.
    pub inputs: Vec<Fact>,
    /// Fact of its output.
    pub output: Fact,
    /// What its dispatches bind.
    pub windows: Windows,
}

/// A tensor of which a part reads or writes some rows.
struct Rows {
    operand: Operand,
    /// Bytes from one row to the next.
    step: usize,
    /// Bytes from the first row's begin to its end.
    first: usize,
}

impl Rows {
    /// Rows that lie one behind the other.
    fn packed(operand: Operand, bytes: usize) -> Self {
        Rows { operand, step: bytes, first: bytes }
    }

    fn window(&self, rows: &Range<usize>) -> Range<usize> {
        let begin = rows.start * self.step;
        begin..begin + (rows.len() - 1) * self.step + self.first
    }
}

/// Parts of `count` rows whose windows have `limit` bytes at most and begin where bindings may; `None` where there are none.
fn parts(count: usize, rows: &[Rows], limit: usize) -> Option<Vec<Range<usize>>> {
    let together = |step: usize| ALIGNMENT / gcd(ALIGNMENT, step);
    let together = rows.iter().map(|r| together(r.step)).max().filter(|_| count > 1)?;
    let fits = |length: usize| rows.iter().all(|r| r.window(&(0..length)).len() <= limit);
    let mut number = 2;
    loop {
        let length = count.div_ceil(number).next_multiple_of(together);
        if fits(length.min(count)) {
            return Some((0..count).step_by(length).map(|at| at..(at + length).min(count)).collect());
        }
        if length == together {
            return None;
        }
        number += 1;
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `shape` with `rows` along its outermost axis.
fn with_rows(shape: &Shape, rows: usize) -> Shape {
    let mut extents = shape.to_vec();
    extents[0] = rows;
    Shape::from(&extents[..])
}

/// The operands of `region`, which are the step's inputs from `first` on, as far as a row reads them apart from others.
fn operands(region: &Region, first: usize) -> Vec<Rows> {
    let inner = |strides: &[usize]| elements(&strides[1..], &region.shape[1..]);
    let rows = region.operands.iter().enumerate().filter(|(_, o)| o.strides[0] > 0);
    rows.map(|(k, o)| Rows {
        operand: Operand::Input(first + k),
        step: o.strides[0] * o.dtype.size(),
        first: inner(&o.strides) * o.dtype.size(),
    })
    .collect()
}

/// What `region` stores.
fn stores(region: &Region) -> impl Iterator<Item = Rows> + '_ {
    let row: usize = region.shape[1..].iter().product();
    let stores = region.stores.iter().enumerate();
    stores.map(move |(k, store)| Rows::packed(Operand::Output(k), row * store.1.size()))
}

/// A region that is larger than `limit` bytes in parts with what they bind, in order; `None` where it is not, or where rows
/// are not computed apart from others.
pub fn of_region(region: &Region, limit: usize) -> Option<Vec<(Region, Windows)>> {
    let bytes = |o: &region::Operand| elements(&o.strides, &region.shape) * o.dtype.size();
    let largest = region.operands.iter().map(bytes);
    let stored = region.stores.iter().map(|store| region.shape.len() * store.1.size());
    if largest.chain(stored).all(|bytes| bytes <= limit) {
        return None;
    }
    let flat = flattened(region);
    let region = flat.as_ref().unwrap_or(region);
    if region.shape.is_empty() || region.shape.rank() == 0 || region.reduce_axes.contains(&0) {
        return None;
    }
    let mut rows = operands(region, 0);
    rows.extend(stores(region));
    let kept = (1..region.shape.rank()).filter(|axis| !region.reduce_axes.contains(axis));
    let kept: usize = kept.map(|axis| region.shape[axis]).product();
    rows.extend(region.reductions.iter().enumerate().map(|(k, r)| {
        let bytes = kept * r.kind.result_dtype(r.dtype).size();
        Rows::packed(Operand::Output(region.stores.len() + k), bytes)
    }));
    let part = |range: Range<usize>| {
        let shape = with_rows(&region.shape, range.len());
        (Region { shape, ..region.clone() }, rows.iter().map(|r| (r.operand, r.window(&range))).collect())
    };
    Some(parts(region.shape[0], &rows, limit)?.into_iter().map(part).collect())
}

/// The region over one axis, if all operands are read in order.
fn flattened(region: &Region) -> Option<Region> {
    let in_order = region.reductions.is_empty() && region.operands.iter().all(|o| is_in_order(region, &o.strides));
    in_order.then(|| {
        let straight = |o: &region::Operand| usize::from(region.is_straight(&o.strides));
        let operand =
            |o: &region::Operand| region::Operand { strides: [straight(o)].into_iter().collect(), ..o.clone() };
        let operands = region.operands.iter().map(operand).collect();
        Region { shape: Shape::from([region.shape.len()]), operands, ..region.clone() }
    })
}

/// A heavy op with what is attached to it, in parts, where one of its tensors is larger than `limit` bytes and rows are
/// computed apart from others; `None` elsewhere.
pub fn of_group(g: &Graph, group: &Group, task: &Task, limit: usize) -> Option<Vec<Part>> {
    if group.inputs.iter().chain(&group.outputs).all(|&id| g.fact(id).bytes() <= limit) {
        return None;
    }
    let count = task.output.shape.first().copied().filter(|&count| count > 1)?;
    let mut rows = Vec::new();
    for (k, fact) in task.inputs.iter().enumerate().filter(|(k, _)| is_by_rows(task, *k)) {
        // What a prologue reads may have another type than what it makes.
        let dtype = if k == 0 { group.prologue.as_ref().map_or(fact.dtype, Region::anchor_dtype) } else { fact.dtype };
        rows.push(Rows::packed(Operand::Input(k), fact.shape.len() / count * dtype.size()));
    }
    let cut = |k: usize| rows.iter().any(|r| r.operand == Operand::Input(k));
    let is_cut: Vec<bool> = (0..task.inputs.len()).map(cut).collect();
    if !is_cut.contains(&true) {
        return None;
    }
    let mut lead = task.inputs.len();
    if let Some(prologue) = &group.prologue {
        if !is_cut[0] || prologue.shape != task.inputs[0].shape {
            return None;
        }
        rows.extend(operands(prologue, lead));
        lead += prologue.operands.len();
    }
    match &group.region {
        None => rows.push(Rows::packed(Operand::Output(0), task.output.bytes() / count)),
        Some(region) if region.shape == task.output.shape => {
            rows.extend(operands(region, lead));
            rows.extend(stores(region));
        }
        Some(_) => return None,
    }
    let part = |range: &Range<usize>| {
        let fact = |fact: &Fact| Fact { shape: with_rows(&fact.shape, range.len()), ..fact.clone() };
        let region = |region: &Region| Region { shape: with_rows(&region.shape, range.len()), ..region.clone() };
        let (prologue, after) = (group.prologue.as_ref().map(region), group.region.as_ref().map(region));
        Part {
            group: Group { prologue, region: after, ..group.clone() },
            inputs: task.inputs.iter().zip(&is_cut).map(|(f, &cut)| if cut { fact(f) } else { f.clone() }).collect(),
            output: fact(task.output),
            windows: rows.iter().map(|r| (r.operand, r.window(range))).collect(),
        }
    };
    let parts: Vec<Part> = parts(count, &rows, limit)?.iter().map(part).collect();
    // The op has no attribute that says how many rows there are.
    let same = |part: &Part| task.op.def().infer(&part.inputs).is_ok_and(|fact| fact == part.output);
    parts.iter().all(same).then_some(parts)
}

/// Whether row o of the output is made of row o of input `k`, and of no other row of it.
fn is_by_rows(task: &Task, k: usize) -> bool {
    let same = AxisReads::same(0);
    task.inputs[k].shape.first() == task.output.shape.first()
        && match task.op.def().reads(k, task.inputs, task.output) {
            Reads::Axes(axes) => axes.first() == Some(&same) && axes[1..].iter().all(|axis| of(axis) != Some(0)),
            Reads::Same => task.inputs[k].shape == task.output.shape,
            Reads::All | Reads::Order => false,
        }
}

/// The axis of the output on which it depends what is read along an axis of an input.
fn of(axis: &AxisReads) -> Option<usize> {
    match axis {
        AxisReads::All => None,
        AxisReads::Window(places) | AxisReads::Spread(places) => Some(places.of),
        AxisReads::Looked { of, .. } | AxisReads::Weighted { of, .. } => Some(*of),
    }
}

/// The code of all parts, each on its windows.
pub fn joined(parts: impl Iterator<Item = (Code, Windows)>) -> Code {
    let mut whole = Code::default();
    for (mut code, windows) in parts {
        code.dispatches.iter_mut().for_each(|dispatch| dispatch.windows.clone_from(&windows));
        whole.dispatches.extend(code.dispatches);
        whole.workspace = whole.workspace.max(code.workspace);
        // Inputs that are packed are bound whole, so that one form serves all parts.
        whole.packing = whole.packing.or(code.packing);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_row_is_in_one_part_whose_windows_fit_and_begin_where_bindings_may(
            count in 2usize..3000,
            steps in proptest::collection::vec((1usize..700, 0usize..300), 1..4),
            limit in 256usize..100_000,
        ) {
            let rows: Vec<Rows> = steps
                .iter()
                .enumerate()
                .map(|(k, &(step, more))| Rows { operand: Operand::Input(k), step, first: step + more })
                .collect();
            let whole = rows.iter().map(|r| r.window(&(0..count)).len()).max().unwrap_or(0);
            match parts(count, &rows, limit) {
                Some(parts) => {
                    let mut next = 0;
                    for part in &parts {
                        prop_assert_eq!(part.start, next);
                        prop_assert!(part.end > part.start);
                        next = part.end;
                        for r in &rows {
                            let window = r.window(part);
                            prop_assert!(window.len() <= limit && window.start % ALIGNMENT == 0);
                            prop_assert_eq!(window.end, (part.end - 1) * r.step + r.first);
                        }
                    }
                    prop_assert_eq!(next, count);
                }
                // Even as few rows as can be taken together are too many.
                None => {
                    let together = rows.iter().map(|r| ALIGNMENT / gcd(ALIGNMENT, r.step)).max().unwrap_or(1);
                    let least = rows.iter().any(|r| r.window(&(0..together.min(count))).len() > limit);
                    prop_assert!(least && whole > limit);
                }
            }
        }
    }
}
