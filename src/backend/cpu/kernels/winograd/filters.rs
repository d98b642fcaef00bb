//! Transformed filters, in panels for register tiles.

use super::transform::{Form, Transforms};
use crate::backend::cpu::kernels::conv::ConvGeometry;
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::kernels::tile::TileSet;
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;
use std::ops::Range;

/// Channels that have one parity. A convolution of stride 2 is one of stride 1 on pixels that are four of the image, one of
/// each parity, with filters of half the taps; the channels of parity (0, 1) come first, then (0, 0), (1, 0), (1, 1), so that
/// those of even rows follow one another, and those of even columns.
pub(super) struct Parity {
    /// Of rows and columns.
    pub parity: [usize; 2],
    /// Where the part begins among the channels that were cut.
    pub at: usize,
    /// Its channels of a pixel of the image.
    pub channels: Range<usize>,
}

/// Parities of rows and columns, in the order of their channels.
const PARITIES: [[usize; 2]; 4] = [[0, 1], [0, 0], [1, 0], [1, 1]];

impl Parity {
    /// The parts of some channels, where pixels of the image have as many.
    pub fn parts(step: usize, channels: usize, range: &Range<usize>) -> impl Iterator<Item = Parity> + use<> {
        let range = range.clone();
        (0..step * step).filter_map(move |p| {
            let (start, end) = (range.start.max(p * channels), range.end.min((p + 1) * channels));
            (start < end).then(|| Parity {
                parity: if step == 1 { [0; 2] } else { PARITIES[p] },
                at: start - range.start,
                channels: start - p * channels..end - p * channels,
            })
        })
    }
}

/// Points of windows, and the channels of all parities that filters meet there.
///
/// Where a filter of stride 2 has an odd number of taps along an axis, odd pixels meet one tap less than even ones. Of the
/// polynomial that taps make, the last coefficient is absent there, or, where the filter is rotated for the input gradient,
/// the first: its value at ∞ or at 0 is 0, and no product is taken. Of 3×3 taps 81 of 100 are left.
#[derive(Clone, Copy)]
pub(super) struct Meetings {
    /// Points along an axis.
    window: usize,
    /// Channels of a pixel of the image, and parities.
    channels: usize,
    parities: usize,
    /// The point along an axis at which odd pixels meet nothing.
    absent: Option<usize>,
}

impl Meetings {
    /// Those of a convolution, or of its input gradient.
    pub fn new(form: Form, g: &ConvGeometry, gradient: bool) -> Self {
        let (window, step) = (form.window(), g.stride_h);
        let at = if gradient { 0 } else { window - 1 };
        let absent = (step == 2 && !g.kernel_h.is_multiple_of(2)).then_some(at);
        Meetings { window, channels: g.in_c, parities: step * step, absent }
    }

    /// The channels that filters meet at a point.
    pub fn at(&self, point: usize) -> Range<usize> {
        let absent = [point / self.window, point % self.window].map(|at| Some(at) == self.absent);
        let parts = match absent {
            [false, false] => 0..self.parities,
            [true, false] => 0..2,
            [false, true] => 1..3,
            [true, true] => 1..2,
        };
        parts.start * self.channels..parts.end * self.channels
    }

    /// The points at which some channels are met by nothing.
    pub fn incomplete(self) -> impl Iterator<Item = usize> {
        (0..self.window * self.window).filter(move |&point| self.at(point).len() < self.parities * self.channels)
    }

    /// The part of all products that is left.
    pub fn share(&self) -> f64 {
        let met: usize = (0..self.window * self.window).map(|point| self.at(point).len()).sum();
        met as f64 / (self.window * self.window * self.parities * self.channels) as f64
    }
}

/// How filters HWIO lie once they are transformed: a plane per point, of panels as wide as a register tile,
/// of rows of one input channel each.
pub(super) struct Filters {
    pub form: Form,
    /// Channels of windows and products: of all parities, where the convolution reads or writes those.
    pub in_c: usize,
    pub out_c: usize,
    /// The convolution's stride, and rows and columns of its filters.
    step: usize,
    kernel: usize,
    /// Whether filters are rotated and transposed, for the input gradient.
    pub gradient: bool,
    pub meetings: Meetings,
    pub tiles: TileSet,
    copies: Copies,
    transforms: Transforms,
}

impl Filters {
    /// Those of a convolution; for its input gradient, from channels of the output gradient to those of the input.
    pub fn new(form: Form, g: &ConvGeometry, gradient: bool, tier: Tier) -> Self {
        let (step, kernel) = (g.stride_h, g.kernel_h);
        let wide = step * step * g.in_c;
        let (in_c, out_c) = if gradient { (g.out_c, wide) } else { (wide, g.out_c) };
        let tiles = TileSet::for_columns(tier, out_c);
        let (copies, transforms) = (Copies::new(tier), Transforms::new(form, tier));
        let meetings = Meetings::new(form, g, gradient);
        Filters { form, in_c, out_c, step, kernel, gradient, meetings, tiles, copies, transforms }
    }

    pub fn panels(&self) -> usize {
        self.out_c.div_ceil(self.tiles.cols())
    }

    /// Output channels of some panels.
    pub fn columns(&self, panels: &Range<usize>) -> Range<usize> {
        panels.start * self.tiles.cols()..(panels.end * self.tiles.cols()).min(self.out_c)
    }

    /// First channel and packed width of a panel.
    pub fn panel(&self, panel: usize) -> (usize, usize) {
        let columns = self.columns(&(panel..panel + 1));
        (columns.start, self.tiles.vectors_for(columns.len()) * self.tiles.lanes)
    }

    /// Channels that products at a point are summed over.
    pub fn summed(&self, point: usize) -> Range<usize> {
        if self.gradient { 0..self.in_c } else { self.meetings.at(point) }
    }

    /// Whether products of a panel at a point are more than zeros.
    pub fn meets(&self, point: usize, panel: usize) -> bool {
        let (columns, met) = (self.columns(&(panel..panel + 1)), self.meetings.at(point));
        !self.gradient || (columns.start < met.end && met.start < columns.end)
    }

    /// Elements of one point; the odd cache line keeps planes from one cache set.
    pub fn plane(&self) -> usize {
        let (col, width) = self.panel(self.panels() - 1);
        (col + width) * self.in_c + 16
    }

    /// Elements of all points.
    pub fn len(&self) -> usize {
        self.form.points() * self.plane()
    }

    /// How they lie in memory.
    pub fn layout(&self) -> PackedLayout {
        let (tiles, gradient) = (&self.tiles, usize::from(self.gradient));
        let (taps, shape) = (self.form.taps(), [self.step, self.kernel]);
        let numbers = [self.form.points(), tiles.cols(), tiles.lanes, self.in_c, self.out_c, gradient, taps];
        let numbers = numbers.into_iter().chain(shape);
        PackedLayout::new("winograd", numbers)
    }

    /// f32 that transforming a panel needs besides.
    pub fn scratch_len(&self) -> usize {
        self.form.taps() * self.form.taps() * self.in_c * self.tiles.cols()
    }

    /// The panel's filters of one point, from the first channel that is summed over on.
    pub fn at(&self, packed: *const f32, point: usize, panel: usize) -> *const f32 {
        let (col, width) = self.panel(panel);
        packed.wrapping_add(point * self.plane() + col * self.in_c + self.summed(point).start * width)
    }

    /// Transforms the filters of a panel.
    ///
    /// # Safety
    /// `filters` are HWIO, `packed` holds [`Filters::len`] elements, `scratch` [`Filters::scratch_len`].
    pub unsafe fn transform(&self, panel: usize, filters: *const f32, packed: *mut f32, scratch: *mut f32) {
        let (taps, in_c) = (self.form.taps(), self.in_c);
        let (col, width) = self.panel(panel);
        let columns = self.columns(&(panel..panel + 1));
        // What has the parities, and how many channels a pixel of the image has.
        let (wide, channels) = if self.gradient {
            (columns.clone(), self.out_c / (self.step * self.step))
        } else {
            (0..in_c, in_c / (self.step * self.step))
        };
        let filter = channels * if self.gradient { in_c } else { self.out_c };
        // SAFETY: the panel's filters fit the scratch, its transforms what is packed.
        unsafe {
            for tap in 0..taps * taps {
                let dst = scratch.add(tap * in_c * width);
                for part in Parity::parts(self.step, channels, &wide) {
                    // Filters of an odd size end within a pixel of all parities.
                    let at = |tap: usize, parity: usize| {
                        let tap = if self.gradient { taps - 1 - tap } else { tap };
                        Some(self.step * tap + parity).filter(|&at| at < self.kernel)
                    };
                    let place = at(tap / taps, part.parity[0]).zip(at(tap % taps, part.parity[1]));
                    let (first, count) = (part.channels.start, part.channels.len());
                    let src = place.map(|(y, x)| filters.add((y * self.kernel + x) * filter));
                    match (src, self.gradient) {
                        (Some(src), true) => {
                            let (src, pad) = (src.add(first * in_c), width - part.at);
                            self.copies.transpose(src, in_c, count, in_c, dst.add(part.at), width, pad);
                        }
                        (Some(src), false) => {
                            let (src, dst) = (src.add(first * self.out_c + col), dst.add(part.at * width));
                            self.copies.copy(src, self.out_c, count, columns.len(), dst, width, width);
                        }
                        (None, true) => {
                            (0..in_c).for_each(|row| dst.add(row * width + part.at).write_bytes(0, width - part.at));
                        }
                        (None, false) => dst.add(part.at * width).write_bytes(0, count * width),
                    }
                }
            }
            let tap = in_c * width;
            (self.transforms.filter)(scratch, tap, tap, packed.add(col * in_c), self.plane());
        }
    }
}
