//! LeNet-5 in terms of ops, for the example that trains it and for the bench.

use cnnrs::ops::{Attribute, Attributes};
use cnnrs::{DType, Error, Result, Tensor, Variable};

const LEARNING_RATE: f64 = 0.05;
const MOMENTUM: f64 = 0.9;

/// Records op `name` on `inputs`.
pub fn op<const N: usize>(name: &str, inputs: &[&Tensor], attributes: [(&str, Attribute); N]) -> Result<Tensor> {
    let inputs: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
    Tensor::apply_named(name, &inputs, Attributes::new(attributes.map(|(k, v)| (k.to_owned(), v))))
}

/// Two integers.
pub fn pair(a: i64, b: i64) -> Attribute {
    Attribute::List(vec![Attribute::Int(a), Attribute::Int(b)])
}

/// A weight of `shape`, uniform within ±√(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
pub fn weight(shape: &[usize], seed: i32) -> Result<Variable> {
    let (last, lead) = shape.split_last().expect("weights have axes");
    let fan_in: usize = lead.iter().product();
    let limit = (6.0 / (fan_in + last) as f64).sqrt();
    let key = Tensor::from_slice(&[2], &[seed, 0])?;
    let extents = Attribute::List(shape.iter().map(|&d| Attribute::Int(d as i64)).collect());
    let uniform = op("random_uniform", &[&key], [("shape", extents)])?;
    let centred = op("sub", &[&uniform, &Tensor::scalar(0.5, DType::F32)?], [])?;
    Variable::new(&op("mul", &[&centred, &Tensor::scalar(2.0 * limit, DType::F32)?], [])?, true, "kernel")
}

/// A variable of zeros.
pub fn zeros(shape: &[usize], trainable: bool) -> Result<Variable> {
    let len = shape.iter().product();
    Variable::new(&Tensor::from_slice(shape, &vec![0.0f32; len])?, trainable, "zeros")
}

/// LeNet-5 with ReLU and max pooling.
pub struct LeNet {
    /// Filters and biases, layer by layer.
    pub weights: Vec<Variable>,
}

impl LeNet {
    /// Fresh weights.
    pub fn new() -> Result<Self> {
        let shapes: [&[usize]; 5] = [&[5, 5, 1, 6], &[5, 5, 6, 16], &[400, 120], &[120, 84], &[84, 10]];
        let mut weights = Vec::new();
        for (i, shape) in shapes.into_iter().enumerate() {
            weights.push(weight(shape, i as i32 + 1)?);
            weights.push(zeros(&shape[shape.len() - 1..], true)?);
        }
        Ok(LeNet { weights })
    }

    /// Logits (n, 10) of images (n, 28, 28, 1) in 0..1.
    pub fn logits(&self, x: &Tensor) -> Result<Tensor> {
        let w = |i: usize| self.weights[i].value();
        let mut y = x.clone();
        for (layer, padding) in [(0, "same"), (1, "valid")] {
            let conv = op("conv2d", &[&y, &w(2 * layer)], [("padding", Attribute::Text(padding.into()))])?;
            let biased = op("add", &[&conv, &w(2 * layer + 1)], [])?;
            let active = op("relu", &[&biased], [])?;
            y = op("max_pool2d", &[&active], [("pool_size", pair(2, 2)), ("strides", pair(2, 2))])?;
        }
        let rows = y.fact().shape[0] as i64;
        y = op("reshape", &[&y], [("shape", pair(rows, 400))])?;
        for layer in 2..5 {
            let product = op("matmul", &[&y, &w(2 * layer)], [])?;
            y = op("add", &[&product, &w(2 * layer + 1)], [])?;
            if layer < 4 {
                y = op("relu", &[&y], [])?;
            }
        }
        Ok(y)
    }
}

/// One step of SGD with momentum on a batch: images (n, 28, 28, 1) of bytes, labels (n,). Gives the loss.
pub fn train_step(net: &LeNet, slots: &[Variable], images: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let number = |v: f64| Tensor::scalar(v, DType::F32);
    let scaled = op("mul", &[&images.cast(DType::F32)?, &number(1.0 / 255.0)?], [])?;
    let losses = op("sparse_softmax_cross_entropy", &[&net.logits(&scaled)?, labels], [])?;
    let loss = op("mean", &[&losses], [])?;
    let leaves: Vec<Tensor> = net.weights.iter().map(Variable::value).collect();
    let gradients = loss.gradients(&leaves, None)?;
    for ((w, slot), gradient) in net.weights.iter().zip(slots).zip(gradients) {
        let gradient = gradient.ok_or_else(|| Error::value("a weight does not influence the loss"))?;
        let kept = op("mul", &[&slot.value(), &number(MOMENTUM)?], [])?;
        let moved = op("mul", &[&gradient, &number(LEARNING_RATE)?], [])?;
        slot.assign(&op("sub", &[&kept, &moved], [])?)?;
        w.assign(&op("add", &[&w.value(), &slot.value()], [])?)?;
    }
    Ok(loss)
}

/// A slot of momentum for every weight.
pub fn slots(net: &LeNet) -> Result<Vec<Variable>> {
    net.weights.iter().map(|w| zeros(&w.fact().shape, false)).collect()
}
