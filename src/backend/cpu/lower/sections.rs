//! Which steps run between the same barriers, and what of them never leaves a thread's own memory.

use crate::backend::cpu::exec::code::Local;
use crate::backend::cpu::kernel::Lowered;
use crate::buffer::ALIGNMENT;
use crate::graph::{Graph, NodeId};
use crate::schedule::Step;
use crate::schedule::memory::{self, Lifetime};
use std::collections::{HashMap, HashSet};

/// Bytes of what is local to a section, at most: beside its inputs and outputs it is to stay in L2.
const LOCAL_BYTES: usize = 1 << 20;
/// Bytes that steps running together may add to the arena over the largest of them, about.
const WAVE_BYTES: usize = 4 << 20;

/// Values that lie in the memory of the thread that works on a share of them.
#[derive(Default)]
pub(super) struct Locals {
    /// Where.
    pub places: HashMap<NodeId, Local>,
    /// Bytes of a thread's memory for them.
    pub bytes: usize,
    /// Bytes from the first image of a value to the last share, at most.
    pub reach: usize,
}

/// What lies in the memory of threads: made by steps of a section share by share, and read by later ones of the
/// same section in the same way, and by nobody else. `stays` says of a value that it outlasts the run.
pub(super) fn locals(g: &Graph, steps: &[Step<Lowered>], waves: &[usize], stays: impl Fn(NodeId) -> bool) -> Locals {
    let mut readers: HashMap<NodeId, Vec<(usize, usize)>> = HashMap::new();
    for (s, step) in steps.iter().enumerate() {
        step.inputs.iter().enumerate().for_each(|(k, &i)| readers.entry(i).or_default().push((s, k)));
    }
    // What two steps of one section have in common.
    let shares = |s: usize| {
        let section = steps[s].code.section.as_ref()?;
        Some((section, [waves[s], section.images, section.lanes, steps[s].code.phases[section.phase].chunks]))
    };
    let mut found: Vec<(NodeId, Local, Lifetime)> = Vec::new();
    for (s, step) in steps.iter().enumerate() {
        let Some((section, key)) = shares(s).filter(|_| step.copies_output.is_none()) else { continue };
        for (k, &o) in step.outputs.iter().enumerate() {
            let bytes = g.fact(o).bytes();
            let by_share = section.outputs >> k & 1 == 1 && bytes.is_multiple_of(section.images);
            let inside = |&(r, k): &(usize, usize)| {
                shares(r).is_some_and(|(section, other)| other == key && section.inputs >> k & 1 == 1)
            };
            match readers.get(&o) {
                Some(readers) if by_share && !stays(o) && readers.iter().all(inside) => {
                    let last = readers.iter().map(|r| r.0).max().unwrap_or(s);
                    let image = bytes / section.images;
                    let largest = section.share(key[3], 0).len() * image;
                    found.push((o, Local { offset: 0, image }, Lifetime { bytes: largest, first: s, last }));
                }
                _ => {}
            }
        }
    }
    // The largest stay in the arena where all together would not stay in cache.
    found.sort_by_key(|(_, _, lifetime)| lifetime.bytes);
    loop {
        let lifetimes: Vec<Lifetime> = found.iter().map(|f| f.2).collect();
        let (offsets, bytes) = memory::plan(&lifetimes);
        if bytes <= LOCAL_BYTES {
            let places = found.iter().zip(offsets).map(|(f, offset)| (f.0, Local { offset, ..f.1 })).collect();
            let reach = found.iter().map(|(id, ..)| g.fact(*id).bytes()).max().unwrap_or(0);
            return Locals { places, bytes, reach: reach.next_multiple_of(ALIGNMENT) };
        }
        found.pop();
    }
}

/// The wave of each step. Consecutive steps that read nothing of each other form a wave and run
/// together, so that the many small ones (updates of parameters, gradients of one layer) share
/// barriers. So do steps of one section, which read of each other only what the same chunk wrote.
/// Commit steps have waves of their own.
pub(super) fn waves(g: &Graph, steps: &[Step<Lowered>], commit_from: usize) -> Vec<usize> {
    let mut waves = Vec::with_capacity(steps.len());
    let mut wave = 0;
    let mut made: HashSet<NodeId> = HashSet::new();
    // The shares (images, images of a vector, chunks) of the wave's section, and what it made share by share.
    let mut open: Option<[usize; 3]> = None;
    let mut shared: HashSet<NodeId> = HashSet::new();
    let mut held = 0;
    for (s, step) in steps.iter().enumerate() {
        let commits = s >= commit_from;
        let outputs: usize = step.outputs.iter().map(|&o| g.fact(o).bytes()).sum();
        let bytes = if commits { 0 } else { outputs + step.code.workspace + step.packed_in_run().sum::<usize>() };
        let section = step.code.section.as_ref();
        let shares = section.map(|x| [x.images, x.lanes, step.code.phases[x.phase].chunks]);
        let continues = shares.is_some() && shares == open;
        let by_share = |k: usize| section.is_some_and(|x| x.inputs >> k & 1 == 1);
        let waits = |(k, id): (usize, &NodeId)| made.contains(id) && !(continues && by_share(k) && shared.contains(id));
        let depends = step.inputs.iter().enumerate().any(waits);
        if s > 0 && (s == commit_from || depends || (!continues && held + bytes > WAVE_BYTES)) {
            wave += 1;
            made.clear();
            shared.clear();
            open = None;
            held = 0;
        }
        if let Some(section) = section
            && open.is_none_or(|shares_open| Some(shares_open) == shares)
        {
            open = shares;
            let own = step.outputs.iter().enumerate().filter(|(k, _)| section.outputs >> k & 1 == 1);
            shared.extend(own.map(|(_, &o)| o));
        }
        made.extend(&step.outputs);
        held += bytes;
        waves.push(wave);
    }
    waves
}
