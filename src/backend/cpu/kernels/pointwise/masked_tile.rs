//! The one loop for a masked gradient on the tiles of a kernel: its operands' places, and those of 16 bits widened.

use super::attached::{AttachedTile, Reading, RegionTile, gather};
use super::masked::{self, RunFn, Work};
use super::masked_form::{MAX_PRODUCTS, Mask, MaskedForm, Total};
use smallvec::SmallVec;

/// Elements of an operand of 16 bits that the one loop for a masked gradient finds widened: as many rows of 64 channels
/// as it adds up at once.
pub(super) const WIDENED: usize = 2048;

impl RegionTile {
    /// The operands that the one loop for a masked gradient finds widened in scratch: where one has 16 bits, all that have
    /// an element for every output element, so that their rows lie alike.
    pub(super) fn widened(&self) -> impl Iterator<Item = usize> + '_ {
        let widens = self.readings.iter().any(|r| r.0 == Reading::Full && r.1.is_storage());
        let full = self.readings.iter().enumerate().filter(move |(_, r)| widens && r.0 == Reading::Full);
        full.map(|(k, _)| k)
    }
}

impl AttachedTile<'_> {
    /// Runs the loop for all of the program, part by part where operands have to be widened for it.
    ///
    /// # Safety
    /// As [`TileHook::tile`].
    #[allow(clippy::too_many_arguments, reason = "a tile and its place")]
    pub(super) unsafe fn run_parts(
        &self,
        masked: &(MaskedForm, RunFn),
        chunk: usize,
        tile: *mut f32,
        ld: usize,
        row0: usize,
        rows: usize,
        col0: usize,
        cols: usize,
    ) {
        let columns = self.tile.columns();
        let mut places: SmallVec<[*const f32; 8]> =
            self.operands.inputs[self.first_operand..].iter().map(|p| p.cast()).collect();
        if self.tile.widened().next().is_none() {
            let at = row0 * columns + col0;
            let full = self.tile.readings.iter().enumerate().filter(|(_, r)| r.0 == Reading::Full);
            full.for_each(|(k, _)| places[k] = places[k].wrapping_add(at));
            // SAFETY: the caller's contract.
            return unsafe { self.run_masked(masked, chunk, tile, ld, row0, rows, col0, cols, &places, columns) };
        }
        for col in (0..cols).step_by(WIDENED) {
            let width = WIDENED.min(cols - col);
            let step = WIDENED / width;
            for row in (0..rows).step_by(step) {
                let (height, at) = (step.min(rows - row), (row0 + row) * columns + col0 + col);
                for (place, k) in self.tile.widened().enumerate() {
                    let (source, dtype) = (self.operands.inputs[self.first_operand + k], self.tile.readings[k].1);
                    let to = self.scratch.wrapping_add(place * WIDENED);
                    // SAFETY: the part lies within the operand, and fills its place in scratch at most.
                    unsafe { gather(source.add(at * dtype.size()), dtype, columns, height, width, to) };
                    places[k] = to.cast();
                }
                let part = tile.wrapping_add(row * ld + col);
                // SAFETY: the part lies within the tile.
                unsafe {
                    let (row0, col0) = (row0 + row, col0 + col);
                    self.run_masked(masked, chunk, part, ld, row0, height, col0, width, &places, width);
                }
            }
        }
    }

    /// Runs the loop on a tile, where `places` are those of the operands: of those with an element for every output
    /// element, that of the tile's first, with rows `full_ld` apart.
    ///
    /// # Safety
    /// As [`TileHook::tile`].
    #[allow(clippy::too_many_arguments, reason = "a tile and its place")]
    unsafe fn run_masked(
        &self,
        (form, run): &(MaskedForm, RunFn),
        chunk: usize,
        tile: *mut f32,
        ld: usize,
        row0: usize,
        rows: usize,
        col0: usize,
        cols: usize,
        places: &[*const f32],
        full_ld: usize,
    ) {
        let t = self.tile;
        let columns = t.columns();
        let at = row0 * columns + col0;
        let full = |k: usize| places[k];
        let channel = |k: usize| places[k].wrapping_add(col0);
        let mut products = [[std::ptr::null(); 2]; MAX_PRODUCTS];
        for (to, &(x, mean)) in products.iter_mut().zip(&form.products) {
            *to = [full(x), channel(mean)];
        }
        let mut sums = [std::ptr::null_mut(); 1 + MAX_PRODUCTS];
        for (k, total) in form.totals.iter().enumerate() {
            let slot = match total {
                Total::Gradient => 0,
                Total::Product(i) => 1 + i,
            };
            sums[slot] = self.sums(chunk, k).wrapping_add(col0);
        }
        let stores: SmallVec<[_; 4]> = (0..form.stores.len())
            .map(|k| {
                let to = match Some(k) == t.primary {
                    true => masked::Rows { at: tile, ld },
                    false => masked::Rows { at: self.operands.output::<f32>(k).wrapping_add(at), ld: columns },
                };
                (to, form.stores[k].map_or(std::ptr::null(), channel))
            })
            .collect();
        let work = Work {
            gradient: masked::Rows { at: tile.cast_const(), ld },
            ld: full_ld,
            skip: form.skip.map_or(std::ptr::null(), full),
            mask: match form.mask {
                Mask::Plain(x) => [full(x), std::ptr::null(), std::ptr::null()],
                Mask::Affine(x, scale, shift) => [full(x), channel(scale), channel(shift)],
                Mask::Factor(x) => [full(x), std::ptr::null(), std::ptr::null()],
            },
            bound: form.bound,
            products,
            stores: &stores,
            sums,
            rows,
            cols,
        };
        // SAFETY: the caller's contract: all operands and outputs have the elements of the tile.
        unsafe { run(&work) }
    }
}
