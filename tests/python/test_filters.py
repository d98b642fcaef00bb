"""Classic filters of images against scipy and scikit-image, and as layers of networks."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as nd
from test_devices import SOFTWARE, needs_software

import cnnrs
from cnnrs import layers, ops

FIXTURE = np.load(Path(__file__).parents[1] / "fixtures" / "filters.npz")
MODES = ("reflect", "mirror", "nearest", "wrap", "constant")
IMAGE = np.random.default_rng(2).uniform(size=(9, 11))


def one(result):
    return result.numpy()[..., 0]


@pytest.mark.parametrize("mode", MODES)
def test_derivatives_are_those_of_scipy(mode):
    # With "constant", scipy's second pass meets the constant in place of the first one's result.
    cval = 0.0 if mode == "constant" else 0.3
    options = {"fill_mode": mode, "fill_value": cval}
    for name in ("sobel", "prewitt"):
        expected = [getattr(nd, name)(IMAGE, axis=axis, mode=mode, cval=cval) for axis in (1, 0)]
        function = getattr(ops.image, name)
        for output, slopes in zip(("x", "y"), expected, strict=True):
            np.testing.assert_allclose(one(function(IMAGE[..., None], output, **options)), slopes, atol=1e-5)
        magnitude = np.hypot(*expected)
        np.testing.assert_allclose(one(function(IMAGE[..., None], **options)), magnitude, atol=1e-5)
        both = function(IMAGE[..., None], "xy", **options).numpy()
        np.testing.assert_allclose(both, np.stack(expected, -1), atol=1e-5)
        direction = one(function(IMAGE[..., None], "direction", **options))
        turn = np.exp(1j * direction) - (expected[0] + 1j * expected[1]) / np.maximum(magnitude, 1e-9)
        assert np.abs(turn[magnitude > 1e-6]).max() < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_blurs_and_second_derivatives_are_those_of_scipy(mode):
    x, options = IMAGE[..., None], {"fill_mode": mode, "fill_value": 0.3}
    border = {"mode": mode, "cval": 0.3}
    np.testing.assert_allclose(one(ops.image.laplacian(x, **options)), nd.laplace(IMAGE, **border), atol=1e-5)
    kernel = np.ones((3, 3)) - 9 * np.eye(3)[1][:, None] * np.eye(3)[1]
    expected = nd.correlate(IMAGE, kernel, **border)
    np.testing.assert_allclose(one(ops.image.laplacian(x, 8, **options)), expected, atol=1e-5)
    for sigma in (0.6, 1.5, 4.0):  # the last reaches further than the image
        blur = nd.gaussian_filter(IMAGE, sigma, **border)
        found = ops.image.gaussian_blur(x, None, (sigma, sigma), **options)
        np.testing.assert_allclose(one(found), blur, atol=1e-5)
        plain = {**border, "cval": 0.0}
        expected = nd.gaussian_laplace(IMAGE, sigma, **plain)
        found = ops.image.laplacian_of_gaussian(x, sigma, fill_mode=mode)
        np.testing.assert_allclose(one(found), expected, atol=1e-5)
        wide = nd.gaussian_filter(IMAGE, 2 * sigma, **border)
        found = ops.image.difference_of_gaussians(x, sigma, 2 * sigma, **options)
        np.testing.assert_allclose(one(found), blur - wide, atol=1e-5)
        found = ops.image.unsharp_mask(x, sigma, 0.5, **options)
        np.testing.assert_allclose(one(found), 1.5 * IMAGE - 0.5 * blur, atol=1e-5)


def test_a_blur_with_two_deviations_and_an_even_window():
    x = IMAGE[..., None]
    expected = nd.gaussian_filter(IMAGE, (2.0, 0.5), mode="nearest")
    found = ops.image.gaussian_blur(x, None, (0.5, 2.0), fill_mode="nearest")
    np.testing.assert_allclose(one(found), expected, atol=1e-5)
    weights = np.exp(-0.5 * np.array([-1.5, -0.5, 0.5, 1.5]) ** 2)
    weights /= weights.sum()
    wide = np.pad(IMAGE, ((0, 0), (1, 2)), mode="symmetric")
    expected = sum(w * wide[:, i : i + 11] for i, w in enumerate(weights))
    found = ops.image.gaussian_blur(x, (4, 1), fill_mode="reflect")
    np.testing.assert_allclose(one(found), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["sobel", "scharr", "prewitt"])
def test_derivatives_are_those_of_scikit_image(name):
    """Its kernels sum to 1 on each side, and its magnitude is the root of the mean of the squares."""
    x, scale = (
        FIXTURE["image"][..., None],
        sum({"sobel": (1, 2, 1), "scharr": (3, 10, 3)}.get(name, (1, 1, 1))),
    )
    function = getattr(ops.image, name)
    for output, suffix, factor in (("x", "_x", 1.0), ("y", "_y", 1.0), ("magnitude", "", math.sqrt(2))):
        expected = FIXTURE[name + suffix] * scale * factor
        np.testing.assert_allclose(one(function(x, output)), expected, rtol=1e-4, atol=1e-4)
        normal = one(function(x, output, normalize=True))
        np.testing.assert_allclose(normal, expected / (2 * scale), rtol=1e-4, atol=1e-5)


def test_sharpening_and_differences_are_those_of_scikit_image():
    x = FIXTURE["image"][..., None]
    np.testing.assert_allclose(one(ops.image.unsharp_mask(x, 1.5, 0.7)), FIXTURE["unsharp"], atol=1e-5)
    found = ops.image.difference_of_gaussians(x)
    np.testing.assert_allclose(one(found), FIXTURE["difference"], atol=1e-5)


ANGLES = (0.0, 0.7, np.pi / 2)


def test_gabor_filters_are_those_of_scikit_image():
    bank = ops.image.gabor_kernels((0.15, 0.3), ANGLES, bandwidth=1.2).numpy()
    energy = ops.image.gabor(FIXTURE["image"][..., None], (0.15, 0.3), ANGLES, bandwidth=1.2).numpy()
    for i in range(2):
        for j in range(3):
            kernel = FIXTURE[f"kernel_{i}_{j}"]
            found = bank[0, ..., 3 * i + j] + 1j * bank[1, ..., 3 * i + j]
            top, left = ((a - b) // 2 for a, b in zip(found.shape, kernel.shape, strict=True))
            inside = found[top : top + kernel.shape[0], left : left + kernel.shape[1]]
            np.testing.assert_allclose(inside, kernel, atol=1e-6)
            if j == 1:
                continue  # it cuts the ends off of kernels that are turned
            # Smaller kernels lie in the middle of zeros.
            assert np.abs(found).sum() == pytest.approx(np.abs(inside).sum(), rel=1e-5)
            np.testing.assert_allclose(
                energy[..., 3 * i + j], FIXTURE[f"gabor_{i}_{j}"], rtol=1e-3, atol=1e-5
            )


def test_a_gabor_filter_answers_to_its_frequency_and_direction():
    rows, columns = np.mgrid[:64, :64]
    angles, frequencies = np.arange(4) * np.pi / 4, (0.1, 0.25)
    for i, frequency in enumerate(frequencies):
        for j, angle in enumerate(angles):
            wave = np.cos(2 * np.pi * frequency * (columns * np.cos(angle) + rows * np.sin(angle)) + 0.4)
            found = ops.image.gabor(wave[..., None], frequencies, 4).numpy()[20:44, 20:44].mean((0, 1))
            assert found.argmax() == 4 * i + j
            assert found.max() == pytest.approx(0.5, rel=0.02)  # whatever the phase
    # Half a spectrum, one octave of bandwidth: the answer falls to a half at the edges of that.
    sigma = math.sqrt(math.log(2) / 2) / math.pi * 3 / 0.2
    for edge in (0.2 * 2 / 3, 0.2 * 4 / 3):
        assert math.exp(-0.5 * (2 * math.pi * sigma * (edge - 0.2)) ** 2) == pytest.approx(0.5)
        wave = np.cos(2 * np.pi * edge * columns)[..., None]
        found = ops.image.gabor(wave, 0.2, 1, kernel_size=41).numpy()[22:42, 22:42].mean()
        assert found == pytest.approx(0.25, rel=0.03)


def test_derivatives_of_a_ramp_and_of_a_turned_edge():
    rows, columns = np.mgrid[:20, :20].astype("float64")
    for angle in np.linspace(0, 2 * np.pi, 9)[:-1]:
        ramp = (columns * np.cos(angle) + rows * np.sin(angle))[..., None]
        for name in ("sobel", "scharr", "prewitt"):
            function = getattr(ops.image, name)
            inner = function(ramp, normalize=True).numpy()[1:-1, 1:-1]
            np.testing.assert_allclose(inner, 1.0, atol=1e-4)
            direction = function(ramp, "direction").numpy()[5, 5, 0]
            assert math.cos(direction - angle) == pytest.approx(1.0, abs=1e-6)
    # Scharr's filters turn with the image better than Sobel's.
    errors = {}
    for name in ("sobel", "scharr", "prewitt"):
        worst = 0.0
        for angle in np.linspace(0.05, np.pi / 2 - 0.05, 15):
            wave = np.sin(0.8 * (columns * np.cos(angle) + rows * np.sin(angle)) + 0.3)[..., None]
            x, y = np.moveaxis(getattr(ops.image, name)(wave, "xy").numpy()[1:-1, 1:-1], -1, 0)
            steep = np.hypot(x, y) > 0.5 * np.hypot(x, y).max()
            found = np.arctan2(y[steep] * np.sign(x[steep]), np.abs(x[steep]))
            worst = max(worst, np.abs(found - angle).max())
        errors[name] = worst
    assert errors["scharr"] < 0.5 * errors["sobel"] < 0.5 * errors["prewitt"]


def test_flat_images():
    flat = np.full((2, 5, 5, 3), 7.0, "float32")
    for output in ("magnitude", "direction"):
        assert not ops.image.sobel(flat, output).numpy().any()
        x = ops.convert_to_tensor(flat)
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            value = ops.sum(ops.image.sobel(x, output))
        assert np.isfinite(tape.gradient(value, x).numpy()).all()
    assert np.abs(ops.image.laplacian(flat).numpy()).max() == 0
    np.testing.assert_allclose(ops.image.unsharp_mask(flat).numpy(), flat, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "bfloat16", "float64"])
def test_types(dtype):
    x = ops.cast(ops.convert_to_tensor(np.random.default_rng(0).integers(0, 200, (1, 6, 7, 2))), dtype)
    plain = ops.cast(x, "float32")
    for function in (
        ops.image.sobel,
        ops.image.laplacian,
        ops.image.laplacian_of_gaussian,
        ops.image.difference_of_gaussians,
        lambda x: ops.image.gabor(x, 0.2, 2),
    ):
        found, expected = function(x), function(plain)
        assert found.dtype == (dtype if "float" in dtype else "float32")
        np.testing.assert_allclose(ops.cast(found, "float32").numpy(), expected.numpy(), rtol=1e-2, atol=0.5)
    sharp = ops.image.unsharp_mask(x)
    assert sharp.dtype == dtype
    if dtype == "uint8":
        expected = np.clip(np.rint(ops.image.unsharp_mask(plain).numpy()), 0, 255)
        np.testing.assert_allclose(sharp.numpy(), expected, atol=1)


FUNCTIONS = {
    "sobel": lambda x, f: ops.image.sobel(x, data_format=f),
    "xy": lambda x, f: ops.image.scharr(x, "xy", data_format=f),
    "laplacian": lambda x, f: ops.image.laplacian(x, data_format=f),
    "log": lambda x, f: ops.image.laplacian_of_gaussian(x, data_format=f),
    "dog": lambda x, f: ops.image.difference_of_gaussians(x, data_format=f),
    "unsharp": lambda x, f: ops.image.unsharp_mask(x, data_format=f),
    "gabor": lambda x, f: ops.image.gabor(x, (0.2, 0.3), 2, data_format=f),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_channels_first_single_images_symbolic_ones_and_gradients(name):
    function, x = FUNCTIONS[name], np.random.default_rng(1).normal(size=(2, 7, 8, 3)).astype("float32")
    expected = function(x, "channels_last").numpy()
    first = function(np.moveaxis(x, -1, 1), "channels_first").numpy()
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(function(x[0], "channels_last").numpy(), expected[0], rtol=1e-5, atol=1e-6)
    image = cnnrs.Input((None, None, 3))
    y = function(image, "channels_last")
    assert y.shape == (None, None, None, expected.shape[-1])
    model = cnnrs.Model(image, y)
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    # A channel is filtered for itself.
    alone = function(x[..., 1:2], "channels_last").numpy()
    many = expected.shape[-1] // 3
    places = [1, 4] if name == "xy" else list(range(many, 2 * many))
    np.testing.assert_allclose(expected[..., places], alone, rtol=1e-5, atol=1e-6)
    tensor = ops.convert_to_tensor(x)
    with cnnrs.GradientTape() as tape:
        tape.watch(tensor)
        value = ops.sum(ops.square(function(tensor, "channels_last")))
    gradient = tape.gradient(value, tensor).numpy()
    direction, step = np.random.default_rng(5).normal(size=x.shape), 1e-4
    ends = [
        float(ops.sum(ops.square(function(x.astype("float64") + sign * step * direction, "channels_last"))))
        for sign in (1, -1)
    ]
    assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3)


GPU = """
import numpy as np
import cnnrs
from test_filters import FUNCTIONS, ops
FUNCTIONS["direction"] = lambda x, f: ops.image.sobel(x, "direction", fill_mode="wrap", data_format=f)
FUNCTIONS["border"] = lambda x, f: ops.image.laplacian(x, 8, "constant", 0.5, data_format=f)
x = np.random.default_rng(1).normal(size=(1, 6, 7, 2)).astype("float32")
for name, function in FUNCTIONS.items():
    found = []
    for device in ("cpu", "gpu:0"):
        with cnnrs.device(device):
            found.append(function(x, "channels_last").numpy())
    assert abs(found[0] - found[1]).max() < 1e-4, name
print(len(FUNCTIONS))
"""


@needs_software
def test_on_a_gpu():
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, **SOFTWARE, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", GPU], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == (f"{len(FUNCTIONS) + 2}\n", "")


# ------------------------------------------------------------------ layers


def photographs(n=3):
    rng = np.random.default_rng(0)
    smooth = nd.gaussian_filter(rng.normal(size=(n, 24, 24, 3)), (0, 2, 2, 0))
    return (smooth / np.abs(smooth).max()).astype("float32")


@pytest.mark.parametrize(
    "layer, function",
    [
        (lambda: layers.Sobel2D(), ops.image.sobel),
        (lambda: layers.Scharr2D("xy"), lambda x: ops.image.scharr(x, "xy")),
        (lambda: layers.Prewitt2D("direction"), lambda x: ops.image.prewitt(x, "direction")),
        (lambda: layers.Laplacian2D(8, "wrap"), lambda x: ops.image.laplacian(x, 8, "wrap")),
        (
            lambda: layers.GaussianBlur2D(1.3),
            lambda x: ops.image.gaussian_blur(x, None, (1.3, 1.3), fill_mode="reflect"),
        ),
        (lambda: layers.GaborBank2D(0.2), lambda x: ops.image.gabor(x, 0.2, output="real")),
        (lambda: layers.GaborBank2D(0.2, output="magnitude"), lambda x: ops.image.gabor(x, 0.2)),
    ],
)
def test_layers_compute_what_functions_do(layer, function, tmp_path):
    x = photographs()
    model = cnnrs.Sequential([cnnrs.Input((None, None, 3)), layer()])
    np.testing.assert_allclose(model(x).numpy(), function(x).numpy(), rtol=1e-5, atol=1e-5)
    assert model.count_params() and not model.trainable_weights
    model.save(tmp_path / "filter.keras")
    again = cnnrs.saving.load_model(tmp_path / "filter.keras")
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())


def test_a_fixed_filter_stays_in_training_and_learns_when_set_free():
    cnnrs.utils.set_random_seed(0)
    x = photographs(8)
    y = np.abs(ops.image.scharr(x, "x").numpy()).mean((1, 2, 3)) > 0.9
    for trainable in (False, True):
        first = layers.Sobel2D("xy", trainable=trainable)
        model = cnnrs.Sequential(
            [cnnrs.Input((24, 24, 3)), first, layers.GlobalMaxPooling2D(), layers.Dense(1)]
        )
        before = first.get_weights()[0]
        model.compile("adam", "mse")
        model.fit(x, y.astype("float32"), epochs=2, verbose=0)
        assert (first.get_weights()[0] != before).any() == trainable


def test_a_convolution_that_imitates_sobel_becomes_sobel():
    """The kernel is the only one that gives these edges: gradient descent finds it."""
    cnnrs.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 16, 16, 1)).astype("float32")
    y = ops.image.sobel(x, "x").numpy()[:, 1:-1, 1:-1]
    model = cnnrs.Sequential([cnnrs.Input((16, 16, 1)), layers.Conv2D(1, 3)])
    model.compile(cnnrs.optimizers.Adam(0.1), "mse")
    model.fit(x, y, epochs=30, batch_size=16, verbose=0)
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(kernel[..., 0, 0], [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], atol=0.02)
    assert abs(bias[0]) < 0.02


def test_a_constant_border_and_what_follows_a_filter_cost_no_pass_of_their_own():
    model = cnnrs.Sequential([cnnrs.Input((32, 32, 4)), layers.Sobel2D(fill_mode="constant")])
    explanation = cnnrs.utils.explain(model, batch_size=2)
    assert explanation.num_steps == 2  # two convolutions, with the magnitude in the second
    assert "sqrt while storing" in " ".join(str(explanation).split())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ops.image.sobel(IMAGE), "images: expected 3 axes"),
        (lambda: ops.image.sobel(IMAGE[..., None], "both"), "sobel: output: expected one of.*'both'"),
        (lambda: ops.image.scharr(IMAGE[..., None], fill_mode="edge"), "scharr: fill_mode: expected.*'edge'"),
        (lambda: ops.image.prewitt(IMAGE[:0, :, None]), "expected pixels to extend"),
        (lambda: ops.image.laplacian(IMAGE[..., None], 6), "neighbors: expected 4 or 8, received 6"),
        (lambda: ops.image.laplacian_of_gaussian(IMAGE[..., None], 0.0), "sigma: expected.*> 0"),
        (lambda: ops.image.laplacian_of_gaussian(IMAGE[..., None], 1e9), "at most 1023 pixels"),
        (lambda: ops.image.difference_of_gaussians(IMAGE[..., None], 2, 1), "high_sigma: expected.*> 2"),
        (lambda: ops.image.gabor(IMAGE[..., None], 0.7), "frequencies: expected.*<= 0.5, received 0.7"),
        (lambda: ops.image.gabor(IMAGE[..., None], []), "frequencies: expected a number or several"),
        (lambda: ops.image.gabor(IMAGE[..., None], 1e-6), "kernel_size: expected a size"),
        (lambda: ops.image.gabor(IMAGE[..., None], 0.2, bandwidth=1e-9), "kernel_size: expected a size"),
        (lambda: ops.image.gabor_kernels(0.2, 0), "orientations: expected an integer >= 1"),
        (lambda: ops.image.sobel(IMAGE[..., None], fill_value=None), "sobel: fill_value: expected a finite"),
        (lambda: layers.GaborBank2D(output="phase"), "output: expected one of.*'phase'"),
        (lambda: layers.Laplacian2D(5), "neighbors: expected 4 or 8, received 5"),
        (lambda: layers.GaussianBlur2D(-1.0), "sigma: expected.*> 0"),
        (lambda: layers.Sobel2D(normalise=True), "normalise.*did you mean 'normalize'"),
        (lambda: layers.Sobel2D()(np.zeros((8, 8), "f")), "expected.*4"),
    ],
)  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_errors_begin_with_the_function_and_show_what_was_given():
    with pytest.raises(ValueError, match="^sobel: images: expected 3 axes"):
        ops.image.sobel(np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"received -1\.0$"):
        ops.image.gaussian_blur(np.ones((4, 4, 1)), None, -1.0 * np.ones(2))


def test_errors_about_images_name_the_function() -> None:
    further = {
        "affine_transform": [np.zeros((1, 8), "float32")],
        "crop_images": [1, 1, 1, 1],
        "difference_of_gaussians": [1.0, 2.0],
        "elastic_transform": [],
        "gabor": [0.1],
        "gaussian_blur": [],
        "hsv_to_rgb": [],
        "laplacian": [],
        "laplacian_of_gaussian": [1.0],
        "pad_images": [1, 1, 1, 1],
        "perspective_transform": [np.zeros((1, 4, 2), "float32")] * 2,
        "resize": [(4, 4)],
        "rgb_to_grayscale": [],
        "rgb_to_hsv": [],
        "scharr": [],
        "sobel_edges": [],
        "unsharp_mask": [],
    }
    for name, arguments in further.items():
        with pytest.raises(ValueError, match=f"^{name}: images: expected "):
            getattr(ops.image, name)(np.zeros(5, "float32"), *arguments)
    with pytest.raises(ValueError, match="^ssim: image1: expected 3 axes"):
        ops.image.ssim(np.zeros(5, "float32"), np.zeros(5, "float32"), 1.0)
