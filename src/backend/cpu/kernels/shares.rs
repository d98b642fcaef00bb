//! How a batch is cut where a vector is the same element of as many images.

use super::chunked::split;
use std::ops::Range;

/// f32 that a part works on, so that they stay in L2.
const PART: usize = 160 * 1024;
/// Chunks that a batch of few vectors is cut into, where it has the rows.
const MIN_CHUNKS: usize = 8;
/// Vectors of images from which on a chunk is a share of the images with all their rows.
const MIN_SHARES: usize = 4;
/// Most shares: partial sums of as many are kept.
pub const MAX_SHARES: usize = 16;

/// The number of shares that a batch is worked on in, if it is large enough for shares alone to keep
/// threads busy.
pub fn shares(batch: usize, lanes: usize) -> Option<usize> {
    let vectors = batch / lanes;
    (batch.is_multiple_of(lanes) && vectors >= MIN_SHARES).then_some(vectors.min(MAX_SHARES))
}

/// Rows of a vector of images.
pub struct Rows {
    /// Number of the vector.
    pub vector: usize,
    /// Its images.
    pub images: Range<usize>,
    /// Row indices to compute.
    pub indices: Range<usize>,
}

/// How a batch is cut: into vectors of images, whose rows are cut into parts, each small enough for L2.
#[derive(Clone, Copy)]
pub struct Batch {
    /// Images.
    pub images: usize,
    /// Images of a vector.
    pub lanes: usize,
    /// Row indices of an image.
    pub rows: usize,
    /// Parts of the rows.
    pub row_parts: usize,
    /// Chunks, each a share of the vectors with all parts, or a single part of one vector.
    pub chunks: usize,
    /// Whether chunks are shares.
    pub by_shares: bool,
}

impl Batch {
    /// Cuts `images` with `rows` row indices each; `len` is how many f32 a part of so many indices holds.
    pub fn new(images: usize, lanes: usize, rows: usize, len: impl Fn(usize) -> usize) -> Self {
        let vectors = images.div_ceil(lanes);
        let shares = shares(images, lanes);
        let wanted = if shares.is_some() { 1 } else { MIN_CHUNKS.div_ceil(vectors) };
        let mut row_parts = wanted.min(rows.div_ceil(4)).max(1);
        while row_parts < rows && len(rows.div_ceil(row_parts)) > PART {
            row_parts += 1;
        }
        let chunks = shares.unwrap_or(vectors * row_parts);
        Batch { images, lanes, rows, row_parts, chunks, by_shares: shares.is_some() }
    }

    /// Row indices of the largest part.
    pub fn part_rows(&self) -> usize {
        self.rows.div_ceil(self.row_parts)
    }

    /// The parts of chunk `chunk` of `chunks`, in order.
    pub fn parts(&self, chunks: usize, chunk: usize) -> impl Iterator<Item = Rows> {
        let batch = *self;
        let vectors = self.images.div_ceil(self.lanes);
        let parts = match self.by_shares {
            true => {
                let share = split(vectors, chunks, chunk);
                share.start * self.row_parts..share.end * self.row_parts
            }
            false => split(vectors * self.row_parts, chunks, chunk),
        };
        parts.map(move |part| {
            let vector = part / batch.row_parts;
            let first = vector * batch.lanes;
            Rows {
                vector,
                images: first..(first + batch.lanes).min(batch.images),
                indices: split(batch.rows, batch.row_parts, part % batch.row_parts),
            }
        })
    }
}
