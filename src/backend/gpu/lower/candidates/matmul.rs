//! Matrix products.

use super::{Anchor, Task};
use crate::backend::gpu::lower::attach::Attached;
use crate::backend::gpu::lower::contraction::{Contraction, Side, matrix_side};
use crate::backend::gpu::lower::shader::{coordinates, offset};
use crate::error::Result;
use crate::ops::Op;
use crate::shape::Shape;

/// The extents of a product, and how its operands lie.
struct Matrices {
    batch: Vec<usize>,
    rows: usize,
    cols: usize,
    inner: usize,
    /// Elements to step along each batch axis; 0 where the operand is repeated.
    a_batch: Vec<usize>,
    b_batch: Vec<usize>,
    transpose_a: bool,
    transpose_b: bool,
}

impl Matrices {
    fn new(task: &Task) -> Result<Self> {
        let Op::MatMul(op) = task.op else { return Err(task.wrong_op("matmul")) };
        let [a, b] = [&task.inputs[0].shape, &task.inputs[1].shape];
        let extents = op.extents(a, b)?;
        let (a, b) = op.matrices(a, b);
        let batch = extents.batch.to_vec();
        let strides = |shape: &[usize]| -> Vec<usize> {
            let lead = &shape[..shape.len() - 2];
            let mut step: usize = shape[shape.len() - 2..].iter().product();
            let mut strides = vec![0; batch.len()];
            for (axis, &extent) in lead.iter().enumerate().rev() {
                strides[axis + batch.len() - lead.len()] = if extent == 1 { 0 } else { step };
                step *= extent;
            }
            strides
        };
        let (a_batch, b_batch) = (strides(&a), strides(&b));
        Ok(Matrices {
            rows: extents.m,
            cols: extents.n,
            inner: extents.k,
            a_batch,
            b_batch,
            batch,
            transpose_a: op.transpose_a,
            transpose_b: op.transpose_b,
        })
    }

    /// Steps along rows and along the inner extent of A, and along columns and the inner extent of B.
    fn steps(&self) -> [[usize; 2]; 2] {
        let a = if self.transpose_a { [1, self.rows] } else { [self.inner, 1] };
        let b = if self.transpose_b { [self.inner, 1] } else { [1, self.cols] };
        [a, b]
    }

    /// Where all batches read the same B, they are rows of one product.
    fn flattened(mut self) -> Self {
        let products: usize = self.batch.iter().product();
        let in_order = {
            let strides = Shape::from(self.batch.as_slice()).strides();
            let step = self.rows * self.inner;
            self.batch.iter().zip(&*strides).zip(&self.a_batch).all(|((&n, s), &a)| n == 1 || a == s * step)
        };
        if !self.transpose_a && in_order && self.b_batch.iter().all(|&s| s == 0) {
            self.rows *= products;
            (self.batch, self.a_batch, self.b_batch) = (Vec::new(), Vec::new(), Vec::new());
        }
        self
    }
}

/// The anchor of a product, element by element.
pub fn anchor(task: &Task) -> Result<Anchor> {
    let m = Matrices::new(task)?;
    let [a_steps, b_steps] = m.steps();
    let text = format!(
        "// Element `at` of a batch of products.\nfn anchor(at: u32) -> f32 {{\n  let col = at % COLS;\n  \
         let row = (at / COLS) % ROWS;\n{}  let a = {} + row * A_ROW;\n  let b = {} + col * B_COL;\n  \
         var sum = 0.0;\n  for (var first = 0u; first < INNER; first = first + 32u) {{\n    var part = 0.0;\n    \
         for (var i = first; i < min(first + 32u, INNER); i = i + 1u) {{\n      \
         part = fma(input0(a + i * A_INNER), input1(b + i * B_INNER), part);\n    }}\n    \
         sum = sum + part;\n  }}\n  return sum;\n}}",
        coordinates("at / (ROWS * COLS)", &m.batch, "c"),
        offset(&m.batch, &m.a_batch, "c"),
        offset(&m.batch, &m.b_batch, "c"),
    );
    Ok(Anchor::new("matmul", text).with(&[
        ("ROWS", m.rows),
        ("COLS", m.cols),
        ("INNER", m.inner),
        ("A_ROW", a_steps[0]),
        ("A_INNER", a_steps[1]),
        ("B_COL", b_steps[0]),
        ("B_INNER", b_steps[1]),
    ]))
}

/// The product as one of matrices; none of empty ones.
pub fn products(attached: &Attached) -> Result<Vec<Contraction>> {
    let task = &attached.task;
    let m = Matrices::new(task)?.flattened();
    let elements = task.output.shape.len();
    if elements == 0 || m.inner == 0 {
        return Ok(Vec::new());
    }
    let [a_steps, b_steps] = m.steps();
    let side = |reader, batch: &[usize], lines: usize, steps: [usize; 2]| {
        let along_lines = steps[0] == 1 && steps[1] != 1;
        let quads = if along_lines { lines } else { m.inner }.is_multiple_of(4);
        let head = coordinates("batch", &m.batch, "c");
        let base = offset(&m.batch, batch, "c");
        Side { text: matrix_side(&head, &base, lines, steps[0], steps[1]), reader, along_lines, quads }
    };
    Ok(vec![Contraction {
        batch: m.batch.iter().product(),
        rows: m.rows,
        cols: m.cols,
        inner: m.inner,
        a: side("input0", &m.a_batch, m.rows, a_steps),
        b: side("input1", &m.b_batch, m.cols, b_steps),
        place: format!(
            "fn place(batch: u32, row: u32, col: u32) -> u32 {{ return (batch * {}u + row) * {}u + col; }}",
            m.rows, m.cols
        ),
        stores_quads: m.cols.is_multiple_of(4) && attached.stores_quads(),
        elements,
    }])
}
