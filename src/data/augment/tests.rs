//! Chains against slow forms in f64, written from the formulas, and properties of all of them.

use super::step::{Spec, Step};
use super::{Chain, Input, Layout, Output};

/// Numbers from 0 to 255 that look random.
fn pixels(count: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn spec(name: &str, numbers: &[f64]) -> Spec {
    Spec { name: name.into(), numbers: numbers.to_vec(), parts: Vec::new() }
}

const LAYOUT: Layout = Layout { height: 7, width: 9, channels: 3, channels_first: false };

/// What a chain makes of an image of `LAYOUT`.
fn run(specs: &[Spec], params: &[f32], image: Input<'_>) -> Vec<f32> {
    let chain = Chain::new(specs).unwrap();
    let mut result = vec![f32::NAN; chain.result(LAYOUT).unwrap().size()];
    chain.run(image, LAYOUT, params, Output::Floats(&mut result)).unwrap();
    result
}

/// The element at a row, a column and a channel.
fn at(y: usize, x: usize, c: usize) -> usize {
    (y * LAYOUT.width + x) * 3 + c
}

fn close(actual: &[f32], expected: impl Fn(usize) -> f64, tolerance: f64) {
    for (i, &value) in actual.iter().enumerate() {
        let wanted = expected(i);
        assert!((f64::from(value) - wanted).abs() <= tolerance, "{i}: {value} instead of {wanted}");
    }
}

/// Descriptions of all kinds of steps that keep the size, with their parameters.
fn kinds() -> Vec<(Spec, Vec<f32>)> {
    const RANGE: [f64; 2] = [0.0, 255.0];
    let ranged = |name: &str, more: &[f64], params: &[f32]| (spec(name, &[more, &RANGE[..]].concat()), params.to_vec());
    vec![
        (spec("flip", &[1.0, 1.0]), vec![1.0]),
        (spec("warp", &[0.0, 4.0, 0.0]), vec![0.9, 0.2, 0.5, -0.1, 1.1, 0.3, 0.001, 0.0, 1.0]),
        (spec("warp", &[1.0, 0.0, 7.0]), vec![0.9, 0.2, 3.5, -0.1, 1.1, -2.3, 0.0, 0.0, 1.0]),
        ranged("add", &[], &[31.5]),
        ranged("add_color", &[3.0], &[1.0, -2.0, 30.0]),
        ranged("contrast", &[], &[1.7]),
        ranged("contrast_of_gray", &[], &[0.3]),
        ranged("multiply", &[0.0], &[1.2]),
        ranged("degenerate", &[], &[0.4]),
        (spec("gray", &[]), vec![1.0]),
        ranged("saturation", &[], &[0.6]),
        ranged("hue", &[], &[-0.3]),
        ranged("posterize", &[], &[5.0]),
        ranged("solarize", &[], &[10.0, 100.0]),
        (spec("invert", &[255.0]), vec![1.0]),
        (spec("scale", &[1.0, 0.5, 3.0, 1.0, 2.0, 3.0]), vec![]),
        (spec("standardize", &[3.0, 1.0, 2.0, 3.0, 1.0, 4.0]), vec![]),
        (spec("round", &[]), vec![]),
        ranged("stretch", &[], &[]),
        (spec("equalize", &[0.0, 255.0, 256.0]), vec![]),
        ranged("sharpness", &[], &[0.2]),
        ranged("blur", &[3.0, 5.0], &[0.7, 0.9, 1.0]),
        (spec("erase", &[1.0, 9.0]), vec![1.0, 4.0, 2.0, 5.0, 1.0]),
        (spec("grid", &[3.0, 1.0, 2.0, 3.0]), vec![4.0, 2.0, 1.0, 3.0, 1.0]),
    ]
}

#[test]
fn bytes_are_what_floats_are_and_channels_may_come_first() {
    let bytes = pixels(LAYOUT.size());
    let floats: Vec<f32> = bytes.iter().map(|&b| f32::from(b)).collect();
    let first = Layout { channels_first: true, ..LAYOUT };
    let mut moved = vec![0.0; bytes.len()];
    for (i, &x) in floats.iter().enumerate() {
        moved[(i % 3) * 63 + i / 3] = x;
    }
    for (step, params) in kinds() {
        let specs = [step];
        let expected = run(&specs, &params, Input::Floats(&floats));
        assert_eq!(run(&specs, &params, Input::Bytes(&bytes)), expected, "{}", specs[0].name);
        let mut result = vec![0.0; moved.len()];
        let chain = Chain::new(&specs).unwrap();
        chain.run(Input::Floats(&moved), first, &params, Output::Floats(&mut result)).unwrap();
        for (i, &x) in expected.iter().enumerate() {
            assert_eq!(result[(i % 3) * 63 + i / 3], x, "{}", specs[0].name);
        }
    }
}

#[test]
fn steps_together_are_steps_one_after_another() {
    let bytes = pixels(LAYOUT.size());
    let mut expected: Vec<f32> = bytes.iter().map(|&b| f32::from(b)).collect();
    let (mut specs, mut params) = (Vec::new(), Vec::new());
    for (step, own) in kinds() {
        if step.name == "standardize" {
            continue;
        }
        expected = run(std::slice::from_ref(&step), &own, Input::Floats(&expected));
        specs.push(step);
        params.extend(own);
    }
    assert_eq!(run(&specs, &params, Input::Bytes(&bytes)), expected);
}

#[test]
fn flips_and_windows_of_a_view_are_those_of_planes() {
    let bytes = pixels(LAYOUT.size());
    for flip in [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]] {
        let moves = |front: &[Spec]| {
            let mut specs: Vec<Spec> = front.iter().map(|s| spec(&s.name, &s.numbers)).collect();
            specs.extend([spec("flip", &flip), spec("window", &[4.0, 5.0]), spec("flip", &[1.0, 0.0])]);
            specs.push(spec("cut", &[3.0, 3.0, 1.0, 2.0]));
            specs
        };
        let params = [1.0, 2.0, 3.0, 1.0];
        let of_view = run(&moves(&[]), &params, Input::Bytes(&bytes));
        let of_planes = run(&moves(&[spec("scale", &[1.0, 1.0, 1.0, 0.0])]), &params, Input::Bytes(&bytes));
        assert_eq!(of_view, of_planes);
        // Row 2 + 1 and column 3 + 2 of the mirrored image, of which the second flip takes the other end.
        let (rows, columns) =
            (|y: usize| if flip[1] > 0.0 { 6 - y } else { y }, |x: usize| if flip[0] > 0.0 { 8 - x } else { x });
        for y in 0..3 {
            for x in 0..3 {
                let from = at(rows(2 + 1 + y), columns(3 + (4 - (2 + x))), 1);
                assert_eq!(of_view[(y * 3 + x) * 3 + 1], f32::from(bytes[from]));
            }
        }
    }
}

#[test]
fn resampling_is_the_sum_over_the_triangle_of_each_pixel() {
    let bytes = pixels(LAYOUT.size());
    let (top, left, rows, columns) = (1usize, 2usize, 6usize, 5usize);
    for (mirror, target) in [(false, (2, 3)), (true, (3, 2)), (false, (11, 8))] {
        let (height, width) = target;
        let specs = [spec("flip", &[1.0, 0.0]), spec("resample", &[height as f64, width as f64, 1.0, 0.0])];
        let params = [if mirror { 1.0 } else { 0.0 }, top as f32, left as f32, rows as f32, columns as f32];
        let result = run(&specs, &params, Input::Bytes(&bytes));
        let weights = |first: usize, length: usize, target: usize, i: usize| -> Vec<(usize, f64)> {
            let ratio = length as f64 / target as f64;
            let (support, centre) = (ratio.max(1.0), first as f64 + (i as f64 + 0.5) * ratio - 0.5);
            let all: Vec<(usize, f64)> =
                (first..first + length).map(|j| (j, (1.0 - (j as f64 - centre).abs() / support).max(0.0))).collect();
            let total: f64 = all.iter().map(|w| w.1).sum();
            all.into_iter().map(|(j, w)| (j, w / total)).collect()
        };
        close(
            &result,
            |i| {
                let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3);
                let mut sum = 0.0;
                for &(row, a) in &weights(top, rows, height, y) {
                    for &(column, b) in &weights(left, columns, width, x) {
                        let column = if mirror { 8 - column } else { column };
                        sum += a * b * f64::from(bytes[at(row, column, c)]);
                    }
                }
                sum
            },
            1e-3,
        );
    }
}

#[test]
fn statistics_are_those_of_each_channel() {
    let bytes = pixels(LAYOUT.size());
    let channel = |c: usize| (0..63).map(move |i| i * 3 + c);
    let mean = |c: usize| channel(c).map(|i| f64::from(bytes[i])).sum::<f64>() / 63.0;
    let low = |c: usize| f64::from(channel(c).map(|i| bytes[i]).min().unwrap());
    let high = |c: usize| f64::from(channel(c).map(|i| bytes[i]).max().unwrap());
    let contrast = run(&[spec("contrast", &[-1e4, 1e4])], &[2.5], Input::Bytes(&bytes));
    close(&contrast, |i| (f64::from(bytes[i]) - mean(i % 3)) * 2.5 + mean(i % 3), 1e-3);
    let stretched = run(&[spec("stretch", &[0.0, 255.0])], &[], Input::Bytes(&bytes));
    close(&stretched, |i| (f64::from(bytes[i]) - low(i % 3)) * 255.0 / (high(i % 3) - low(i % 3)), 1e-3);
    let equal = run(&[spec("equalize", &[0.0, 255.0, 256.0])], &[], Input::Bytes(&bytes));
    close(
        &equal,
        |i| {
            let at_most = |limit: u8| channel(i % 3).filter(|&j| bytes[j] <= limit).count() as f64;
            let least = at_most(low(i % 3) as u8);
            ((at_most(bytes[i]) - least) * 255.0 / (63.0 - least)).round_ties_even()
        },
        0.0,
    );
}

#[test]
fn a_hue_turned_by_thirds_changes_places_of_channels() {
    let bytes = pixels(LAYOUT.size());
    let turned = run(&[spec("hue", &[0.0, 255.0])], &[1.0 / 3.0], Input::Bytes(&bytes));
    close(&turned, |i| f64::from(bytes[i - i % 3 + (i % 3 + 2) % 3]), 1e-2);
    let gray = run(&[spec("saturation", &[0.0, 1.0])], &[0.0], Input::Bytes(&bytes));
    close(&gray, |i| f64::from(*bytes[i - i % 3..][..3].iter().max().unwrap()), 1e-3);
}

#[test]
fn blur_and_sharpness_are_sums_over_neighbours() {
    let bytes = pixels(LAYOUT.size());
    let value = |y: isize, x: isize, c: usize| {
        let inside = (0..7).contains(&y) && (0..9).contains(&x);
        if inside { f64::from(bytes[at(y as usize, x as usize, c)]) } else { 0.0 }
    };
    let gaussian = |size: usize, sigma: f64| {
        let weight = |i: isize| (-0.5 * ((i - size as isize / 2) as f64 / sigma).powi(2)).exp();
        let total: f64 = (0..size as isize).map(weight).sum();
        (0..size as isize).map(|i| weight(i) / total).collect::<Vec<_>>()
    };
    let (across, down) = (gaussian(5, 1.2), gaussian(3, 0.7));
    let place = |i: usize| ((i / 27) as isize, (i / 3 % 9) as isize, i % 3);
    let blurred = run(&[spec("blur", &[5.0, 3.0, 0.0, 255.0])], &[1.2, 0.7, 1.0], Input::Bytes(&bytes));
    close(
        &blurred,
        |i| {
            let (y, x, c) = place(i);
            let rows = 0..down.len();
            rows.flat_map(|j| (0..across.len()).map(move |k| (j, k)))
                .map(|(j, k)| down[j] * across[k] * value(y + j as isize - 1, x + k as isize - 2, c))
                .sum()
        },
        1e-3,
    );
    let sharp = run(&[spec("sharpness", &[0.0, 255.0])], &[1.6], Input::Bytes(&bytes));
    close(
        &sharp,
        |i| {
            let (y, x, c) = place(i);
            let around: f64 =
                (-1..=1).flat_map(|j| (-1..=1).map(move |k| (j, k))).map(|(j, k)| value(y + j, x + k, c)).sum();
            let smooth = (around + 4.0 * value(y, x, c)) / 13.0;
            (value(y, x, c) + (1.0 - 1.6) * (smooth - value(y, x, c))).clamp(0.0, 255.0)
        },
        1e-3,
    );
}

#[test]
fn chosen_and_mixed_chains() {
    let bytes = pixels(LAYOUT.size());
    let parts = || vec![vec![spec("invert", &[255.0])], vec![spec("add", &[0.0, 255.0]), spec("gray", &[])]];
    let choose = Spec { parts: parts(), ..spec("choose", &[]) };
    let params = |which: f32| [which, 1.0, 5.0, 0.0];
    let inverted = run(std::slice::from_ref(&choose), &params(0.0), Input::Bytes(&bytes));
    close(&inverted, |i| 255.0 - f64::from(bytes[i]), 0.0);
    let added = run(std::slice::from_ref(&choose), &params(1.0), Input::Bytes(&bytes));
    close(&added, |i| (f64::from(bytes[i]) + 5.0).min(255.0), 0.0);
    for none in [-1.0, 2.0] {
        close(&run(std::slice::from_ref(&choose), &params(none), Input::Bytes(&bytes)), |i| f64::from(bytes[i]), 0.0);
    }
    let mix = Spec { parts: parts(), ..spec("mix", &[0.0, 255.0]) };
    let mixed = run(&[mix], &[0.25, 0.4, 0.6, 1.0, 5.0, 0.0], Input::Bytes(&bytes));
    close(
        &mixed,
        |i| {
            let x = f64::from(bytes[i]);
            0.25 * x + 0.75 * (0.4 * (255.0 - x) + 0.6 * (x + 5.0).min(255.0))
        },
        1e-3,
    );
}

#[test]
fn what_does_not_fit_is_an_error() {
    let refused = |specs: &[Spec]| Chain::new(specs).map(|chain| chain.result(LAYOUT).map(|_| ()));
    assert!(Chain::new(&[spec("nothing", &[])]).is_err());
    assert!(Chain::new(&[spec("add", &[1.0])]).is_err());
    assert!(Chain::new(&[spec("add", &[1.0, 2.0, 3.0])]).is_err());
    assert!(Chain::new(&[spec("warp", &[0.0, 5.0, 0.0])]).is_err());
    assert!(Chain::new(&[spec("window", &[0.0, 2.0])]).is_err());
    assert!(refused(&[spec("window", &[8.0, 2.0])]).unwrap().is_err());
    assert!(refused(&[spec("resize", &[1.0, 1.0, 7.0, 1.0, 1.0, 1.0, 0.0, 1.0])]).unwrap().is_err());
    let parts = vec![vec![spec("window", &[2.0, 2.0])]];
    assert!(Chain::new(&[Spec { parts, ..spec("choose", &[]) }]).is_err());
    let chain = Chain::new(&[spec("gray", &[])]).unwrap();
    let (image, mut result) = (pixels(LAYOUT.size()), vec![0.0; LAYOUT.size()]);
    assert!(chain.run(Input::Bytes(&image), LAYOUT, &[], Output::Floats(&mut result)).is_err());
    assert!(chain.run(Input::Bytes(&image[1..]), LAYOUT, &[1.0], Output::Floats(&mut result)).is_err());
}

#[test]
fn parameters_that_are_no_numbers_reach_no_pixel_outside() {
    let bytes = pixels(LAYOUT.size());
    for bad in [f32::NAN, f32::INFINITY, -1e30, 1e30] {
        for (step, params) in kinds() {
            run(&[step], &vec![bad; params.len()], Input::Bytes(&bytes));
        }
        run(&[spec("window", &[4.0, 5.0])], &[bad; 2], Input::Bytes(&bytes));
        for nearest in [0.0, 1.0] {
            run(&[spec("resample", &[4.0, 5.0, 1.0, nearest])], &[bad; 4], Input::Bytes(&bytes));
            run(&[spec("resample", &[4.0, 5.0, 1.0, nearest])], &[1.0, 2.0, bad, 3.0], Input::Bytes(&bytes));
            run(&[spec("resample", &[4.0, 5.0, 1.0, nearest])], &[bad, 2.0, 3.0, 3.0], Input::Bytes(&bytes));
        }
    }
}

#[test]
fn sizes_of_steps() {
    assert_eq!(Step::new(&spec("pad", &[1.0, 2.0, 9.0, 12.0, 0.0])).unwrap().size((7, 9)), (9, 12));
    let padded = run(&[spec("pad", &[1.0, 2.0, 9.0, 12.0, 5.0])], &[], Input::Bytes(&pixels(LAYOUT.size())));
    assert_eq!((padded.len(), padded[0], padded[(12 + 2) * 3]), (9 * 12 * 3, 5.0, f32::from(pixels(1)[0])));
}

#[test]
fn warps_read_the_pixels_around_with_what_fills_the_outside() {
    let bytes = pixels(LAYOUT.size());
    let projection = [0.8, 0.35, -1.5, -0.25, 1.2, 0.6, 0.01, -0.02];
    // In the order of the modes: constant, nearest, wrap, mirror, reflect.
    let inside = |mode: usize, i: i64, n: i64| match mode {
        0 => (0..n).contains(&i).then_some(i),
        1 => Some(i.clamp(0, n - 1)),
        2 => Some(i.rem_euclid(n)),
        3 => Some(
            (0..)
                .map(|k| if k % 2 == 0 { k / 2 } else { -(k / 2) - 1 })
                .find_map(|k: i64| {
                    let place = if k.rem_euclid(2) == 0 { i - k * (n - 1) } else { (k + 1) * (n - 1) - i };
                    (0..n).contains(&place).then_some(place)
                })
                .unwrap(),
        ),
        _ => {
            let around = i.rem_euclid(2 * n);
            Some(if around >= n { 2 * n - 1 - around } else { around })
        }
    };
    for mode in 0..5 {
        for nearest in [false, true] {
            let numbers = [f64::from(u8::from(nearest)), mode as f64, 17.0];
            let mut params = projection.map(|p| p as f32).to_vec();
            params.push(1.0);
            let result = run(&[spec("warp", &numbers)], &params, Input::Bytes(&bytes));
            let value = |y: i64, x: i64, c: usize| {
                let place = inside(mode, y, 7).zip(inside(mode, x, 9));
                place.map_or(17.0, |(y, x)| f64::from(bytes[at(y as usize, x as usize, c)]))
            };
            close(
                &result,
                |i| {
                    let (y, x, c) = ((i / 27) as f64, (i / 3 % 9) as f64, i % 3);
                    let [a0, a1, a2, b0, b1, b2, c0, c1] = projection;
                    let k = c0 * x + c1 * y + 1.0;
                    let (column, row) = ((a0 * x + a1 * y + a2) / k, (b0 * x + b1 * y + b2) / k);
                    if nearest {
                        return value(row.round() as i64, column.round() as i64, c);
                    }
                    let (top, left) = (row.floor(), column.floor());
                    let (dy, dx) = (row - top, column - left);
                    let (t, l) = (top as i64, left as i64);
                    (1.0 - dy) * ((1.0 - dx) * value(t, l, c) + dx * value(t, l + 1, c))
                        + dy * ((1.0 - dx) * value(t + 1, l, c) + dx * value(t + 1, l + 1, c))
                },
                2e-3,
            );
        }
    }
}
