//! Work on tensors that are larger than a binding: cut along the outermost axis into parts that are not. Each part has
//! dispatches of its own, which bind its rows alone; what every row reads is bound whole. Sums over rows are sums of what
//! parts give, in the order of parts.

use super::candidates::Task;
use super::region::elements;
use super::shader::{Code, Dispatch, Module, Operand, values_struct};
use crate::backend::gpu::device::ALIGNMENT;
use crate::dtype::DType;
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
    if count < 2 {
        return None;
    }
    let together = together(rows);
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

/// How many rows a part has at least, so that each begins where bindings may.
fn together(rows: &[Rows]) -> usize {
    rows.iter().map(|r| ALIGNMENT / gcd(ALIGNMENT, r.step)).max().unwrap_or(1)
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

/// The operands of `region`, which are the step's inputs from `first` on, as far as `together` of its rows, which count as one,
/// read them apart from others.
fn operands(region: &Region, first: usize, together: usize) -> Vec<Rows> {
    let shape = with_rows(&region.shape, together);
    let rows = region.operands.iter().enumerate().filter(|(_, o)| o.strides[0] > 0);
    rows.map(|(k, o)| Rows {
        operand: Operand::Input(first + k),
        step: o.strides[0] * together * o.dtype.size(),
        first: elements(&o.strides, &shape) * o.dtype.size(),
    })
    .collect()
}

/// What `region` stores, of which `together` rows count as one.
fn stores(region: &Region, together: usize) -> impl Iterator<Item = Rows> + '_ {
    let row = together * region.shape[1..].iter().product::<usize>();
    let stores = region.stores.iter().enumerate();
    stores.map(move |(k, store)| Rows::packed(Operand::Output(k), row * store.1.size()))
}

/// A region that is larger than `limit` bytes in parts with what they bind, in order; `None` where it is not, or where a row
/// is. Parts of a region that reduces axis 0 have the same outputs.
pub fn of_region(region: &Region, limit: usize) -> Option<Vec<(Region, Windows)>> {
    let bytes = |o: &region::Operand| elements(&o.strides, &region.shape) * o.dtype.size();
    let largest = region.operands.iter().map(bytes);
    let stored = region.stores.iter().map(|store| region.shape.len() * store.1.size());
    if region.shape.is_empty() || largest.chain(stored).all(|bytes| bytes <= limit) {
        return None;
    }
    let region = &merged(region);
    let mut rows = operands(region, 0, 1);
    rows.extend(stores(region, 1));
    if !sums_rows(region) {
        let kept = (1..region.shape.rank()).filter(|axis| !region.reduce_axes.contains(axis));
        let kept: usize = kept.map(|axis| region.shape[axis]).product();
        rows.extend(region.reductions.iter().enumerate().map(|(k, r)| {
            let bytes = kept * r.kind.result_dtype(r.dtype).size();
            Rows::packed(Operand::Output(region.stores.len() + k), bytes)
        }));
    }
    let part = |range: Range<usize>| {
        let shape = with_rows(&region.shape, range.len());
        (Region { shape, ..region.clone() }, rows.iter().map(|r| (r.operand, r.window(&range))).collect())
    };
    Some(parts(region.shape[0], &rows, limit)?.into_iter().map(part).collect())
}

/// Whether a region reduces rows to one.
pub fn sums_rows(region: &Region) -> bool {
    region.reduce_axes.contains(&0)
}

/// The region over as few axes as it can have: neighbours of which all operands are read as of one axis, and which are both
/// kept or both reduced, are one.
fn merged(region: &Region) -> Region {
    let rank = region.shape.rank();
    // For each axis of the result those that it is made of.
    let mut runs: Vec<Range<usize>> = Vec::new();
    for axis in (0..rank).filter(|&axis| region.shape[axis] > 1) {
        let joins = |outer: usize| {
            let steps = |o: &region::Operand| o.strides[outer] == o.strides[axis] * region.shape[axis];
            let reduced = |axis| region.reduce_axes.contains(&axis);
            reduced(outer) == reduced(axis) && region.operands.iter().all(steps)
        };
        match runs.last_mut() {
            Some(run) if joins(run.end - 1) => run.end = axis + 1,
            _ => runs.push(axis..axis + 1),
        }
    }
    if runs.is_empty() {
        runs.push(0..rank);
    }
    let extents: Vec<usize> = runs.iter().map(|run| region.shape[run.clone()].iter().product()).collect();
    // Axes of one element within a run have any step.
    let inner = |run: &Range<usize>| run.clone().rev().find(|&axis| region.shape[axis] > 1);
    let operand = |o: &region::Operand| region::Operand {
        strides: runs.iter().map(|run| inner(run).map_or(0, |axis| o.strides[axis])).collect(),
        ..o.clone()
    };
    let reduced = |run: &Range<usize>| inner(run).is_some_and(|axis| region.reduce_axes.contains(&axis));
    Region {
        shape: Shape::from(&extents[..]),
        operands: region.operands.iter().map(operand).collect(),
        reduce_axes: (0..runs.len()).filter(|&k| reduced(&runs[k])).collect(),
        ..region.clone()
    }
}

/// `count` rows of `bytes` bytes each of an operand, in parts with what they bind: all in one where that fits or has to.
pub fn of_rows(operand: Operand, count: usize, bytes: usize, limit: usize) -> Vec<(Range<usize>, Windows)> {
    let rows = [Rows::packed(operand, bytes)];
    match parts(count, &rows, limit).filter(|_| count * bytes > limit) {
        None => vec![(0..count, Windows::new())],
        Some(parts) => parts.into_iter().map(|part| (part.clone(), vec![(operand, rows[0].window(&part))])).collect(),
    }
}

/// Whether all that a group reads and makes has `limit` bytes at most.
fn fits(g: &Graph, group: &Group, limit: usize) -> bool {
    group.inputs.iter().chain(&group.outputs).all(|&id| g.fact(id).bytes() <= limit)
}

/// The number of the first input of the region behind an op.
fn lead(group: &Group, task: &Task) -> usize {
    task.inputs.len() + group.prologue.as_ref().map_or(0, |prologue| prologue.operands.len())
}

/// How an op is cut. What is attached has the op's elements in their order, and may have another shape: `count` rows are as
/// many as all of them have, each of which is several of some.
struct Cut<'a> {
    group: Group,
    task: &'a Task<'a>,
    /// Which inputs are cut.
    is_cut: Vec<bool>,
    count: usize,
    rows: Vec<Rows>,
}

impl<'a> Cut<'a> {
    /// The cut of `rows` rows of the inputs that `is_cut` names, with the prologue; `None` where that is not read by rows.
    fn new(group: &Group, task: &'a Task<'a>, rows: usize, is_cut: Vec<bool>) -> Option<Self> {
        let group = Group {
            prologue: group.prologue.as_ref().map(merged),
            region: group.region.as_ref().map(merged),
            ..group.clone()
        };
        let attached = group.prologue.iter().chain(&group.region).map(|region| region.shape.first().copied());
        let extents = attached.chain([Some(rows)]).collect::<Option<Vec<usize>>>()?;
        let count = extents.iter().copied().min().filter(|&count| count > 1)?;
        if extents.iter().any(|rows| !rows.is_multiple_of(count)) {
            return None;
        }
        let mut cut = Cut { group, task, is_cut, count, rows: Vec::new() };
        for (k, fact) in task.inputs.iter().enumerate().filter(|(k, _)| cut.is_cut[*k]) {
            // What a prologue reads may have another type than what it makes.
            let prologue = cut.group.prologue.as_ref().filter(|_| k == 0);
            let dtype = prologue.map_or(fact.dtype, Region::anchor_dtype);
            cut.rows.push(Rows::packed(Operand::Input(k), fact.shape.len() / count * dtype.size()));
        }
        if let Some(prologue) = &cut.group.prologue {
            if !cut.is_cut[0] || prologue.shape.len() != task.inputs[0].shape.len() {
                return None;
            }
            cut.rows.extend(operands(prologue, task.inputs.len(), prologue.shape[0] / count));
        }
        Some(cut)
    }

    /// `shape` with those of its rows that are rows `range` of the cut.
    fn rows_of(&self, shape: &Shape, range: &Range<usize>) -> Shape {
        with_rows(shape, range.len() * (shape[0] / self.count))
    }

    /// The op on rows `range`; its output is that of the whole.
    fn part(&self, range: &Range<usize>) -> Part {
        let fact = |(fact, &is_cut): (&Fact, &bool)| match is_cut {
            true => Fact { shape: self.rows_of(&fact.shape, range), ..fact.clone() },
            false => fact.clone(),
        };
        let region = |region: &Region| Region { shape: self.rows_of(&region.shape, range), ..region.clone() };
        let Group { prologue, region: behind, .. } = &self.group;
        let (prologue, behind) = (prologue.as_ref().map(region), behind.as_ref().map(region));
        Part {
            group: Group { prologue, region: behind, ..self.group.clone() },
            inputs: self.task.inputs.iter().zip(&self.is_cut).map(fact).collect(),
            output: self.task.output.clone(),
            windows: self.rows.iter().map(|r| (r.operand, r.window(range))).collect(),
        }
    }
}

/// An op with what is attached to it, in parts, where one of its tensors is larger than `limit` bytes and rows are computed
/// apart from others; `None` elsewhere.
pub fn of_group(g: &Graph, group: &Group, task: &Task, limit: usize) -> Option<Vec<Part>> {
    if fits(g, group, limit) {
        return None;
    }
    let is_cut: Vec<bool> = (0..task.inputs.len()).map(|k| is_by_rows(task, k)).collect();
    if !is_cut.contains(&true) {
        return None;
    }
    let mut cut = Cut::new(group, task, task.output.shape.first().copied()?, is_cut)?;
    match &cut.group.region {
        None => cut.rows.push(Rows::packed(Operand::Output(0), task.output.bytes() / cut.count)),
        Some(region) if region.shape.len() == task.output.shape.len() => {
            let together = region.shape[0] / cut.count;
            let rows: Vec<Rows> =
                operands(region, lead(group, task), together).into_iter().chain(stores(region, together)).collect();
            cut.rows.extend(rows);
        }
        Some(_) => return None,
    }
    let part = |range: &Range<usize>| {
        let mut part = cut.part(range);
        part.output.shape = cut.rows_of(&task.output.shape, range);
        part
    };
    let parts: Vec<Part> = parts(cut.count, &cut.rows, limit)?.iter().map(part).collect();
    // The op has no attribute that says how many rows there are.
    let same = |part: &Part| task.op.def().infer(&part.inputs).is_ok_and(|fact| fact == part.output);
    parts.iter().all(same).then_some(parts)
}

/// An op whose result is a sum over the rows of its inputs, in parts that give sums of float32 with nothing attached to them,
/// where one of the inputs is larger than `limit` bytes; `None` elsewhere.
pub fn of_sum(g: &Graph, group: &Group, task: &Task, limit: usize) -> Option<Vec<Part>> {
    let def = task.op.def();
    if fits(g, group, limit) || !task.output.dtype.is_float() || !def.sums_rows(task.inputs) {
        return None;
    }
    let rows = task.inputs.first()?.shape.first().copied()?;
    let alone = Group { region: None, ..group.clone() };
    let cut = Cut::new(&alone, task, rows, vec![true; task.inputs.len()])?;
    let part = |range: &Range<usize>| {
        let mut part = cut.part(range);
        part.output.dtype = DType::F32;
        part
    };
    let parts: Vec<Part> = parts(cut.count, &cut.rows, limit)?.iter().map(part).collect();
    let same = |part: &Part| def.infer(&part.inputs).is_ok_and(|fact| fact.shape == part.output.shape);
    parts.iter().all(same).then_some(parts)
}

/// Some elements of the output of an op that is computed element by element.
pub struct Piece {
    /// What is attached, of these elements.
    pub group: Group,
    /// Fact of these elements.
    pub output: Fact,
    /// The first of them.
    pub first: usize,
    /// The first element of each input that is bound.
    pub from: Vec<usize>,
    /// What its dispatches bind.
    pub windows: Windows,
}

/// An op with what is attached to it, in pieces of some elements of its output, where one of its tensors is larger than
/// `limit` bytes and every input is not, or is read by each piece in some of its rows alone; `None` elsewhere.
pub fn of_elements(g: &Graph, group: &Group, task: &Task, limit: usize) -> Option<Vec<Piece>> {
    let is_numbered = |fact: &Fact| u32::try_from(fact.shape.len()).is_ok();
    if fits(g, group, limit) || !task.inputs.iter().chain([task.output]).all(is_numbered) {
        return None;
    }
    let own = || Region {
        shape: task.output.shape.clone(),
        stores: vec![(region::Arg::Anchor, task.output.dtype)],
        ..Region::default()
    };
    let region = group.region.clone().unwrap_or_else(own);
    if region.shape.len() != task.output.shape.len() || region.shape.is_empty() {
        return None;
    }
    let whole = |k: usize| g.fact(group.inputs[k]).bytes() <= limit;
    let mut read: Vec<Option<AxisReads>> = Vec::new();
    for k in 0..task.inputs.len() {
        let is_read_as_it_is = k > 0 || group.prologue.is_none();
        read.push(if whole(k) { None } else { Some(rows_read(task, k).filter(|_| is_read_as_it_is)?) });
    }
    let lead = lead(group, task);
    if !(task.inputs.len()..lead).all(whole) {
        return None;
    }
    let region = match read.iter().all(Option::is_none) {
        true => merged(&region),
        false if region.shape == task.output.shape => region,
        false => return None,
    };
    let mut rows = operands(&region, lead, 1);
    rows.extend(stores(&region, 1));
    let inner: usize = region.shape[1..].iter().product();
    let piece = |range: &Range<usize>| {
        let mut windows: Windows = rows.iter().map(|r| (r.operand, r.window(range))).collect();
        let mut from = vec![0; task.inputs.len()];
        for (k, axis) in read.iter().enumerate().filter_map(|(k, axis)| Some((k, axis.as_ref()?))) {
            let fact = &task.inputs[k];
            let row = fact.bytes() / fact.shape[0];
            let rows = met(axis, range, fact.shape[0]);
            let begin = rows.start * row / ALIGNMENT * ALIGNMENT;
            from[k] = begin / fact.dtype.size();
            windows.push((Operand::Input(k), begin..rows.end * row));
        }
        let shape = with_rows(&region.shape, range.len());
        Piece {
            output: Fact { shape: shape.clone(), ..task.output.clone() },
            group: Group { region: Some(Region { shape, ..region.clone() }), ..group.clone() },
            first: range.start * inner,
            from,
            windows,
        }
    };
    let count = region.shape[0];
    let together = together(&rows);
    let fit = |pieces: &[Piece]| pieces.iter().all(|p| p.windows.iter().all(|(_, window)| window.len() <= limit));
    let mut number = 1;
    loop {
        let length = count.div_ceil(number).next_multiple_of(together);
        let ranges = (0..count).step_by(length).map(|at| at..(at + length).min(count));
        let pieces: Vec<Piece> = ranges.map(|range| piece(&range)).collect();
        if fit(&pieces) {
            return Some(pieces);
        }
        if length == together {
            return None;
        }
        number *= 2;
    }
}

/// How a row of the output reads rows of input `k`, if it reads some of them alone.
fn rows_read(task: &Task, k: usize) -> Option<AxisReads> {
    let Reads::Axes(axes) = task.op.def().reads(k, task.inputs, task.output) else { return None };
    let (first, rest) = axes.split_first()?;
    let some = matches!(first, AxisReads::Window(places) | AxisReads::Spread(places) if places.of == 0);
    (some && rest.iter().all(|axis| of(axis) != Some(0))).then_some(*first)
}

/// The rows that rows `range` of the output read, of `extent`: at least one.
fn met(axis: &AxisReads, range: &Range<usize>, extent: usize) -> Range<usize> {
    let [low, high] = [range.start as i64, range.end as i64 - 1];
    let (low, high) = match axis {
        AxisReads::Window(p) => {
            let reach = (p.size as i64 - 1) * p.dilation as i64;
            let at = |row: i64| row * p.stride - p.before;
            (at(low).min(at(high)), at(low).max(at(high)) + reach)
        }
        AxisReads::Spread(p) => {
            let reach = (p.size as i64 - 1) * p.dilation as i64;
            ((low + p.before - reach).div_euclid(p.stride), (high + p.before).div_euclid(p.stride))
        }
        _ => (0, extent as i64),
    };
    let last = extent.saturating_sub(1) as i64;
    let begin = low.clamp(0, last) as usize;
    begin..(high.clamp(0, last) as usize + 1).max(begin + 1)
}

/// Whether row o of the output is made of row o of input `k`, and of no other row of it.
fn is_by_rows(task: &Task, k: usize) -> bool {
    let is_same = |axis: &AxisReads| match axis {
        AxisReads::Window(p) | AxisReads::Spread(p) => (p.of, p.size, p.stride, p.before) == (0, 1, 1, 0),
        _ => false,
    };
    task.inputs[k].shape.first() == task.output.shape.first()
        && match task.op.def().reads(k, task.inputs, task.output) {
            Reads::Axes(axes) => axes.first().is_some_and(is_same) && axes[1..].iter().all(|axis| of(axis) != Some(0)),
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

/// The code of parts that give sums of `count` numbers each, in order: the first is where [`Operand::Sum`] lies, and each
/// other where [`Operand::Part`] does, behind which it is added to the sum. The last is left to `last`, which does that.
pub fn added_up(parts: Vec<(Code, Windows)>, count: usize, last: Dispatch) -> Code {
    let shared = parts.iter().map(|(code, _)| code.workspace).max().unwrap_or(0);
    let begin = shared.next_multiple_of(ALIGNMENT);
    let bytes = count * DType::F32.size();
    let part = begin + bytes.next_multiple_of(ALIGNMENT);
    let places =
        [(Operand::Workspace, 0..shared), (Operand::Sum, begin..begin + bytes), (Operand::Part, part..part + bytes)];
    let end = parts.len() - 1;
    let behind = |k: usize| match k {
        0 => None,
        k if k == end => Some(last.clone()),
        _ => Some(addition(count)),
    };
    let part_of = |(k, (mut code, mut windows)): (usize, (Code, Windows))| {
        let place = if k == 0 { Operand::Sum } else { Operand::Part };
        let operands = code.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.operands);
        operands.filter(|operand| **operand == Operand::Output(0)).for_each(|operand| *operand = place);
        windows.extend(places.clone());
        code.dispatches.iter_mut().for_each(|dispatch| dispatch.windows.clone_from(&windows));
        code.dispatches.extend(behind(k).map(|dispatch| Dispatch { windows: places.to_vec(), ..dispatch }));
        code.dispatches
    };
    Code::new(parts.into_iter().enumerate().flat_map(part_of).collect(), part + bytes)
}

/// The dispatch that adds what a part gives to the sum.
fn addition(count: usize) -> Dispatch {
    let mut module = Module::new();
    module.loader("sum", Operand::Sum, DType::F32);
    module.loader("part", Operand::Part, DType::F32);
    module.add(&values_struct(&[DType::F32]));
    module.add("fn value(at: u32) -> Values { return Values(sum(at) + part(at)); }");
    module.elementwise(count, &[(Operand::Sum, DType::F32)])
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
                    let least = rows.iter().any(|r| r.window(&(0..together(&rows).min(count))).len() > limit);
                    prop_assert!(least && whole > limit);
                }
            }
        }
    }
}
