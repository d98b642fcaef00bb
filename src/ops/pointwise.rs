//! Pointwise functions: one row each in `pointwise_table!`, with value, derivative as graph and the forms that
//! kernels compute. Everything that is done to pointwise ops (inference, gradients, references, fusion,
//! kernels) reads this table.

use super::{Attributes, FromAttributes, Kind, Op, OpDef, Reads, RefArray, expect_inputs, special};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId};
use crate::shape::Fact;
use smallvec::SmallVec;

/// Which dtypes a function takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// All inputs and the result share one type, any but bool.
    Number,
    /// f32 or f64 only.
    Float,
    /// Inputs share any one type; the result is bool.
    Compare,
    /// bool only.
    Logic,
    /// Inputs and the result share one type of integers, or bool.
    Bits,
    /// Inputs and the result share one type of integers.
    Integer,
    /// f32 or f64 in, bool out.
    FloatTest,
    /// (bool, T, T) → T.
    Select,
    /// Any type, unchanged.
    Any,
}

/// Gradients of one application: `(graph, inputs, output, dy)` → one gradient an input, of the
/// output's shape (summed to the input's shape by the caller).
pub type Derivative = fn(&mut Graph, &[NodeId], NodeId, NodeId) -> Result<Vec<Option<NodeId>>>;

/// One row of the table.
pub struct Row {
    /// The public name.
    pub name: &'static str,
    /// Number of inputs.
    pub arity: usize,
    /// Dtype rule.
    pub typing: Typing,
    /// Value in f64.
    pub value: fn(&[f64]) -> f64,
    /// Derivative as graph.
    pub derivative: Derivative,
}

/// Calls `$callback!` with every row:
/// `Variant "name" arity Typing  (value)  (derivative)  [float form]  [integer form];`
///
/// The forms are what a lane of 32 bits computes: functions of f32, and of i32 for integers and bool, with a number of
/// the same kind or an i32 of 0 or 1 as the result. A form is empty where the function takes no such lanes, or moves
/// them only. `vector_math::f` is a function of whole vectors, `periodic near, far` one of the argument modulo a period.
/// The paths in a form are those of the kernels that read the table.
#[macro_export]
macro_rules! pointwise_table {
    ($callback:ident) => {
        $callback! {
            Identity "identity" 1 Any (|x| x[0]) (|_, _, _, dy| one(dy)) [] [];
            Neg "neg" 1 Number (|x| -x[0]) (|g, _, _, dy| one(g.neg(dy)?)) [|x: f32| -x] [i32::wrapping_neg];
            Abs "abs" 1 Number (|x| x[0].abs())
                (|g, x, _, dy| { let s = g.unary(Function::Sign, x[0])?; one(g.mul(dy, s)?) })
                [f32::abs] [i32::wrapping_abs];
            Sign "sign" 1 Number (|x| if x[0] > 0.0 { 1.0 } else if x[0] < 0.0 { -1.0 } else { x[0] + 0.0 }) (|_, _, _, _| none(1))
                [math::sign] [i32::signum];
            Exp "exp" 1 Float (|x| x[0].exp()) (|g, _, y, dy| one(g.mul(dy, y)?)) [vector_math::exp] [];
            Expm1 "expm1" 1 Float (|x| x[0].exp_m1())
                (|g, _, y, dy| { let e = g.offset(y, 1.0)?; one(g.mul(dy, e)?) }) [math::expm1] [];
            Log "log" 1 Float (|x| x[0].ln()) (|g, x, _, dy| one(g.div(dy, x[0])?)) [math::log] [];
            Log1p "log1p" 1 Float (|x| x[0].ln_1p())
                (|g, x, _, dy| { let d = g.offset(x[0], 1.0)?; one(g.div(dy, d)?) }) [math::log1p] [];
            Sqrt "sqrt" 1 Float (|x| x[0].sqrt())
                (|g, _, y, dy| { let h = g.scale(dy, 0.5)?; one(g.div(h, y)?) }) [f32::sqrt] [];
            Rsqrt "rsqrt" 1 Float (|x| 1.0 / x[0].sqrt())
                (|g, x, y, dy| { let a = g.div(y, x[0])?; let b = g.scale(a, -0.5)?; one(g.mul(dy, b)?) })
                [math::rsqrt] [];
            Square "square" 1 Number (|x| x[0] * x[0])
                (|g, x, _, dy| { let d = g.mul(dy, x[0])?; one(g.scale(d, 2.0)?) })
                [|x: f32| x * x] [|x: i32| x.wrapping_mul(x)];
            Reciprocal "reciprocal" 1 Float (|x| 1.0 / x[0])
                (|g, _, y, dy| { let s = g.unary(Function::Square, y)?; let n = g.neg(s)?; one(g.mul(dy, n)?) })
                [|x: f32| 1.0 / x] [];
            Sin "sin" 1 Float (|x| x[0].sin())
                (|g, x, _, dy| { let c = g.unary(Function::Cos, x[0])?; one(g.mul(dy, c)?) })
                [periodic math::sin, libm::sinf] [];
            Cos "cos" 1 Float (|x| x[0].cos())
                (|g, x, _, dy| { let s = g.unary(Function::Sin, x[0])?; let n = g.neg(s)?; one(g.mul(dy, n)?) })
                [periodic math::cos, libm::cosf] [];
            Tanh "tanh" 1 Float (|x| x[0].tanh())
                (|g, _, y, dy| { let s = g.unary(Function::Square, y)?; let p = g.mul(dy, s)?; one(g.sub(dy, p)?) })
                [vector_math::tanh] [];
            Sigmoid "sigmoid" 1 Float (|x| 1.0 / (1.0 + (-x[0]).exp()))
                (|g, _, y, dy| { let c = g.constant_like(1.0, y)?; let r = g.sub(c, y)?; let s = g.mul(y, r)?; one(g.mul(dy, s)?) })
                [vector_math::sigmoid] [];
            Erf "erf" 1 Float (|x| libm::erf(x[0]))
                (|g, x, _, dy| { let d = bell(g, x[0])?; one(g.mul(dy, d)?) }) [vector_math::erf] [];
            Erfc "erfc" 1 Float (|x| libm::erfc(x[0]))
                (|g, x, _, dy| { let d = bell(g, x[0])?; let n = g.neg(d)?; one(g.mul(dy, n)?) }) [libm::erfcf] [];
            Erfinv "erfinv" 1 Float (|x| special::erfinv(x[0]))
                (|g, _, y, dy| {
                    let s = g.unary(Function::Square, y)?;
                    let e = g.unary(Function::Exp, s)?;
                    let d = g.scale(e, 1.0 / std::f64::consts::FRAC_2_SQRT_PI)?;
                    one(g.mul(dy, d)?)
                }) [special::erfinv_f32] [];
            Cbrt "cbrt" 1 Float (|x| x[0].cbrt())
                (|g, _, y, dy| {
                    let s = g.unary(Function::Square, y)?;
                    let d = g.scale(s, 3.0)?;
                    one(g.div(dy, d)?)
                }) [libm::cbrtf] [];
            Softplus "softplus" 1 Float (|x| x[0].max(0.0) + (-x[0].abs()).exp().ln_1p())
                (|g, x, _, dy| { let s = g.unary(Function::Sigmoid, x[0])?; one(g.mul(dy, s)?) }) [math::softplus] [];
            Relu "relu" 1 Number (|x| if x[0] <= 0.0 { 0.0 } else { x[0] })
                (|g, _, y, dy| {
                    let zero = g.constant_like(0.0, y)?;
                    let on = g.binary(Function::Greater, y, zero)?;
                    one(g.select(on, dy, zero)?)
                }) [|x: f32| if x <= 0.0 { 0.0 } else { x }] [|x: i32| x.max(0)];
            Floor "floor" 1 Number (|x| x[0].floor()) (|_, _, _, _| none(1)) [f32::floor] [|x: i32| x];
            Ceil "ceil" 1 Number (|x| x[0].ceil()) (|_, _, _, _| none(1)) [f32::ceil] [|x: i32| x];
            Round "round" 1 Number (|x| x[0].round_ties_even()) (|_, _, _, _| none(1))
                [f32::round_ties_even] [|x: i32| x];
            LogicalNot "logical_not" 1 Logic (|x| truth(x[0] == 0.0)) (|_, _, _, _| none(1))
                [] [|x: i32| i32::from(x == 0)];
            IsNan "isnan" 1 FloatTest (|x| truth(x[0].is_nan())) (|_, _, _, _| none(1))
                [|x: f32| i32::from(x.is_nan())] [];
            IsInf "isinf" 1 FloatTest (|x| truth(x[0].is_infinite())) (|_, _, _, _| none(1))
                [|x: f32| i32::from(x.is_infinite())] [];
            IsFinite "isfinite" 1 FloatTest (|x| truth(x[0].is_finite())) (|_, _, _, _| none(1))
                [|x: f32| i32::from(x.is_finite())] [];
            Add "add" 2 Number (|x| x[0] + x[1]) (|_, _, _, dy| two(dy, dy))
                [|a: f32, b: f32| a + b] [i32::wrapping_add];
            Sub "sub" 2 Number (|x| x[0] - x[1]) (|g, _, _, dy| two(dy, g.neg(dy)?))
                [|a: f32, b: f32| a - b] [i32::wrapping_sub];
            Mul "mul" 2 Number (|x| x[0] * x[1]) (|g, x, _, dy| two(g.mul(dy, x[1])?, g.mul(dy, x[0])?))
                [|a: f32, b: f32| a * b] [i32::wrapping_mul];
            Div "div" 2 Float (|x| x[0] / x[1])
                (|g, x, y, dy| { let a = g.div(dy, x[1])?; let p = g.mul(a, y)?; two(a, g.neg(p)?) })
                [|a: f32, b: f32| a / b] [];
            FloorDiv "floor_div" 2 Number (|x| floor_div(x[0], x[1])) (|_, _, _, _| none(2))
                [math::floor_div] [math::floor_div_i32];
            Mod "mod" 2 Number (|x| modulo(x[0], x[1]))
                (|g, x, _, dy| {
                    let q = g.binary(Function::FloorDiv, x[0], x[1])?;
                    let p = g.mul(dy, q)?;
                    two(dy, g.neg(p)?)
                }) [math::modulo] [math::modulo_i32];
            Pow "pow" 2 Number (|x| x[0].powf(x[1]))
                (|g, x, y, dy| {
                    let e = g.offset(x[1], -1.0)?;
                    let p = g.binary(Function::Pow, x[0], e)?;
                    // x⁰ is 1 everywhere, also at 0, where x⁻¹ is infinite.
                    let zero = g.constant_like(0.0, x[1])?;
                    let constant = g.binary(Function::Equal, x[1], zero)?;
                    let q = g.mul(x[1], p)?;
                    let q = g.select(constant, zero, q)?;
                    let da = g.mul(dy, q)?;
                    // log(x) where x > 0; the derivative with respect to the exponent is 0 at x = 0.
                    let zero = g.constant_like(0.0, x[0])?;
                    let ok = g.binary(Function::Greater, x[0], zero)?;
                    let safe = { let c = g.constant_like(1.0, x[0])?; g.select(ok, x[0], c)? };
                    let l = g.unary(Function::Log, safe)?;
                    let yl = g.mul(y, l)?;
                    two(da, g.mul(dy, yl)?)
                }) [math::pow] [math::pow_i32];
            Maximum "maximum" 2 Number (|x| if x[0].is_nan() || x[0] >= x[1] { x[0] } else { x[1] })
                (|g, x, _, dy| choose(g, Function::GreaterEqual, x, dy)) [math::maximum] [i32::max];
            Minimum "minimum" 2 Number (|x| if x[0].is_nan() || x[0] <= x[1] { x[0] } else { x[1] })
                (|g, x, _, dy| choose(g, Function::LessEqual, x, dy)) [math::minimum] [i32::min];
            Atan2 "atan2" 2 Float (|x| x[0].atan2(x[1]))
                (|g, x, _, dy| {
                    let (a, b) = (g.unary(Function::Square, x[0])?, g.unary(Function::Square, x[1])?);
                    let length = g.add(a, b)?;
                    let d = g.div(dy, length)?;
                    let (da, db) = (g.mul(d, x[1])?, g.mul(d, x[0])?);
                    two(da, g.neg(db)?)
                }) [libm::atan2f] [];
            NextAfter "next_after" 2 Float (|x| libm::nextafter(x[0], x[1])) (|_, _, _, dy| Ok(vec![Some(dy), None]))
                [special::next_after] [];
            BitAnd "bit_and" 2 Bits (|x| (x[0] as i64 & x[1] as i64) as f64) (|_, _, _, _| none(2))
                [] [|a: i32, b: i32| a & b];
            BitOr "bit_or" 2 Bits (|x| (x[0] as i64 | x[1] as i64) as f64) (|_, _, _, _| none(2))
                [] [|a: i32, b: i32| a | b];
            BitXor "bit_xor" 2 Bits (|x| (x[0] as i64 ^ x[1] as i64) as f64) (|_, _, _, _| none(2))
                [] [|a: i32, b: i32| a ^ b];
            ShiftLeft "shift_left" 2 Integer (|x| special::shift_left(x[0] as i64, x[1] as i64) as f64)
                (|_, _, _, _| none(2)) [] [math::shift_left_i32];
            ShiftRight "shift_right" 2 Integer (|x| special::shift_right(x[0] as i64, x[1] as i64) as f64)
                (|_, _, _, _| none(2)) [] [math::shift_right_i32];
            Gcd "gcd" 2 Integer (|x| special::gcd(x[0].abs() as u64, x[1].abs() as u64) as f64) (|_, _, _, _| none(2))
                [] [math::gcd_i32];
            Equal "equal" 2 Compare (|x| truth(x[0] == x[1])) (|_, _, _, _| none(2))
                [|a: f32, b: f32| i32::from(a == b)] [|a: i32, b: i32| i32::from(a == b)];
            NotEqual "not_equal" 2 Compare (|x| truth(x[0] != x[1])) (|_, _, _, _| none(2))
                [|a: f32, b: f32| i32::from(a != b)] [|a: i32, b: i32| i32::from(a != b)];
            Less "less" 2 Compare (|x| truth(x[0] < x[1])) (|_, _, _, _| none(2))
                [|a: f32, b: f32| i32::from(a < b)] [|a: i32, b: i32| i32::from(a < b)];
            LessEqual "less_equal" 2 Compare (|x| truth(x[0] <= x[1])) (|_, _, _, _| none(2))
                [|a: f32, b: f32| i32::from(a <= b)] [|a: i32, b: i32| i32::from(a <= b)];
            Greater "greater" 2 Compare (|x| truth(x[0] > x[1])) (|_, _, _, _| none(2))
                [|a: f32, b: f32| i32::from(a > b)] [|a: i32, b: i32| i32::from(a > b)];
            GreaterEqual "greater_equal" 2 Compare (|x| truth(x[0] >= x[1])) (|_, _, _, _| none(2))
                [|a: f32, b: f32| i32::from(a >= b)] [|a: i32, b: i32| i32::from(a >= b)];
            LogicalAnd "logical_and" 2 Logic (|x| truth(x[0] != 0.0 && x[1] != 0.0)) (|_, _, _, _| none(2))
                [] [|a: i32, b: i32| a & b];
            LogicalOr "logical_or" 2 Logic (|x| truth(x[0] != 0.0 || x[1] != 0.0)) (|_, _, _, _| none(2))
                [] [|a: i32, b: i32| a | b];
            LogicalXor "logical_xor" 2 Logic (|x| truth((x[0] != 0.0) != (x[1] != 0.0))) (|_, _, _, _| none(2))
                [] [|a: i32, b: i32| a ^ b];
            Where "where" 3 Select (|x| if x[0] != 0.0 { x[1] } else { x[2] })
                (|g, x, _, dy| {
                    let zero = g.constant_like(0.0, dy)?;
                    let a = g.select(x[0], dy, zero)?;
                    let b = g.select(x[0], zero, dy)?;
                    Ok(vec![None, Some(a), Some(b)])
                }) [] [];
        }
    };
}

/// The derivative of erf: 2/√π · exp(−x²).
fn bell(g: &mut Graph, x: NodeId) -> Result<NodeId> {
    let s = g.unary(Function::Square, x)?;
    let n = g.neg(s)?;
    let e = g.unary(Function::Exp, n)?;
    g.scale(e, std::f64::consts::FRAC_2_SQRT_PI)
}

/// The remainder of rounding the quotient down: exact, with the sign of `b`, as numpy's `mod`.
fn modulo(a: f64, b: f64) -> f64 {
    let m = a % b;
    if m == 0.0 {
        m.copysign(b)
    } else if (m < 0.0) != (b < 0.0) {
        m + b
    } else {
        m
    }
}

/// The quotient rounded down, of the exact quotient, as numpy's `floor_divide`.
fn floor_div(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a / b;
    }
    let m = a % b;
    let q = (a - m) / b - if m != 0.0 && (m < 0.0) != (b < 0.0) { 1.0 } else { 0.0 };
    // What was rounded below a whole number is that number.
    let whole = if q - q.floor() > 0.5 { q.floor() + 1.0 } else { q.floor() };
    if q == 0.0 { q.copysign(a / b) } else { whole }
}

fn truth(b: bool) -> f64 {
    f64::from(u8::from(b))
}

fn one(a: NodeId) -> Result<Vec<Option<NodeId>>> {
    Ok(vec![Some(a)])
}

fn two(a: NodeId, b: NodeId) -> Result<Vec<Option<NodeId>>> {
    Ok(vec![Some(a), Some(b)])
}

fn none(n: usize) -> Result<Vec<Option<NodeId>>> {
    Ok(vec![None; n])
}

/// The gradient `d` with nothing where nothing comes in, also where the derivative is infinite or NaN. Only that is
/// replaced, so that derivatives of these gradients are what they are without.
pub(crate) fn still_where_still(g: &mut Graph, d: NodeId, dy: NodeId) -> Result<NodeId> {
    let zero = g.constant_like(0.0, dy)?;
    let still = g.binary(Function::Equal, dy, zero)?;
    let finite = g.unary(Function::IsFinite, d)?;
    let part = g.select(finite, d, zero)?;
    g.select(still, part, d)
}

/// Gradient of maximum and minimum: all of it to the first argument where `first` holds.
fn choose(g: &mut Graph, first: Function, x: &[NodeId], dy: NodeId) -> Result<Vec<Option<NodeId>>> {
    let take = g.binary(first, x[0], x[1])?;
    let zero = g.constant_like(0.0, dy)?;
    two(g.select(take, dy, zero)?, g.select(take, zero, dy)?)
}

macro_rules! define {
    ($($variant:ident $name:literal $arity:literal $typing:ident $value:tt $derivative:tt $float:tt $integer:tt;)*) => {
        /// A pointwise function.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Function { $(#[doc = concat!("`", $name, "`")] $variant),* }

        impl Function {
            /// All functions, in table order.
            pub const ALL: &'static [Function] = &[$(Function::$variant),*];

            /// The function's row.
            pub fn row(self) -> &'static Row {
                &ROWS[self as usize]
            }
        }

        static ROWS: &[Row] = &[$(Row {
            name: $name,
            arity: $arity,
            typing: Typing::$typing,
            value: $value,
            derivative: $derivative,
        }),*];
    };
}
pointwise_table!(define);

impl Function {
    /// dtype of the result for inputs of these types.
    pub fn result_dtype(self, inputs: &[DType]) -> Result<DType> {
        let row = self.row();
        let wrong = |expected: &str| {
            let received: Vec<_> = inputs.iter().map(|d| d.name()).collect();
            Err(Error::dtype(format!("{}: expected {expected}, received {}", row.name, received.join(", "))))
        };
        let first = inputs[0];
        let alike = inputs.iter().all(|&d| d == first);
        let numbers = matches!(row.typing, Typing::Number | Typing::Compare);
        if let Some(storage) = inputs.iter().find(|d| d.is_storage())
            && numbers
        {
            return wrong(storage.computed().name());
        }
        match row.typing {
            Typing::Number if !alike || first == DType::Bool => wrong("numbers of one dtype"),
            Typing::Float | Typing::FloatTest if !alike || !first.is_float() || first.is_storage() => {
                wrong("float32 or float64")
            }
            Typing::Compare if !alike => wrong("inputs of one dtype"),
            Typing::Logic if !alike || first != DType::Bool => wrong("bool"),
            Typing::Bits if !alike || first.is_float() => wrong("integers or bool of one dtype"),
            Typing::Integer if !alike || first.is_float() || first == DType::Bool => wrong("integers of one dtype"),
            Typing::Select if first != DType::Bool || inputs[1] != inputs[2] => wrong("bool and two of one dtype"),
            Typing::Number | Typing::Float | Typing::Any | Typing::Bits | Typing::Integer => Ok(first),
            Typing::Compare | Typing::Logic | Typing::FloatTest => Ok(DType::Bool),
            Typing::Select => Ok(inputs[1]),
        }
    }
}

impl Function {
    /// Gradients by the inputs, each of its input's shape.
    ///
    /// With `below_select`, nothing flows where nothing comes in (`still_where_still`).
    ///
    /// # Errors
    /// When the nodes' types do not fit.
    pub fn gradients(
        self,
        g: &mut Graph,
        inputs: &[NodeId],
        output: NodeId,
        dy: NodeId,
        below_select: bool,
    ) -> Result<Vec<Option<NodeId>>> {
        let mut grads = (self.row().derivative)(g, inputs, output, dy)?;
        for (k, (d, &x)) in grads.iter_mut().zip(inputs).enumerate() {
            if let Some(d) = d {
                if below_select && self.may_be_steep() && !self.is_scaling(g, inputs, k) {
                    *d = still_where_still(g, *d, dy)?;
                }
                // A gradient may have been computed from operands smaller than the output.
                let shape = g.fact(x).shape.clone();
                let full = g.fact(output).shape.clone();
                *d = g.broadcast_to(*d, full)?;
                *d = g.sum_to(*d, &shape)?;
            }
        }
        Ok(grads)
    }

    /// Whether input `k` is multiplied by a number: the derivative is that.
    fn is_scaling(self, g: &Graph, inputs: &[NodeId], k: usize) -> bool {
        let is_number = |id: &NodeId| matches!(&g.node(*id).op, Op::Constant(c) if c.value().is_finite());
        self == Function::Mul && inputs.iter().enumerate().any(|(j, id)| j != k && is_number(id))
    }

    /// Whether the derivative may be infinite or NaN.
    fn may_be_steep(self) -> bool {
        use Function::{
            Atan2, Cbrt, Cos, Div, Erfinv, Exp, Expm1, Log, Log1p, Mod, Mul, Pow, Reciprocal, Rsqrt, Sin, Sqrt, Square,
        };
        matches!(
            self,
            Atan2
                | Cbrt
                | Cos
                | Div
                | Erfinv
                | Exp
                | Expm1
                | Log
                | Log1p
                | Mod
                | Mul
                | Pow
                | Reciprocal
                | Rsqrt
                | Sin
                | Sqrt
                | Square
        )
    }
}

impl OpDef for Function {
    fn name(&self) -> &'static str {
        self.row().name
    }

    fn kind(&self) -> Kind {
        Kind::Pointwise
    }

    fn moves(&self) -> bool {
        self.row().typing == Typing::Any
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        let row = self.row();
        expect_inputs(row.name, inputs, row.arity)?;
        let mut shape = inputs[0].shape.clone();
        for f in &inputs[1..] {
            shape = shape.broadcast(&f.shape)?;
        }
        let dtypes: SmallVec<[DType; 3]> = inputs.iter().map(|f| f.dtype).collect();
        Fact::checked(shape, self.result_dtype(&dtypes)?)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], output: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        self.gradients(g, inputs, output, dy, false)
    }

    fn reference(&self, inputs: &[&RefArray], _: &[Fact], output: &Fact) -> Result<RefArray> {
        let row = self.row();
        let views: Vec<_> = inputs
            .iter()
            .map(|x| x.broadcast(&*output.shape).ok_or_else(|| Error::state("reference inputs do not broadcast")))
            .collect::<Result<_>>()?;
        let mut iters: Vec<_> = views.iter().map(|v| v.iter()).collect();
        let mut args = [0.0; 3];
        Ok(RefArray::from_shape_simple_fn(&*output.shape, || {
            for (a, it) in args.iter_mut().zip(&mut iters) {
                *a = *it.next().expect("views have the output's size");
            }
            let v = (row.value)(&args[..row.arity]);
            match output.dtype {
                DType::F32 => v,
                integer if integer.is_integer() && !v.is_nan() => integer.wrap(v as i128) as f64,
                other => other.round(v),
            }
        }))
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        Reads::Same
    }
}

impl FromAttributes for Function {
    fn names() -> Vec<&'static str> {
        Function::ALL.iter().map(|f| f.row().name).collect()
    }

    fn elementwise() -> Vec<&'static str> {
        let is_number = |f: &&Function| matches!(f.row().typing, Typing::Number | Typing::Float | Typing::Select);
        Function::ALL.iter().filter(is_number).map(|f| f.row().name).collect()
    }

    fn from_attributes(name: &str, _: &mut Attributes) -> Result<Self> {
        Function::ALL
            .iter()
            .copied()
            .find(|f| f.row().name == name)
            .ok_or_else(|| Error::value(format!("there is no pointwise function \"{name}\"")))
    }
}

/// Conversion of the element type: float to integer truncates, anything to bool tests for ≠ 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    /// Type of the result.
    pub dtype: DType,
    /// Whether passes may leave its rounding out: a layer that computes in 16 bits, or a gradient, asks for the type, and
    /// no program for the rounding.
    pub loose: bool,
}

impl Cast {
    /// The conversion to `dtype` with all that it does to values.
    pub fn to(dtype: DType) -> Self {
        Cast { dtype, loose: false }
    }

    /// The conversion to `dtype` whose rounding may be left out.
    pub fn loosely_to(dtype: DType) -> Self {
        Cast { dtype, loose: true }
    }
}

impl OpDef for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn kind(&self) -> Kind {
        Kind::Pointwise
    }

    fn moves(&self) -> bool {
        true
    }

    fn infer(&self, inputs: &[Fact]) -> Result<Fact> {
        expect_inputs("cast", inputs, 1)?;
        Fact::checked(inputs[0].shape.clone(), self.dtype)
    }

    fn grad(&self, g: &mut Graph, inputs: &[NodeId], _: NodeId, dy: NodeId) -> Result<Vec<Option<NodeId>>> {
        let from = g.fact(inputs[0]).dtype;
        let differentiable = from.is_float() && self.dtype.is_float();
        Ok(vec![differentiable.then(|| g.cast_loosely(dy, from)).transpose()?])
    }

    fn reference(&self, inputs: &[&RefArray], facts: &[Fact], _: &Fact) -> Result<RefArray> {
        let (from, to) = (facts[0].dtype, self.dtype);
        Ok(match (from.is_float(), to.is_float()) {
            (true, true) if to == DType::F32 && from != DType::F64 => inputs[0].clone(),
            (false, false) => inputs[0].mapv(|v| to.wrap(v as i128) as f64),
            _ => inputs[0].mapv(|v| to.round(v)),
        })
    }

    fn reads(&self, _: usize, _: &[Fact], _: &Fact) -> Reads {
        Reads::Same
    }
}

impl FromAttributes for Cast {
    fn names() -> Vec<&'static str> {
        vec!["cast"]
    }

    fn elementwise() -> Vec<&'static str> {
        Self::names()
    }

    fn from_attributes(_: &str, a: &mut Attributes) -> Result<Self> {
        Ok(Cast::to(a.dtype_or("dtype", DType::F32)?))
    }
}
