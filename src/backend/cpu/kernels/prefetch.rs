//! Memory that a block of tiles will touch, asked for while another is multiplied.
//!
//! Winograd's windows hop over six rows of an image, and hardware foresees none of it: without this the
//! transforms wait for memory longer than the products take.

use crate::backend::cpu::simd::{Simd, Tier, dispatch};
use std::ops::Range;

/// f32 of a cache line.
const LINE: usize = 16;

/// Consecutive f32.
#[derive(Clone, Copy)]
pub(in crate::backend::cpu) struct Span {
    pub start: *const f32,
    pub len: usize,
}

impl Span {
    /// The spans of some channels of consecutive pixels of `[pixels, ld]`.
    pub fn pixels(
        base: *const f32,
        ld: usize,
        pixels: Range<usize>,
        channels: &Range<usize>,
    ) -> impl Iterator<Item = Span> + Clone + use<> {
        let (whole, first, channels) = (channels.len() == ld, pixels.start, channels.clone());
        let (count, len) = if whole { (1, pixels.len() * ld) } else { (pixels.len(), channels.len()) };
        (0..count).map(move |i| Span { start: base.wrapping_add((first + i) * ld + channels.start), len })
    }
}

impl Span {
    /// The same elements of an input at `base` whose elements have 16 bits, if `widened`.
    pub fn stored(self, base: *const f32, widened: bool) -> Span {
        if !widened {
            return self;
        }
        let bytes = self.start.addr() - base.addr();
        Span { start: base.wrapping_byte_add(bytes / 2), len: self.len.div_ceil(2) }
    }
}

#[inline(always)]
fn touch<S: Simd>(s: S, start: *const f32, lines: usize) {
    for line in 0..lines {
        s.prefetch(start.wrapping_add(line * LINE));
    }
}
dispatch! { fn select_touch[] => touch(start: *const f32, lines: usize); }

/// The hint of one tier.
pub(in crate::backend::cpu) type Touch = fn(*const f32, usize);

pub(in crate::backend::cpu) fn touch_of(tier: Tier) -> Touch {
    select_touch(tier)
}

/// Spans in equal shares.
pub(in crate::backend::cpu) struct Prefetch<I> {
    spans: I,
    current: Span,
    /// Lines per share.
    share: usize,
    touch: Touch,
}

impl<I: Iterator<Item = Span> + Clone> Prefetch<I> {
    /// `shares` shares of `spans`.
    pub fn new(spans: I, shares: usize, touch: Touch) -> Self {
        let lines: usize = spans.clone().map(|s| s.len.div_ceil(LINE)).sum();
        let current = Span { start: std::ptr::null(), len: 0 };
        Prefetch { spans, current, share: lines.div_ceil(shares.max(1)), touch }
    }

    /// Asks for the next share.
    pub fn advance(&mut self) {
        let mut left = self.share;
        while left > 0 {
            if self.current.len == 0 {
                let Some(span) = self.spans.next() else { return };
                self.current = span;
            }
            let lines = left.min(self.current.len.div_ceil(LINE));
            (self.touch)(self.current.start, lines);
            self.current.start = self.current.start.wrapping_add(lines * LINE);
            self.current.len = self.current.len.saturating_sub(lines * LINE);
            left -= lines;
        }
    }
}
