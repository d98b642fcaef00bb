//! The loop over batches: which rows it takes, what it converts, when it ends, and what it leaves after a failure.

use cnnrs::ops::Attributes;
use cnnrs::{CompiledFunction, DType, ErrorKind, Fact, RowElement, Rows, Tensor, Trace, Variable};
use std::time::Duration;

/// A function of one argument that gives it back, and the number of its runs.
fn identity(fact: Fact) -> (CompiledFunction, Variable) {
    let runs = Variable::new(&Tensor::scalar(0.0, DType::F32).unwrap(), false, "runs").unwrap();
    let trace = Trace::enter();
    let x = trace.placeholder(fact, "x");
    runs.assign(&runs.value().apply_binary("add", &Tensor::scalar(1.0, DType::F32).unwrap()).unwrap()).unwrap();
    let y = Tensor::apply_named("stop_gradient", &[x], Attributes::default()).unwrap();
    (trace.compile(&[y]).unwrap(), runs)
}

fn count(runs: &Variable) -> f32 {
    runs.value().to_vec::<f32>().unwrap()[0]
}

/// The batch of `dtype` that all of `elements` make.
fn converted<T: RowElement>(elements: &[T], dtype: DType) -> cnnrs::Result<Vec<f64>> {
    let n = elements.len();
    let (f, _) = identity(Fact::new([n], dtype));
    let indices: Vec<i64> = (0..n as i64).collect();
    let rows = [Rows::from_slice(&[n], elements)?];
    let (_, outputs) = f.run_batches(&rows, &indices, n, 0..1, Duration::MAX)?;
    Ok(cnnrs::testing::to_values(outputs[0].host()?))
}

#[test]
fn rows_are_taken_in_the_order_of_the_indices() {
    let (f, runs) = identity(Fact::new([2, 3], DType::F32));
    let x: Vec<f32> = (0..15).map(|i| i as f32).collect();
    let rows = [Rows::from_slice(&[5, 3], &x).unwrap()];
    let (next, outputs) = f.run_batches(&rows, &[4, 0, 3, 3, 1, 2], 2, 1..3, Duration::MAX).unwrap();
    assert_eq!((next, count(&runs)), (3, 2.0));
    assert_eq!(outputs[0].host().unwrap().as_slice::<f32>(), [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let (_, outputs) = f.run_batches(&rows, &[4, 0, 3, 3], 2, 0..1, Duration::MAX).unwrap();
    assert_eq!(outputs[0].host().unwrap().as_slice::<f32>(), [12.0, 13.0, 14.0, 0.0, 1.0, 2.0]);
}

#[test]
fn large_batches_are_gathered_by_all_threads_alike() {
    let (batch, len) = (64, 3000);
    let (f, _) = identity(Fact::new([batch, len], DType::F32));
    let x: Vec<f32> = (0..100 * len).map(|i| i as f32).collect();
    let indices: Vec<i64> = (0..batch as i64).map(|i| (i * 37) % 100).collect();
    let rows = [Rows::from_slice(&[100, len], &x).unwrap()];
    let (_, outputs) = f.run_batches(&rows, &indices, batch, 0..1, Duration::MAX).unwrap();
    for (i, &row) in indices.iter().enumerate() {
        let (row, expected) =
            (&outputs[0].host().unwrap().as_slice::<f32>()[i * len..][..len], &x[row as usize * len..][..len]);
        assert_eq!(row, expected, "row {i}");
    }
}

#[test]
fn elements_become_what_the_dtype_rounds_them_to() {
    let floats = [0.0, -1.5, 2.5, 255.0, 256.0, f64::NAN];
    for dtype in [DType::F32, DType::I32, DType::U8, DType::Bool] {
        let expected: Vec<f64> = floats.iter().map(|&x| dtype.round(x)).collect();
        let singles: Vec<f32> = floats.iter().map(|&x| x as f32).collect();
        for got in [converted(&floats, dtype).unwrap(), converted(&singles, dtype).unwrap()] {
            let same = got.iter().zip(&expected).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
            assert!(same, "{dtype}: {got:?}, {expected:?}");
        }
        for (got, expected) in [
            (converted(&[0i64, -3, 300], dtype), [0.0, -3.0, 300.0]),
            (converted(&[0i32, -3, 300], dtype), [0.0, -3.0, 300.0]),
            (converted(&[0u8, 3, 255], dtype), [0.0, 3.0, 255.0]),
            (converted(&[false, true, true], dtype), [0.0, 1.0, 1.0]),
        ] {
            assert_eq!(got.unwrap(), expected.map(|x| dtype.round(x)), "{dtype}");
        }
    }
}

#[test]
fn numbers_beyond_int32_are_refused_with_their_row() {
    let e = converted(&[1i64, 1 << 40], DType::I32).unwrap_err();
    assert_eq!(e.kind, ErrorKind::Value);
    assert_eq!(e.to_string(), "row 1: expected a value within int32, received 1099511627776");
}

#[test]
fn a_row_that_is_not_there_ends_the_loop_after_the_batches_before() {
    let (f, runs) = identity(Fact::new([2], DType::F32));
    let rows = [Rows::from_slice(&[3], &[1.0f32, 2.0, 3.0]).unwrap()];
    for wrong in [3, -1] {
        let before = count(&runs);
        let e = f.run_batches(&rows, &[0, 1, 2, wrong], 2, 0..2, Duration::MAX).unwrap_err();
        assert_eq!(e.to_string(), format!("indices: expected rows of 0..3, received {wrong}"));
        assert_eq!(count(&runs), before + 1.0);
    }
}

#[test]
fn what_does_not_fit_is_refused_before_any_run() {
    let (f, runs) = identity(Fact::new([2, 3], DType::F32));
    let x = [0.0f32; 12];
    let rows = Rows::from_slice(&[4, 3], &x).unwrap();
    let text = |arrays: &[Rows<'_>], indices: &[i64], batch_size: usize, last: usize| {
        f.run_batches(arrays, indices, batch_size, 0..last, Duration::MAX).unwrap_err().to_string()
    };
    let one = std::slice::from_ref(&rows);
    assert_eq!(text(&[], &[0, 1], 2, 1), "expected 1 arrays, received 0");
    assert_eq!(text(one, &[0, 1, 2], 2, 2), "indices: expected 2 batches of 2, received 3");
    assert_eq!(text(one, &[], usize::MAX, 2), format!("indices: expected 2 batches of {}, received 0", usize::MAX));
    let flat = [Rows::from_slice(&[12], &x).unwrap()];
    assert_eq!(text(&flat, &[0, 1], 2, 1), "array: expected rows for float32(2, 3) of 2, received shape [12]");
    assert!(text(one, &[0, 1, 2], 3, 1).starts_with("array: expected rows for float32(2, 3) of 3"));
    assert_eq!(count(&runs), 0.0);
    for shape in [&[5, 3][..], &[], &[usize::MAX, 3]] {
        assert!(Rows::from_slice(shape, &x).is_err(), "{shape:?}");
    }
}

#[test]
fn a_limit_that_is_over_lets_one_batch_run() {
    let (f, runs) = identity(Fact::new([1], DType::F32));
    let rows = [Rows::from_slice(&[3], &[1.0f32, 2.0, 3.0]).unwrap()];
    let (next, outputs) = f.run_batches(&rows, &[0, 1, 2], 1, 1..3, Duration::ZERO).unwrap();
    assert_eq!((next, outputs[0].host().unwrap().as_slice::<f32>(), count(&runs)), (2, &[2.0][..], 1.0));
    let (next, outputs) = f.run_batches(&rows, &[0, 1, 2], 1, 2..2, Duration::MAX).unwrap();
    assert_eq!((next, outputs.len(), count(&runs)), (2, 0, 1.0));
}
