// Arithmetic of integers.

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
