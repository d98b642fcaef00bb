// Angles.

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

fn sin_(x: f32) -> f32 { return quadrant(x, 0); }

fn cos_(x: f32) -> f32 { return quadrant(x, 1); }
