//! Rules on pointwise functions.

use super::{Site, fitted, literal};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;
use crate::ops::constant::Constant;
use crate::ops::pointwise::{Cast, Function};

/// `identity(x)`, `stop_gradient(x)`, a cast to the type that x has, `where(c, x, x)`,
/// `maximum(x, x)`: x.
pub(super) fn no_effect(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let x = s.inputs;
    match &s.node.op {
        Op::Pointwise(Function::Identity) | Op::StopGradient(_) => Ok(Some(x[0])),
        Op::Cast(c) if g.fact(x[0]).dtype == c.dtype => Ok(Some(x[0])),
        Op::Pointwise(Function::Where) if x[1] == x[2] => fitted(g, s, x[1]),
        Op::Pointwise(Function::Maximum | Function::Minimum | Function::LogicalAnd | Function::LogicalOr)
            if x[0] == x[1] =>
        {
            Ok(Some(x[0]))
        }
        _ => Ok(None),
    }
}

/// A function of literals is a literal.
pub(super) fn fold_constants(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let values: Option<Vec<f64>> = s.inputs.iter().map(|&i| literal(g, i)).collect();
    let (Some(values), dtype) = (values, s.node.fact.dtype) else { return Ok(None) };
    let value = match &s.node.op {
        Op::Pointwise(f) if dtype.is_integer() => {
            let whole = (f.row().value)(&values);
            let value = dtype.wrap(whole as i128) as f64;
            // Beyond, f64 has not every integer; a quotient by 0 is what kernels say.
            if !whole.is_finite() || value.abs() > 9e15 {
                return Ok(None);
            }
            value
        }
        Op::Pointwise(f) => (f.row().value)(&values),
        // Integers wrap around where floats are held within the range.
        Op::Cast(_) if g.fact(s.inputs[0]).dtype.is_integer() => dtype.wrap(values[0] as i128) as f64,
        Op::Cast(_) => values[0],
        _ => return Ok(None),
    };
    let c = g.apply(Constant::new(value, dtype), &[])?;
    fitted(g, s, c)
}

/// A cast of a cast, where the inner one loses nothing: one cast.
pub(super) fn cast_chain(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Cast(outer) = &s.node.op else { return Ok(None) };
    let Op::Cast(Cast { dtype: inner, .. }) = g.node(s.inputs[0]).op else { return Ok(None) };
    let x = g.node(s.inputs[0]).inputs[0];
    let from = g.fact(x).dtype;
    // An integer beyond the range wraps around; by way of a float it is held within that.
    let clamped = inner.is_float() && outer.dtype.is_integer() && !from.is_float() && !outer.dtype.holds(from);
    if !inner.holds(from) || clamped {
        return Ok(None);
    }
    if from == outer.dtype { Ok(Some(x)) } else { g.apply(outer.clone(), &[x]).map(Some) }
}

fn function(g: &Graph, id: NodeId) -> Option<Function> {
    match g.node(id).op {
        Op::Pointwise(f) => Some(f),
        _ => None,
    }
}

/// `−(−x)` is x; `a + (−b)` is a − b, `a − (−b)` is a + b, `(−a)·(−b)` is a·b, and so on.
pub(super) fn negation(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Pointwise(f) = s.node.op else { return Ok(None) };
    let under: Vec<Option<NodeId>> =
        s.inputs.iter().map(|&i| (function(g, i) == Some(Function::Neg)).then(|| g.node(i).inputs[0])).collect();
    let x = s.inputs;
    let made = match (f, under.as_slice()) {
        (Function::Neg, &[Some(a)]) => a,
        (Function::Square, &[Some(a)]) => g.unary(f, a)?,
        // Without a sign, −x is a large number.
        (Function::Abs, &[Some(a)]) if s.node.fact.dtype.range().is_none_or(|(least, _)| least < 0) => g.unary(f, a)?,
        (Function::Add, &[_, Some(b)]) => g.sub(x[0], b)?,
        (Function::Add, &[Some(a), None]) => g.sub(x[1], a)?,
        (Function::Sub, &[_, Some(b)]) => g.add(x[0], b)?,
        (Function::Mul | Function::Div, &[Some(a), Some(b)]) => g.binary(f, a, b)?,
        _ => return Ok(None),
    };
    Ok(Some(made))
}

/// `x − 0`, `x · 1`, `x / 1`, `x ^ 1` are x; `x · −1` is −x, `x ^ 2` is x·x. Of integers `x + 0` is x; of floats
/// `x + (−0)` is, for `−0 + 0` is 0.
pub(super) fn neutral_element(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Pointwise(f) = s.node.op else { return Ok(None) };
    let &[a, b] = s.inputs else { return Ok(None) };
    let exact = !s.node.fact.dtype.is_float();
    let made = match (f, literal(g, a), literal(g, b)) {
        (Function::Sub, _, Some(c)) if c == 0.0 && (exact || c.is_sign_positive()) => a,
        (Function::Add, _, Some(c)) if c == 0.0 && (exact || c.is_sign_negative()) => a,
        (Function::Add, Some(c), _) if c == 0.0 && (exact || c.is_sign_negative()) => b,
        (Function::Mul | Function::Div | Function::Pow, _, Some(1.0)) => a,
        (Function::Mul, Some(1.0), _) => b,
        (Function::Mul | Function::Div, _, Some(-1.0)) => g.neg(a)?,
        (Function::Mul, Some(-1.0), _) => g.neg(b)?,
        (Function::Pow, _, Some(2.0)) => g.unary(Function::Square, a)?,
        _ => return Ok(None),
    };
    fitted(g, s, made)
}

/// A float that multiplication can take without leaving the normal range.
fn ordinary(c: f64) -> bool {
    c.is_finite() && (1e-30..=1e30).contains(&c.abs())
}

/// `(x · a) · b` is x · ab for literals a and b, and `x / a` is x · (1/a) where 1/a is exact.
pub(super) fn constant_factors(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    if s.node.fact.dtype != DType::F32 {
        return Ok(None);
    }
    let Op::Pointwise(f) = s.node.op else { return Ok(None) };
    let &[x, y] = s.inputs else { return Ok(None) };
    match f {
        Function::Div => {
            let Some(c) = literal(g, y).filter(|&c| ordinary(c) && c.abs().log2().fract() == 0.0) else {
                return Ok(None);
            };
            let scaled = g.scale(x, 1.0 / c)?;
            fitted(g, s, scaled)
        }
        Function::Mul => {
            let split = |p: NodeId, q: NodeId| literal(g, q).map(|c| (p, c));
            let Some((inner, outer)) = split(x, y).or_else(|| split(y, x)) else { return Ok(None) };
            if function(g, inner) != Some(Function::Mul) {
                return Ok(None);
            }
            let (p, q) = (g.node(inner).inputs[0], g.node(inner).inputs[1]);
            let Some((base, factor)) = literal(g, q).map(|c| (p, c)).or_else(|| literal(g, p).map(|c| (q, c))) else {
                return Ok(None);
            };
            let product = DType::F32.round(outer) * DType::F32.round(factor);
            if !(ordinary(outer) && ordinary(factor) && ordinary(product)) {
                return Ok(None);
            }
            let scaled = g.scale(base, product)?;
            fitted(g, s, scaled)
        }
        _ => Ok(None),
    }
}

/// `where` with a condition that is known.
pub(super) fn select_known(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    if s.node.op != Op::Pointwise(Function::Where) {
        return Ok(None);
    }
    match literal(g, s.inputs[0]) {
        Some(c) => fitted(g, s, s.inputs[if c != 0.0 { 1 } else { 2 }]),
        None => Ok(None),
    }
}

/// `where(c, a, b) · k` is `where(c, ak, bk)`, and `where(c, a, 0) + where(c, 0, b)` is `where(c, a, b)`, for literals; in
/// the sum for such as are not 0, which has a sign.
pub(super) fn select_literals(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let (Op::Pointwise(f), DType::F32) = (&s.node.op, s.node.fact.dtype) else { return Ok(None) };
    let &[x, y] = s.inputs else { return Ok(None) };
    let branches = |g: &Graph, id: NodeId| {
        let inputs = &g.node(id).inputs;
        let is_select = function(g, id) == Some(Function::Where);
        is_select.then(|| Some((inputs[0], literal(g, inputs[1])?, literal(g, inputs[2])?))).flatten()
    };
    let (condition, a, b) = match f {
        Function::Mul => {
            let pair = |select: NodeId, factor: NodeId| branches(g, select).zip(literal(g, factor));
            let Some(((condition, a, b), k)) = pair(x, y).or_else(|| pair(y, x)) else { return Ok(None) };
            (condition, DType::F32.round(a * k), DType::F32.round(b * k))
        }
        Function::Add => match (branches(g, x), branches(g, y)) {
            (Some((c, a, 0.0)), Some((d, 0.0, b))) | (Some((d, 0.0, b)), Some((c, a, 0.0)))
                if c == d && a != 0.0 && b != 0.0 =>
            {
                (c, a, b)
            }
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let like = g.node(if function(g, x) == Some(Function::Where) { x } else { y }).inputs[1];
    let (a, b) = (g.constant_like(a, like)?, g.constant_like(b, like)?);
    let made = g.select(condition, a, b)?;
    fitted(g, s, made)
}

/// Operands of commutative functions in one order, literals last, so that equal nodes merge.
pub(super) fn order_operands(g: &mut Graph, s: &Site) -> Result<Option<NodeId>> {
    let Op::Pointwise(f @ (Function::Add | Function::Mul)) = s.node.op else { return Ok(None) };
    let key = |i: NodeId| (literal(g, i).is_some(), i);
    if key(s.inputs[0]) <= key(s.inputs[1]) {
        return Ok(None);
    }
    g.binary(f, s.inputs[1], s.inputs[0]).map(Some)
}
