use super::{check, float, infer, int, ints, op};
use cnnrs::ops::{Attribute, Attributes, Op, RefArray};
use cnnrs::shape::Shape;
use ndarray::{Axis, Slice, stack};

fn reshaped(x: &RefArray, shape: &[usize]) -> RefArray {
    x.as_standard_layout().into_owned().into_shape_with_order(shape).unwrap()
}

#[test]
fn shapes_are_resolved_as_numpy_does() {
    let x = float(&[2, 3, 4]);
    let at = |axis: i64| ("axis", Attribute::Int(axis));
    let facts = std::slice::from_ref(&x);
    check(&op("reshape", [("shape", ints(&[4, -1]))]), facts, 1.0, |x| reshaped(&x[0], &[4, 6]));
    check(&op("reshape", [("shape", ints(&[-1]))]), facts, 1.0, |x| reshaped(&x[0], &[24]));
    check(&op("transpose", []), facts, 1.0, |x| x[0].t().to_owned());
    check(&op("transpose", [("perm", ints(&[0, -1, 1]))]), facts, 1.0, |x| {
        x[0].view().permuted_axes(&[0, 2, 1][..]).to_owned()
    });
    check(&op("expand_dims", [at(-2)]), facts, 1.0, |x| x[0].clone().insert_axis(Axis(2)));
    check(&op("squeeze", []), &[float(&[1, 5, 1])], 1.0, |x| reshaped(&x[0], &[5]));
    check(&op("squeeze", [at(-1)]), &[float(&[1, 5, 1])], 1.0, |x| reshaped(&x[0], &[1, 5]));
    check(&op("stack", [at(-1)]), &[float(&[2, 3]), float(&[2, 3])], 1.0, |x| {
        stack(Axis(2), &[x[0].view(), x[1].view()]).unwrap().as_standard_layout().into_owned()
    });
    check(&op("tile", [("repeats", ints(&[2, 1, 1, 3]))]), &[float(&[2, 3])], 1.0, |x| {
        let wide = ndarray::concatenate(Axis(1), &[x[0].view(), x[0].view(), x[0].view()]).unwrap();
        let wide = reshaped(&wide, &[1, 1, 2, 9]);
        ndarray::concatenate(Axis(0), &[wide.view(), wide.view()]).unwrap()
    });
}

#[test]
fn slices_and_flips_are_those_of_numpy() {
    let x = [float(&[5, 7])];
    let slice = |starts: &[i64], stops: &[i64], steps: &[i64]| {
        op("slice", [("starts", ints(starts)), ("stops", ints(stops)), ("steps", ints(steps))])
    };
    let cut = |x: &RefArray, axis: usize, start: isize, end: Option<isize>, step: isize| {
        x.slice_axis(Axis(axis), Slice::new(start, end, step)).to_owned()
    };
    // x[1:4, ::2]
    check(&slice(&[1, 0], &[4, 7], &[1, 2]), &x, 1.0, |x| cut(&cut(&x[0], 0, 1, Some(4), 1), 1, 0, None, 2));
    // x[-3:], with a stop behind the end
    check(&slice(&[-3], &[99], &[1]), &x, 1.0, |x| cut(&x[0], 0, 2, None, 1));
    // x[:, 5:1:-2] takes columns 5 and 3
    check(&slice(&[0, 5], &[5, 1], &[1, -2]), &x, 1.0, |x| {
        stack(Axis(1), &[x[0].index_axis(Axis(1), 5), x[0].index_axis(Axis(1), 3)])
            .unwrap()
            .as_standard_layout()
            .into_owned()
    });
    // x[::-1], whose end is in front of the first element
    check(&slice(&[4], &[-6], &[-1]), &x, 1.0, |x| cut(&x[0], 0, 0, None, -1));
    check(&op("flip", [("axes", ints(&[-1]))]), &x, 1.0, |x| cut(&x[0], 1, 0, None, -1));
    check(&op("flip", []), &x, 1.0, |x| cut(&cut(&x[0], 1, 0, None, -1), 0, 0, None, -1));
    let empty = infer(&slice(&[3], &[2], &[1]), &x).unwrap();
    assert_eq!(empty.shape, Shape::from([0, 7]));
    assert!(infer(&slice(&[0], &[2], &[0]), &x).unwrap_err().to_string().contains("steps"));
    assert!(infer(&slice(&[0, 0, 0], &[1, 1, 1], &[1, 1, 1]), &x).is_err());
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let x = [float(&[2, 3])];
    let message = |op: &Op| infer(op, &x).unwrap_err().to_string();
    for shape in [&[4, -1][..], &[-1, -1], &[7], &[-2, -3]] {
        assert!(message(&op("reshape", [("shape", ints(shape))])).contains("shape"), "{shape:?}");
    }
    assert!(message(&op("transpose", [("perm", ints(&[0, 0]))])).contains("permutation"));
    assert!(message(&op("expand_dims", [("axis", Attribute::Int(4))])).contains("received 4"));
    assert!(message(&op("squeeze", [("axis", Attribute::Int(0))])).contains("extent 1"));
    let e = infer(&op("stack", []), &[float(&[2]), float(&[3])]).unwrap_err();
    assert!(e.to_string().contains("one shape"), "{e}");
    assert!(Op::parse("tile", Attributes::new([("repeats".to_owned(), ints(&[-1]))])).is_err());
    assert_eq!(infer(&op("reshape", [("shape", ints(&[0, 4]))]), &[int(&[0])]).unwrap().shape, Shape::from([0, 4]));
}
