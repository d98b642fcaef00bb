// Element `at` of a convolution: its channels of every place of the kernel that lies in the image.
fn anchor(at: u32) -> f32 {
    let k = at % OUT_C;
    var rest = at / OUT_C;
    let q = rest % OUT_W;
    rest = rest / OUT_W;
    let p = rest % OUT_H;
    let n = rest / OUT_H;
    let group = k / GROUP_OUT;
    var sum = 0.0;
    for (var i = 0u; i < KERNEL_H; i = i + 1u) {
        let row = p * STRIDE_H + i * DILATION_H;
        if (row < PAD_TOP || row - PAD_TOP >= IN_H) { continue; }
        for (var j = 0u; j < KERNEL_W; j = j + 1u) {
            let col = q * STRIDE_W + j * DILATION_W;
            if (col < PAD_LEFT || col - PAD_LEFT >= IN_W) { continue; }
            let x = ((n * IN_H + row - PAD_TOP) * IN_W + col - PAD_LEFT) * IN_C + group * GROUP_IN;
            let w = (i * KERNEL_W + j) * GROUP_IN * OUT_C + k;
            // A sum of its own for each place of the kernel keeps long sums exact.
            var part = 0.0;
            for (var c = 0u; c < GROUP_IN; c = c + 1u) {
                part = fma(input0(x + c), input1(w + c * OUT_C), part);
            }
            sum = sum + part;
        }
    }
    return sum;
}
