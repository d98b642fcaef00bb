//! Chains: instructions each of which works on the result of the one before. One loop runs all of a chain on a
//! block of vectors, whose running values stay in registers; only the last result goes to a block.

use super::vector_math;
use crate::backend::cpu::simd::{Simd, dispatch};
use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use crate::ops::pointwise::Function;

/// What one instruction does with the running value `x` and, if it is a binary one, with another value `y`. Each function
/// more in the loop takes registers from all others (`benches/functions.py` shows it): `tanh` is an instruction of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// `x + y`.
    Add,
    /// `x - y`.
    Sub,
    /// `y - x`.
    SubFrom,
    /// `x · y`.
    Mul,
    /// `x / y`.
    Div,
    /// `y / x`.
    DivInto,
    /// `-x`.
    Neg,
    /// `x · x`.
    Square,
    /// `√x`.
    Sqrt,
    /// `max(x, 0)`, where NaN stays.
    Relu,
    /// `eˣ`.
    Exp,
    /// `erf x`.
    Erf,
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
}

impl Link {
    /// The link of a function of float32 that takes the running value as argument `position`.
    fn of(function: Function, position: usize) -> Option<Link> {
        Some(match (function, position) {
            (Function::Add, _) => Link::Add,
            (Function::Sub, 0) => Link::Sub,
            (Function::Sub, _) => Link::SubFrom,
            (Function::Mul, _) => Link::Mul,
            (Function::Div, 0) => Link::Div,
            (Function::Div, _) => Link::DivInto,
            (Function::Neg, _) => Link::Neg,
            (Function::Square, _) => Link::Square,
            (Function::Sqrt, _) => Link::Sqrt,
            (Function::Relu, _) => Link::Relu,
            (Function::Exp, _) => Link::Exp,
            (Function::Erf, _) => Link::Erf,
            (Function::Sigmoid, _) => Link::Sigmoid,
            _ => return None,
        })
    }
}

/// Instructions that run as one loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// What the running value begins as.
    pub first: Arg,
    /// What is done with it, in order.
    pub links: Vec<Link>,
    /// The other value of each link, where it takes one.
    pub others: Vec<Option<Arg>>,
    /// The last instruction, whose result is the chain's.
    pub result: usize,
}

/// A part of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// This instruction alone.
    Instruction(usize),
    /// Several.
    Chain(Chain),
}

impl Part {
    /// The instruction whose result the part leaves.
    pub fn result(&self) -> usize {
        match self {
            Part::Instruction(i) => *i,
            Part::Chain(chain) => chain.result,
        }
    }

    /// What it reads.
    pub fn args<'a>(&'a self, region: &'a Region) -> Box<dyn Iterator<Item = Arg> + 'a> {
        match self {
            Part::Instruction(i) => Box::new(region.code[*i].args.iter().copied()),
            Part::Chain(chain) => Box::new(std::iter::once(chain.first).chain(chain.others.iter().flatten().copied())),
        }
    }
}

/// The program of a region in parts, in an order in which they can run. `kept` are the results that are read
/// after the last instruction.
pub fn parts(region: &Region, kept: impl Fn(usize) -> bool) -> Vec<Part> {
    let code = &region.code;
    let float = |i: usize| code[i].input_dtype == DType::F32 && code[i].dtype == DType::F32;
    let link = |i: usize, position: usize| Link::of(code[i].function, position).filter(|_| float(i));
    // For each result, the instruction and the place where it is read, if there is one such place.
    let mut reads: Vec<Option<(usize, usize)>> = vec![None; code.len()];
    let mut counts = vec![0; code.len()];
    for (i, instruction) in code.iter().enumerate() {
        for (k, arg) in instruction.args.iter().enumerate() {
            if let Arg::Result(r) = arg {
                reads[*r as usize] = Some((i, k));
                counts[*r as usize] += 1;
            }
        }
    }
    let mut taken = vec![false; code.len()];
    let mut parts = Vec::new();
    for start in 0..code.len() {
        if taken[start] {
            continue;
        }
        taken[start] = true;
        let Some(head) = link(start, 0) else {
            parts.push(Part::Instruction(start));
            continue;
        };
        let mut chain = Chain {
            first: code[start].args[0],
            links: vec![head],
            others: vec![code[start].args.get(1).copied()],
            result: start,
        };
        while let Some((next, position)) = reads[chain.result].filter(|_| counts[chain.result] == 1)
            && !kept(chain.result)
            && !taken[next]
            && let Some(link) = link(next, position)
        {
            taken[next] = true;
            chain.links.push(link);
            chain.others.push(code[next].args.get(1 - position).copied());
            chain.result = next;
        }
        parts.push(if chain.links.len() > 1 { Part::Chain(chain) } else { Part::Instruction(start) });
    }
    // What a part reads is the result of a part, and made by an instruction before its last one.
    parts.sort_by_key(Part::result);
    parts
}

/// One run of a chain over a block.
pub struct Work<'a> {
    /// What is done.
    pub links: &'a [Link],
    /// What the running value begins as, then the other value of each link: null where it takes none.
    pub args: &'a [*const f32],
    /// Where the last result goes; it may be one of the arguments.
    pub out: *mut f32,
    /// Lanes.
    pub len: usize,
}

/// Runs a chain.
pub type RunFn = unsafe fn(&Work);

/// Vectors of a block: as many running values hide each other's latency, and share what choosing a link costs.
const ABREAST: usize = 8;

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn run<S: Simd>(s: S, w: &Work) {
    let mut at = 0;
    while at + ABREAST * S::LANES <= w.len {
        block::<S, ABREAST, false>(s, w, at, S::LANES);
        at += ABREAST * S::LANES;
    }
    while at < w.len {
        let lanes = S::LANES.min(w.len - at);
        if lanes == S::LANES {
            block::<S, 1, false>(s, w, at, lanes)
        } else {
            block::<S, 1, true>(s, w, at, lanes)
        }
        at += lanes;
    }
}

/// `V` vectors from lane `at` on, or `lanes` lanes of one if `PART`.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn block<S: Simd, const V: usize, const PART: bool>(s: S, w: &Work, at: usize, lanes: usize) {
    let load = |p: *const f32, v: usize| {
        let p = p.add(at + v * S::LANES);
        if PART { s.load_first(p, lanes) } else { s.load(p) }
    };
    // Not `array::from_fn`: it is a function of its own, with a call for each load.
    let mut x = [s.zero(); V];
    macro_rules! each {
        ($v:ident => $e:expr) => {
            for $v in 0..V {
                x[$v] = $e;
            }
        };
    }
    each!(v => load(w.args[0], v));
    for (k, link) in w.links.iter().enumerate() {
        let y = *w.args.get_unchecked(k + 1);
        match link {
            Link::Add => each!(v => s.add(x[v], load(y, v))),
            Link::Sub => each!(v => s.sub(x[v], load(y, v))),
            Link::SubFrom => each!(v => s.sub(load(y, v), x[v])),
            Link::Mul => each!(v => s.mul(x[v], load(y, v))),
            Link::Div => each!(v => s.div(x[v], load(y, v))),
            Link::DivInto => each!(v => s.div(load(y, v), x[v])),
            Link::Neg => each!(v => s.neg(x[v])),
            Link::Square => each!(v => s.mul(x[v], x[v])),
            Link::Sqrt => each!(v => s.sqrt(x[v])),
            Link::Relu => each!(v => s.select(s.le(x[v], s.splat(0.0)), s.splat(0.0), x[v])),
            Link::Exp => each!(v => vector_math::exp(s, x[v])),
            Link::Erf => each!(v => vector_math::erf(s, x[v])),
            Link::Sigmoid => each!(v => vector_math::sigmoid(s, x[v])),
        }
    }
    for (v, &x) in x.iter().enumerate() {
        let p = w.out.add(at + v * S::LANES);
        if PART { s.store_first(p, x, lanes) } else { s.store(p, x) }
    }
}

dispatch! {
    /// The loop of a tier. All that links and arguments name is readable and the result writable for `len` lanes;
    /// there is an argument more than links.
    pub fn select[] => unsafe run(w: &Work);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::kernels::pointwise::forms;
    use crate::backend::cpu::simd::Tier;
    use crate::fusion::region::Instruction;
    use crate::testing::Rng;

    fn instruction(function: Function, args: &[Arg]) -> Instruction {
        Instruction { function, args: args.iter().copied().collect(), input_dtype: DType::F32, dtype: DType::F32 }
    }

    const LINKS: [Link; 13] = [
        Link::Add,
        Link::Sub,
        Link::SubFrom,
        Link::Mul,
        Link::Div,
        Link::DivInto,
        Link::Neg,
        Link::Square,
        Link::Sqrt,
        Link::Relu,
        Link::Exp,
        Link::Erf,
        Link::Sigmoid,
    ];

    fn one(link: Link, x: f32, y: f32, tier: Tier) -> f32 {
        let apply = |function| {
            let (mut out, arg) = ([0.0f32], [x]);
            let args = [arg.as_ptr().cast(), std::ptr::null(), std::ptr::null()];
            // SAFETY: both have one lane.
            unsafe { forms::select(tier)(function, DType::F32, DType::F32, args, out.as_mut_ptr().cast(), 1) };
            out[0]
        };
        match link {
            Link::Exp => apply(Function::Exp),
            Link::Erf => apply(Function::Erf),
            Link::Sigmoid => apply(Function::Sigmoid),
            Link::Add => x + y,
            Link::Sub => x - y,
            Link::SubFrom => y - x,
            Link::Mul => x * y,
            Link::Div => x / y,
            Link::DivInto => y / x,
            Link::Neg => -x,
            Link::Square => x * x,
            Link::Sqrt => x.sqrt(),
            Link::Relu => {
                if x <= 0.0 {
                    0.0
                } else {
                    x
                }
            }
        }
    }

    #[test]
    fn chains_round_as_their_instructions_do_one_by_one() {
        let mut rng = Rng::new(5);
        for tier in Tier::supported() {
            let run = select(tier);
            for len in [1, 15, 16, 17, 63, 64, 65, 240, 1000] {
                for count in 1..6 {
                    let links: Vec<Link> = (0..count).map(|_| LINKS[rng.below(LINKS.len())]).collect();
                    let mut blocks: Vec<Vec<f32>> =
                        (0..=count).map(|_| (0..len).map(|_| rng.below(2001) as f32 * 0.001 - 1.0).collect()).collect();
                    blocks[0][0] = f32::NAN;
                    blocks[0][len / 2] = -0.0;
                    let value =
                        |i: usize| (0..count).fold(blocks[0][i], |x, k| one(links[k], x, blocks[k + 1][i], tier));
                    let expected: Vec<u32> = (0..len).map(|i| value(i).to_bits()).collect();
                    let nan = |bits: u32| f32::from_bits(bits).is_nan();
                    // Into fresh memory, and over an argument.
                    for over in [false, true] {
                        let mut fresh = vec![7.0f32; len + 16];
                        let mut args: Vec<*const f32> = blocks.iter().map(|s| s.as_ptr()).collect();
                        if over {
                            fresh[..len].copy_from_slice(&blocks[count]);
                            args[count] = fresh.as_ptr();
                        }
                        let out = fresh.as_mut_ptr();
                        // SAFETY: all blocks have `len` lanes.
                        unsafe { run(&Work { links: &links, args: &args, out, len }) };
                        for (i, &e) in expected.iter().enumerate() {
                            let got = fresh[i].to_bits();
                            assert!(
                                got == e || nan(got) && nan(e),
                                "{tier} {links:?} lane {i} of {len}: {got:x} {e:x}"
                            );
                        }
                        assert!(fresh[len..].iter().all(|&v| v == 7.0), "{tier}: wrote past {len} lanes");
                    }
                }
            }
        }
    }

    #[test]
    fn adam_is_four_chains() {
        let (operand, result) = (Arg::Operand, Arg::Result);
        let (g, m, v, w) = (Arg::Anchor, operand(0), operand(1), operand(2));
        let (rate1, rate2, step, epsilon) = (operand(3), operand(4), operand(5), Arg::literal(1e-7));
        let code = vec![
            instruction(Function::Sub, &[g, m]),
            instruction(Function::Mul, &[result(0), rate1]),
            instruction(Function::Add, &[m, result(1)]),
            instruction(Function::Mul, &[result(2), step]),
            instruction(Function::Square, &[g]),
            instruction(Function::Sub, &[result(4), v]),
            instruction(Function::Mul, &[result(5), rate2]),
            instruction(Function::Add, &[v, result(6)]),
            instruction(Function::Sqrt, &[result(7)]),
            instruction(Function::Add, &[result(8), epsilon]),
            instruction(Function::Div, &[result(3), result(9)]),
            instruction(Function::Sub, &[w, result(10)]),
        ];
        let region = Region { code, ..Region::default() };
        let found = parts(&region, |r| [2, 7, 11].contains(&r));
        let results: Vec<usize> = found.iter().map(Part::result).collect();
        assert_eq!(results, [2, 7, 9, 11]);
        let Part::Chain(last) = &found[3] else { panic!("{found:?}") };
        assert_eq!(last.links, [Link::Mul, Link::Div, Link::SubFrom]);
        assert_eq!(last.others, [Some(step), Some(result(9)), Some(w)]);
        assert_eq!(last.first, result(2));
    }

    #[test]
    fn results_that_are_read_twice_or_kept_end_a_chain() {
        let (x, result) = (Arg::Operand(0), Arg::Result);
        let squared = [instruction(Function::Neg, &[x]), instruction(Function::Mul, &[result(0), result(0)])];
        let region = Region { code: squared.to_vec(), ..Region::default() };
        assert_eq!(parts(&region, |_| false), [Part::Instruction(0), Part::Instruction(1)]);
        let line = [instruction(Function::Neg, &[x]), instruction(Function::Relu, &[result(0)])];
        let region = Region { code: line.to_vec(), ..Region::default() };
        assert_eq!(parts(&region, |r| r == 0), [Part::Instruction(0), Part::Instruction(1)]);
        assert!(matches!(parts(&region, |_| false)[..], [Part::Chain(_)]));
    }
}
