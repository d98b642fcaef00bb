//! Pointwise functions as WGSL. The compiler asks here for every new one.

use crate::dtype::DType;
use crate::fusion::region::Instruction;
use crate::ops::pointwise::Function;

/// The element type of argument `n` of an instruction.
pub fn argument_dtype(instruction: &Instruction, n: usize) -> DType {
    if instruction.function == Function::Where && n == 0 { DType::Bool } else { instruction.input_dtype }
}

/// The expression that applies an instruction to arguments, which are names or literals.
pub fn apply(instruction: &Instruction, args: &[String]) -> String {
    let Instruction { function, input_dtype, dtype, .. } = instruction;
    let value = match function {
        Function::Identity => return convert(&args[0], *input_dtype, *dtype),
        function if input_dtype.is_float() => float(*function, args),
        function => integer(*function, args),
    };
    if *dtype == DType::U8 { format!("(({value}) & 0xff)") } else { value }
}

fn convert(x: &str, from: DType, to: DType) -> String {
    match (from.computed(), to) {
        (DType::F32, DType::F16) => format!("float16_value(float16_bits({x}))"),
        (DType::F32, DType::BF16) => format!("bfloat16_value(bfloat16_bits({x}))"),
        (_, DType::F16) => format!("float16_value(float16_bits(f32({x})))"),
        (_, DType::BF16) => format!("bfloat16_value(bfloat16_bits(f32({x})))"),
        (DType::F32, DType::F32) | (DType::I32, DType::I32) => x.to_owned(),
        (DType::F32, DType::I32) => format!("to_i32({x})"),
        (DType::F32, DType::U8) => format!("to_u8({x})"),
        // A test for equality, as NaN is not 0.
        (DType::F32, DType::Bool) => format!("select(1, 0, {x} == 0.0)"),
        (_, DType::F32) => format!("f32({x})"),
        (_, DType::I32) => x.to_owned(),
        (_, DType::U8) => format!("({x} & 0xff)"),
        (_, DType::Bool) => format!("select(0, 1, {x} != 0)"),
        (_, other) => unreachable!("{other} has no lanes"),
    }
}

fn test(condition: String) -> String {
    format!("select(0, 1, {condition})")
}

/// The form for lanes of f32.
fn float(function: Function, args: &[String]) -> String {
    let a = args.first().map_or("", String::as_str);
    let b = args.get(1).map_or("", String::as_str);
    let c = args.get(2).map_or("", String::as_str);
    match function {
        Function::Identity => a.to_owned(),
        Function::Neg => format!("-({a})"),
        Function::Abs => format!("abs({a})"),
        Function::Sign => format!("sign_({a})"),
        Function::Exp => format!("exp_({a})"),
        Function::Expm1 => format!("expm1_({a})"),
        Function::Log => format!("log_({a})"),
        Function::Log1p => format!("log1p_({a})"),
        Function::Sqrt => format!("sqrt_({a})"),
        Function::Rsqrt => format!("rsqrt_({a})"),
        Function::Square => format!("({a}) * ({a})"),
        Function::Reciprocal => format!("1.0 / ({a})"),
        Function::Sin => format!("sin_({a})"),
        Function::Cos => format!("cos_({a})"),
        Function::Tanh => format!("tanh_({a})"),
        Function::Sigmoid => format!("sigmoid_({a})"),
        Function::Erf => format!("erf_({a})"),
        Function::Erfc => format!("erfc_({a})"),
        Function::Erfinv => format!("erfinv_({a})"),
        Function::Cbrt => format!("cbrt_({a})"),
        Function::Softplus => format!("softplus_({a})"),
        Function::Relu => format!("relu_({a})"),
        Function::Floor => format!("floor({a})"),
        Function::Ceil => format!("ceil({a})"),
        Function::Round => format!("round({a})"),
        Function::LogicalNot => test(format!("{a} == 0.0")),
        Function::IsNan => test(format!("is_nan({a})")),
        Function::IsInf => test(format!("is_inf({a})")),
        Function::IsFinite => test(format!("!(is_nan({a}) || is_inf({a}))")),
        Function::Add => format!("({a}) + ({b})"),
        Function::Sub => format!("({a}) - ({b})"),
        Function::Mul => format!("({a}) * ({b})"),
        Function::Div => format!("({a}) / ({b})"),
        Function::FloorDiv => format!("floor_div_({a}, {b})"),
        Function::Mod => format!("modulo_({a}, {b})"),
        Function::Pow => format!("pow_({a}, {b})"),
        Function::Maximum => format!("maximum_({a}, {b})"),
        Function::Minimum => format!("minimum_({a}, {b})"),
        Function::Atan2 => format!("atan2_({a}, {b})"),
        Function::NextAfter => format!("next_after({a}, {b})"),
        // Types keep floats from these.
        Function::BitAnd
        | Function::BitOr
        | Function::BitXor
        | Function::ShiftLeft
        | Function::ShiftRight
        | Function::Gcd => {
            format!("f32({})", integer(function, &args.iter().map(|x| format!("i32({x})")).collect::<Vec<_>>()))
        }
        Function::Equal => test(format!("({a}) == ({b})")),
        Function::NotEqual => test(format!("!(({a}) == ({b}))")),
        Function::Less => test(format!("({a}) < ({b})")),
        Function::LessEqual => test(format!("({a}) <= ({b})")),
        Function::Greater => test(format!("({a}) > ({b})")),
        Function::GreaterEqual => test(format!("({a}) >= ({b})")),
        Function::LogicalAnd => test(format!("({a}) != 0.0 && ({b}) != 0.0")),
        Function::LogicalOr => test(format!("({a}) != 0.0 || ({b}) != 0.0")),
        Function::LogicalXor => test(format!("(({a}) != 0.0) != (({b}) != 0.0)")),
        Function::Where => format!("select({c}, {b}, {a} != 0)"),
    }
}

/// The form for lanes of i32; arithmetic wraps.
fn integer(function: Function, args: &[String]) -> String {
    let a = args.first().map_or("", String::as_str);
    let b = args.get(1).map_or("", String::as_str);
    let c = args.get(2).map_or("", String::as_str);
    match function {
        Function::Neg => format!("(0 - ({a}))"),
        Function::Abs => format!("select({a}, 0 - ({a}), {a} < 0)"),
        Function::Sign => format!("sign({a})"),
        Function::Relu => format!("max({a}, 0)"),
        Function::Identity | Function::Floor | Function::Ceil | Function::Round => a.to_owned(),
        Function::LogicalNot => test(format!("{a} == 0")),
        Function::Square => format!("({a}) * ({a})"),
        Function::Add => format!("({a}) + ({b})"),
        Function::Sub => format!("({a}) - ({b})"),
        Function::Mul => format!("({a}) * ({b})"),
        Function::FloorDiv => format!("floor_div_i({a}, {b})"),
        Function::Mod => format!("modulo_i({a}, {b})"),
        Function::Pow => format!("pow_i({a}, {b})"),
        Function::Maximum => format!("max({a}, {b})"),
        Function::Minimum => format!("min({a}, {b})"),
        Function::Equal => test(format!("({a}) == ({b})")),
        Function::NotEqual => test(format!("({a}) != ({b})")),
        Function::Less => test(format!("({a}) < ({b})")),
        Function::LessEqual => test(format!("({a}) <= ({b})")),
        Function::Greater => test(format!("({a}) > ({b})")),
        Function::GreaterEqual => test(format!("({a}) >= ({b})")),
        Function::LogicalAnd => format!("(({a}) & ({b}))"),
        Function::LogicalOr => format!("(({a}) | ({b}))"),
        Function::LogicalXor => format!("(({a}) ^ ({b}))"),
        Function::Where => format!("select({c}, {b}, {a} != 0)"),
        Function::BitAnd => format!("(({a}) & ({b}))"),
        Function::BitOr => format!("(({a}) | ({b}))"),
        Function::BitXor => format!("(({a}) ^ ({b}))"),
        Function::ShiftLeft => format!("shift_left({a}, {b})"),
        Function::ShiftRight => format!("shift_right({a}, {b})"),
        Function::Gcd => format!("gcd({a}, {b})"),
        // Types keep integers from the others.
        Function::Exp
        | Function::Expm1
        | Function::Log
        | Function::Log1p
        | Function::Sqrt
        | Function::Rsqrt
        | Function::Reciprocal
        | Function::Sin
        | Function::Cos
        | Function::Tanh
        | Function::Sigmoid
        | Function::Erf
        | Function::Erfc
        | Function::Erfinv
        | Function::Cbrt
        | Function::Atan2
        | Function::NextAfter
        | Function::Softplus
        | Function::IsNan
        | Function::IsInf
        | Function::IsFinite
        | Function::Div => float(function, &args.iter().map(|x| format!("f32({x})")).collect::<Vec<_>>()),
    }
}
