//! Gradients of linear algebra as graph nodes: Giles, "Collected matrix derivative results for forward and reverse mode
//! algorithmic differentiation", 2008; Townsend, "Differentiating the singular value decomposition", 2016; Walter and
//! Lehmann, arXiv:1009.6112, for QR.

use super::Linalg;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops::matmul::MatMul;
use crate::ops::movement::{Concat, Iota, Slice};
use crate::ops::pointwise::Function;
use crate::shape::Shape;

/// The gradients by the inputs of `op`.
pub fn of(op: &Linalg, g: &mut Graph, inputs: &[NodeId], y: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
    let mut g = Matrices(g);
    let a = inputs[0];
    let da = match op {
        Linalg::Cholesky => g.cholesky(y, dy)?,
        Linalg::Inverse => {
            let left = g.product(y, true, dy, false)?;
            let both = g.product(left, false, y, true)?;
            g.0.neg(both)?
        }
        Linalg::Determinant => {
            let cofactors = g.0.apply(Linalg::Cofactors, &[a])?;
            let weight = g.with_axes(dy, &[1, 1])?;
            g.0.mul(weight, cofactors)?
        }
        Linalg::Cofactors => g.cofactors(a, y, dy)?,
        Linalg::LogDeterminant => {
            let inverse = g.0.apply(Linalg::Inverse, &[a])?;
            let turned = g.turned(inverse)?;
            let weight = g.part(dy, 1, &[1, 1])?;
            g.0.mul(weight, turned)?
        }
        Linalg::Lu => return Err(Error::value("lu_factor has no gradient: solve, inv and det have")),
        Linalg::Qr { complete } => g.qr(*complete, a, y, dy)?,
        Linalg::Eigh => g.eigh(a, y, dy)?,
        Linalg::Eig => g.eig(a, y, dy)?,
        Linalg::Svd { full } => g.svd(*full, a, y, dy)?,
        Linalg::SingularValues => {
            let thin = g.0.apply(Linalg::Svd { full: false }, &[a])?;
            let [u, _, v] = g.svd_parts(a, thin)?;
            let row = g.with_axes_before_last(dy)?;
            let scaled = g.0.mul(u, row)?;
            g.product(scaled, false, v, false)?
        }
        Linalg::Pinv { .. } => g.pinv(a, y, dy)?,
        Linalg::Solve { transposed } => {
            let db = g.0.apply(Linalg::Solve { transposed: !transposed }, &[a, dy])?;
            return Ok(vec![Some(g.by_matrix(*transposed, y, db)?), Some(db)]);
        }
        Linalg::SolveTriangular { lower, transposed } => {
            let db = g.0.apply(Linalg::SolveTriangular { lower: *lower, transposed: !transposed }, &[a, dy])?;
            let whole = g.by_matrix(*transposed, y, db)?;
            return Ok(vec![Some(g.triangle(whole, *lower, false)?), Some(db)]);
        }
    };
    Ok(vec![Some(da)])
}

/// Short forms for matrices along the last two axes.
struct Matrices<'g>(&'g mut Graph);

impl Matrices<'_> {
    fn product(&mut self, a: NodeId, transpose_a: bool, b: NodeId, transpose_b: bool) -> Result<NodeId> {
        self.0.apply(MatMul { transpose_a, transpose_b }, &[a, b])
    }

    fn shape(&self, x: NodeId) -> Shape {
        self.0.fact(x).shape.clone()
    }

    /// Rows and columns.
    fn extents(&self, x: NodeId) -> (usize, usize) {
        let shape = self.shape(x);
        (shape[shape.rank() - 2], shape[shape.rank() - 1])
    }

    fn turned(&mut self, x: NodeId) -> Result<NodeId> {
        let rank = self.shape(x).rank();
        let perm: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        self.0.transpose(x, &perm)
    }

    /// x with axes of these extents, all 1, at the end.
    fn with_axes(&mut self, x: NodeId, ones: &[usize]) -> Result<NodeId> {
        let shape = self.shape(x).iter().chain(ones).copied().collect();
        self.0.reshape(x, shape)
    }

    /// Vectors as rows.
    fn with_axes_before_last(&mut self, x: NodeId) -> Result<NodeId> {
        let column = self.with_axes(x, &[1])?;
        self.turned(column)
    }

    /// The elements from `start` of the last axis, as `shape`.
    fn part(&mut self, packed: NodeId, start: usize, shape: &[usize]) -> Result<NodeId> {
        let from = self.shape(packed);
        let (lead, whole) = (&from[..from.rank() - 1], from[from.rank() - 1]);
        let len: usize = shape.iter().product();
        let mut starts = vec![0; from.rank()];
        let mut stops: Vec<usize> = from.iter().copied().collect();
        (starts[from.rank() - 1], stops[from.rank() - 1]) = (start, start + len);
        let steps = vec![1; from.rank()];
        let cut = if len == whole { packed } else { self.0.apply(Slice::new(&starts, &stops, &steps), &[packed])? };
        self.0.reshape(cut, lead.iter().chain(shape).copied().collect())
    }

    /// Whether row and column of each element of an m × n matrix are so.
    fn places(&mut self, (m, n): (usize, usize), are: Function) -> Result<NodeId> {
        let shape = Shape::from([m, n]);
        let row = self.0.apply(Iota { axis: 0, shape: shape.clone(), dtype: DType::I32 }, &[])?;
        let column = self.0.apply(Iota { axis: 1, shape, dtype: DType::I32 }, &[])?;
        self.0.binary(are, row, column)
    }

    fn kept(&mut self, x: NodeId, are: Function) -> Result<NodeId> {
        let extents = self.extents(x);
        let places = self.places(extents, are)?;
        let zero = self.0.constant_like(0.0, x)?;
        self.0.select(places, x, zero)
    }

    fn triangle(&mut self, x: NodeId, lower: bool, strict: bool) -> Result<NodeId> {
        self.kept(
            x,
            match (lower, strict) {
                (true, false) => Function::GreaterEqual,
                (true, true) => Function::Greater,
                (false, false) => Function::LessEqual,
                (false, true) => Function::Less,
            },
        )
    }

    /// Vectors as diagonal matrices.
    fn diagonal(&mut self, v: NodeId) -> Result<NodeId> {
        let shape = self.shape(v);
        let n = shape[shape.rank() - 1];
        let row = self.with_axes_before_last(v)?;
        let square = self.0.broadcast_to(row, shape.iter().copied().chain([n]).collect())?;
        self.kept(square, Function::Equal)
    }

    fn symmetric(&mut self, x: NodeId) -> Result<NodeId> {
        let turned = self.turned(x)?;
        let sum = self.0.add(x, turned)?;
        self.0.scale(sum, 0.5)
    }

    /// 1 / x, or 0 where x is 0: where a derivative does not exist, its part is left out.
    fn reciprocal(&mut self, x: NodeId) -> Result<NodeId> {
        let (zero, one) = (self.0.constant_like(0.0, x)?, self.0.constant_like(1.0, x)?);
        let none = self.0.binary(Function::Equal, x, zero)?;
        let safe = self.0.select(none, one, x)?;
        let inverse = self.0.div(one, safe)?;
        self.0.select(none, zero, inverse)
    }

    /// 1 / (v_j − v_i) at row i and column j; 0 where that is infinite.
    fn gaps(&mut self, v: NodeId) -> Result<NodeId> {
        let (row, column) = (self.with_axes_before_last(v)?, self.with_axes(v, &[1])?);
        let gap = self.0.sub(row, column)?;
        self.reciprocal(gap)
    }

    /// The gradient by A of a solution `x`, from that by the right side.
    fn by_matrix(&mut self, transposed: bool, x: NodeId, db: NodeId) -> Result<NodeId> {
        let (left, right) = if transposed { (x, db) } else { (db, x) };
        let outer = self.product(left, false, right, true)?;
        self.0.neg(outer)
    }

    fn cholesky(&mut self, l: NodeId, dl: NodeId) -> Result<NodeId> {
        let dl = self.triangle(dl, true, false)?;
        let product = self.product(l, true, dl, false)?;
        let (lower, strict) = (self.triangle(product, true, false)?, self.triangle(product, true, true)?);
        let sum = self.0.add(lower, strict)?;
        let half = self.0.scale(sum, 0.5)?;
        let solve = Linalg::SolveTriangular { lower: true, transposed: true };
        let left = self.0.apply(solve.clone(), &[l, half])?;
        let turned = self.turned(left)?;
        let both = self.0.apply(solve, &[l, turned])?;
        self.symmetric(both)
    }

    fn cofactors(&mut self, a: NodeId, c: NodeId, dc: NodeId) -> Result<NodeId> {
        let inverse = self.0.apply(Linalg::Inverse, &[a])?;
        let turned = self.turned(inverse)?;
        let each = self.0.mul(dc, c)?;
        let rank = self.shape(each).rank();
        let sum = self.0.sum(each, &[rank - 2, rank - 1], true)?;
        let along = self.0.mul(sum, turned)?;
        let left = self.product(turned, false, dc, true)?;
        let across = self.product(left, false, c, false)?;
        self.0.sub(along, across)
    }

    /// Golub and Pereyra, "The differentiation of pseudo-inverses", 1973: for matrices of constant rank.
    fn pinv(&mut self, a: NodeId, p: NodeId, dp: NodeId) -> Result<NodeId> {
        let left = self.product(p, true, dp, false)?;
        let inner = self.product(left, false, p, true)?;
        let turned = self.turned(dp)?;
        // (I − A·P)·dPᵀ·P·Pᵀ
        let gram = self.product(p, false, p, true)?;
        let first = self.product(turned, false, gram, false)?;
        let projected = self.product(p, false, first, false)?;
        let projected = self.product(a, false, projected, false)?;
        let first = self.0.sub(first, projected)?;
        // Pᵀ·P·dPᵀ·(I − P·A)
        let gram = self.product(p, true, p, false)?;
        let second = self.product(gram, false, turned, false)?;
        let projected = self.product(second, false, p, false)?;
        let projected = self.product(projected, false, a, false)?;
        let second = self.0.sub(second, projected)?;
        let outer = self.0.add(first, second)?;
        self.0.sub(outer, inner)
    }

    fn qr(&mut self, complete: bool, a: NodeId, y: NodeId, dy: NodeId) -> Result<NodeId> {
        let (m, n) = self.extents(a);
        if complete && m > n {
            return Err(Error::value(
                "qr: mode: Q with columns beyond those of the matrix is not unique and has no gradient; use \"reduced\"",
            ));
        }
        let k = m.min(n);
        let parts =
            |g: &mut Self, x| -> Result<[NodeId; 2]> { Ok([g.part(x, 0, &[m, k])?, g.part(x, m * k, &[k, n])?]) };
        let [q, r] = parts(self, y)?;
        let [dq, dr] = parts(self, dy)?;
        if m >= n {
            return self.qr_square(q, r, dq, dr);
        }
        // A = (X Y), R = (U V): Q·U = X, and Q·V = Y tells of Q, too.
        let columns = |g: &mut Self, x, from: usize, to: usize| -> Result<NodeId> {
            let shape = g.shape(x);
            let mut starts = vec![0; shape.rank()];
            let mut stops: Vec<usize> = shape.iter().copied().collect();
            (starts[shape.rank() - 1], stops[shape.rank() - 1]) = (from, to);
            let steps = vec![1; shape.rank()];
            g.0.apply(Slice::new(&starts, &stops, &steps), &[x])
        };
        let (right, u) = (columns(self, a, m, n)?, columns(self, r, 0, m)?);
        let (du, dv) = (columns(self, dr, 0, m)?, columns(self, dr, m, n)?);
        let more = self.product(right, false, dv, true)?;
        let dq = self.0.add(dq, more)?;
        let dx = self.qr_square(q, u, dq, du)?;
        let d_right = self.product(q, false, dv, false)?;
        self.0.apply(Concat { axis: -1 }, &[dx, d_right])
    }

    /// For R square.
    fn qr_square(&mut self, q: NodeId, r: NodeId, dq: NodeId, dr: NodeId) -> Result<NodeId> {
        let dr = self.triangle(dr, false, false)?;
        let (of_r, of_q) = (self.product(r, false, dr, true)?, self.product(dq, true, q, false)?);
        let difference = self.0.sub(of_r, of_q)?;
        let (lower, strict) = (self.triangle(difference, true, false)?, self.triangle(difference, true, true)?);
        let upper = self.turned(strict)?;
        let mirrored = self.0.add(lower, upper)?;
        let inner = self.product(q, false, mirrored, false)?;
        let sum = self.0.add(dq, inner)?;
        let turned = self.turned(sum)?;
        let solved = self.0.apply(Linalg::SolveTriangular { lower: false, transposed: false }, &[r, turned])?;
        self.turned(solved)
    }

    fn eigen_parts(&mut self, a: NodeId, packed: NodeId) -> Result<[NodeId; 2]> {
        let (n, _) = self.extents(a);
        Ok([self.part(packed, 0, &[n])?, self.part(packed, n, &[n, n])?])
    }

    fn eigh(&mut self, a: NodeId, y: NodeId, dy: NodeId) -> Result<NodeId> {
        let [w, v] = self.eigen_parts(a, y)?;
        let [dw, dv] = self.eigen_parts(a, dy)?;
        let (gaps, turning) = (self.gaps(w)?, self.product(v, true, dv, false)?);
        let (turned, values) = (self.0.mul(gaps, turning)?, self.diagonal(dw)?);
        let inner = self.0.add(turned, values)?;
        let left = self.product(v, false, inner, false)?;
        let both = self.product(left, false, v, true)?;
        self.symmetric(both)
    }

    fn eig(&mut self, a: NodeId, y: NodeId, dy: NodeId) -> Result<NodeId> {
        let [w, v] = self.eigen_parts(a, y)?;
        let [dw, dv] = self.eigen_parts(a, dy)?;
        // The vectors have length 1: what changes their length changes nothing.
        let turning = self.product(v, true, dv, false)?;
        let lengths = self.kept(turning, Function::Equal)?;
        let gram = self.product(v, true, v, false)?;
        let stretched = self.product(gram, false, lengths, false)?;
        let turning = self.0.sub(turning, stretched)?;
        let gaps = self.gaps(w)?;
        let (turned, values) = (self.0.mul(gaps, turning)?, self.diagonal(dw)?);
        let inner = self.0.add(turned, values)?;
        let right = self.product(inner, false, v, true)?;
        self.0.apply(Linalg::Solve { transposed: true }, &[v, right])
    }

    fn svd_parts(&mut self, a: NodeId, packed: NodeId) -> Result<[NodeId; 3]> {
        let (m, n) = self.extents(a);
        let k = m.min(n);
        Ok([self.part(packed, 0, &[m, k])?, self.part(packed, m * k, &[k])?, self.part(packed, m * k + k, &[k, n])?])
    }

    fn svd(&mut self, full: bool, a: NodeId, y: NodeId, dy: NodeId) -> Result<NodeId> {
        let (m, n) = self.extents(a);
        if full && m != n {
            return Err(Error::value(
                "svd: full_matrices: vectors beyond the singular values are not unique and have no gradient; use \
                 full_matrices=False",
            ));
        }
        let [u, s, v] = self.svd_parts(a, y)?;
        let [du, ds, dv] = self.svd_parts(a, dy)?;
        let squares = self.0.mul(s, s)?;
        let gaps = self.gaps(squares)?;
        let (row, column) = (self.with_axes_before_last(s)?, self.with_axes(s, &[1])?);
        let skew = |g: &mut Self, x| -> Result<NodeId> {
            let turned = g.turned(x)?;
            g.0.sub(x, turned)
        };
        let of_u = self.product(u, true, du, false)?;
        let of_u = skew(self, of_u)?;
        let of_u = self.0.mul(of_u, gaps)?;
        let of_u = self.0.mul(of_u, row)?;
        // v and dv hold the vectors as rows.
        let of_v = self.product(v, false, dv, true)?;
        let of_v = skew(self, of_v)?;
        let of_v = self.0.mul(of_v, gaps)?;
        let of_v = self.0.mul(column, of_v)?;
        let values = self.diagonal(ds)?;
        let sum = self.0.add(of_u, of_v)?;
        let inner = self.0.add(sum, values)?;
        let left = self.product(u, false, inner, false)?;
        let mut da = self.product(left, false, v, false)?;
        let inverse = self.reciprocal(s)?;
        if m > n {
            let along = self.product(u, true, du, false)?;
            let within = self.product(u, false, along, false)?;
            let outside = self.0.sub(du, within)?;
            let row = self.with_axes_before_last(inverse)?;
            let scaled = self.0.mul(outside, row)?;
            let more = self.product(scaled, false, v, false)?;
            da = self.0.add(da, more)?;
        }
        if n > m {
            let along = self.product(dv, false, v, true)?;
            let within = self.product(along, false, v, false)?;
            let outside = self.0.sub(dv, within)?;
            let column = self.with_axes(inverse, &[1])?;
            let scaled = self.0.mul(column, outside)?;
            let more = self.product(u, false, scaled, false)?;
            da = self.0.add(da, more)?;
        }
        Ok(da)
    }
}
