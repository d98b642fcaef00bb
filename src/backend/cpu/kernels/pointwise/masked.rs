//! The gradient through an activation and batch normalisation on a tile, in one pass: what arrives is added to what
//! came along the skip connection, set to zero where ReLU or ReLU6 was, or multiplied by a derivative, stored, and
//! summed per channel alone and times the distance of the normalised values from their means.
//!
//! The region engine does the same instruction by instruction, each with a trip through L1; this is the
//! form that blocks of networks end with.

use crate::backend::cpu::simd::{Simd, Tier, dispatch};

use super::masked_form::{MAX_PRODUCTS, Mask, MaskedForm};

/// Rows whose f32 sums are added up in f64.
const RUN: usize = 32;

/// The kinds of masks, as the loop is compiled for them.
const PLAIN: u8 = 0;
const AFFINE: u8 = 1;
const FACTOR: u8 = 2;

impl MaskedForm {
    /// The loop for this form.
    pub fn select(&self, tier: Tier) -> RunFn {
        let mask = match self.mask {
            Mask::Plain(_) => PLAIN,
            Mask::Affine(..) => AFFINE,
            Mask::Factor(_) => FACTOR,
        };
        macro_rules! forms {
            ($($skip:literal $mask:ident $products:literal),* $(,)?) => {
                match (self.skip.is_some(), mask, self.products.len()) {
                    $(($skip, $mask, $products) => select_masked::<$skip, $mask, $products>(tier),)*
                    _ => unreachable!("at most {MAX_PRODUCTS} products"),
                }
            };
        }
        forms!(
            false PLAIN 0, false PLAIN 1, false PLAIN 2, false AFFINE 0, false AFFINE 1, false AFFINE 2,
            false FACTOR 0, false FACTOR 1, false FACTOR 2, true PLAIN 0, true PLAIN 1, true PLAIN 2,
            true AFFINE 0, true AFFINE 1, true AFFINE 2, true FACTOR 0, true FACTOR 1, true FACTOR 2,
        )
    }
}

/// A matrix in memory: its first element and the distance of its rows.
#[derive(Clone, Copy)]
pub struct Rows<T> {
    /// First element.
    pub at: T,
    /// Elements from row to row.
    pub ld: usize,
}

/// What one tile works on: all begin at the tile's first element; operands with one element a
/// channel at its first channel. Null where the form has none.
pub struct Work<'a> {
    /// What arrives.
    pub gradient: Rows<*const f32>,
    /// Distance of rows of everything else that has an element an output element.
    pub ld: usize,
    /// Added to it.
    pub skip: *const f32,
    /// What the mask is made of.
    pub mask: [*const f32; 3],
    /// The greatest value of that at which the gradient passes.
    pub bound: f32,
    /// Factors: value and mean.
    pub products: [[*const f32; 2]; MAX_PRODUCTS],
    /// Where results go, and factors per channel or null. The memory of the gradient may be among them.
    pub stores: &'a [(Rows<*mut f32>, *const f32)],
    /// Sums of the gradient, then of products; null where nobody asks.
    pub sums: [*mut f64; 1 + MAX_PRODUCTS],
    /// Rows of the tile.
    pub rows: usize,
    /// Its columns.
    pub cols: usize,
}

/// One tile.
pub type RunFn = unsafe fn(&Work);

#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn masked<S: Simd, const SKIP: bool, const MASK: u8, const PRODUCTS: usize>(s: S, w: &Work) {
    let whole = w.cols / S::LANES * S::LANES;
    let mut col = 0;
    while col < whole {
        columns::<S, SKIP, MASK, PRODUCTS, false>(s, w, col, S::LANES);
        col += S::LANES;
    }
    if col < w.cols {
        columns::<S, SKIP, MASK, PRODUCTS, true>(s, w, col, w.cols - col);
    }
}
dispatch! {
    fn select_masked[const SKIP: bool, const MASK: u8, const PRODUCTS: usize] => unsafe masked(w: &Work);
}

/// The `n` columns from `col` on, which fill a vector unless `PART`.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn columns<S: Simd, const SKIP: bool, const MASK: u8, const PRODUCTS: usize, const PART: bool>(
    s: S,
    w: &Work,
    col: usize,
    n: usize,
) {
    macro_rules! load {
        ($p:expr) => {
            if PART { s.load_first($p, n) } else { s.load($p) }
        };
    }
    let [mask, scale, shift] = w.mask;
    let bound = s.splat(w.bound);
    let affine = MASK == AFFINE;
    let (scale, shift) = if affine { (load!(scale.add(col)), load!(shift.add(col))) } else { (s.zero(), s.zero()) };
    let mut means = [s.zero(); PRODUCTS];
    for (mean, product) in means.iter_mut().zip(&w.products) {
        *mean = load!(product[1].add(col));
    }
    let mut first = 0;
    while first < w.rows {
        let end = w.rows.min(first + RUN);
        let mut total = s.zero();
        let mut totals = [s.zero(); PRODUCTS];
        for row in first..end {
            let at = row * w.ld + col;
            let mut gradient = load!(w.gradient.at.add(row * w.gradient.ld + col));
            if SKIP {
                gradient = s.add(gradient, load!(w.skip.add(at)));
            }
            let mut open = load!(mask.add(at));
            if affine {
                // Rounded as the forward pass rounded it.
                open = s.add(s.mul(open, scale), shift);
            }
            let gradient = if MASK == FACTOR {
                s.mul(gradient, open)
            } else {
                s.select(s.mand(s.lt(s.zero(), open), s.le(open, bound)), gradient, s.zero())
            };
            total = s.add(total, gradient);
            for i in 0..PRODUCTS {
                let distance = s.sub(load!(w.products[i][0].add(at)), means[i]);
                totals[i] = s.mul_add(gradient, distance, totals[i]);
            }
            for (to, factor) in w.stores {
                let result = if factor.is_null() { gradient } else { s.mul(load!(factor.add(col)), gradient) };
                let to = to.at.add(row * to.ld + col);
                if PART { s.store_first(to, result, n) } else { s.store(to, result) }
            }
        }
        add(s, w.sums[0], total, col, n);
        for (sums, total) in w.sums[1..].iter().zip(totals) {
            add(s, *sums, total, col, n);
        }
        first = end;
    }
}

/// Adds `n` lanes to sums from `col` on.
#[inline(always)]
#[allow(unsafe_op_in_unsafe_fn, reason = "one hot loop under the function's contract")]
unsafe fn add<S: Simd>(s: S, sums: *mut f64, lanes: S::F, col: usize, n: usize) {
    if sums.is_null() {
        return;
    }
    let mut values = [0.0f32; 16];
    s.store_array(&mut values, lanes);
    for (i, &v) in values[..n].iter().enumerate() {
        *sums.add(col + i) += f64::from(v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;
    use smallvec::SmallVec;

    #[test]
    fn every_loop_agrees_with_double_precision() {
        let mut rng = Rng::new(11);
        for tier in Tier::supported() {
            for (rows, cols) in [(1, 1), (5, 3), (33, 16), (70, 17), (40, 40)] {
                for variant in 0..24 {
                    let (skip, mask, products) = (variant % 2 == 1, variant / 2 % 4, variant / 8);
                    let (affine, bound) = (mask == 1, if mask == 3 { 0.25 } else { f32::INFINITY });
                    let (ld, tile_ld) = (cols + 5, cols + 2);
                    let mut values = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.unit() as f32 - 0.5).collect() };
                    let [s, x, y0, y1] = [0; 4].map(|_| values(rows * ld));
                    let [scale, shift, m0, m1, factor] = [0; 5].map(|_| values(cols));
                    let mut tile = values(rows * tile_ld);
                    let mut scaled = vec![9.0f32; rows * ld];
                    let (mut sums, mut expected) = (vec![[0.5f64; 64]; 3], vec![[0.5f64; 64]; 3]);
                    let mut gradients = Vec::new();
                    for r in 0..rows {
                        for c in 0..cols {
                            let at = r * ld + c;
                            let mut g = f64::from(tile[r * tile_ld + c]);
                            g += if skip { f64::from(s[at]) } else { 0.0 };
                            let open = if affine { x[at] * scale[c] + shift[c] } else { x[at] };
                            let g = match mask {
                                2 => g * f64::from(open),
                                _ if open > 0.0 && open <= bound => g,
                                _ => 0.0,
                            };
                            gradients.push(g);
                            expected[0][c] += g;
                            expected[1][c] += g * f64::from(y0[at] - m0[c]);
                            expected[2][c] += g * f64::from(y1[at] - m1[c]);
                        }
                    }
                    let pointers = [[y0.as_ptr(), m0.as_ptr()], [y1.as_ptr(), m1.as_ptr()]];
                    let stores = [
                        (Rows { at: tile.as_mut_ptr(), ld: tile_ld }, std::ptr::null()),
                        (Rows { at: scaled.as_mut_ptr(), ld }, factor.as_ptr()),
                    ];
                    let work = Work {
                        gradient: Rows { at: tile.as_ptr(), ld: tile_ld },
                        ld,
                        skip: s.as_ptr(),
                        mask: [x.as_ptr(), scale.as_ptr(), shift.as_ptr()],
                        bound,
                        products: pointers,
                        stores: &stores,
                        sums: [0, 1, 2].map(|k| sums[k].as_mut_ptr()),
                        rows,
                        cols,
                    };
                    let form = MaskedForm {
                        skip: skip.then_some(0),
                        mask: [Mask::Plain(1), Mask::Affine(1, 2, 3), Mask::Factor(1), Mask::Plain(1)][mask],
                        bound,
                        products: (0..products).map(|_| (4, 5)).collect(),
                        stores: SmallVec::new(),
                        totals: SmallVec::new(),
                    };
                    // SAFETY: all arrays hold the tile.
                    unsafe { form.select(tier)(&work) };
                    let place = format!("{tier} {rows}x{cols} variant {variant}");
                    for (i, g) in gradients.iter().enumerate() {
                        let (r, c) = (i / cols, i % cols);
                        assert!((f64::from(tile[r * tile_ld + c]) - g).abs() < 1e-6, "{place}");
                        assert!((f64::from(scaled[r * ld + c]) - g * f64::from(factor[c])).abs() < 1e-6, "{place}");
                    }
                    // Between the columns of two rows nothing is written.
                    assert!(scaled.iter().enumerate().all(|(i, &v)| i % ld < cols || v == 9.0), "{place}");
                    for k in 0..=products {
                        for c in 0..cols {
                            assert!((sums[k][c] - expected[k][c]).abs() < 5e-5, "{place} sum {k}");
                        }
                    }
                }
            }
        }
    }
}
