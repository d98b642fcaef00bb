//! Singular values by one-sided Jacobi rotations: columns are turned in pairs until all are orthogonal (Golub and Van
//! Loan, section 8.6.3). It is exact to rounding for matrices of any rank.

use super::dense::qr;

/// Passes over all pairs of columns at most; most matrices take 6 to 10.
const SWEEPS: usize = 60;

/// A = U·diag(s)·Vᵀ, with the singular values in descending order. The vectors lie one behind the other.
pub struct Decomposition {
    /// The singular values.
    pub s: Vec<f64>,
    /// Left vectors of length m, one for each singular value.
    pub u: Vec<f64>,
    /// Right vectors of length n, likewise.
    pub v: Vec<f64>,
    /// How many singular values are more than rounding leaves of 0.
    pub rank: usize,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Columns `p` and `q`, p < q, of length `n`.
fn columns(x: &mut [f64], n: usize, p: usize, q: usize) -> (&mut [f64], &mut [f64]) {
    let (left, right) = x.split_at_mut(q * n);
    (&mut left[p * n..(p + 1) * n], &mut right[..n])
}

fn rotate(a: &mut [f64], b: &mut [f64], c: f64, s: f64) {
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
    }
}

/// The decomposition of `a`, m × n; `None` where an element is not finite. Without `vectors` it has only what comes by
/// itself.
pub fn decompose(m: usize, n: usize, a: &[f64], vectors: bool) -> Option<Decomposition> {
    if !a.iter().all(|x| x.is_finite()) {
        return None;
    }
    // Columns of the side that has fewer.
    let wide = n > m;
    let (rows, k) = if wide { (n, m) } else { (m, n) };
    let at = |i: usize, j: usize| if wide { a[j * n + i] } else { a[i * n + j] };
    // Squares neither overflow nor vanish.
    let size = a.iter().fold(0.0f64, |size, x| size.max(x.abs()));
    let scale = if size > 0.0 { size } else { 1.0 };
    let mut x: Vec<f64> = (0..k).flat_map(|j| (0..rows).map(move |i| (i, j))).map(|(i, j)| at(i, j) / scale).collect();
    let mut turns: Vec<f64> = (0..k * k).map(|i| f64::from(i / k == i % k)).collect();
    let least = f64::EPSILON * dot(&x, &x).sqrt();
    for _ in 0..SWEEPS {
        let mut turned = false;
        for p in 0..k {
            for q in p + 1..k {
                let (a, b) = columns(&mut x, rows, p, q);
                let (alpha, beta, gamma) = (dot(a, a), dot(b, b), dot(a, b));
                let none = alpha.sqrt() <= least || beta.sqrt() <= least;
                if none || gamma.abs() <= f64::EPSILON * (alpha * beta).sqrt() {
                    continue;
                }
                turned = true;
                let zeta = (beta - alpha) / (2.0 * gamma);
                let t = 1.0f64.copysign(zeta) / (zeta.abs() + zeta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                rotate(a, b, c, c * t);
                let (a, b) = columns(&mut turns, k, p, q);
                rotate(a, b, c, c * t);
            }
        }
        if !turned {
            break;
        }
    }
    let lengths: Vec<f64> =
        (0..k).map(|j| dot(&x[j * rows..(j + 1) * rows], &x[j * rows..(j + 1) * rows]).sqrt()).collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let rank = lengths.iter().filter(|&&length| length > least).count();
    let s = order.iter().map(|&j| lengths[j] * scale).collect();
    if !vectors {
        return Some(Decomposition { s, u: Vec::new(), v: Vec::new(), rank });
    }
    let of = |from: &[f64], n: usize| -> Vec<f64> {
        order.iter().flat_map(|&j| from[j * n..(j + 1) * n].to_vec()).collect()
    };
    let (mut left, right) = (of(&x, rows), of(&turns, k));
    for (j, &from) in order.iter().enumerate().take(rank) {
        left[j * rows..(j + 1) * rows].iter_mut().for_each(|x| *x /= lengths[from]);
    }
    left.truncate(rank * rows);
    let left = completed(&left, rows, k);
    Some(if wide { Decomposition { s, u: right, v: left, rank } } else { Decomposition { s, u: left, v: right, rank } })
}

/// `count` orthonormal vectors of length `n`, of which the first are given.
pub fn completed(given: &[f64], n: usize, count: usize) -> Vec<f64> {
    let have = given.len() / n.max(1);
    let mut vectors = given.to_vec();
    if have < count {
        let by_rows: Vec<f64> = (0..n).flat_map(|i| (0..have).map(move |j| given[j * n + i])).collect();
        let (q, _) = qr(n, have, n, &by_rows);
        vectors.extend((have..count).flat_map(|j| (0..n).map(|i| q[i * n + j]).collect::<Vec<_>>()));
    }
    vectors
}
