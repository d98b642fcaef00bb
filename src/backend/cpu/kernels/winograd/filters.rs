//! Transformed 3×3 filters, in panels for register tiles.

use super::transform::{Form, Transforms};
use crate::backend::cpu::kernels::gemm::pack::Copies;
use crate::backend::cpu::kernels::tile::TileSet;
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;
use std::ops::Range;

/// How filters HWIO lie once they are transformed: a plane per point, of panels as wide as a register tile,
/// of rows of one input channel each.
pub(super) struct Filters {
    pub form: Form,
    pub in_c: usize,
    pub out_c: usize,
    /// Whether filters are rotated and transposed, for the input gradient.
    pub gradient: bool,
    pub tiles: TileSet,
    copies: Copies,
    transforms: Transforms,
}

impl Filters {
    /// From `in_c` to `out_c` channels; for the input gradient, those of the output gradient to those of the input.
    pub fn new(form: Form, [in_c, out_c]: [usize; 2], gradient: bool, tier: Tier) -> Self {
        let tiles = TileSet::for_columns(tier, out_c);
        let (copies, transforms) = (Copies::new(tier), Transforms::new(form, tier));
        Filters { form, in_c, out_c, gradient, tiles, copies, transforms }
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
        let numbers = [self.form.points(), tiles.cols(), tiles.lanes, self.in_c, self.out_c, gradient];
        PackedLayout::new("winograd", numbers)
    }

    /// f32 that transforming a panel needs besides.
    pub fn scratch_len(&self) -> usize {
        9 * self.in_c * self.tiles.cols()
    }

    /// The panel's filters of one point.
    pub fn at(&self, packed: *const f32, point: usize, panel: usize) -> *const f32 {
        packed.wrapping_add(point * self.plane() + self.panel(panel).0 * self.in_c)
    }

    /// Transforms the filters of a panel.
    ///
    /// # Safety
    /// `filters` are HWIO, `packed` holds [`Filters::len`] elements, `scratch` [`Filters::scratch_len`].
    pub unsafe fn transform(&self, panel: usize, filters: *const f32, packed: *mut f32, scratch: *mut f32) {
        let (s, k) = (self.in_c, self.out_c);
        let (col, width) = self.panel(panel);
        let cols = self.columns(&(panel..panel + 1)).len();
        // SAFETY: the panel's filters fit the scratch, its transforms what is packed.
        unsafe {
            for tap in 0..9 {
                let dst = scratch.add(tap * s * width);
                if self.gradient {
                    let src = filters.add((8 - tap) * s * k + col * s);
                    self.copies.transpose(src, s, cols, s, dst, width, width);
                } else {
                    let src = filters.add(tap * s * k + col);
                    self.copies.copy(src, k, s, cols, dst, width, width);
                }
            }
            (self.transforms.filter)(scratch, s * width, s * width, packed.add(col * s), self.plane());
        }
    }
}
