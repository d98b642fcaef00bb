// Random numbers.

// One of the pair of standard normal numbers that two words make (Box and Muller 1958), the second if `odd` is 1: cosine
// and sine of a whole turn's fraction, which integers reduce without loss.
fn normal(a: u32, b: u32, odd: u32) -> f32 {
    let radius = sqrt_(-2.0 * log_((f32(a >> 8u) + 1.0) * 5.9604645e-8));
    let turn = b >> 8u;
    let n = (turn + 0x200000u) >> 22u;
    let r = f32(i32(turn) - i32(n << 22u)) * 3.7450703e-7;
    return radius * turned(r, i32(n) + select(0, 1, odd == 0u));
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
