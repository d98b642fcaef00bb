// Pooling: windows of which only what lies in the image counts.

struct Best { at: u32, value: f32, count: u32, sum: f32 }

// The first greatest element of a window, of which NaN is greater than all; and how many there are, and their sum.
fn window(n: u32, p: u32, q: u32, c: u32) -> Best {
    var best = Best(0u, 0.0, 0u, 0.0);
    for (var i = 0u; i < KERNEL_H; i = i + 1u) {
        let row = p * STRIDE_H + i;
        if (row < PAD_TOP || row - PAD_TOP >= IN_H) { continue; }
        for (var j = 0u; j < KERNEL_W; j = j + 1u) {
            let col = q * STRIDE_W + j;
            if (col < PAD_LEFT || col - PAD_LEFT >= IN_W) { continue; }
            let at = ((n * IN_H + row - PAD_TOP) * IN_W + col - PAD_LEFT) * CHANNELS + c;
            let x = input0(at);
            if (best.count == 0u || (!is_nan(best.value) && (is_nan(x) || x > best.value))) {
                best.at = at;
                best.value = x;
            }
            best.count = best.count + 1u;
            best.sum = best.sum + x;
        }
    }
    return best;
}

fn divisor(count: u32) -> f32 { return f32(select(count, KERNEL_H * KERNEL_W, COUNT_PAD == 1u)); }
