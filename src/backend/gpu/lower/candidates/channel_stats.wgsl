// Mean and biased variance of a channel, a workgroup each; the mean first, for sums of squares would cancel.
var<workgroup> partial: array<f32, WORKGROUP>;

fn total(lane: u32) -> f32 {
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half = half / 2u) {
        if (lane < half) { partial[lane] = partial[lane] + partial[lane + half]; }
        workgroupBarrier();
    }
    let sum = partial[0];
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let channel = group.y * COLUMNS + group.x;
    if (channel >= CHANNELS) { return; }
    var sum = 0.0;
    for (var i = lane; i < ROWS; i = i + WORKGROUP) { sum = sum + input0(i * CHANNELS + channel); }
    partial[lane] = sum;
    let mean = total(lane) / f32(ROWS);
    var squares = 0.0;
    for (var i = lane; i < ROWS; i = i + WORKGROUP) {
        let d = input0(i * CHANNELS + channel) - mean;
        squares = fma(d, d, squares);
    }
    partial[lane] = squares;
    let variance = total(lane) / f32(ROWS);
    if (lane == 0u) {
        OUTPUT[channel] = bitcast<u32>(mean);
        OUTPUT[CHANNELS + channel] = bitcast<u32>(variance);
    }
}
