//! Steps that share dispatches, once it is known where their tensors lie: those that lie in one memory are one binding.

use super::placement::{Home, Place};
use crate::backend::gpu::lower::segments::{self, At, Segment};
use crate::backend::gpu::lower::shader::{Dispatch, Operand};
use crate::fusion::region::Region;
use std::collections::HashSet;

/// The most tensors that a dispatch of several steps works on: its text grows with them, and with it the time that drivers
/// take for it.
const MOST: usize = 256;
/// Bindings of vectors of words are multiples of so many bytes.
const VECTOR: usize = 16;

/// A region with the places of what it reads and stores.
pub(super) struct Member<'a> {
    pub region: &'a Region,
    pub inputs: Vec<Place>,
    pub outputs: Vec<Place>,
}

impl Member<'_> {
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.inputs.iter().chain(&self.outputs)
    }
}

/// What a dispatch may bind.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bindings.
    pub bindings: usize,
    /// Bytes of each.
    pub bytes: usize,
}

/// As few dispatches as `limits` let the members have, in their order, with what each binds.
pub(super) fn dispatches(members: &[Member], limits: Limits) -> Vec<(Dispatch, Vec<Place>)> {
    debug_assert!(are_apart(members), "steps that share a dispatch write what others of them read or write");
    let mut made = Vec::new();
    let mut rest = members;
    while !rest.is_empty() {
        let fits = |count: &usize| {
            let some = &rest[..*count];
            let tensors: HashSet<(Home, usize)> =
                some.iter().flat_map(Member::places).map(|p| (p.home, p.offset)).collect();
            tensors.len() <= MOST && bindings(some, limits.bytes).len() <= limits.bindings
        };
        // Alone, a region has the bindings that it has.
        let count = (2..=rest.len()).take_while(fits).last().unwrap_or(1);
        let (now, later) = rest.split_at(count);
        let bound = bindings(now, limits.bytes);
        let bytes: Vec<usize> = bound.iter().map(|place| place.bytes).collect();
        let segments: Vec<Segment> = now.iter().map(|member| segment(member, &bound)).collect();
        let dispatch = segments::dispatch(&segments, &bytes);
        let place = |operand: &Operand| match operand {
            Operand::Shared(k) => bound.get(*k).copied(),
            _ => None,
        };
        let places = dispatch.operands.iter().filter_map(place).collect();
        made.push((dispatch, places));
        rest = later;
    }
    made
}

/// Whether no member writes memory that another one reads or writes: nothing orders what a dispatch does.
fn are_apart(members: &[Member]) -> bool {
    let overlap =
        |a: &Place, b: &Place| a.home == b.home && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
    members.iter().enumerate().all(|(k, member)| {
        let of_others = || {
            let others = members.iter().enumerate().filter(move |(other, _)| *other != k);
            others.flat_map(|(_, other)| other.places())
        };
        member.outputs.iter().all(|output| !of_others().any(|place| overlap(output, place)))
    })
}

/// Ranges of `limit` bytes at most, unless a tensor is larger, in which all tensors of `members` lie.
fn bindings(members: &[Member], limit: usize) -> Vec<Place> {
    let mut places: Vec<Place> = members.iter().flat_map(Member::places).copied().collect();
    places.sort_by_key(|place| (place.home, place.offset, place.bytes));
    let mut found: Vec<Place> = Vec::new();
    for place in places {
        // What lies in memory of several tensors has room behind it.
        let bytes = if place.home.is_shared() { place.bytes.next_multiple_of(VECTOR) } else { place.bytes };
        let end = place.offset + bytes;
        match found.last_mut() {
            Some(last) if last.home == place.home && end - last.offset <= last.bytes.max(limit) => {
                last.bytes = last.bytes.max(end - last.offset);
            }
            _ => found.push(Place { bytes, ..place }),
        }
    }
    found
}

fn segment<'a>(member: &Member<'a>, bound: &[Place]) -> Segment<'a> {
    let at = |place: &Place, size: usize| {
        let holds = |b: &Place| {
            b.home == place.home && b.offset <= place.offset && place.offset + place.bytes <= b.offset + b.bytes
        };
        let binding = bound.iter().position(holds).unwrap_or(0);
        At { binding, first: (place.offset - bound[binding].offset) / size }
    };
    let region = member.region;
    let inputs = member.inputs.iter().zip(&region.operands).map(|(place, o)| at(place, o.dtype.size()));
    let outputs = member.outputs.iter().zip(&region.stores).map(|(place, store)| at(place, store.1.size()));
    Segment { region, inputs: inputs.collect(), outputs: outputs.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::device::ALIGNMENT;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_tensor_lies_in_one_binding_that_is_no_larger_than_may_be(
            raw in proptest::collection::vec((0usize..3, 0usize..40, 1usize..900), 1..40),
            limit in 1usize..40,
        ) {
            let limit = limit * ALIGNMENT;
            let homes = [Home::Arena(0), Home::Arena(1), Home::Prepared];
            let places: Vec<Place> = raw
                .iter()
                .map(|&(home, line, bytes)| Place { home: homes[home], offset: line * ALIGNMENT, bytes: bytes.min(limit) })
                .collect();
            let region = Region::default();
            let members = [Member { region: &region, inputs: places.clone(), outputs: Vec::new() }];
            let bound = bindings(&members, limit);
            for place in &places {
                let holds = |b: &&Place| {
                    b.home == place.home && b.offset <= place.offset && place.offset + place.bytes <= b.offset + b.bytes
                };
                prop_assert!(bound.iter().any(|b| holds(&b)));
            }
            for b in &bound {
                prop_assert!(b.bytes <= limit && b.offset % ALIGNMENT == 0);
            }
        }
    }
}
