// Functions that kernels call. Each is its own text: a kernel carries those that it calls, and those that they call.
//
// Shaders may not write NaN or infinity as literals, `x != x` is false for NaN, and the builtins exp and tanh overflow to
// NaN on several drivers: bits and forms of our own instead. The polynomials are those of the CPU's kernels.

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

fn exp_(x: f32) -> f32 {
    if (is_nan(x)) { return x; }
    if (x > 88.8) { return infinity(); }
    let t = max(x, -104.0);
    let n = round(t * 1.44269504);
    var r = fma(n, -0.6933594, t);
    r = fma(n, 2.1219444e-4, r);
    var p = 1.9875691e-4;
    p = fma(p, r, 1.3982e-3);
    p = fma(p, r, 8.333452e-3);
    p = fma(p, r, 4.1665796e-2);
    p = fma(p, r, 1.6666665e-1);
    p = fma(p, r, 0.5);
    let y = fma(p, r * r, r) + 1.0;
    let k = i32(n);
    let half = k >> 1u;
    return y * power_of_two(half) * power_of_two(k - half);
}

// log(1 + m) + e log(2), m from sqrt(1/2) - 1 to sqrt(2) - 1.
fn log_of(m: f32, e: f32) -> f32 {
    let z = m * m;
    var p = 7.0376836e-2;
    p = fma(p, m, -1.151461e-1);
    p = fma(p, m, 1.1676999e-1);
    p = fma(p, m, -1.2420141e-1);
    p = fma(p, m, 1.4249323e-1);
    p = fma(p, m, -1.6668058e-1);
    p = fma(p, m, 2.0000715e-1);
    p = fma(p, m, -2.4999994e-1);
    p = fma(p, m, 3.333333e-1);
    var y = p * m * z;
    y = fma(e, -2.1219444e-4, y);
    y = fma(z, -0.5, y);
    return fma(e, 0.6933594, m + y);
}

fn log_(x: f32) -> f32 {
    if (is_nan(x) || x < 0.0) { return nan(); }
    if (x == 0.0) { return -infinity(); }
    if (is_inf(x)) { return x; }
    let tiny = x < 1.1754944e-38;
    let scaled = select(x, x * 8388608.0, tiny);
    let shifted = bitcast<i32>(scaled) - 0x3f3504f3;
    let e = f32(shifted >> 23u) - select(0.0, 23.0, tiny);
    return log_of(bitcast<f32>((shifted & 0x007fffff) + 0x3f3504f3) - 1.0, e);
}

// Nothing here relies on what 1 + x rounds away: compilers take (1 + x) - 1 for x.
fn log1p_(x: f32) -> f32 {
    if (x > -0.29 && x < 0.41) { return log_of(x, 0.0); }
    return log_(1.0 + x);
}

fn expm1_(x: f32) -> f32 {
    var p = 2.4801587e-5;
    p = fma(p, x, 1.984127e-4);
    p = fma(p, x, 1.3888889e-3);
    p = fma(p, x, 8.3333333e-3);
    p = fma(p, x, 4.1666668e-2);
    p = fma(p, x, 1.6666667e-1);
    p = fma(p, x, 0.5);
    let z = x * x;
    if (z < 0.25) { return negative_as(x, fma(p, z, x)); }
    return exp_(x) - 1.0;
}

fn tanh_(x: f32) -> f32 {
    if (is_nan(x)) { return x; }
    let t = abs(x);
    let z = x * x;
    var p = -5.7049887e-3;
    p = fma(p, z, 2.063909e-2);
    p = fma(p, z, -5.3739716e-2);
    p = fma(p, z, 1.3331442e-1);
    p = fma(p, z, -3.333328e-1);
    if (t < 0.625) { return negative_as(x, fma(p * z, x, x)); }
    return negative_as(x, 1.0 - 2.0 / (exp_(2.0 * min(t, 20.0)) + 1.0));
}

fn sigmoid_(x: f32) -> f32 {
    if (is_nan(x)) { return x; }
    let e = exp_(-abs(x));
    return select(1.0, e, x < 0.0) / (1.0 + e);
}

fn softplus_(x: f32) -> f32 {
    if (is_nan(x)) { return x; }
    return max(x, 0.0) + log1p_(exp_(-abs(x)));
}

fn erf_(x: f32) -> f32 {
    if (is_nan(x)) { return x; }
    let t = abs(x);
    let s = x * x;
    if (t > 4.0) { return select(1.0, -1.0, x < 0.0); }
    if (t > 0.9277344) {
        let r = fma(-1.7285347e-5, t, 3.8319713e-4);
        let u = fma(-3.8839644e-3, t, 2.4254622e-2);
        var far = fma(r, s, u);
        far = fma(far, t, -1.0677788e-1);
        far = fma(far, t, -6.348467e-1);
        far = fma(far, t, -1.2871751e-1);
        far = fma(far, t, -t);
        far = 1.0 - exp_(far);
        return select(far, -far, x < 0.0);
    }
    var near = -5.967617e-4;
    near = fma(near, s, 4.9911942e-3);
    near = fma(near, s, -2.6768135e-2);
    near = fma(near, s, 1.1281992e-1);
    near = fma(near, s, -3.7612534e-1);
    near = fma(near, s, 1.2837917e-1);
    return fma(near, x, x);
}

// 1 - erf(x) without the difference (Press et al., "Numerical Recipes", erfcc). The square of x is split, as its rounding
// would show in the exponential.
fn erfc_(x: f32) -> f32 {
    if (is_nan(x)) { return x; }
    let z = abs(x);
    if (z > 14.0) { return select(0.0, 2.0, x < 0.0); }
    let t = 1.0 / (1.0 + 0.5 * z);
    var p = 0.17087277;
    p = fma(p, t, -0.82215223);
    p = fma(p, t, 1.48851587);
    p = fma(p, t, -1.13520398);
    p = fma(p, t, 0.27886807);
    p = fma(p, t, -0.18628806);
    p = fma(p, t, 0.09678418);
    p = fma(p, t, 0.37409196);
    p = fma(p, t, 1.00002368);
    p = fma(p, t, -1.26551223);
    let high = bitcast<f32>(bitcast<u32>(z) & 0xfffff000u);
    let y = t * exp_(-high * high) * exp_((high - z) * (high + z) + p);
    return select(y, 2.0 - y, x < 0.0);
}

fn erfinv_(x: f32) -> f32 {
    if (is_nan(x) || abs(x) > 1.0) { return nan(); }
    if (abs(x) == 1.0) { return copy_sign(infinity(), x); }
    let w = -log_((1.0 - x) * (1.0 + x));
    var t = w - 2.5;
    var p: f32;
    if (w < 5.0) {
        p = 2.81022636e-8;
        p = fma(p, t, 3.43273939e-7);
        p = fma(p, t, -3.5233877e-6);
        p = fma(p, t, -4.39150654e-6);
        p = fma(p, t, 2.1858087e-4);
        p = fma(p, t, -1.25372503e-3);
        p = fma(p, t, -4.17768164e-3);
        p = fma(p, t, 0.246640727);
        p = fma(p, t, 1.50140941);
    } else {
        t = sqrt_(w) - 3.0;
        p = -2.00214257e-4;
        p = fma(p, t, 1.00950558e-4);
        p = fma(p, t, 1.34934322e-3);
        p = fma(p, t, -3.67342844e-3);
        p = fma(p, t, 5.73950773e-3);
        p = fma(p, t, -7.6224613e-3);
        p = fma(p, t, 9.43887047e-3);
        p = fma(p, t, 1.00167406);
        p = fma(p, t, 2.83297682);
    }
    return p * x;
}

// Newton's method from a third of the exponent.
fn cbrt_(x: f32) -> f32 {
    let t = abs(x);
    if (is_nan(x) || is_inf(x) || t < 1.1754944e-38) { return x; }
    var y = bitcast<f32>(bitcast<u32>(t) / 3u + 0x2a514067u);
    for (var i = 0; i < 4; i = i + 1) { y = y - (y - t / (y * y)) * 0.33333334; }
    return copy_sign(y, x);
}

fn atan2_(y: f32, x: f32) -> f32 {
    if (is_nan(x) || is_nan(y)) { return nan(); }
    let a = abs(y);
    let b = abs(x);
    let high = max(a, b);
    // A quotient of 0..1; equal infinities are as equal numbers.
    var q = min(a, b) / high;
    if (high == 0.0) { q = 0.0; }
    if (is_inf(high)) { q = select(0.0, 1.0, is_inf(a) && is_inf(b)); }
    var r = 0.0;
    if (q > 0.41421357) {
        r = 0.7853982;
        q = (q - 1.0) / (q + 1.0);
    }
    let z = q * q;
    var p = 8.0537445e-2;
    p = fma(p, z, -1.3877686e-1);
    p = fma(p, z, 1.9977711e-1);
    p = fma(p, z, -3.3332949e-1);
    r = r + fma(p * z, q, q);
    if (a > b) { r = 1.5707964 - r; }
    if (bitcast<i32>(x) < 0) { r = 3.1415927 - r; }
    return copy_sign(r, y);
}

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

fn shift_left(a: i32, b: i32) -> i32 {
    if (b < 0 || b > 31) { return 0; }
    return a << u32(b);
}

fn shift_right(a: i32, b: i32) -> i32 {
    return a >> select(u32(b), 31u, b < 0 || b > 31);
}

fn gcd(first: i32, second: i32) -> i32 {
    var a = select(u32(first), 0u - u32(first), first < 0);
    var b = select(u32(second), 0u - u32(second), second < 0);
    while (b != 0u) {
        let rest = a % b;
        a = b;
        b = rest;
    }
    return i32(a);
}

fn sqrt_(x: f32) -> f32 {
    if (is_nan(x) || x < 0.0) { return nan(); }
    if (x == 0.0 || is_inf(x)) { return x; }
    // One step of Newton's method: drivers may give 3 units in the last place.
    let y = sqrt(x);
    return fma(0.5 / y, fma(-y, y, x), y);
}

fn rsqrt_(x: f32) -> f32 { return 1.0 / sqrt_(x); }

// The upper half of a product, of 16-bit halves.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let cross = a0 * b1 + (middle & 0xffffu);
    return a1 * b1 + (middle >> 16u) + (cross >> 16u);
}

// Bits of 2/pi behind the point, 32 of them, without the first `skip`; 32 zeros stand before them.
fn two_over_pi(skip: u32) -> u32 {
    var words = array<u32, 10>(
        0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u,
        0xb7246e3au);
    let word = skip / 32u;
    let shift = skip % 32u;
    if (shift == 0u) { return words[word]; }
    return (words[word] << shift) | (words[word + 1u] >> (32u - shift));
}

// x modulo pi/2 in -pi/4..pi/4, and how often pi/2 was taken away, modulo 4 (Payne and Hanek): of x * 2/pi only what is
// not a multiple of 4 is computed, in integers, as devices may round twice in fma.
fn reduce_angle(x: f32) -> vec2<f32> {
    let t = abs(x);
    if (t < 0.7853982) { return vec2<f32>(x, 0.0); }
    let bits = bitcast<u32>(t);
    let m = (bits & 0x007fffffu) | 0x00800000u;
    let skip = (bits >> 23u) - 120u;
    let w0 = two_over_pi(skip);
    let w1 = two_over_pi(skip + 32u);
    let w2 = two_over_pi(skip + 64u);
    // The lower 96 bits of m * (w0, w1, w2): 2 bits of the count, 94 of the fraction.
    let p1 = m * w1;
    let carry = multiply_high(m, w2);
    let middle = p1 + carry;
    var high = m * w0 + multiply_high(m, w1) + select(0u, 1u, middle < p1);
    var low = middle;
    var n = high >> 30u;
    high = (high << 2u) | (low >> 30u);
    low = low << 2u;
    var negative = false;
    if (high >= 0x80000000u) {
        n = n + 1u;
        negative = true;
        low = ~low + 1u;
        high = ~high + select(0u, 1u, low == 0u);
    }
    if (high == 0u) { high = low; low = 0u; }
    let zeros = countLeadingZeros(high);
    var scale = 2.3283064e-10;
    if (zeros > 0u && zeros < 32u) { high = (high << zeros) | (low >> (32u - zeros)); }
    scale = scale * power_of_two(-i32(min(zeros, 31u)));
    var r = f32(high) * scale * 1.5707963;
    if (negative != (x < 0.0)) { r = -r; }
    let turns = select(i32(n), -i32(n), x < 0.0);
    return vec2<f32>(r, f32(turns & 3));
}

// sin(r + q pi/2) for r in -pi/4..pi/4.
fn turned(r: f32, q: i32) -> f32 {
    let s = r * r;
    var y: f32;
    if ((q & 1) == 0) {
        var p = 2.86567956e-6;
        p = fma(p, s, -1.98559923e-4);
        p = fma(p, s, 8.33338592e-3);
        p = fma(p, s, -1.66666672e-1);
        y = fma(p * s, r, r);
    } else {
        var p = 2.44677067e-5;
        p = fma(p, s, -1.38877297e-3);
        p = fma(p, s, 4.16666567e-2);
        p = fma(p, s, -0.5);
        y = fma(p, s, 1.0);
    }
    return select(y, -y, (q & 2) != 0);
}

fn quadrant(x: f32, turn: i32) -> f32 {
    if (is_nan(x) || is_inf(x)) { return nan(); }
    let reduced = reduce_angle(x);
    return turned(reduced.x, i32(reduced.y) + turn);
}

// One of the pair of standard normal numbers that two words make (Box and Muller 1958), the second if `odd` is 1: cosine
// and sine of a whole turn's fraction, which integers reduce without loss.
fn normal(a: u32, b: u32, odd: u32) -> f32 {
    let radius = sqrt_(-2.0 * log_((f32(a >> 8u) + 1.0) * 5.9604645e-8));
    let turn = b >> 8u;
    let n = (turn + 0x200000u) >> 22u;
    let r = f32(i32(turn) - i32(n << 22u)) * 3.7450703e-7;
    return radius * turned(r, i32(n) + select(0, 1, odd == 0u));
}

fn sin_(x: f32) -> f32 { return quadrant(x, 0); }

fn cos_(x: f32) -> f32 { return quadrant(x, 1); }

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

fn pow_(a: f32, b: f32) -> f32 {
    if (b == 0.0 || a == 1.0) { return 1.0; }
    if (is_nan(a) || is_nan(b)) { return nan(); }
    let t = abs(a);
    if (is_inf(b)) {
        if (t == 1.0) { return 1.0; }
        return select(0.0, infinity(), (t > 1.0) == (b > 0.0));
    }
    let whole = b == floor(b);
    let odd = whole && abs(b) < 16777216.0 && (i32(b) & 1) == 1;
    let negative = bitcast<i32>(a) < 0;
    var y: f32;
    if (t == 0.0 || is_inf(a)) {
        y = select(0.0, infinity(), (t == 0.0) == (b < 0.0));
    } else {
        if (negative && !whole) { return nan(); }
        if (whole && abs(b) <= 32.0) {
            // By squaring; the inverse of a large power is more exact than the power of an inverse.
            var n = u32(abs(b));
            var square = t;
            y = 1.0;
            while (n > 0u) {
                if ((n & 1u) == 1u) { y = y * square; }
                square = square * square;
                n = n >> 1u;
            }
            y = select(y, 1.0 / y, b < 0.0);
        } else {
            // b * log(t) in two parts: the power of two apart, with what its product rounds away.
            let e = i32(bitcast<u32>(t) >> 23u) - 127;
            let n = f32(e);
            let m = log_(bitcast<f32>((bitcast<u32>(t) & 0x007fffffu) | 0x3f800000u));
            let p = b * n;
            let rest = fma(b, n, -p);
            let k = round(p);
            let inner = fma(b, m, (p - k + rest) * 0.6931472);
            let twos = round(inner * 1.44269504);
            let power = clamp(k + twos, -300.0, 300.0);
            let fraction = fma(twos, 2.1219444e-4, fma(twos, -0.6933594, inner));
            let half = i32(power) >> 1u;
            y = exp_(fraction);
            if (power > 252.0) { y = infinity(); }
            else if (power < -252.0) { y = 0.0; }
            else { y = y * power_of_two(half) * power_of_two(i32(power) - half); }
        }
    }
    return select(y, -y, negative && odd);
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

fn floor_div_i(a: i32, b: i32) -> i32 {
    if (b == 0) { return 0; }
    if (b == -1) { return 0 - a; }
    let q = a / b;
    let r = a - q * b;
    return select(q, q - 1, r != 0 && (r < 0) != (b < 0));
}

fn modulo_i(a: i32, b: i32) -> i32 {
    if (b == 0) { return 0; }
    return a - floor_div_i(a, b) * b;
}

fn pow_i(a: i32, b: i32) -> i32 {
    if (b < 0) {
        if (a == 0) { return 0x7fffffff; }
        if (a == 1) { return 1; }
        if (a == -1) { return select(-1, 1, (b & 1) == 0); }
        return 0;
    }
    var n = b;
    var square = a;
    var y = 1;
    while (n > 0) {
        if ((n & 1) == 1) { y = y * square; }
        square = square * square;
        n = n >> 1u;
    }
    return y;
}

// Truncated; beyond int32 its nearest, and the smallest for NaN.
fn to_i32(x: f32) -> i32 {
    if (is_nan(x) || x <= -2147483648.0) { return i32(-2147483648); }
    if (x >= 2147483648.0) { return 0x7fffffff; }
    return i32(x);
}

// Truncated, modulo 256.
fn to_u8(x: f32) -> i32 {
    if (is_nan(x)) { return 0; }
    if (abs(x) < 2147483648.0) { return i32(x) & 0xff; }
    return select(0, 0xff, x >= 9223372036854775808.0);
}

// The nearest float16, ties to even, as its bits.
fn float16_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let sign = (bits >> 16u) & 0x8000u;
    let size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) { return sign | 0x7e00u; }
    if (size >= 0x477ff000u) { return sign | 0x7c00u; }
    if (size >= 0x38800000u) {
        return sign | ((size - 0x38000000u + 0xfffu + ((size >> 13u) & 1u)) >> 13u);
    }
    if (size < 0x33000000u) { return sign; }
    let shift = 126u - (size >> 23u);
    let m = (size & 0x007fffffu) | 0x00800000u;
    let half = 1u << (shift - 1u);
    let rounded = (m + half - 1u + ((m >> shift) & 1u)) >> shift;
    return sign | rounded;
}

fn float16_value(bits: u32) -> f32 {
    let sign = (bits & 0x8000u) << 16u;
    let exponent = (bits >> 10u) & 0x1fu;
    let m = bits & 0x3ffu;
    if (exponent == 0u) {
        let size = f32(m) * 5.9604645e-8;
        return bitcast<f32>(bitcast<u32>(size) | sign);
    }
    if (exponent == 31u) {
        return bitcast<f32>(INFINITY_BITS | sign | (m << 13u));
    }
    return bitcast<f32>(sign | ((exponent + 112u) << 23u) | (m << 13u));
}

// The nearest float16, ties to even, of four; those below its normal numbers may have digits that it has not.
fn float16_rounded(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    let sign = bits & vec4<u32>(0x80000000u);
    let size = bits & vec4<u32>(0x7fffffffu);
    let rounded = (size + 0xfffu + ((size >> vec4<u32>(13u)) & vec4<u32>(1u))) & vec4<u32>(0xffffe000u);
    let held = select(rounded, vec4<u32>(INFINITY_BITS), rounded >= vec4<u32>(0x47800000u));
    return bitcast<vec4<f32>>(select(sign | held, bits, size > vec4<u32>(0x7f800000u)));
}

// The nearest bfloat16, ties to even, as its bits.
fn bfloat16_bits(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) { return (bits >> 16u) | 0x40u; }
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

fn bfloat16_value(bits: u32) -> f32 { return bitcast<f32>(bits << 16u); }

// The same of four, two in a word.
fn bfloat16_packed(x: vec4<f32>) -> vec2<u32> {
    let bits = bitcast<vec4<u32>>(x);
    let rounded = (bits + 0x7fffu + ((bits >> vec4<u32>(16u)) & vec4<u32>(1u))) >> vec4<u32>(16u);
    let quiet = (bits >> vec4<u32>(16u)) | vec4<u32>(0x40u);
    let halves = select(rounded, quiet, (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u));
    return vec2<u32>(halves.x | (halves.y << 16u), halves.z | (halves.w << 16u));
}

fn bfloat16_unpacked(x: vec2<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(x.x << 16u, x.x & 0xffff0000u, x.y << 16u, x.y & 0xffff0000u));
}

// Philox4x32-10 (Salmon et al. 2011): four random words of a counter and a key.
fn philox(counter: vec4<u32>, first_key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var key = first_key;
    for (var i = 0u; i < 10u; i = i + 1u) {
        let a = 0xd2511f53u * c.x;
        let b = 0xcd9e8d57u * c.z;
        c = vec4<u32>(multiply_high(0xcd9e8d57u, c.z) ^ c.y ^ key.x, b, multiply_high(0xd2511f53u, c.x) ^ c.w ^ key.y, a);
        key = key + vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
