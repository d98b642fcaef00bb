// Element `at` of the gradient of a convolution by its filters: a sum over all images and places.
fn anchor(at: u32) -> f32 {
    let k = at % OUT_C;
    var rest = at / OUT_C;
    let c = rest % GROUP_IN;
    rest = rest / GROUP_IN;
    let j = rest % KERNEL_W;
    let i = rest / KERNEL_W;
    let channel = (k / GROUP_OUT) * GROUP_IN + c;
    var sum = 0.0;
    for (var n = 0u; n < BATCH; n = n + 1u) {
        // Sums of rows and of images: long sums stay exact.
        var image = 0.0;
        for (var p = 0u; p < OUT_H; p = p + 1u) {
            let row = p * STRIDE_H + i * DILATION_H;
            if (row < PAD_TOP || row - PAD_TOP >= IN_H) { continue; }
            let x = (n * IN_H + row - PAD_TOP) * IN_W;
            let dy = (n * OUT_H + p) * OUT_W;
            var part = 0.0;
            for (var q = 0u; q < OUT_W; q = q + 1u) {
                let col = q * STRIDE_W + j * DILATION_W;
                if (col < PAD_LEFT || col - PAD_LEFT >= IN_W) { continue; }
                part = fma(input0((x + col - PAD_LEFT) * IN_C + channel), input1((dy + q) * OUT_C + k), part);
            }
            image = image + part;
        }
        sum = sum + image;
    }
    return sum;
}
