//! Blocks: what a chunk works on at a time, small enough for L1, and where operands and results of
//! a block lie.

use super::chain::{self, Chain, Part};
use super::forms;
use super::space::Space;
use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use smallvec::SmallVec;

/// Lanes of the longest block.
pub const LONGEST: usize = 1024;
/// Bytes that the blocks of a chunk may take together.
const L1_BUDGET: usize = 20 << 10;

/// Where a value of the program lies while a block is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In an operand's memory, read in place.
    Direct(usize),
    /// In a block of scratch.
    Block(usize),
}

/// How an operand comes into a block of rows × columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Its memory is the block.
    InPlace,
    /// One row, repeated; stays the same while the outer position does.
    Rows,
    /// One value; stays the same while the outer position does.
    Value,
    /// Anything else: element by element.
    Gather,
}

/// Layout of a chunk's scratch, and the homes of all values.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Lanes of a block.
    pub lanes: usize,
    /// How each operand is loaded.
    pub loads: Vec<Load>,
    /// Where each operand lies.
    pub operands: Vec<Home>,
    /// The program, in parts.
    pub parts: Vec<Part>,
    /// Where the result of each part lies; inside a part results have no place.
    pub results: Vec<Option<Home>>,
    /// Literals and the blocks that hold them.
    pub literals: Vec<(u64, DType, usize)>,
    /// Number of blocks.
    pub blocks: usize,
    /// For each result, the first output that holds its lanes as they are.
    stored: Vec<Option<usize>>,
    /// For each operand, the part that reads it last; the number of parts where that is what
    /// comes after the program.
    last_reads: Vec<Option<usize>>,
}

/// Where the lanes of a value lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    start: *mut u32,
    moves: bool,
}

impl Slot {
    /// What is read where a link takes no other value.
    const NONE: Slot = Slot::fixed(std::ptr::null_mut());

    /// The same place for every block.
    pub const fn fixed(start: *mut u32) -> Slot {
        Slot { start, moves: false }
    }

    /// One block's lanes behind the other's.
    pub const fn moving(start: *mut u32) -> Slot {
        Slot { start, moves: true }
    }

    /// The lanes of the block whose first is lane `at`.
    #[inline(always)]
    pub fn lanes(self, at: usize) -> *mut u32 {
        self.start.wrapping_add(if self.moves { at } else { 0 })
    }
}

/// A program's results and arguments in memory, in the order in which they are used.
#[derive(Default)]
pub struct BoundSlots {
    slots: SmallVec<[Slot; 32]>,
}

impl Layout {
    /// Plans scratch for a region: results reuse the blocks of results that are no longer read.
    pub fn new(region: &Region, space: &Space) -> Layout {
        let [.., rows, cols] = space.axes.as_slice() else { unreachable!("a space has two axes") };
        let mut blocks = 0;
        let mut fresh = || {
            blocks += 1;
            blocks - 1
        };
        let mut loads = Vec::new();
        let mut operands = Vec::new();
        for (k, operand) in region.operands.iter().enumerate() {
            let (row, col) = (rows.steps[k], cols.steps[k]);
            let wide = operand.dtype.size() == 4;
            let load = match (row, col) {
                (r, 1) if r == cols.extent || rows.extent == 1 => {
                    if wide {
                        Load::InPlace
                    } else {
                        Load::Gather
                    }
                }
                (0, 1) => Load::Rows,
                (0, 0) => Load::Value,
                _ => Load::Gather,
            };
            operands.push(if load == Load::InPlace { Home::Direct(k) } else { Home::Block(fresh()) });
            loads.push(load);
        }
        let mut literals: Vec<(u64, DType, usize)> = Vec::new();
        let mut literal = |arg: &Arg, dtype: DType| {
            if let Arg::Literal(bits) = arg
                && !literals.iter().any(|l| (l.0, l.1) == (*bits, dtype))
            {
                literals.push((*bits, dtype, 0));
            }
        };
        for (i, code) in region.code.iter().enumerate() {
            for (k, arg) in code.args.iter().enumerate() {
                literal(arg, argument_dtype(region, i, k));
            }
        }
        let mut stored = vec![None; region.code.len()];
        for (k, &(arg, dtype)) in region.stores.iter().enumerate().rev() {
            if let Arg::Result(r) = arg
                && dtype.size() == 4
            {
                stored[r as usize] = Some(k);
            }
        }
        let leaves = region.stores.iter().copied().chain(region.reductions.iter().map(|r| (r.source, r.dtype)));
        let mut kept = vec![false; region.code.len()];
        let mut left = vec![false; region.operands.len()];
        for (arg, dtype) in leaves {
            literal(&arg, dtype);
            match arg {
                Arg::Result(r) => kept[r as usize] = true,
                Arg::Operand(k) => left[k as usize] = true,
                _ => {}
            }
        }
        let parts = chain::parts(region, |r| kept[r]);
        let reads = |part: &Part, k: usize| part.args(region).any(|arg| arg == Arg::Operand(k as u16));
        let last_reads = (0..region.operands.len())
            .map(|k| match left[k] {
                true => Some(parts.len()),
                false => parts.iter().rposition(|part| reads(part, k)),
            })
            .collect();
        // For each result, the part that reads it last.
        let mut last_read = vec![0; region.code.len()];
        for (at, part) in parts.iter().enumerate() {
            for arg in part.args(region) {
                if let Arg::Result(r) = arg {
                    last_read[r as usize] = at;
                }
            }
        }
        for l in &mut literals {
            l.2 = fresh();
        }
        let mut free: Vec<usize> = Vec::new();
        let mut results: Vec<Option<Home>> = vec![None; region.code.len()];
        for (at, part) in parts.iter().enumerate() {
            // A result never takes the block of one of its own arguments.
            let block = free.pop().unwrap_or_else(&mut fresh);
            results[part.result()] = Some(Home::Block(block));
            for before in parts[..at].iter().map(Part::result) {
                if last_read[before] == at
                    && !kept[before]
                    && let Some(Home::Block(s)) = results[before]
                {
                    free.push(s);
                }
            }
        }
        let mut lanes = LONGEST;
        while lanes > 128 && lanes * 4 * blocks.max(1) > L1_BUDGET {
            lanes /= 2;
        }
        Layout { lanes, loads, operands, parts, results, literals, blocks, stored, last_reads }
    }

    /// The program of `region` on memory: `place` says where the lanes of an argument, or of a result, lie.
    pub fn bind(&self, region: &Region, place: impl Fn(Arg, DType) -> Slot) -> BoundSlots {
        let mut slots = SmallVec::new();
        for part in &self.parts {
            slots.push(place(Arg::Result(part.result() as u16), DType::F32));
            match part {
                Part::Instruction(i) => {
                    let args = region.code[*i].args.iter().enumerate();
                    slots.extend(args.map(|(k, &arg)| place(arg, argument_dtype(region, *i, k))));
                }
                Part::Chain(Chain { first, others, .. }) => {
                    slots.push(place(*first, DType::F32));
                    let other = |arg: &Option<Arg>| arg.map_or(Slot::NONE, |arg| place(arg, DType::F32));
                    slots.extend(others.iter().map(other));
                }
            }
        }
        BoundSlots { slots }
    }

    /// Runs the program of `region` on `n` lanes, `at` lanes behind those where slots that move begin.
    ///
    /// # Safety
    /// All arguments are readable and all results writable for `n` lanes. A result may overlap arguments of its own
    /// part only, and only lane by lane, where that is a chain; arguments of later parts never.
    pub unsafe fn run(
        &self,
        region: &Region,
        (apply, chain): (forms::Apply, chain::RunFn),
        bound: &BoundSlots,
        at: usize,
        n: usize,
    ) {
        let mut slots = bound.slots.iter().map(|slot| slot.lanes(at));
        let mut next = || slots.next().unwrap_or(std::ptr::null_mut());
        for part in &self.parts {
            let out = next();
            match part {
                Part::Instruction(i) => {
                    let code = &region.code[*i];
                    let mut args = [std::ptr::null(); 3];
                    args[..code.args.len()].iter_mut().for_each(|slot| *slot = next().cast_const());
                    // SAFETY: the caller's contract.
                    unsafe { apply(code.function, code.input_dtype, code.dtype, args, out, n) };
                }
                Part::Chain(Chain { links, .. }) => {
                    let args: SmallVec<[*const f32; 16]> =
                        (0..=links.len()).map(|_| next().cast_const().cast()).collect();
                    // SAFETY: as above.
                    unsafe { chain(&chain::Work { links, args: &args, out: out.cast(), len: n }) };
                }
            }
        }
    }

    /// The output in which the result of instruction `r` can be written at once, if there is one. `shared` says
    /// whether an output and an operand are the same memory.
    pub fn output(&self, r: u16, shared: impl Fn(usize, usize) -> bool) -> Option<usize> {
        let store = self.stored[r as usize]?;
        let at = self.parts.iter().position(|part| part.result() == r as usize)?;
        // A chain reads its arguments before it writes, block by block.
        let chain = matches!(self.parts[at], Part::Chain(_));
        let last = |k: usize| self.last_reads[k].is_some_and(|part| part > at || part == at && !chain);
        let overwritten = (0..self.operands.len()).any(|k| last(k) && shared(store, k));
        (!overwritten).then_some(store)
    }

    /// Where the result of instruction `r` lies.
    ///
    /// # Panics
    /// Where it is read inside its part alone.
    pub fn result(&self, r: u16) -> Home {
        self.results[r as usize].unwrap_or_else(|| panic!("result {r} lies nowhere"))
    }

    /// The block that holds a literal.
    pub fn literal(&self, bits: u64, dtype: DType) -> usize {
        self.literals.iter().find(|l| (l.0, l.1) == (bits, dtype)).map_or(0, |l| l.2)
    }
}

/// Element type of argument `k` of instruction `i`.
pub fn argument_dtype(region: &Region, i: usize, k: usize) -> DType {
    let code = &region.code[i];
    if code.function == crate::ops::pointwise::Function::Where && k == 0 { DType::Bool } else { code.input_dtype }
}
