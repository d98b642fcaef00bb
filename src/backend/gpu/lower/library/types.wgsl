// Conversions between types of elements.

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
