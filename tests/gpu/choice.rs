//! Which kernels are taken: the self-test, and choice by timing.

use super::*;

#[test]
fn the_self_test_trusts_the_highest_tier_without_a_wrong_kernel() {
    if !is_asked() {
        return;
    }
    let highest = Tier::ALL.last().unwrap().1;
    let verdict = selftest::test(0, |_, _| {}, |_| {}).unwrap();
    assert_eq!(verdict.tier, Some(highest), "{}", verdict.text);
    let caps = device::get(0).unwrap().facts.caps;
    let trusted = if caps.fragment.is_some() { Halves::Auto } else { Halves::AutoTiles };
    assert_eq!(verdict.halves, trusted, "{}", verdict.text);
    // A kernel of halves rounds in another way: those alone are left.
    let spoil = |kernel: &str, values: &mut [f64]| {
        if kernel.starts_with("half_128x128") {
            values[0] *= 1.0005;
        }
    };
    let verdict = selftest::test(0, spoil, |_| {}).unwrap();
    assert_eq!((verdict.tier, verdict.halves), (Some(highest), Halves::Never), "{}", verdict.text);
    assert!(verdict.text.contains("tiles of halves do not: "), "{}", verdict.text);
    // A kernel of tiles gives one wrong number: the plain ones are taken.
    let spoil = |kernel: &str, values: &mut [f64]| {
        if kernel.starts_with("gemm_64x64") {
            values[0] += 0.5;
        }
    };
    let verdict = selftest::test(0, spoil, |_| {}).unwrap();
    assert_eq!(verdict.halves, Halves::Never);
    assert_eq!(verdict.tier, Some(Tier::Plain), "{}", verdict.text);
    assert!(verdict.text.contains("by gemm_64x64: element 0 of output"), "{}", verdict.text);
    // All are wrong.
    let verdict = selftest::test(0, |_, values| values[0] = f64::NAN, |_| {}).unwrap();
    assert_eq!(verdict.tier, None);
    assert!(verdict.text.contains("plain kernels do not"), "{}", verdict.text);
}

#[test]
fn what_the_self_test_found_is_known_to_the_next_process() {
    if !is_asked() {
        return;
    }
    let name = "what_the_self_test_found_is_known_to_the_next_process";
    if is_apart() {
        let device = device::get(0).unwrap();
        let verdict = selftest::known_or_tested(&device, 0).unwrap();
        println!("bits {:?} {}", verdict.tier, verdict.text);
        return;
    }
    let folder = std::env::temp_dir().join(format!("cnnrs-selftest-{}", std::process::id()));
    let cache = folder.to_str().unwrap().to_owned();
    let first = apart(module_path!(), name, &[("XDG_CACHE_HOME", &cache)]);
    assert!(first.contains("agree with the reference"), "{first}");
    let file = folder.join("cnnrs").join("gpu-selftest");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    // What stands there is believed; a damaged file is not.
    std::fs::write(&file, text.replace("agree with the reference", "were looked at before")).unwrap();
    assert!(apart(module_path!(), name, &[("XDG_CACHE_HOME", &cache)]).contains("were looked at before"));
    std::fs::write(&file, "winograd").unwrap();
    assert_eq!(apart(module_path!(), name, &[("XDG_CACHE_HOME", &cache)]), first);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn kernels_that_are_timed_are_kept_for_the_next_process_and_agree() {
    if !is_asked() {
        return;
    }
    let name = "kernels_that_are_timed_are_kept_for_the_next_process_and_agree";
    let (g, inputs) = step();
    if is_apart() {
        let plan = plan(&Gpu, &g, true);
        let expected = interpret(&g, &inputs).unwrap();
        for (got, expected) in plan.run(&mut slots(&g, &inputs), &|| false).unwrap().iter().zip(&expected) {
            let scale = expected.iter().fold(1e-3f64, |largest, v| largest.max(v.abs()));
            for (a, b) in to_values(got).iter().zip(expected) {
                assert!((a - b).abs() < 1e-4 * scale, "{a} {b}\n{}", plan.describe());
            }
        }
        let kernels: Vec<&str> = plan.steps().iter().map(|step| step.kernel).collect();
        println!("bits {kernels:?}");
        return;
    }
    let folder = std::env::temp_dir().join(format!("cnnrs-tuned-{}", std::process::id()));
    let cache = folder.to_str().unwrap().to_owned();
    let run =
        |seconds: &str| apart(module_path!(), name, &[("XDG_CACHE_HOME", &cache), ("CNNRS_GPU_TUNE_SECONDS", seconds)]);
    let by_cost = run("0");
    let file = folder.join("cnnrs").join("gpu-tuned");
    assert!(!file.exists());
    run("100");
    let text = std::fs::read_to_string(&file).unwrap();
    // The convolution and its gradients.
    assert_eq!(text.lines().count(), 3, "{text}");
    // What was found is taken by those who ask for it, without timing, and by nobody else.
    let lines = text.lines().map(|line| format!("plain\t{}\n", line.split_once('\t').unwrap().1));
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let plain = run("0.000001");
    assert!(!plain.contains("gemm") && plain.contains("conv2d_filter_grad"), "{plain}");
    assert_eq!(run("0"), by_cost);
    std::fs::remove_dir_all(folder).unwrap();
}
