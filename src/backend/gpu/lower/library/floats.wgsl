// Bits, parts and orders of float32.
//
// Shaders may not write NaN or infinity as literals, and `x != x` is false for NaN: bits instead.

var<private> INFINITY_BITS: u32 = 0x7f800000u;
var<private> NAN_BITS: u32 = 0x7fc00000u;

fn infinity() -> f32 { return bitcast<f32>(INFINITY_BITS); }

fn nan() -> f32 { return bitcast<f32>(NAN_BITS); }

fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

fn is_inf(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }

fn negative_as(x: f32, y: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(y) | (bitcast<u32>(x) & 0x80000000u));
}

fn copy_sign(x: f32, y: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}

fn power_of_two(n: i32) -> f32 { return bitcast<f32>(u32((n + 127) << 23u)); }

// The number beside a on the way to b, by bits.
fn next_after(a: f32, b: f32) -> f32 {
    if (is_nan(a) || is_nan(b)) { return nan(); }
    let size_a = bitcast<i32>(a) & 0x7fffffff;
    let size_b = bitcast<i32>(b) & 0x7fffffff;
    let start = select(size_a, -size_a, bitcast<i32>(a) < 0);
    let end = select(size_b, -size_b, bitcast<i32>(b) < 0);
    if (start == end) { return b; }
    let next = start + select(1, -1, end < start);
    let negative = next < 0 || (next == 0 && start < 0);
    return bitcast<f32>(u32(abs(next)) | select(0u, 0x80000000u, negative));
}

fn sqrt_(x: f32) -> f32 {
    if (is_nan(x) || x < 0.0) { return nan(); }
    if (x == 0.0 || is_inf(x)) { return x; }
    // One step of Newton's method: drivers may give 3 units in the last place.
    let y = sqrt(x);
    return fma(0.5 / y, fma(-y, y, x), y);
}

fn rsqrt_(x: f32) -> f32 { return 1.0 / sqrt_(x); }

// The remainder of truncated division, exact: long division of the significands.
fn remainder(x: f32, y: f32) -> f32 {
    let sign = bitcast<u32>(x) & 0x80000000u;
    var a = bitcast<u32>(x) & 0x7fffffffu;
    var b = bitcast<u32>(y) & 0x7fffffffu;
    if (b == 0u || b > 0x7f800000u || a >= 0x7f800000u) { return nan(); }
    if (a < b) { return x; }
    var ea = i32(a >> 23u);
    var eb = i32(b >> 23u);
    if (ea == 0) {
        let s = countLeadingZeros(a) - 8u;
        a = a << s;
        ea = 1 - i32(s);
    } else { a = (a & 0x007fffffu) | 0x00800000u; }
    if (eb == 0) {
        let s = countLeadingZeros(b) - 8u;
        b = b << s;
        eb = 1 - i32(s);
    } else { b = (b & 0x007fffffu) | 0x00800000u; }
    while (ea > eb) {
        if (a >= b) { a = a - b; }
        a = a << 1u;
        ea = ea - 1;
    }
    if (a >= b) { a = a - b; }
    if (a == 0u) { return bitcast<f32>(sign); }
    let s = countLeadingZeros(a) - 8u;
    a = a << s;
    ea = ea - i32(s);
    if (ea > 0) { a = (a - 0x00800000u) | (u32(ea) << 23u); } else { a = a >> u32(1 - ea); }
    return bitcast<f32>(a | sign);
}

fn modulo_(a: f32, b: f32) -> f32 {
    var m = remainder(a, b);
    if (is_nan(m)) { return m; }
    if (m == 0.0) { return copy_sign(m, b); }
    // What is added to infinity is lost in it, as with numpy.
    if ((m < 0.0) != (b < 0.0)) { m = m + b; }
    return m;
}

fn floor_div_(a: f32, b: f32) -> f32 {
    if (b == 0.0) { return a / b; }
    let m = remainder(a, b);
    if (is_nan(m)) { return m; }
    var q = (a - m) / b;
    if (m != 0.0 && (m < 0.0) != (b < 0.0)) { q = q - 1.0; }
    if (q == 0.0) { return copy_sign(q, a / b); }
    return select(floor(q), floor(q) + 1.0, q - floor(q) > 0.5);
}

fn sign_(x: f32) -> f32 {
    if (is_nan(x)) { return x; }
    return select(select(x + 0.0, -1.0, x < 0.0), 1.0, x > 0.0);
}

fn maximum_(a: f32, b: f32) -> f32 {
    if (is_nan(a)) { return a; }
    if (is_nan(b)) { return b; }
    return select(b, a, a >= b);
}

fn minimum_(a: f32, b: f32) -> f32 {
    if (is_nan(a)) { return a; }
    if (is_nan(b)) { return b; }
    return select(b, a, a <= b);
}

fn relu_(x: f32) -> f32 { return select(x, 0.0, x <= 0.0); }
