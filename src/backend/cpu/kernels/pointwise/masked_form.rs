//! Regions that are the gradient through an activation and batch normalisation: which operand is the mask, the skip
//! connection, a distance from a mean. `masked` has their loop.

use crate::dtype::DType;
use crate::fusion::region::{Arg, Region};
use crate::ops::pointwise::Function;
use smallvec::SmallVec;

use super::attached::Reading;

/// Most distances from a mean that are summed: of a block's last convolution and of its shortcut.
pub const MAX_PRODUCTS: usize = 2;

/// What the gradient passes, where it is positive and not beyond a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mask {
    /// This operand.
    Plain(usize),
    /// `x · scale + shift` of an operand and two with one element a channel.
    Affine(usize, usize, usize),
    /// Not a mask: this operand is what the gradient is multiplied by.
    Factor(usize),
}

/// Σ of the masked gradient, or of its product with operand `x - mean`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Total {
    /// Of the gradient itself.
    Gradient,
    /// Of this product.
    Product(usize),
}

/// A region of this form: operands by number.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedForm {
    /// Added to the tile before it is masked.
    pub skip: Option<usize>,
    /// The mask.
    pub mask: Mask,
    /// The greatest value that the gradient passes.
    pub bound: f32,
    /// `(x, mean)`, whose difference the gradient is multiplied by.
    pub products: SmallVec<[(usize, usize); MAX_PRODUCTS]>,
    /// What is stored: the gradient, or its product with an operand that has one element a channel.
    pub stores: SmallVec<[Option<usize>; 4]>,
    /// What is summed.
    pub totals: SmallVec<[Total; 3]>,
}

/// What an instruction's result is.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    Full(usize),
    Channel(usize),
    Number(f32),
    Anchor,
    WithSkip(usize),
    Scaled(usize, usize),
    Affine(usize, usize, usize),
    Open(Mask),
    Rectified(Mask),
    /// Where a mask is at most this.
    Bounded(Mask, f32),
    /// The gradient there, and 0 elsewhere.
    Passed(Mask, f32),
    /// The gradient, with what came along the skip connection, times an operand.
    Multiplied(Option<usize>, usize),
    Gradient,
    Centred(usize, usize),
    Product(usize),
    ScaledGradient(usize),
}

impl MaskedForm {
    /// Reads the form off a region whose operands go along with the output as `readings` say.
    pub fn of(region: &Region, readings: &[(Reading, DType)]) -> Option<Self> {
        let mut form = MaskedForm {
            skip: None,
            mask: Mask::Plain(0),
            bound: f32::INFINITY,
            products: SmallVec::new(),
            stores: SmallVec::new(),
            totals: SmallVec::new(),
        };
        let (mut masked, mut complete) = (false, false);
        let mut results: Vec<Value> = Vec::new();
        for code in &region.code {
            let value = |arg: &Arg| value(*arg, readings, &results);
            let args: SmallVec<[Value; 3]> = code.args.iter().map(value).collect::<Option<_>>()?;
            let either = |f: fn(Value, Value) -> Option<Value>| f(args[0], args[1]).or_else(|| f(args[1], args[0]));
            let result = match code.function {
                // What halves are widened for.
                Function::Identity if code.input_dtype.is_storage() && code.dtype == DType::F32 => match args[0] {
                    Value::Full(x) => Some(Value::Full(x)),
                    _ => None,
                },
                Function::Add => either(|a, b| match (a, b) {
                    (Value::Anchor, Value::Full(k)) => Some(Value::WithSkip(k)),
                    (Value::Scaled(x, s), Value::Channel(t)) => Some(Value::Affine(x, s, t)),
                    _ => None,
                }),
                Function::Sub => match (args[0], args[1]) {
                    (Value::Full(x), Value::Channel(m)) => Some(Value::Centred(x, m)),
                    _ => None,
                },
                Function::Mul => either(|a, b| match (a, b) {
                    (Value::Full(x), Value::Channel(s)) => Some(Value::Scaled(x, s)),
                    (gradient, Value::Full(x)) if gradient.arrives() => Some(Value::Multiplied(gradient.skip(), x)),
                    (Value::Gradient, Value::Channel(s)) => Some(Value::ScaledGradient(s)),
                    // Which product it is follows.
                    (Value::Gradient, Value::Centred(..)) => Some(Value::Product(usize::MAX)),
                    _ => None,
                }),
                Function::Greater => match (args[0], args[1]) {
                    // ReLU's result is positive where its operand is.
                    (Value::Rectified(mask), Value::Number(0.0)) => Some(Value::Open(mask)),
                    (value, Value::Number(0.0)) => value.mask().map(Value::Open),
                    _ => None,
                },
                Function::Relu => args[0].mask().map(Value::Rectified),
                // Where what is rectified is at most a bound that is not negative, so is its operand.
                Function::LessEqual => match (args[0], args[1]) {
                    (Value::Rectified(mask), Value::Number(bound)) if bound >= 0.0 => Some(Value::Bounded(mask, bound)),
                    (value, Value::Number(bound)) => value.mask().map(|mask| Value::Bounded(mask, bound)),
                    _ => None,
                },
                Function::Where => match (args[0], args[1], args[2]) {
                    (Value::Bounded(mask, bound), gradient, Value::Number(0.0)) if !masked => {
                        form.skip = gradient.skip();
                        gradient.arrives().then_some(Value::Passed(mask, bound))
                    }
                    (Value::Open(mask), Value::Passed(also, bound), Value::Number(0.0)) if mask == also => {
                        (form.mask, form.bound) = (mask, bound);
                        Some(Value::Gradient)
                    }
                    (Value::Open(mask), gradient, Value::Number(0.0)) if !masked && gradient.arrives() => {
                        form.skip = gradient.skip();
                        form.mask = mask;
                        Some(Value::Gradient)
                    }
                    _ => None,
                },
                _ => None,
            }?;
            let result = match result {
                Value::Multiplied(..) if masked => return None,
                Value::Multiplied(skip, x) => {
                    (form.skip, form.mask) = (skip, Mask::Factor(x));
                    Value::Gradient
                }
                result => result,
            };
            masked |= matches!(result, Value::Passed(..) | Value::Gradient);
            complete |= result == Value::Gradient;
            results.push(match (result, args.iter().find(|a| matches!(a, Value::Centred(..)))) {
                (Value::Product(_), Some(&Value::Centred(x, mean))) => {
                    form.products.push((x, mean));
                    Value::Product(form.products.len() - 1)
                }
                (result, _) => result,
            });
        }
        for &(arg, dtype) in &region.stores {
            form.stores.push(match (value(arg, readings, &results)?, dtype) {
                (Value::Gradient, DType::F32) => None,
                (Value::ScaledGradient(s), DType::F32) => Some(s),
                _ => return None,
            });
        }
        for reduction in &region.reductions {
            let total = match value(reduction.source, readings, &results)? {
                Value::Gradient => Total::Gradient,
                Value::Product(i) => Total::Product(i),
                _ => return None,
            };
            if form.totals.contains(&total) {
                return None;
            }
            form.totals.push(total);
        }
        let known = complete && region.moments.is_empty();
        (known && form.products.len() <= MAX_PRODUCTS && !form.stores.is_empty()).then_some(form)
    }

    /// Whether any operand has one element a channel.
    pub fn has_channels(&self) -> bool {
        matches!(self.mask, Mask::Affine(..)) || !self.products.is_empty() || self.stores.iter().any(Option::is_some)
    }
}

impl Value {
    /// What a mask is made of, if it is that.
    fn mask(self) -> Option<Mask> {
        match self {
            Value::Full(x) => Some(Mask::Plain(x)),
            Value::Affine(x, scale, shift) => Some(Mask::Affine(x, scale, shift)),
            _ => None,
        }
    }

    /// Whether it is the gradient before the mask.
    fn arrives(self) -> bool {
        matches!(self, Value::Anchor | Value::WithSkip(_))
    }

    /// What is added to it.
    fn skip(self) -> Option<usize> {
        if let Value::WithSkip(k) = self { Some(k) } else { None }
    }
}

fn value(arg: Arg, readings: &[(Reading, DType)], results: &[Value]) -> Option<Value> {
    match arg {
        Arg::Anchor => Some(Value::Anchor),
        Arg::Literal(bits) => Some(Value::Number(f64::from_bits(bits) as f32)),
        Arg::Result(r) => results.get(r as usize).copied(),
        Arg::Operand(k) => match readings.get(k as usize)? {
            (Reading::Full, DType::F32 | DType::F16 | DType::BF16) => Some(Value::Full(k as usize)),
            (Reading::Channel, DType::F32) => Some(Value::Channel(k as usize)),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fusion::region::Instruction;
    use crate::fusion::{Limits, fuse};
    use crate::graph::{Graph, NodeId};
    use crate::ops::conv2d::Conv2d;
    use crate::ops::window::Padding;
    use crate::passes::optimise;
    use crate::shape::Fact;
    use crate::testing::{Rng, check_plan};

    fn instruction(function: Function, args: &[Arg]) -> Instruction {
        let input_dtype = DType::F32;
        Instruction { function, args: args.iter().copied().collect(), input_dtype, dtype: DType::F32 }
    }

    const READINGS: [(Reading, DType); 7] = [
        (Reading::Full, DType::F32),
        (Reading::Full, DType::F32),
        (Reading::Channel, DType::F32),
        (Reading::Channel, DType::F32),
        (Reading::Full, DType::F32),
        (Reading::Channel, DType::F32),
        (Reading::Channel, DType::F32),
    ];

    /// Skip 0, mask from 1, 2 and 3, product with 4 - 5, a store times 6.
    fn region() -> Region {
        let (op, result, zero) = (Arg::Operand, Arg::Result, Arg::literal(0.0));
        Region {
            code: vec![
                instruction(Function::Add, &[op(0), Arg::Anchor]),
                instruction(Function::Mul, &[op(2), op(1)]),
                instruction(Function::Add, &[result(1), op(3)]),
                instruction(Function::Greater, &[result(2), zero]),
                instruction(Function::Where, &[result(3), result(0), zero]),
                instruction(Function::Sub, &[op(4), op(5)]),
                instruction(Function::Mul, &[result(5), result(4)]),
                instruction(Function::Mul, &[result(4), op(6)]),
            ],
            stores: vec![(result(4), DType::F32), (result(7), DType::F32)],
            reductions: [4, 6]
                .map(|r| crate::fusion::region::Reduction {
                    source: result(r),
                    dtype: DType::F32,
                    kind: crate::ops::reduce::ReduceKind::Sum,
                })
                .into(),
            ..Region::default()
        }
    }

    #[test]
    fn the_form_is_read_off_a_region() {
        let form = MaskedForm::of(&region(), &READINGS).unwrap();
        assert_eq!((form.skip, form.mask), (Some(0), Mask::Affine(1, 2, 3)));
        assert_eq!(form.products.as_slice(), [(4, 5)]);
        assert_eq!(form.stores.as_slice(), [None, Some(6)]);
        assert_eq!(form.totals.as_slice(), [Total::Gradient, Total::Product(0)]);
    }

    #[test]
    fn relu6_bounds_the_mask_and_derivatives_are_factors() {
        let (op, result, zero) = (Arg::Operand, Arg::Result, Arg::literal(0.0));
        let bounded = Region {
            code: vec![
                instruction(Function::Mul, &[op(1), op(2)]),
                instruction(Function::Add, &[result(0), op(3)]),
                instruction(Function::Relu, &[result(1)]),
                instruction(Function::LessEqual, &[result(2), Arg::literal(6.0)]),
                instruction(Function::Where, &[result(3), Arg::Anchor, zero]),
                instruction(Function::Greater, &[result(1), zero]),
                instruction(Function::Where, &[result(5), result(4), zero]),
            ],
            stores: vec![(result(6), DType::F32)],
            ..Region::default()
        };
        let form = MaskedForm::of(&bounded, &READINGS).unwrap();
        assert_eq!((form.skip, form.mask, form.bound), (None, Mask::Affine(1, 2, 3), 6.0));
        let mut behind = bounded.clone();
        behind.code[5].args[0] = result(2);
        assert_eq!(MaskedForm::of(&behind, &READINGS), Some(form));
        // Only where the gradient is bounded, not where it is masked; and two masks of different values.
        let half = Region { stores: vec![(result(4), DType::F32)], ..bounded.clone() };
        assert_eq!(MaskedForm::of(&half, &READINGS), None);
        let mut two = bounded;
        two.code[5].args[0] = op(0);
        assert_eq!(MaskedForm::of(&two, &READINGS), None);
        let times = Region {
            code: vec![
                instruction(Function::Add, &[op(0), Arg::Anchor]),
                instruction(Function::Mul, &[op(1), result(0)]),
                instruction(Function::Mul, &[result(1), op(6)]),
            ],
            stores: vec![(result(2), DType::F32)],
            ..Region::default()
        };
        let form = MaskedForm::of(&times, &READINGS).unwrap();
        assert_eq!((form.skip, form.mask, form.bound), (Some(0), Mask::Factor(1), f32::INFINITY));
        assert_eq!(form.stores.as_slice(), [Some(6)]);
    }

    #[test]
    fn other_regions_are_not_of_the_form() {
        let change = |f: &dyn Fn(&mut Region)| {
            let mut r = region();
            f(&mut r);
            MaskedForm::of(&r, &READINGS)
        };
        assert!(change(&|_| ()).is_some());
        // A mean that varies along pixels, another bound, the mask the other way round, two masks, raw stores.
        assert_eq!(change(&|r| r.code[5].args[1] = Arg::Operand(0)), None);
        assert_eq!(change(&|r| r.code[3].args[1] = Arg::literal(0.5)), None);
        assert_eq!(change(&|r| r.code[4].args.swap(1, 2)), None);
        assert_eq!(change(&|r| r.code[5] = r.code[4].clone()), None);
        assert_eq!(change(&|r| r.stores[0].0 = Arg::Anchor), None);
        assert_eq!(change(&|r| r.reductions[1] = r.reductions[0].clone()), None);
    }

    /// How many heavy ops of a training step of two residual blocks, the second with a shortcut of its own, run the loop.
    fn found_in_residual_blocks(activation: fn(&mut Graph, NodeId) -> NodeId) -> usize {
        let mut g = Graph::new();
        let conv = |g: &mut Graph, x, shape: [usize; 4]| {
            let w = g.input(Fact::new(shape, DType::F32));
            let conv = Conv2d { strides: [1; 2], dilation: [1; 2], padding: Padding::Same, groups: 1 };
            let y = g.apply(conv, &[x, w]).unwrap();
            let [gamma, beta] = [0; 2].map(|_| g.input(Fact::new([shape[3]], DType::F32)));
            let norm = crate::ops::Op::parse("batch_norm", Default::default()).unwrap();
            (g.apply(norm, &[y, gamma, beta]).unwrap(), w)
        };
        let x = g.input(Fact::new([11, 9, 7, 4], DType::F32));
        let (y, w0) = conv(&mut g, x, [3, 3, 4, 20]);
        let stem = activation(&mut g, y);
        let (y, _) = conv(&mut g, stem, [3, 3, 20, 20]);
        let sum = g.add(y, stem).unwrap();
        let a = activation(&mut g, sum);
        let (y, _) = conv(&mut g, a, [3, 3, 20, 8]);
        let (shortcut, _) = conv(&mut g, a, [1, 1, 20, 8]);
        let sum = g.add(y, shortcut).unwrap();
        let a = activation(&mut g, sum);
        let (z, w1) = conv(&mut g, a, [3, 3, 8, 5]);
        let squares = g.unary(Function::Square, z).unwrap();
        let loss = g.sum(squares, &[0, 1, 2, 3], false).unwrap();
        let gradients = crate::passes::autodiff::differentiate(&mut g, loss, &[w0, w1], None).unwrap();
        let outputs = std::iter::once(loss).chain(gradients.into_iter().flatten()).collect();
        g.set_outputs(outputs);
        let optimised = optimise(&g).unwrap();
        let fusion = fuse(&optimised, &Limits::default(), true, &[]).unwrap();
        let mut found = 0;
        for group in fusion.groups.iter().filter(|group| group.anchor.is_some()) {
            let Some(region) = &group.region else { continue };
            let readings: Option<Vec<_>> = region
                .operands
                .iter()
                .map(|o| super::super::attached::reading(o, &region.shape).map(|r| (r, o.dtype)))
                .collect();
            found += usize::from(readings.is_some_and(|r| MaskedForm::of(region, &r).is_some()));
        }
        check_plan(&g, &mut Rng::new(6), 2e-4);
        found
    }

    #[test]
    fn residual_blocks_run_this_loop() {
        assert_eq!(found_in_residual_blocks(|g, x| g.unary(Function::Relu, x).unwrap()), 3);
        let relu6 = |g: &mut Graph, x| {
            let x = g.unary(Function::Relu, x).unwrap();
            let most = g.constant(6.0, DType::F32).unwrap();
            g.binary(Function::Minimum, x, most).unwrap()
        };
        assert_eq!(found_in_residual_blocks(relu6), 3);
    }
}
