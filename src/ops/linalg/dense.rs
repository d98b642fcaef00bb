//! Factorisations of one dense matrix, row by row in memory, as textbooks have them (Golub and Van Loan, "Matrix
//! computations", 4th edition).

use super::Trouble;

/// The lower factor L of A = L·Lᵀ, of which the lower triangle is read.
pub fn cholesky(n: usize, a: &[f64], l: &mut [f64]) -> Result<(), Trouble> {
    l.fill(0.0);
    for i in 0..n {
        for j in 0..=i {
            let sum = a[i * n + j] - (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum::<f64>();
            if i > j {
                l[i * n + j] = sum / l[j * n + j];
            } else if sum > 0.0 {
                l[i * n + i] = sum.sqrt();
            } else {
                return Err(Trouble::Indefinite);
            }
        }
    }
    Ok(())
}

/// Overwrites A, m × n, with L below and U on and above the diagonal of P·A = L·U. Returns for each step the row that was
/// exchanged with the step's own.
pub fn lu(m: usize, n: usize, a: &mut [f64]) -> Vec<usize> {
    let steps = m.min(n);
    let mut pivots = Vec::with_capacity(steps);
    for k in 0..steps {
        let best = (k..m).fold(k, |best, i| if a[i * n + k].abs() > a[best * n + k].abs() { i } else { best });
        pivots.push(best);
        if best != k {
            (0..n).for_each(|j| a.swap(k * n + j, best * n + j));
        }
        if a[k * n + k] == 0.0 {
            continue;
        }
        for i in k + 1..m {
            let factor = a[i * n + k] / a[k * n + k];
            a[i * n + k] = factor;
            for j in k + 1..n {
                a[i * n + j] -= factor * a[k * n + j];
            }
        }
    }
    pivots
}

/// Sign and logarithm of the absolute value of the determinant, from [`lu`].
pub fn log_determinant(n: usize, lu: &[f64], pivots: &[usize]) -> (f64, f64) {
    let exchanged = pivots.iter().enumerate().filter(|(k, p)| k != *p).count();
    let first = if exchanged % 2 == 0 { 1.0 } else { -1.0 };
    (0..n).map(|i| lu[i * n + i]).fold((first, 0.0), |(sign, log), u| {
        let own = if u == 0.0 { 0.0 } else { u.signum() };
        (sign * own, log + u.abs().ln())
    })
}

/// The determinant, from [`lu`].
pub fn determinant(n: usize, lu: &[f64], pivots: &[usize]) -> f64 {
    let product: f64 = (0..n).map(|i| lu[i * n + i]).product();
    let exchanged = pivots.iter().enumerate().filter(|(k, p)| k != *p).count();
    if exchanged % 2 == 0 { product } else { -product }
}

/// Which triangle of a matrix is meant, and what stands on its diagonal.
#[derive(Clone, Copy)]
pub struct Triangle {
    /// The lower, or the upper one.
    pub lower: bool,
    /// Whether the diagonal counts as ones.
    pub unit: bool,
    /// Whether the system is that of the transposed matrix.
    pub transposed: bool,
}

/// Overwrites B, n × k, with the solution X of T·X = B.
pub fn solve_triangular(n: usize, k: usize, t: &[f64], triangle: Triangle, b: &mut [f64]) -> Result<(), Trouble> {
    let at = |i: usize, j: usize| if triangle.transposed { t[j * n + i] } else { t[i * n + j] };
    let forward = triangle.lower != triangle.transposed;
    for step in 0..n {
        let i = if forward { step } else { n - 1 - step };
        let solved = if forward { 0..i } else { i + 1..n };
        for j in solved {
            let factor = at(i, j);
            for c in 0..k {
                b[i * k + c] -= factor * b[j * k + c];
            }
        }
        if !triangle.unit {
            let own = at(i, i);
            if own == 0.0 {
                return Err(Trouble::Singular);
            }
            b[i * k..(i + 1) * k].iter_mut().for_each(|x| *x /= own);
        }
    }
    Ok(())
}

/// Overwrites B, n × k, with the solution X of A·X = B, or of Aᵀ·X = B.
pub fn solve(n: usize, k: usize, a: &[f64], transposed: bool, b: &mut [f64]) -> Result<(), Trouble> {
    let mut factors = a.to_vec();
    let pivots = lu(n, n, &mut factors);
    let lower = Triangle { lower: true, unit: true, transposed };
    let upper = Triangle { lower: false, unit: false, transposed };
    let exchange = |b: &mut [f64], i: usize, p: usize| {
        if i != p {
            (0..k).for_each(|c| b.swap(i * k + c, p * k + c));
        }
    };
    if transposed {
        solve_triangular(n, k, &factors, upper, b)?;
        solve_triangular(n, k, &factors, lower, b)?;
        pivots.iter().enumerate().rev().for_each(|(i, &p)| exchange(b, i, p));
    } else {
        pivots.iter().enumerate().for_each(|(i, &p)| exchange(b, i, p));
        solve_triangular(n, k, &factors, lower, b)?;
        solve_triangular(n, k, &factors, upper, b)?;
    }
    Ok(())
}

/// Q, m × `width`, and R, `width` × n, of A = Q·R by Householder's reflections, with the signs of LAPACK. `width` is m, or
/// the lesser of m and n.
pub fn qr(m: usize, n: usize, width: usize, a: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut r = a.to_vec();
    let steps = m.min(n);
    let mut scales = Vec::with_capacity(steps);
    // A reflection is I − scale·v·vᵀ, where v is 1 at its step; the rest of v stays below the diagonal of R.
    let reflect =
        |x: &mut [f64], columns: std::ops::Range<usize>, stride: usize, v: &[f64], step: usize, scale: f64| {
            for c in columns {
                let along =
                    x[step * stride + c] + v.iter().zip(step + 1..m).map(|(v, i)| v * x[i * stride + c]).sum::<f64>();
                x[step * stride + c] -= scale * along;
                v.iter().zip(step + 1..m).for_each(|(v, i)| x[i * stride + c] -= scale * along * v);
            }
        };
    for k in 0..steps {
        let head = r[k * n + k];
        let below = (k + 1..m).map(|i| r[i * n + k]).fold(0.0, f64::hypot);
        if below == 0.0 {
            scales.push((0.0, vec![0.0; m - k - 1]));
            continue;
        }
        let beta = -head.hypot(below).copysign(head);
        let v: Vec<f64> = (k + 1..m).map(|i| r[i * n + k] / (head - beta)).collect();
        let scale = (beta - head) / beta;
        reflect(&mut r, k + 1..n, n, &v, k, scale);
        r[k * n + k] = beta;
        (k + 1..m).for_each(|i| r[i * n + k] = 0.0);
        scales.push((scale, v));
    }
    let mut q = vec![0.0; m * width];
    (0..m.min(width)).for_each(|i| q[i * width + i] = 1.0);
    for (k, (scale, v)) in scales.iter().enumerate().rev() {
        reflect(&mut q, k..width, width, v, k, *scale);
    }
    r.truncate(width * n);
    (q, r)
}
