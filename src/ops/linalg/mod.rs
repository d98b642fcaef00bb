//! Linear algebra of small dense matrices, which lie along the last two axes. All of it is computed in double precision,
//! matrix by matrix, on the host: on a GPU by copies there and back.

mod dense;
mod grad;
mod jacobi;
mod spectral;

use super::{Attributes, FromAttributes, Kind, OpDef, Real, RefArray, expect_float, expect_inputs, expect_like};
use crate::error::{BadData, Error, Integer, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::{Fact, Shape};
use dense::Triangle;

/// What is made of one matrix A, or of A and B. Where that is several matrices, they lie one behind the other in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Linalg {
    /// L of A = L·Lᵀ; the lower triangle of A is read.
    Cholesky,
    /// A⁻¹.
    Inverse,
    /// The determinant.
    Determinant,
    /// The gradient of the determinant, det(A)·A⁻ᵀ.
    Cofactors,
    /// The determinant's sign and the logarithm of its absolute value.
    LogDeterminant,
    /// L and U of P·A = L·U in one matrix, and the exchanges of rows that make P.
    Lu,
    /// Q and R of A = Q·R.
    Qr {
        /// Whether Q is square.
        complete: bool,
    },
    /// Eigenvalues, ascending, and eigenvectors of a symmetric matrix; its lower triangle is read.
    Eigh,
    /// Eigenvalues and eigenvectors of a matrix that has real ones.
    Eig,
    /// U, the singular values and Vᵀ.
    Svd {
        /// Whether U and V are square.
        full: bool,
    },
    /// The singular values, descending.
    SingularValues,
    /// The pseudo-inverse of Moore and Penrose, n × m.
    Pinv {
        /// Singular values up to this part of the largest count as 0.
        rcond: Real,
    },
    /// X of A·X = B.
    Solve {
        /// Whether Aᵀ stands for A.
        transposed: bool,
    },
    /// X of A·X = B, of which a triangle of A is read.
    SolveTriangular {
        /// The lower triangle, or the upper one.
        lower: bool,
        /// Whether Aᵀ stands for A, of whose triangle that is.
        transposed: bool,
    },
}

/// Why a matrix has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It has no inverse.
    Singular,
    /// It is not positive definite.
    Indefinite,
    /// Its eigenvalues are complex.
    Complex,
}

impl Trouble {
    /// The report of matrix number `element`.
    pub fn of(self, element: usize) -> BadData {
        let what = match self {
            Trouble::Singular => Integer::Singular,
            Trouble::Indefinite => Integer::Indefinite,
            Trouble::Complex => Integer::Complex,
        };
        BadData { what, element, value: 0, extent: 0 }
    }
}

/// Extents of the matrices of a task: A is m × n, B is n × k.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Matrices.
    pub count: usize,
    /// Rows of A.
    pub m: usize,
    /// Columns of A.
    pub n: usize,
    /// Columns of B.
    pub k: usize,
}

impl Linalg {
    /// Whether there is a second input.
    fn takes_two(&self) -> bool {
        matches!(self, Linalg::Solve { .. } | Linalg::SolveTriangular { .. })
    }

    /// Extents for these shapes.
    ///
    /// # Errors
    /// When they have no matrices, or matrices that do not fit.
    pub fn sizes(&self, inputs: &[Fact]) -> Result<Sizes> {
        let of = |argument: &str, fact: &Fact| match fact.shape.split_last_chunk() {
            Some((lead, [m, n])) => Ok((Shape::from(lead), *m, *n)),
            None => {
                Err(Error::value(format!("{argument}: expected shape (..., rows, columns), received {}", fact.shape)))
            }
        };
        let (lead, m, n) = of("x", &inputs[0])?;
        let free = matches!(
            self,
            Linalg::Lu | Linalg::Qr { .. } | Linalg::Svd { .. } | Linalg::SingularValues | Linalg::Pinv { .. }
        );
        if m != n && !free {
            return Err(Error::value(format!("x: expected square matrices, received shape {}", inputs[0].shape)));
        }
        let mut k = 0;
        if self.takes_two() {
            let (others, rows, columns) = of("b", &inputs[1])?;
            if others != lead || rows != m {
                return Err(Error::value(format!(
                    "b: expected matrices of {m} rows, as many as those of shape {}, received shape {}",
                    inputs[0].shape, inputs[1].shape
                )));
            }
            k = columns;
        }
        Ok(Sizes { count: lead.len(), m, n, k })
    }

    /// Extents of what one matrix gives, behind those in front.
    fn made(&self, Sizes { m, n, k, .. }: Sizes) -> Vec<usize> {
        let least = m.min(n);
        match self {
            Linalg::Cholesky | Linalg::Inverse | Linalg::Cofactors => vec![n, n],
            Linalg::Determinant => vec![],
            Linalg::Pinv { .. } => vec![n, m],
            Linalg::LogDeterminant => vec![2],
            Linalg::Lu => vec![m * n + least],
            Linalg::Qr { complete } => {
                let width = if *complete { m } else { least };
                vec![m * width + width * n]
            }
            Linalg::Eigh | Linalg::Eig => vec![n + n * n],
            Linalg::Svd { full: true } => vec![m * m + least + n * n],
            Linalg::Svd { full: false } => vec![m * least + least + least * n],
            Linalg::SingularValues => vec![least],
            Linalg::Solve { .. } | Linalg::SolveTriangular { .. } => vec![n, k],
        }
    }

    /// Computes what one matrix, or a pair of them, gives.
    ///
    /// # Errors
    /// When it has no such result.
    pub fn one(
        &self,
        Sizes { m, n, k, .. }: Sizes,
        a: &[f64],
        b: &[f64],
        y: &mut [f64],
    ) -> std::result::Result<(), Trouble> {
        let least = m.min(n);
        let factored = || {
            let mut lu = a.to_vec();
            let pivots = dense::lu(m, n, &mut lu);
            (lu, pivots)
        };
        match self {
            Linalg::Cholesky => dense::cholesky(n, a, y)?,
            Linalg::Inverse => {
                y.fill(0.0);
                (0..n).for_each(|i| y[i * n + i] = 1.0);
                dense::solve(n, n, a, false, y)?;
            }
            Linalg::Determinant => {
                let (lu, pivots) = factored();
                y[0] = dense::determinant(n, &lu, &pivots);
            }
            Linalg::Cofactors => spectral::cofactors(n, a, y),
            Linalg::LogDeterminant => {
                let (lu, pivots) = factored();
                (y[0], y[1]) = dense::log_determinant(n, &lu, &pivots);
            }
            Linalg::Lu => {
                let (lu, pivots) = factored();
                y[..m * n].copy_from_slice(&lu);
                y[m * n..].iter_mut().zip(pivots).for_each(|(to, p)| *to = p as f64);
            }
            Linalg::Qr { complete } => {
                let width = if *complete { m } else { least };
                let (q, r) = dense::qr(m, n, width, a);
                y[..m * width].copy_from_slice(&q);
                y[m * width..].copy_from_slice(&r);
            }
            Linalg::Eigh => {
                let (values, vectors) = y.split_at_mut(n);
                spectral::eigh(n, a, values, vectors);
            }
            Linalg::Eig => {
                let (values, vectors) = y.split_at_mut(n);
                spectral::eig(n, a, values, vectors)?;
            }
            Linalg::Svd { full } => {
                let (u, rest) = y.split_at_mut(m * if *full { m } else { least });
                let (s, v) = rest.split_at_mut(least);
                spectral::svd(m, n, a, u, s, v);
            }
            Linalg::SingularValues => spectral::singular_values(m, n, a, y),
            Linalg::Pinv { rcond } => spectral::pinv(m, n, a, rcond.get(), y),
            Linalg::Solve { transposed } => {
                y.copy_from_slice(b);
                dense::solve(n, k, a, *transposed, y)?;
            }
            Linalg::SolveTriangular { lower, transposed } => {
                y.copy_from_slice(b);
                let triangle = Triangle { lower: *lower, unit: false, transposed: *transposed };
                dense::solve_triangular(n, k, a, triangle, y)?;
            }
        }
        Ok(())
    }
}

impl OpDef for Linalg {
    fn name(&self) -> &'static str {
        match self {
            Linalg::Cholesky => "cholesky",
            Linalg::Inverse => "inverse",
            Linalg::Determinant => "determinant",
            Linalg::Cofactors => "cofactors",
            Linalg::LogDeterminant => "log_determinant",
            Linalg::Lu => "lu",
            Linalg::Qr { .. } => "qr",
            Linalg::Eigh => "eigh",
            Linalg::Eig => "eig",
            Linalg::Svd { .. } => "svd",
            Linalg::SingularValues => "singular_values",
            Linalg::Pinv { .. } => "pinv",
            Linalg::Solve { .. } => "solve",
            Linalg::SolveTriangular { .. } => "solve_triangular",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Data
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs(self.name(), inputs, if self.takes_two() { 2 } else { 1 })?;
        expect_float("x", &inputs[0])?;
        if self.takes_two() {
            expect_like("b", &inputs[1], &inputs[0])?;
        }
        let sizes = self.sizes(inputs)?;
        let lead = &inputs[0].shape[..inputs[0].shape.rank() - 2];
        Fact::checked(lead.iter().copied().chain(self.made(sizes)).collect::<Shape>(), inputs[0].dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        grad::of(self, g, inputs, output, dy)
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], output: &Fact) -> Result<RefArray> {
        let sizes = self.sizes(facts)?;
        let [a, b] = [0, 1].map(|i| inputs.get(i).map_or(Vec::new(), |x| x.iter().copied().collect::<Vec<_>>()));
        let mut y = vec![0.0; output.shape.len()];
        let (one_a, one_b) = (sizes.m * sizes.n, sizes.n * sizes.k);
        let one_y = y.len() / sizes.count.max(1);
        for i in 0..sizes.count {
            let part = |x: &'_ [f64], one: usize| x[i * one..(i + 1) * one].to_vec();
            let (a, b) = (part(&a, one_a), if self.takes_two() { part(&b, one_b) } else { Vec::new() });
            self.one(sizes, &a, &b, &mut y[i * one_y..(i + 1) * one_y]).map_err(|trouble| trouble.of(i))?;
        }
        RefArray::from_shape_vec(&*output.shape, y).map_err(|e| Error::state(e.to_string()))
    }

    fn flops(&self, inputs: &[Fact], _: &Fact) -> u64 {
        self.sizes(inputs).map_or(0, |s| {
            let Sizes { count, m, n, k } = s;
            (count * m * n) as u64 * (m.min(n) + k) as u64
        })
    }
}

impl FromAttributes for Linalg {
    fn names() -> Vec<&'static str> {
        vec![
            "cholesky",
            "inverse",
            "determinant",
            "log_determinant",
            "lu",
            "qr",
            "eigh",
            "eig",
            "svd",
            "singular_values",
            "pinv",
            "solve",
            "solve_triangular",
        ]
    }

    fn from_attributes(name: &str, a: &mut Attributes) -> Result<Self> {
        Ok(match name {
            "cholesky" => Linalg::Cholesky,
            "inverse" => Linalg::Inverse,
            "determinant" => Linalg::Determinant,
            "log_determinant" => Linalg::LogDeterminant,
            "lu" => Linalg::Lu,
            "qr" => Linalg::Qr { complete: a.bool_or("complete", false)? },
            "eigh" => Linalg::Eigh,
            "eig" => Linalg::Eig,
            "svd" => Linalg::Svd { full: a.bool_or("full", true)? },
            "singular_values" => Linalg::SingularValues,
            "pinv" => Linalg::Pinv { rcond: a.real_or("rcond", 1e-6)? },
            "solve" => Linalg::Solve { transposed: false },
            "solve_triangular" => Linalg::SolveTriangular { lower: a.bool_or("lower", false)?, transposed: false },
            other => return Err(Error::value(format!("there is no factorisation \"{other}\""))),
        })
    }
}
