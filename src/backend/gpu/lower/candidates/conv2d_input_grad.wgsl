// Element `at` of the gradient of a convolution by its image: what every window that contains it gives back.
fn anchor(at: u32) -> f32 {
    let channel = at % IN_C;
    var rest = at / IN_C;
    let col = rest % IN_W;
    rest = rest / IN_W;
    let row = rest % IN_H;
    let n = rest / IN_H;
    let group = channel / GROUP_IN;
    let c = channel % GROUP_IN;
    var sum = 0.0;
    for (var i = 0u; i < KERNEL_H; i = i + 1u) {
        let above = row + PAD_TOP;
        let down = i * DILATION_H;
        if (above < down || (above - down) % STRIDE_H != 0u) { continue; }
        let p = (above - down) / STRIDE_H;
        if (p >= OUT_H) { continue; }
        for (var j = 0u; j < KERNEL_W; j = j + 1u) {
            let left = col + PAD_LEFT;
            let across = j * DILATION_W;
            if (left < across || (left - across) % STRIDE_W != 0u) { continue; }
            let q = (left - across) / STRIDE_W;
            if (q >= OUT_W) { continue; }
            let dy = ((n * OUT_H + p) * OUT_W + q) * OUT_C + group * GROUP_OUT;
            let w = ((i * KERNEL_W + j) * GROUP_IN + c) * OUT_C + group * GROUP_OUT;
            var part = 0.0;
            for (var k = 0u; k < GROUP_OUT; k = k + 1u) {
                part = fma(input0(dy + k), input1(w + k), part);
            }
            sum = sum + part;
        }
    }
    return sum;
}
