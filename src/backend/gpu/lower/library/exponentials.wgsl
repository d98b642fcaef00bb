// Exponentials, logarithms and what is made of them.
//
// The builtins exp and tanh overflow to NaN on several drivers: forms of our own instead. The polynomials are those of the
// CPU's kernels.

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
