//! Matrix product C = op(A) · op(B), f32, row-major.
//!
//! B is packed into panels as wide as the register tile, once, by a phase of its own. Where elements
//! of B meet few rows, or A is transposed, chunks read it in place, and pack only what must be transposed or is
//! narrower than the tile. A is read in place unless it has a prologue, its stride maps the rows of a tile to the same
//! cache sets, or it is transposed and meets more than a few panels. Few outputs over a long k are summed as a
//! fixed number of partial products.

pub mod pack;
mod row;
#[cfg(test)]
pub(crate) mod tests;

use super::attach::{Epilogue, Finish};
use super::chunked::{Args, ChunkedKernel, Shares, is_uneven, ranges, split};
use super::tile::{MAX_ROWS, ONE_SEGMENT, PrefetchSchedule, PrefetchedLines, Rows, Tile, TileSet};
use crate::backend::cpu::simd::Tier;
use crate::schedule::PackedLayout;
use pack::Copies;
pub use row::{RowProduct, row_product};
use std::ops::Range;

/// Products summed before the partial sums go back to C; a panel of B of this depth stays in L1 and L2.
const K_BLOCK: usize = 512;
/// Rows of a chunk, at most, before it is cut down to whole tiles.
const ROW_BLOCK: usize = 112;
/// Columns of the widest chunk.
const MAX_CHUNK_COLS: usize = 256;
/// Floating-point operations of the smallest chunks that are cut.
const MIN_CHUNK_FLOPS: usize = 2_000_000;
/// The same for halves of the product, which spare one of two threads from waiting for the other.
const MIN_HALF_FLOPS: usize = 500_000;
/// The same for chunks that neither pack nor copy anything.
const MIN_FREE_FLOPS: usize = 250_000;
/// Panels up to which columns of a transposed A are read where they lie: what a copy costs, few panels do not give back.
const FEW_PANELS: usize = 2;
/// f32 between the rows of an A whose columns are read where they lie, at most: beyond, each element has a page of its own.
const MAX_COLUMN_STRIDE: usize = 1024;
/// f32 above which B is packed block by block instead of as a whole, unless it must be transposed
/// or meets many rows.
const MAX_SHARED_B: usize = 1 << 20;
/// Tiles of rows up to which a panel of B is not asked for ahead: it is read so fast that hardware foresees it, and what
/// software asks for besides is in its way.
const STREAMED_TILES: usize = 3;
/// f32 of B that a chunk of a product of one row reads, about.
const ROW_CHUNK: usize = 64 * 1024;
/// Rows from which on B is packed as a whole at any size.
const MIN_SHARED_ROWS: usize = 1024;
/// From this depth on, products with few outputs are cut along k.
const MIN_SPLIT_K: usize = 4096;
/// Outputs above which products are not cut along k: the partial products would not stay in cache.
const MAX_SPLIT_OUTPUTS: usize = 1 << 18;
/// Most partial products.
const MAX_PARTS: usize = 16;

/// Rows of a chunk, in whole tiles.
fn row_block(tiles: &TileSet) -> usize {
    ROW_BLOCK / tiles.rows * tiles.rows
}

/// Whether a stride sends rows to few sets of a 4 KiB-way cache.
fn collides(stride: usize) -> bool {
    stride.is_multiple_of(512)
}

/// B of `k` rows and `n` columns, in panels as wide as the widest tile, each of which has its rows one after the other.
pub fn panels(tiles: &TileSet, k: usize, n: usize, trans_b: bool, ldb: usize) -> PackedLayout {
    PackedLayout::new("panels", [tiles.cols(), tiles.lanes, k, n, usize::from(trans_b), ldb])
}

/// Matrix product `C[m, n] = op(A)[m, k] · op(B)[k, n]`.
///
/// Inputs: A (`[m, k]`, or `[k, m]` if `trans_a`), B (`[k, n]`, or `[n, k]` if `trans_b`). The prologue
/// sees A as it is stored: rows are pixels, columns channels. Output: C.
pub struct Gemm {
    m: usize,
    n: usize,
    k: usize,
    trans_a: bool,
    trans_b: bool,
    lda: usize,
    ldb: usize,
    ldc: usize,
    tiles: TileSet,
    copies: Copies,
    /// Whether a phase packs all of B; else chunks take care of their part.
    shared_b: bool,
    /// Parts along k; 1 unless partial products are combined.
    parts: usize,
    m_chunks: usize,
    n_chunks: usize,
    k_slabs: usize,
    /// Whether chunks are shares of the rows.
    by_rows: bool,
    /// Which rows of A are multiplied, unless all are.
    pixels: Option<Pixels>,
}

/// Rows of A that are multiplied: every `stride`th pixel of every `stride`th row of images.
#[derive(Clone, Copy, Debug)]
pub struct Pixels {
    /// Rows and columns of an image in A.
    pub input: [usize; 2],
    /// Rows and columns of pixels that are multiplied.
    pub output: [usize; 2],
    /// Steps between them.
    pub stride: [usize; 2],
}

impl Pixels {
    /// The row of A that is row `r` of the product.
    fn row(&self, r: usize) -> usize {
        let [height, width] = self.output;
        let (image, y, x) = (r / (height * width), r / width % height, r % width);
        (image * self.input[0] + y * self.stride[0]) * self.input[1] + x * self.stride[1]
    }
}

/// Outputs of a block that an epilogue works on at once, where they are all columns of its rows: 192 KiB.
const HOOKED: usize = 48 * 1024;

impl Gemm {
    /// A product of dense matrices.
    pub fn new(m: usize, n: usize, k: usize, trans_a: bool, trans_b: bool, tier: Tier) -> Self {
        let lda = if trans_a { m } else { k };
        let ldb = if trans_b { k } else { n };
        Self::with_strides(m, n, k, trans_a, trans_b, [lda, ldb, n], tier)
    }

    /// The product of a 1×1 convolution: pixels × filters. Filters are packed by a phase of their own wherever
    /// they meet more than a tile of pixels, because they often stay the same over many runs. Where `pixels`
    /// are given, A has all pixels of the images and the product has `m` of them.
    pub fn convolution(m: usize, n: usize, k: usize, pixels: Option<Pixels>, tier: Tier) -> Self {
        let shared = |gemm: &Gemm| m > gemm.tiles.rows;
        Self::build([m, n, k], [false; 2], [k, n, n], pixels, shared, tier)
    }

    /// One row times a matrix that stays the same over many runs and is packed before them: chunks read panels from end
    /// to end and compute whole sums, where [`RowProduct`] leaves partial ones that wait for a phase of their own.
    pub(crate) fn row(n: usize, k: usize, tier: Tier) -> Self {
        let mut gemm = Self::build([1, n, k], [false; 2], [k, n, n], None, |_| true, tier);
        gemm.n_chunks = (n * k).div_ceil(ROW_CHUNK).clamp(1, gemm.panels());
        gemm
    }

    /// A product of matrices whose rows are `lda`, `ldb` and `ldc` elements apart.
    pub fn with_strides(
        m: usize,
        n: usize,
        k: usize,
        trans_a: bool,
        trans_b: bool,
        strides @ [_, ldb, _]: [usize; 3],
        tier: Tier,
    ) -> Self {
        let shared = |gemm: &Gemm| {
            // Chunks of a transposed A have few rows and all columns, and read whole panels of B as they are while they
            // multiply. Elsewhere a packed B saves more than it costs, unless it is large.
            let pays = if trans_a { collides(ldb) || n < gemm.tiles.cols() } else { n * k <= MAX_SHARED_B };
            m > row_block(&gemm.tiles) && (trans_b || m >= MIN_SHARED_ROWS || pays)
        };
        Self::build([m, n, k], [trans_a, trans_b], strides, None, shared, tier)
    }

    /// `shared_b`: whether a phase packs all of B.
    fn build(
        [m, n, k]: [usize; 3],
        [trans_a, trans_b]: [bool; 2],
        [lda, ldb, ldc]: [usize; 3],
        pixels: Option<Pixels>,
        shared_b: impl Fn(&Gemm) -> bool,
        tier: Tier,
    ) -> Self {
        assert!(m > 0 && n > 0, "a product needs outputs: received [{m}, {n}]");
        // Long sums wait for B, which wide tiles read in longer pieces.
        let long = k >= MIN_SPLIT_K && m * n <= MAX_SPLIT_OUTPUTS;
        let tiles = match trans_a && !long {
            true => TileSet::for_adjacent_rows(tier, n),
            false => TileSet::for_product(tier, n),
        };
        let m_block = row_block(&tiles);
        let panels = n.div_ceil(tiles.cols()).max(1);
        let mut gemm = Gemm {
            m,
            n,
            k,
            trans_a,
            trans_b,
            lda,
            ldb,
            ldc,
            tiles,
            copies: Copies::new(tier),
            shared_b: false,
            parts: 1,
            m_chunks: m.div_ceil(m_block).max(1),
            n_chunks: panels.div_ceil((MAX_CHUNK_COLS / tiles.cols()).max(1)),
            k_slabs: k.div_ceil(2 * K_BLOCK).max(1),
            by_rows: false,
            pixels,
        };
        if k >= MIN_SPLIT_K && m * n <= MAX_SPLIT_OUTPUTS && gemm.m_chunks * gemm.n_chunks < 2 * MAX_PARTS {
            gemm.parts = MAX_PARTS.min(k / (MIN_SPLIT_K / 4));
            gemm.m_chunks = m.div_ceil(2 * m_block);
            return gemm;
        }
        gemm.shared_b = shared_b(&gemm);
        gemm.cut(if gemm.copies_rows() { 8 } else { 16 }, MIN_CHUNK_FLOPS);
        gemm
    }

    /// Whether every chunk of the same rows copies them.
    fn copies_rows(&self) -> bool {
        self.trans_a || self.pixels.is_some() || collides(self.lda)
    }

    /// Finer cuts while chunks are fewer than `enough` and larger than `least` operations: first along n, which costs no
    /// repeated reads of B, but last where every chunk of the same rows would copy them.
    fn cut(&mut self, enough: usize, least: usize) {
        if self.trans_a {
            return self.cut_transposed(enough, least);
        }
        let flops = 2 * self.m * self.n * self.k;
        let large = |chunks: usize, least: usize| {
            flops / chunks > 2 * if chunks == 1 { least.min(MIN_HALF_FLOPS) } else { least }
        };
        // A packed B is cut along n for nothing, and few chunks leave one of two threads waiting.
        let free = self.shared_b && !self.copies_rows();
        let least_columns = if free { least.min(MIN_FREE_FLOPS) } else { least };
        while self.m_chunks * self.n_chunks < enough {
            let chunks = self.m_chunks * self.n_chunks;
            let rows = self.m.div_ceil(2 * self.m_chunks) >= 2 * self.tiles.rows;
            let more_rows = self.shared_b && rows && large(chunks, least);
            let more_columns = self.n_chunks < self.panels() && large(chunks, least_columns);
            if more_columns && !(more_rows && self.copies_rows()) {
                self.n_chunks = (2 * self.n_chunks).min(self.panels());
            } else if more_rows {
                self.m_chunks *= 2;
            } else {
                break;
            }
        }
        self.even_out();
    }

    /// One more cut where chunks are few and odd: along n, else along m.
    fn even_out(&mut self) {
        let pays = 2 * self.m * self.n * self.k > 2 * MIN_HALF_FLOPS;
        let uneven = |gemm: &Self| pays && is_uneven(gemm.m_chunks * gemm.n_chunks);
        if uneven(self) && self.n_chunks < self.panels() {
            self.n_chunks += self.n_chunks % 2;
        }
        if uneven(self) && self.m >= 2 * self.tiles.rows * self.m_chunks {
            self.m_chunks += self.m_chunks % 2;
        }
    }

    /// The same where A is transposed: as few cuts along n as suffice, but no chunk of little more than a tile's rows.
    fn cut_transposed(&mut self, enough: usize, least: usize) {
        let products = self.m * self.n * self.k;
        let halves = if products > MIN_HALF_FLOPS { 2 } else { 1 };
        let wanted = (products / least).clamp(halves, enough);
        if self.m_chunks * self.n_chunks < wanted {
            let most = 2 * self.m / (3 * self.tiles.rows);
            self.m_chunks = wanted.div_ceil(self.n_chunks).min(most).max(self.m_chunks);
            self.n_chunks = wanted.div_ceil(self.m_chunks).min(self.panels()).max(self.n_chunks);
        }
        self.even_out();
    }

    /// `[m, n, k]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.m, self.n, self.k]
    }

    /// Number of independent chunks that pack B; 0 where chunks of the product take care of it.
    pub fn pack_chunks(&self) -> usize {
        if self.shared_b { self.panels() * self.k_slabs } else { 0 }
    }

    /// Whether any rows of the product can be made of the same rows of A, and all of them together.
    pub fn works_by_rows(&self) -> bool {
        !self.trans_a && self.pixels.is_none() && self.parts == 1 && self.m > 1
    }

    /// The rows `rows` of a product that works by rows. The caller packs B before, if that is a phase.
    ///
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`]; there are two rows at least, because a row alone is summed in another order.
    pub unsafe fn run_rows(&self, rows: Range<usize>, args: &Args, scratch: *mut f32) {
        debug_assert!(rows.len() > 1 && self.works_by_rows());
        let most = self.m.div_ceil(self.m_chunks);
        for part in ranges(rows.len(), rows.len().div_ceil(most)) {
            let part = rows.start + part.start..rows.start + part.end;
            // SAFETY: the caller's contract.
            unsafe {
                let all = 0..self.panels();
                self.block(args, part, all, 0..self.k, args.output, self.ldc, &args.epilogue, 0, scratch);
            }
        }
    }

    fn panels(&self) -> usize {
        self.n.div_ceil(self.tiles.cols()).max(1)
    }

    /// Packed columns of a panel: whole vectors.
    fn panel_width(&self, panel: usize) -> usize {
        let cols = self.tiles.cols().min(self.n - panel * self.tiles.cols());
        self.tiles.vectors_for(cols) * self.tiles.lanes
    }

    /// f32 of B packed, for `depth` products.
    fn panels_len(&self, depth: usize) -> usize {
        let whole = self.n / self.tiles.cols() * self.tiles.cols();
        (whole + self.tiles.vectors_for(self.n - whole) * self.tiles.lanes) * depth
    }

    /// Packs rows `k` of op(B) of one panel to `dst[k][width]`.
    ///
    /// # Safety
    /// B is accessible and `dst` holds `k.len() * panel_width` elements.
    unsafe fn pack_panel(&self, b: *const f32, panel: usize, k: Range<usize>, dst: *mut f32) {
        let (col, width) = (panel * self.tiles.cols(), self.panel_width(panel));
        let cols = width.min(self.n - col);
        // SAFETY: the block lies within B.
        unsafe {
            if self.trans_b {
                let src = b.add(col * self.ldb + k.start);
                self.copies.transpose(src, self.ldb, cols, k.len(), dst, width, width);
            } else {
                self.copies.copy(b.add(k.start * self.ldb + col), self.ldb, k.len(), cols, dst, width, width);
            }
        }
    }

    /// Packs one chunk of B into `packed`.
    ///
    /// # Safety
    /// B is accessible and `packed` holds `packed_len` elements.
    pub unsafe fn run_pack_chunk(&self, chunk: usize, b: *const f32, packed: *mut f32) {
        let (panel, slab) = (chunk / self.k_slabs, chunk % self.k_slabs);
        let k = split(self.k, self.k_slabs, slab);
        // SAFETY: panels before this one are whole.
        unsafe {
            let dst = packed.add(panel * self.tiles.cols() * self.k + k.start * self.panel_width(panel));
            self.pack_panel(b, panel, k, dst);
        }
    }

    /// Rows of A that a chunk packs at a time, and its depth.
    fn a_block(&self) -> usize {
        self.m.div_ceil(self.m_chunks).next_multiple_of(self.tiles.rows) * (K_BLOCK + 16)
    }

    /// Whether a chunk of `rows` rows and `panels` panels multiplies a copy of its rows of A.
    fn packs_a(&self, args: &Args, rows: usize, panels: usize) -> bool {
        if args.prologue.is_some() || self.pixels.is_some() {
            return true;
        }
        match self.trans_a {
            true => panels > FEW_PANELS || self.lda > MAX_COLUMN_STRIDE || self.lda.is_multiple_of(64),
            false => collides(self.lda) && rows > 4,
        }
    }

    /// Computes rows `rows` × panels `panels` over `ks` into `c`.
    ///
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`]; `c` is the matrix of `ldc`.
    #[allow(clippy::too_many_arguments, reason = "a block of the product and its epilogue")]
    unsafe fn block(
        &self,
        args: &Args,
        rows: Range<usize>,
        panels: Range<usize>,
        ks: Range<usize>,
        c: *mut f32,
        ldc: usize,
        epilogue: &Epilogue,
        chunk: usize,
        scratch: *mut f32,
    ) {
        let tiles = &self.tiles;
        let [a, b] = args.inputs;
        let packs_a = self.packs_a(args, rows.len(), panels.len());
        let columns_in_place = self.trans_a && !packs_a;
        let (a_scratch, b_scratch) = (scratch, scratch.wrapping_add(self.a_block()));
        let k_blocks = ks.len().div_ceil(K_BLOCK).max(1);
        let tile_count = rows.len().div_ceil(tiles.rows);
        // The epilogue works best on rows that lie side by side, while they are in cache.
        let first_col = panels.start * tiles.cols();
        let columns = (panels.end * tiles.cols()).min(self.n) - first_col;
        let whole_rows = rows.len() * columns <= HOOKED;
        let mut c_rows = [0; MAX_ROWS];
        for (i, offset) in c_rows.iter_mut().enumerate() {
            *offset = i * ldc;
        }
        // SAFETY: all blocks lie within the matrices; packed blocks lie within what is packed and scratch.
        unsafe {
            for k_block in 0..k_blocks {
                let inner = split(ks.len(), k_blocks, k_block);
                let k = ks.start + inner.start..ks.start + inner.end;
                let packed_ld = k.len() + 16;
                let lda = if packs_a { packed_ld } else { self.lda };
                let offsets: [usize; MAX_ROWS] = std::array::from_fn(|row| row * lda);
                let a_rows = match self.trans_a {
                    true => Rows::Adjacent { step: if packs_a { tiles.rows } else { self.lda } },
                    false => Rows::Listed { offsets: offsets.as_ptr(), step: 1 },
                };
                for panel in panels.clone() {
                    let (col, width) = (panel * tiles.cols(), self.panel_width(panel));
                    let cols = width.min(self.n - col);
                    let (b, b_step) = if self.shared_b {
                        (args.packed.add(col * self.k + k.start * width).cast_const(), width)
                    } else if !self.trans_b && cols == width {
                        (b.add(k.start * self.ldb + col), self.ldb)
                    } else {
                        self.pack_panel(b, panel, k.clone(), b_scratch);
                        (b_scratch.cast_const(), width)
                    };
                    // What is multiplied behind this panel, if it lies packed.
                    let asks = self.shared_b && tile_count > STREAMED_TILES;
                    let following = match (asks, panel + 1 < panels.end, k_block + 1 < k_blocks) {
                        (true, true, _) => Some((panel + 1, k.start)),
                        (true, false, true) => Some((panels.start, k.end)),
                        _ => None,
                    };
                    let following = following.map(|(panel, k)| {
                        args.packed.wrapping_add(panel * tiles.cols() * self.k + k * self.panel_width(panel))
                    });
                    let turns = following.map_or(PrefetchSchedule::NONE, |b| {
                        PrefetchSchedule::new(b, k.len() * width, k.len(), tile_count)
                    });
                    let last = k_block + 1 == k_blocks;
                    let finish = if last { epilogue.finish() } else { Finish::NONE };
                    // Rows of A that lie side by side, on their way from memory.
                    let streams =
                        !packs_a && !self.trans_a && k_blocks == 1 && self.lda == self.k && panel == panels.start;
                    // Rows of a transposed A are columns, of which tile after tile copies some with the first panel.
                    let copies = packs_a && panel == panels.start;
                    let asks_for_columns = columns_in_place || (copies && self.trans_a && args.prologue.is_none());
                    for (t, r) in ranges(rows.len(), tile_count).enumerate() {
                        let a = if packs_a {
                            let tile = a_scratch.add(t * tiles.rows * packed_ld);
                            if copies {
                                let r = rows.start + r.start..rows.start + r.end;
                                self.pack_a(args, r, k.clone(), tile, packed_ld);
                            }
                            tile.cast_const()
                        } else if columns_in_place {
                            a.add(k.start * self.lda + rows.start + r.start)
                        } else {
                            a.add((rows.start + r.start) * self.lda + k.start)
                        };
                        let next = if streams && t + 1 < tile_count {
                            let rows = r.len() * self.lda;
                            PrefetchedLines::all(a.wrapping_add(rows), rows, k.len())
                        } else if asks_for_columns && t + 1 < tile_count {
                            let end = split(rows.len(), tile_count, t + 1).end;
                            let last = args.inputs[0].wrapping_add(k.start * self.lda + rows.start + end - 1);
                            PrefetchedLines::column(last, self.lda)
                        } else {
                            turns.of(t)
                        };
                        tiles.run(&Tile {
                            rows: r.len(),
                            vectors: width / tiles.lanes,
                            cols,
                            a,
                            a_rows,
                            segments: ONE_SEGMENT.as_ptr(),
                            segment_count: 1,
                            k: k.len(),
                            b,
                            b_step,
                            c: c.add((rows.start + r.start) * ldc + col),
                            c_rows: c_rows.as_ptr(),
                            add_to_c: k_block > 0,
                            finish: finish.from(col, (rows.start + r.start) * ldc + col),
                            next,
                        });
                    }
                    if let (Epilogue::Hook(hook), true, false) = (epilogue, last, whole_rows) {
                        hook.tile(chunk, c.add(rows.start * ldc + col), ldc, rows.start, rows.len(), col, cols);
                    }
                }
            }
            if let (Epilogue::Hook(hook), true) = (epilogue, whole_rows) {
                hook.tile(chunk, c.add(rows.start * ldc + first_col), ldc, rows.start, rows.len(), first_col, columns);
            }
        }
    }

    /// Packs the rows `r` of op(A) over `k`: row-major with stride `ld`, or `[k][tile rows]` if A is transposed.
    ///
    /// # Safety
    /// A is accessible and `dst` holds a tile of `ld` columns.
    unsafe fn pack_a(&self, args: &Args, r: Range<usize>, k: Range<usize>, dst: *mut f32, ld: usize) {
        if let Some(pixels) = &self.pixels {
            for (i, row) in r.map(|r| pixels.row(r)).enumerate() {
                // SAFETY: the pixel lies within A, its copy within the tile.
                unsafe { self.pack_block(args, [row, k.start], [1, k.len()], dst.add(i * ld), ld) };
            }
            return;
        }
        // SAFETY: the block lies within A.
        unsafe {
            if self.trans_a {
                self.pack_block(args, [k.start, r.start], [k.len(), r.len()], dst, self.tiles.rows);
            } else {
                self.pack_block(args, [r.start, k.start], [r.len(), k.len()], dst, ld);
            }
        }
    }

    /// Copies a block of A as it is stored, through the prologue if there is one.
    ///
    /// # Safety
    /// The block lies within A, and `dst` holds its rows, `ld` apart.
    unsafe fn pack_block(
        &self,
        args: &Args,
        [row0, col0]: [usize; 2],
        [rows, cols]: [usize; 2],
        dst: *mut f32,
        ld: usize,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            match args.prologue {
                Some(hook) => hook.pack(self.lda, dst, ld, row0, rows, col0, cols),
                None => {
                    let src = args.inputs[0].add(row0 * self.lda + col0);
                    self.copies.copy(src, self.lda, rows, cols, dst, ld, cols);
                }
            }
        }
    }

    /// Adds the partial products of some rows, in order, and runs the epilogue.
    ///
    /// # Safety
    /// As [`ChunkedKernel::run_chunk`].
    unsafe fn combine(&self, chunk: usize, args: &Args) {
        let rows = split(self.m, self.combine_chunks(), chunk);
        // SAFETY: partial products are dense m × n matrices in the workspace.
        unsafe {
            for r in rows.clone() {
                let out = args.output.add(r * self.ldc);
                std::ptr::copy_nonoverlapping(args.workspace.add(r * self.n), out, self.n);
                for part in 1..self.parts {
                    let partial = args.workspace.add((part * self.m + r) * self.n);
                    for j in 0..self.n {
                        *out.add(j) += *partial.add(j);
                    }
                }
                if let Epilogue::Finish(finish) = args.epilogue {
                    for j in 0..self.n {
                        *out.add(j) = finish.one(*out.add(j), j, r * self.ldc + j);
                    }
                }
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                let out = args.output.add(rows.start * self.ldc);
                hook.begin(chunk);
                hook.tile(chunk, out, self.ldc, rows.start, rows.len(), 0, self.n);
                hook.end(chunk);
            }
        }
    }

    fn combine_chunks(&self) -> usize {
        // About 4096 outputs each.
        (self.m * self.n).div_ceil(4096).clamp(1, self.m.max(1))
    }
}

impl ChunkedKernel for Gemm {
    fn recut(&mut self, threads: usize) {
        if self.parts == 1 {
            self.cut(2 * threads, MIN_HALF_FLOPS);
        }
    }

    fn cut_by_rows(&mut self, shares: usize) {
        assert!(self.works_by_rows(), "a product of {:?} does not work by rows", self.shape());
        (self.m_chunks, self.n_chunks, self.by_rows) = (shares, 1, true);
    }

    fn shares(&self) -> Option<Shares> {
        let (phase, images) = (self.phases() - 1, self.m);
        self.by_rows.then_some(Shares { phase, images, lanes: 1, inputs: [true, false], output: true })
    }

    fn phases(&self) -> usize {
        1 + usize::from(self.shared_b || self.parts > 1)
    }

    fn chunks(&self, phase: usize) -> usize {
        match (self.shared_b, self.parts > 1, phase) {
            (true, _, 0) => self.pack_chunks(),
            (_, true, 0) => self.parts * self.m_chunks * self.n_chunks,
            (_, true, 1) => self.combine_chunks(),
            _ => self.m_chunks * self.n_chunks,
        }
    }

    fn workspace_len(&self) -> usize {
        if self.parts > 1 { self.parts * self.m * self.n } else { 0 }
    }

    fn packed_len(&self) -> usize {
        if self.shared_b { self.panels_len(self.k) } else { 0 }
    }

    fn packed_layout(&self) -> PackedLayout {
        panels(&self.tiles, self.k, self.n, self.trans_b, self.ldb)
    }

    fn scratch_len(&self) -> usize {
        let local_b = if self.shared_b { 0 } else { K_BLOCK * self.tiles.cols() };
        self.a_block() + local_b
    }

    unsafe fn run_chunk(&self, phase: usize, chunk: usize, args: &Args, scratch: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            if self.shared_b && phase == 0 {
                return self.run_pack_chunk(chunk, args.inputs[1], args.packed);
            }
            if self.parts > 1 && phase == 1 {
                return self.combine(chunk, args);
            }
            let (part, rest) = (chunk % self.parts, chunk / self.parts);
            let rows = split(self.m, self.m_chunks, rest / self.n_chunks);
            let panels = split(self.panels(), self.n_chunks, rest % self.n_chunks);
            let ks = split(self.k, self.parts, part);
            if self.parts > 1 {
                let c = args.workspace.add(part * self.m * self.n);
                return self.block(args, rows, panels, ks, c, self.n, &Epilogue::None, chunk, scratch);
            }
            if let Epilogue::Hook(hook) = args.epilogue {
                hook.begin(chunk);
                // A share of all columns: as many rows at a time as the epilogue takes whole.
                let most = if self.by_rows { (HOOKED / self.n).max(2 * self.tiles.rows) } else { rows.len() };
                for some in ranges(rows.len(), rows.len().div_ceil(most)) {
                    let (some, ks) = (rows.start + some.start..rows.start + some.end, ks.clone());
                    let panels = panels.clone();
                    self.block(args, some, panels, ks, args.output, self.ldc, &args.epilogue, chunk, scratch);
                }
                hook.end(chunk);
            } else {
                self.block(args, rows, panels, ks, args.output, self.ldc, &args.epilogue, chunk, scratch);
            }
        }
    }
}
