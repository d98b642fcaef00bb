//! Register tiles against sums in f64, and what they ask memory for.

use super::*;

/// The lines that each tile asks for, as indices.
fn lines(len: usize, k: usize, tiles: usize) -> Vec<Vec<usize>> {
    let start = std::ptr::null::<f32>();
    let turns = PrefetchSchedule::new(start, len, k, tiles);
    let asked = |t| {
        let share = turns.of(t);
        let first = share.start.addr() / (LINE * size_of::<f32>());
        (first..first + share.lines * k.div_ceil(BLOCK)).collect()
    };
    (0..tiles).map(asked).collect()
}

#[test]
fn tiles_ask_for_every_line_once_and_the_last_ones_first_of_all() {
    for (len, k, tiles) in [(64 * 256, 256, 9), (64 * 256, 256, 3), (64 * 256, 256, 1), (32 * 7, 7, 40), (16, 1, 5)] {
        let shares = lines(len, k, tiles);
        let all: Vec<usize> = shares.iter().flatten().copied().collect();
        let total = len.div_ceil(LINE);
        assert!(all.len() >= total && all.iter().copied().eq(0..all.len()), "{len} {k} {tiles}: {shares:?}");
        // As few lines a block as suffice: with one fewer, not all would be asked for.
        let least = total.div_ceil(tiles * k.div_ceil(BLOCK));
        let spare = all.len() - total;
        assert!(spare < least * k.div_ceil(BLOCK), "{len} {k} {tiles}: {spare} too many");
        let idle = shares.iter().take_while(|share| share.is_empty()).count();
        assert!(shares[idle..].iter().all(|share| !share.is_empty()), "{len} {k} {tiles}: {shares:?}");
    }
    assert!(lines(0, 8, 3).concat().is_empty());
}

#[test]
fn tiles_are_as_wide_as_their_columns_fill() {
    for tier in Tier::supported() {
        for cols in 1..400 {
            let (set, high) = (TileSet::for_columns(tier, cols), TileSet::for_adjacent_rows(tier, cols));
            assert!(set.vectors <= MAX_VECTORS && set.rows <= MAX_ROWS && high.rows <= MAX_ROWS);
            assert!(high.vectors <= set.vectors && high.rows >= set.rows, "{tier} {cols}");
            let panels = cols.div_ceil(set.cols());
            let wide = set.vectors > high.vectors;
            assert!(!wide || panels * set.vectors == set.vectors_for(cols), "{tier} {cols}: an empty vector");
            let product = TileSet::for_product(tier, cols);
            let several = product.vectors_for(cols) > product.vectors;
            assert!(product.vectors == set.vectors || several && product.vectors > 2, "{tier} {cols}: an empty vector");
        }
    }
}

/// `[rows, vectors, cols, k]`, segments, A's walk, distance of B's rows beyond a panel, whether C is added to.
type Shape = ([usize; 4], usize, usize, usize, bool);

/// Checks one tile against sums in f64. `walk`: 0 for adjacent rows, else the step of listed ones.
fn check(set: &TileSet, label: &str, ([rows, vectors, cols, k], segments, walk, spare, add): Shape) {
    let value = |i: usize| ((i * 7919) % 251) as f32 / 251.0 - 0.5;
    let values = |len: usize| (0..len).map(value).collect::<Vec<f32>>();
    let (segment_len, b_step) = (rows.max(1) * (k + 1) * (walk + 1), vectors * set.lanes + spare);
    let (a, b) = (values(segments * segment_len + 64), values(segments * k * b_step + 64));
    let c_ld = cols + 5;
    let mut c = vec![0.25f32; rows * c_ld];
    let (bias, residual) = (values(cols), values(rows * c_ld));
    let offsets: Vec<usize> = (0..rows).map(|row| row * k * walk.max(1) + row % 2).collect();
    let starts: Vec<usize> = (0..segments).map(|s| s * segment_len).collect();
    let c_rows: Vec<usize> = (0..rows).map(|row| row * c_ld).collect();
    let a_rows = match walk {
        0 => Rows::Adjacent { step: rows + 1 },
        step => Rows::Listed { offsets: offsets.as_ptr(), step },
    };
    let tile = Tile {
        rows,
        vectors,
        cols,
        a: a.as_ptr(),
        a_rows,
        segments: starts.as_ptr(),
        segment_count: segments,
        k,
        b: b.as_ptr(),
        b_step,
        c: c.as_mut_ptr(),
        c_rows: c_rows.as_ptr(),
        add_to_c: add,
        finish: Finish { bias: bias.as_ptr(), residual: residual.as_ptr(), lo: -0.5, hi: 0.5 },
        next: PrefetchedLines::all(b.as_ptr(), b.len(), k),
    };
    // SAFETY: the arrays hold what the tile describes.
    unsafe { set.run(&tile) };
    for row in 0..rows {
        for col in 0..c_ld {
            let got = f64::from(c[row * c_ld + col]);
            if col >= cols {
                assert_eq!(got, 0.25, "{label}: wrote past row {row}");
                continue;
            }
            let mut sum = f64::from(bias[col]) + f64::from(residual[row * c_ld + col]);
            sum += if add { 0.25 } else { 0.0 };
            for (segment, start) in starts.iter().enumerate() {
                for p in 0..k {
                    let at = if walk == 0 { p * (rows + 1) + row } else { offsets[row] + p * walk };
                    sum += f64::from(a[start + at]) * f64::from(b[(segment * k + p) * b_step + col]);
                }
            }
            assert!((got - sum.clamp(-0.5, 0.5)).abs() < 1e-5, "{label}: [{row}, {col}] is {got} instead of {sum}");
        }
    }
}

#[test]
fn tiles_of_all_shapes_sum_products_however_they_walk() {
    for tier in Tier::supported() {
        for columns in [8, 32, 48, 64] {
            let set = TileSet::for_columns(tier, columns);
            for vectors in 1..=set.vectors {
                for rows in 1..=set.rows {
                    for (k, segments) in [(0, 1), (1, 1), (3, 2), (4, 1), (5, 3), (21, 1)] {
                        for (walk, spare) in [(0, 0), (0, 3), (1, 0), (1, 7), (3, 0)] {
                            for cols in [vectors * set.lanes, vectors * set.lanes - set.lanes.min(2) + 1] {
                                let shape = [rows, vectors, cols, k];
                                let label = format!("{tier} {shape:?} {segments} segments, walk {walk}, {spare} spare");
                                check(&set, &label, (shape, segments, walk, spare, rows % 2 == 0));
                            }
                        }
                    }
                }
            }
        }
    }
}
