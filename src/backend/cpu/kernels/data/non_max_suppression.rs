//! Greedy choice of boxes, image by image. Candidates come from a heap, best first, and are compared with the boxes chosen so
//! far, which lie by column. The soft form takes a candidate off, lowers its score by what was chosen since it was last
//! looked at, and puts it back; scores only fall, so a candidate that keeps its place has its final score.

use super::{DataKernel, lowered, wrong_op};
use crate::backend::cpu::kernel::{Lowered, Phase, Task};
use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use crate::error::Result;
use crate::ops::Op;
use crate::ops::non_max_suppression::{Extents, NonMaxSuppression};
use std::collections::BinaryHeap;

/// Images one by one.
pub const NON_MAX_SUPPRESSION: DataKernel = DataKernel { name: "non_max_suppression_greedy", lower };

/// Chosen boxes that are compared at a time.
const BLOCK: usize = 16;

/// A box with ordered corners, and its area.
#[derive(Clone, Copy)]
struct Rectangle {
    low: [f32; 2],
    high: [f32; 2],
    area: f32,
}

impl Rectangle {
    fn of(corners: [f32; 4]) -> Self {
        let [a, b, c, d] = corners;
        let (low, high) = ([a.min(c), b.min(d)], [a.max(c), b.max(d)]);
        Rectangle { low, high, area: (high[0] - low[0]) * (high[1] - low[1]) }
    }
}

/// Up to 16 chosen boxes, by column. Places that are free hold boxes without area far from any other.
struct Block {
    low: [[f32; BLOCK]; 2],
    high: [[f32; BLOCK]; 2],
    area: [f32; BLOCK],
    class: [i32; BLOCK],
}

impl Block {
    const FREE: Block = Block {
        low: [[f32::INFINITY; BLOCK]; 2],
        high: [[f32::NEG_INFINITY; BLOCK]; 2],
        area: [1.0; BLOCK],
        class: [0; BLOCK],
    };

    /// The overlaps (intersection over union) of a box with those chosen: 0 without area, and with other classes.
    #[inline(always)]
    fn overlaps(&self, one: &Rectangle, class: i32) -> [f32; BLOCK] {
        let mut found = [0.0; BLOCK];
        for (k, found) in found.iter_mut().enumerate() {
            let side = |axis: usize| {
                let side = one.high[axis].min(self.high[axis][k]) - one.low[axis].max(self.low[axis][k]);
                if side > 0.0 { side } else { 0.0 }
            };
            let both = side(0) * side(1);
            let overlap = both / (one.area + self.area[k] - both);
            *found = if both > 0.0 && self.class[k] == class { overlap } else { 0.0 };
        }
        found
    }
}

/// Whether a box overlaps one of those chosen by more than `limit`.
#[inline(always)]
fn overlaps_any<S: Simd>(_: S, chosen: &[Block], one: &Rectangle, class: i32, limit: f32) -> bool {
    chosen.iter().any(|block| {
        let found = block.overlaps(one, class);
        found.iter().fold(0u32, |any, &overlap| any | u32::from(overlap > limit)) != 0
    })
}

dispatch! {
    fn overlaps_any_on[] => overlaps_any(chosen: &[Block], one: &Rectangle, class: i32, limit: f32) -> bool;
}

/// A score and a place in one word: the greatest is the best score, and of equal ones the first.
fn word(score: f32, place: u32) -> u64 {
    const SIGN: u32 = 1 << 31;
    // 0 and −0 are equal.
    let bits = (score + 0.0).to_bits();
    let key = if bits & SIGN != 0 { !bits } else { bits | SIGN };
    u64::from(key) << 32 | u64::from(!place)
}

/// What the choice reads of one image.
struct Image<'a> {
    boxes: &'a [[f32; 4]],
    scores: &'a [f32],
    classes: Option<&'a [i32]>,
}

impl Image<'_> {
    fn class(&self, place: u32) -> i32 {
        self.classes.map_or(0, |classes| classes[place as usize])
    }
}

/// Boxes chosen so far.
struct Chosen<'a> {
    blocks: Vec<Block>,
    count: usize,
    to: &'a mut [[f32; 2]],
}

impl Chosen<'_> {
    fn is_full(&self) -> bool {
        self.count == self.to.len()
    }

    fn push(&mut self, one: &Rectangle, class: i32, place: u32, score: f32) {
        let k = self.count % BLOCK;
        if k == 0 {
            self.blocks.push(Block::FREE);
        }
        let block = &mut self.blocks[self.count / BLOCK];
        for axis in 0..2 {
            block.low[axis][k] = one.low[axis];
            block.high[axis][k] = one.high[axis];
        }
        (block.area[k], block.class[k]) = (one.area, class);
        self.to[self.count] = [place as f32, score];
        self.count += 1;
    }
}

/// Rules of the choice, as f32.
#[derive(Clone, Copy)]
struct Rules {
    tier: Tier,
    limit: f32,
    least: f32,
    sigma: f32,
}

impl Rules {
    fn of(op: &NonMaxSuppression, tier: Tier) -> Self {
        let [limit, least, sigma] = [op.overlap, op.least, op.sigma].map(|x| x.get() as f32);
        Rules { tier, limit, least, sigma }
    }

    fn choose(self, image: &Image, to: &mut [[f32; 2]]) {
        to.fill([-1.0, 0.0]);
        let count = to.len().min(image.boxes.len());
        let mut chosen = Chosen { blocks: Vec::new(), count: 0, to: &mut to[..count] };
        if self.sigma > 0.0 { self.softly(image, &mut chosen) } else { self.hard(image, &mut chosen) }
    }

    /// The candidates of an image, with what is kept beside each.
    fn heap<T: Ord>(self, image: &Image, of: impl Fn(u64, u32) -> T) -> BinaryHeap<T> {
        let open = image.scores.iter().enumerate().filter(|(_, score)| **score > self.least);
        open.map(|(place, score)| of(word(*score, place as u32), place as u32)).collect::<Vec<_>>().into()
    }

    fn hard(self, image: &Image, chosen: &mut Chosen) {
        let overlaps_any = overlaps_any_on(self.tier);
        let mut heap = self.heap(image, |word, _| word);
        while !chosen.is_full() {
            let Some(word) = heap.pop() else { return };
            let place = !(word as u32);
            let (one, class) = (Rectangle::of(image.boxes[place as usize]), image.class(place));
            if !overlaps_any(&chosen.blocks, &one, class, self.limit) {
                chosen.push(&one, class, place, image.scores[place as usize]);
            }
        }
    }

    fn softly(self, image: &Image, chosen: &mut Chosen) {
        // Beside each candidate stand the bits of its score, and how many choices have lowered it.
        let mut heap = self.heap(image, |word, place| (word, image.scores[place as usize].to_bits(), 0usize));
        let scale = -0.5 / self.sigma;
        while !chosen.is_full() {
            let Some((word, bits, seen)) = heap.pop() else { return };
            let place = !(word as u32);
            let (one, class) = (Rectangle::of(image.boxes[place as usize]), image.class(place));
            let before = f32::from_bits(bits);
            let mut score = before;
            for (b, block) in chosen.blocks.iter().enumerate().skip(seen / BLOCK) {
                let found = block.overlaps(&one, class);
                for overlap in &found[seen.saturating_sub(b * BLOCK)..(chosen.count - b * BLOCK).min(BLOCK)] {
                    score *= if *overlap > self.limit { 0.0 } else { (scale * overlap * overlap).exp() };
                }
            }
            if score == before {
                chosen.push(&one, class, place, score);
            } else if score > self.least {
                heap.push((self::word(score, place), score.to_bits(), chosen.count));
            }
        }
    }
}

fn lower(task: &Task) -> Result<Lowered> {
    let Op::NonMaxSuppression(op) = task.op else { return Err(wrong_op(NON_MAX_SUPPRESSION.name, task)) };
    let Extents { images, boxes } = NonMaxSuppression::extents(&task.inputs[1].shape);
    let (count, has_classes) = (op.count, task.inputs.len() > 2);
    let rules = Rules::of(op, task.tier);
    let phase = Phase::new(if count == 0 { 0 } else { images }, move |ops, image, _| {
        // SAFETY: inputs have `boxes` boxes, scores and classes an image, and the output `count` pairs, which are this
        // chunk's.
        let (read, to) = unsafe {
            let read = Image {
                boxes: std::slice::from_raw_parts(ops.input::<[f32; 4]>(0).add(image * boxes), boxes),
                scores: std::slice::from_raw_parts(ops.input::<f32>(1).add(image * boxes), boxes),
                classes: has_classes.then(|| std::slice::from_raw_parts(ops.input::<i32>(2).add(image * boxes), boxes)),
            };
            (read, std::slice::from_raw_parts_mut(ops.output::<[f32; 2]>(0).add(image * count), count))
        };
        rules.choose(&read, to);
    });
    Ok(lowered(NON_MAX_SUPPRESSION.name, vec![phase]))
}
