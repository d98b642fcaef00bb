//! Which input positions an output position reads, along one axis.

/// Outputs `start, start + step, ..` (`count` of them); number `i` reads the inputs `i * in_step + offset` of its taps.
#[derive(Clone, Debug)]
pub struct Class {
    pub start: usize,
    pub step: usize,
    pub count: usize,
    /// (filter index, input offset), by ascending offset.
    pub taps: Vec<(usize, isize)>,
}

/// One axis of a pass: its classes of outputs, which cover the axis.
#[derive(Clone, Debug)]
pub struct Axis {
    pub classes: Vec<Class>,
    /// Input positions between successive outputs of a class.
    pub in_step: usize,
    /// Least and greatest offset of any tap.
    pub lo: isize,
    pub hi: isize,
    /// Extents.
    pub inputs: usize,
    pub outputs: usize,
}

impl Axis {
    fn new(classes: Vec<Class>, in_step: usize, inputs: usize, outputs: usize) -> Self {
        let offsets = || classes.iter().flat_map(|c| c.taps.iter().map(|t| t.1));
        let (lo, hi) = (offsets().min().unwrap_or(0), offsets().max().unwrap_or(0));
        Axis { classes, in_step, lo, hi, inputs, outputs }
    }

    /// Forward: one class.
    pub fn forward(inputs: usize, outputs: usize, kernel: usize, stride: usize, pad: usize, dilation: usize) -> Self {
        let taps = (0..kernel).map(|k| (k, (k * dilation) as isize - pad as isize)).collect();
        Self::new(vec![Class { start: 0, step: 1, count: outputs, taps }], stride, inputs, outputs)
    }

    /// Input gradient: output y of the forward pass reached input `y * stride + k * dilation - pad`,
    /// so the inputs fall into `stride` classes, each reached by the taps of its residue.
    pub fn input_grad(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        pad: usize,
        dilation: usize,
    ) -> Self {
        // There are no inputs of the residues behind the last.
        let classes = (0..stride.min(inputs.max(1)))
            .map(|start| {
                let shifted = |k: usize| (start + pad) as isize - (k * dilation) as isize;
                let mut taps: Vec<_> = (0..kernel)
                    .filter(|&k| shifted(k).rem_euclid(stride as isize) == 0)
                    .map(|k| (k, shifted(k).div_euclid(stride as isize)))
                    .collect();
                taps.sort_by_key(|t| t.1);
                Class { start, step: stride, count: inputs.saturating_sub(start).div_ceil(stride), taps }
            })
            .collect();
        Self::new(classes, 1, outputs, inputs)
    }

    /// The axis without the taps that reach the input from no output, and so without what lies far outside.
    pub fn reaching(self) -> Self {
        let Axis { mut classes, in_step, inputs, outputs, .. } = self;
        for class in &mut classes {
            let (step, last) = (in_step as isize, class.count as isize - 1);
            class.taps.retain(|&(_, offset)| {
                let first = (-offset).max(0).unsigned_abs().div_ceil(step.unsigned_abs()) as isize;
                first <= last && first * step + offset < inputs as isize
            });
        }
        Self::new(classes, in_step, inputs, outputs)
    }

    /// Outputs per index: class number `i` covers the outputs from `i * step`.
    pub fn step(&self) -> usize {
        self.classes[0].step
    }

    /// Input positions that `indices` successive indices of every class touch.
    pub fn span(&self, indices: usize) -> usize {
        indices.saturating_sub(1) * self.in_step + (self.hi - self.lo) as usize + 1
    }

    /// The taps of `class` that reach inside the input from any of the outputs number `indices`.
    pub fn taps_inside(&self, class: &Class, indices: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let (first, last) = ((indices.start * self.in_step) as isize, ((indices.end - 1) * self.in_step) as isize);
        let start = class.taps.partition_point(|t| last + t.1 < 0);
        let end = class.taps.partition_point(|t| first + t.1 < self.inputs as isize);
        start..end.max(start)
    }
}
