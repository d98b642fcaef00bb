//! Eigenvalues by nalgebra, and what singular values make. (nalgebra's own singular values are wrong for some matrices
//! without full rank.)

use super::Trouble;
use super::dense::{determinant, lu};
use super::jacobi::{Decomposition, completed, decompose};
use nalgebra::{DMatrix, Schur, SymmetricEigen};

/// Iterations after which a decomposition counts as failed. Matrices of numbers take a few an eigenvalue.
fn most_steps(n: usize) -> usize {
    1000 + 100 * n
}

fn finite(a: &[f64]) -> bool {
    a.iter().all(|x| x.is_finite())
}

/// Fills all parts with NaN.
fn undefined(parts: [&mut [f64]; 3]) {
    parts.into_iter().for_each(|part| part.fill(f64::NAN));
}

/// Eigenvalues in ascending order, and eigenvectors in columns, of a symmetric matrix whose lower triangle is read.
pub fn eigh(n: usize, a: &[f64], values: &mut [f64], vectors: &mut [f64]) {
    // nalgebra panics on a matrix without elements.
    if n == 0 {
        return;
    }
    let lower = DMatrix::from_fn(n, n, |i, j| a[i.max(j) * n + i.min(j)]);
    let found =
        if finite(lower.as_slice()) { SymmetricEigen::try_new(lower, f64::EPSILON, most_steps(n)) } else { None };
    let Some(found) = found else { return undefined([values, vectors, &mut []]) };
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| found.eigenvalues[i].total_cmp(&found.eigenvalues[j]));
    for (to, &from) in order.iter().enumerate() {
        values[to] = found.eigenvalues[from];
        (0..n).for_each(|i| vectors[i * n + to] = found.eigenvectors[(i, from)]);
    }
}

/// Eigenvalues, and eigenvectors of length 1 in columns, of a matrix that has real ones.
pub fn eig(n: usize, a: &[f64], values: &mut [f64], vectors: &mut [f64]) -> Result<(), Trouble> {
    let symmetric = (0..n).all(|i| (0..i).all(|j| a[i * n + j] == a[j * n + i]));
    if symmetric {
        eigh(n, a, values, vectors);
        return Ok(());
    }
    let found =
        if finite(a) { Schur::try_new(DMatrix::from_row_slice(n, n, a), f64::EPSILON, most_steps(n)) } else { None };
    let Some(found) = found else {
        undefined([values, vectors, &mut []]);
        return Ok(());
    };
    let (q, t) = found.unpack();
    let size = t.amax();
    if (1..n).any(|i| t[(i, i - 1)].abs() > f64::EPSILON * size) {
        return Err(Trouble::Complex);
    }
    // A difference that is lost in rounding, as of eigenvalues that are equal, counts as the least that is not.
    let least = (f64::EPSILON * size).max(f64::MIN_POSITIVE);
    for k in 0..n {
        values[k] = t[(k, k)];
        let mut y = vec![0.0; n];
        y[k] = 1.0;
        for i in (0..k).rev() {
            let sum: f64 = (i + 1..=k).map(|j| t[(i, j)] * y[j]).sum();
            let gap = t[(i, i)] - values[k];
            y[i] = -sum / if gap.abs() < least { least } else { gap };
        }
        let column: Vec<f64> = (0..n).map(|i| (0..=k).map(|j| q[(i, j)] * y[j]).sum()).collect();
        let length = column.iter().fold(0.0, |length: f64, x| length.hypot(*x));
        (0..n).for_each(|i| vectors[i * n + k] = column[i] / length);
    }
    Ok(())
}

/// Singular values in descending order.
pub fn singular_values(m: usize, n: usize, a: &[f64], s: &mut [f64]) {
    match decompose(m, n, a, false) {
        Some(found) => s.copy_from_slice(&found.s),
        None => undefined([s, &mut [], &mut []]),
    }
}

/// A = U·diag(s)·V, with the singular values in descending order. `u` takes as many columns, and `v` as many rows, as they
/// have room for: one for each singular value, or as many as make them square.
pub fn svd(m: usize, n: usize, a: &[f64], u: &mut [f64], s: &mut [f64], v: &mut [f64]) {
    let Some(found) = decompose(m, n, a, true) else { return undefined([u, s, v]) };
    s.copy_from_slice(&found.s);
    let width = u.len() / m.max(1);
    let left = completed(&found.u, m, width);
    for i in 0..m {
        (0..width).for_each(|j| u[i * width + j] = left[j * m + i]);
    }
    v.copy_from_slice(&completed(&found.v, n, v.len() / n.max(1)));
}

/// The pseudo-inverse, for which singular values up to `rcond` times the largest count as 0.
pub fn pinv(m: usize, n: usize, a: &[f64], rcond: f64, to: &mut [f64]) {
    let Some(Decomposition { s, u, v, rank }) = decompose(m, n, a, true) else { return to.fill(f64::NAN) };
    let least = rcond * s.first().copied().unwrap_or(0.0);
    let rank = rank.min(s.iter().filter(|&&s| s > least).count());
    for i in 0..n {
        for j in 0..m {
            to[i * m + j] = (0..rank).map(|k| v[k * n + i] / s[k] * u[k * m + j]).sum();
        }
    }
}

/// The cofactors det(A)·A⁻ᵀ, which exist for singular matrices too.
pub fn cofactors(n: usize, a: &[f64], to: &mut [f64]) {
    let Some(Decomposition { s, u, v, .. }) = decompose(n, n, a, true) else { return to.fill(f64::NAN) };
    let orientation = |vectors: &[f64]| {
        let mut factors = vectors.to_vec();
        let exchanges = lu(n, n, &mut factors);
        determinant(n, &factors, &exchanges).signum()
    };
    let sign = orientation(&u) * orientation(&v);
    let others: Vec<f64> = (0..n).map(|k| (0..n).filter(|&j| j != k).map(|j| s[j]).product()).collect();
    for i in 0..n {
        for j in 0..n {
            to[i * n + j] = sign * (0..n).map(|k| u[k * n + i] * others[k] * v[k * n + j]).sum::<f64>();
        }
    }
}
