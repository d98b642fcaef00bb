"""Devices: how a program names them, and that a GPU computes what the CPU does.

Where the machine has lavapipe, a driver that computes on the processor, networks run on it too.
"""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

import cnnrs
from cnnrs import config, ops
from cnnrs.base import devices as base_devices

SOFTWARE = {"CNNRS_ADAPTER": "software", "NODEVICE_SELECT": "1"}
needs_software = pytest.mark.skipif(
    not glob.glob("/usr/share/vulkan/icd.d/lvp_icd*"), reason="lavapipe is not installed: the GPU did not run"
)


def run_apart(program: str, **environment: str) -> str:
    """What `program` prints in a process of its own, which may start with another device."""
    clean = {k: v for k, v in os.environ.items() if k not in ("CNNRS_ADAPTER", "CNNRS_DEVICE")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**clean, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_processor_is_a_device_and_the_first():
    first = cnnrs.devices()[0]
    assert (first.name, first.kind) == ("cpu:0", "processor")
    assert config.get_device() == "cpu"
    assert callable(cnnrs.devices) and callable(cnnrs.device)  # and no module of this name


def test_blocks_nest_and_end_with_errors():
    with cnnrs.device("CPU:0"):
        with pytest.raises(ZeroDivisionError), cnnrs.device("cpu"):
            raise ZeroDivisionError
        assert float(ops.sum([1.0, 2.0])) == 3.0
    assert config.get_device() == "cpu"


@pytest.mark.parametrize("name", ["tpu", "cpu:x", "gpu:0:1", ""])
def test_unknown_devices_are_named(name):
    with pytest.raises(ValueError, match=f'device: expected one of "cpu".*received "{name}"'):
        config.set_device(name)
    with pytest.raises(ValueError, match="expected one of"), cnnrs.device(name):
        pass
    assert config.get_device() == "cpu"


def test_numbers_that_the_machine_has_not_are_refused():
    with pytest.raises(ValueError, match='device "gpu:3": (no adapter to use|this process can use)'):
        config.set_device("gpu:3")


@pytest.mark.parametrize("name", [None, 0, b"cpu"])
def test_names_are_strings(name):
    with pytest.raises(ValueError, match="expected a string such as"):
        config.set_device(name)
    with pytest.raises(ValueError, match="expected a string such as"), cnnrs.device(name):
        pass


def test_a_machine_without_adapters_says_what_to_install():
    program = """
        from cnnrs import config
        try:
            config.set_device("gpu")
        except ValueError as error:
            print(error)
        print(config.get_device())
        """
    # The loader finds no driver; an adapter of this name is on no machine.
    environment = {"VK_ICD_FILENAMES": "/nowhere.json", "VK_DRIVER_FILES": "/nowhere.json"}
    said = run_apart(program, CNNRS_ADAPTER="no such adapter", **environment)
    message, device = said.split("\n")
    assert 'device "gpu:0": no adapter to use' in message and "no such adapter" in message
    assert device == "cpu"


def test_a_variable_that_names_no_device_is_named():
    program = """
        import cnnrs
        try:
            float(cnnrs.ops.sum([1.0]))
        except ValueError as error:
            print(error)
        """
    assert 'CNNRS_DEVICE: device: expected one of "cpu"' in run_apart(program, CNNRS_DEVICE="npu")


TRAINING = """
    import numpy as np
    import cnnrs
    from cnnrs import config, layers

    print(config.get_device())
    cnnrs.utils.set_random_seed(1)
    (x, y), _ = cnnrs.datasets.mnist.load_data()
    x, y = x[:512, ..., None] / np.float32(255), y[:512]
    model = cnnrs.Sequential(
        [
            cnnrs.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(12, 3, strides=2),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(32, activation="tanh"),
            layers.Dense(10),
        ]
    )
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    history = model.fit(x, y, batch_size=48, epochs=3, validation_split=0.1, verbose=0).history
    print(*history["loss"], *history["val_loss"])
    print(*model.predict(x[:5], verbose=0).ravel())
    """


@needs_software
def test_an_unchanged_script_trains_on_the_gpu_as_on_the_cpu():
    results = []
    for device in ("cpu", "gpu"):
        name, losses, logits = run_apart(TRAINING, CNNRS_DEVICE=device, **SOFTWARE).split("\n")
        assert name == device
        results.append(([float(v) for v in losses.split()], [float(v) for v in logits.split()]))
    (cpu_losses, cpu_logits), (gpu_losses, gpu_logits) = results
    assert cpu_losses[2] < cpu_losses[0]
    assert gpu_losses == pytest.approx(cpu_losses, rel=5e-3)
    assert gpu_logits == pytest.approx(cpu_logits, rel=0.05, abs=0.05)


@needs_software
def test_training_goes_on_where_activations_are_larger_than_a_binding():
    # A batch of the first convolution's output has 900 KB; eight images, which begin where bindings may, 150.
    limited = {"CNNRS_GPU_BINDING_BYTES": "262144"}
    runs = [{"CNNRS_DEVICE": "cpu"}, {"CNNRS_DEVICE": "gpu"}, {"CNNRS_DEVICE": "gpu", **limited}]
    results = []
    for variables in runs:
        _, losses, logits = run_apart(TRAINING, **SOFTWARE, **variables).split("\n")
        results.append(([float(v) for v in losses.split()], [float(v) for v in logits.split()]))
    (cpu_losses, cpu_logits), (whole, _), (cut, cut_logits) = results
    assert cpu_losses[2] < cpu_losses[0]
    assert cut == pytest.approx(cpu_losses, rel=5e-3) and cut == pytest.approx(whole, rel=5e-3)
    assert cut != whole  # sums over the batch were cut: they round in another order
    assert cut_logits == pytest.approx(cpu_logits, rel=0.05, abs=0.05)


@needs_software
def test_models_and_tensors_go_from_device_to_device():
    program = """
        import numpy as np
        import cnnrs
        from cnnrs import config, layers, ops

        assert [d.kind for d in cnnrs.devices()][1:] == ["software"], cnnrs.devices()
        x = np.linspace(-1, 1, 2 * 6 * 6 * 3, dtype=np.float32).reshape(2, 6, 6, 3)
        model = cnnrs.Sequential([cnnrs.Input((6, 6, 3)), layers.Conv2D(5, 3), layers.Flatten()])
        model.add(layers.Dense(4))
        model.compile(cnnrs.optimizers.SGD(0.1, momentum=0.9), "mse")
        on_cpu = model.predict(x, verbose=0)
        with cnnrs.device("gpu"):
            assert config.get_device() == "gpu"
            made = ops.matmul(x[0, 0], x[0, 1].T) + 1
            assert np.allclose(made, x[0, 0] @ x[0, 1].T + 1, atol=1e-5)
            assert np.allclose(model.predict(x, verbose=0), on_cpu, atol=1e-5)
            model.train_on_batch(x, np.zeros((2, 4), np.float32))
        assert config.get_device() == "cpu"
        assert np.allclose(made + made, 2 * (x[0, 0] @ x[0, 1].T + 1), atol=1e-5)
        config.set_device("gpu")
        loss = model.train_on_batch(x, np.zeros((2, 4), np.float32))
        config.set_device("cpu")
        print(config.get_device(), np.isfinite(loss))
        """
    assert run_apart(program, **SOFTWARE) == "cpu True"


@needs_software
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_policies_train_on_both_devices(policy):
    program = f"""
        import numpy as np
        import cnnrs
        from cnnrs import config, layers, optimizers

        config.set_dtype_policy({policy!r})
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(16, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 16)
        reached = []
        for device in ("cpu", "gpu"):
            config.set_device(device)
            cnnrs.utils.set_random_seed(1)
            model = cnnrs.Sequential([
                cnnrs.Input((6, 6, 2)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(),
                layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(3, activation="softmax"),
            ])
            model.compile(optimizers.SGD(0.05), "sparse_categorical_crossentropy")
            history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
            assert model.predict(x, verbose=0).dtype.itemsize == 2
            reached.append(history["loss"])
            bad = np.full_like(x, np.inf)
            before = model.trainable_weights[0].numpy().copy()
            if {policy!r} == "mixed_float16":
                model.train_on_batch(bad, y)
                assert (model.trainable_weights[0].numpy() == before).all()
                assert float(model.optimizer.dynamic_scale) == 16384.0
                assert int(model.optimizer.iterations) == 4
        print(np.allclose(*reached, rtol=1e-3), np.isfinite(reached).all())
        """
    assert run_apart(program, **SOFTWARE) == "True True"


@needs_software
@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)])
def test_products_of_halves_learn_as_those_of_float32(policy, tolerance):
    program = f"""
        import os
        import numpy as np
        import cnnrs
        from cnnrs import config, layers, optimizers

        config.set_device("gpu")
        config.set_dtype_policy({policy!r})
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(8, 8, 8, 8)).astype("float32"), rng.integers(0, 3, 8)
        losses = []
        for halves in ("never", "tiles"):
            os.environ["CNNRS_GPU_HALF"] = halves
            cnnrs.utils.set_random_seed(1)
            model = cnnrs.Sequential([
                cnnrs.Input((8, 8, 8)), layers.Conv2D(16, 3, activation="relu"), layers.BatchNormalization(),
                layers.Conv2D(16, 3, strides=2, activation="relu"), layers.Flatten(), layers.Dense(3),
            ])
            loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(optimizers.SGD(0.05), loss)
            losses.append(model.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0).history["loss"])
            kernels = [word for word in cnnrs.utils.profile(model, x, y).split() if word.startswith("half_")]
            print(len(kernels))
        difference = np.abs(np.subtract(*losses)).max()
        print(difference <= {tolerance} * max(losses[0]), losses[0][-1] < losses[0][0])
        """
    never, tiles, *agree = run_apart(program, **SOFTWARE).split()
    # Three products forward, three gradients of filters and two of images.
    assert (never, tiles, agree) == ("0", "8", ["True", "True"])


@needs_software
@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("CNNRS_GPU_HALF", "fast", '"auto", "never", "tiles" or "matrices"'),
        ("CNNRS_ADAPTER_COPIES", "two", "a number of devices, 1 or more"),
        ("CNNRS_ADAPTER_COPIES", "0", "a number of devices, 1 or more"),
    ],
)
def test_variables_that_say_nothing_known_are_named(variable, value, expected):
    program = """
        import cnnrs
        try:
            cnnrs.config.set_device("gpu")
        except ValueError as error:
            print(error)
        """
    said = run_apart(program, **{variable: value}, **SOFTWARE)
    assert f"{variable}: expected {expected}, received" in said and value in said


@needs_software
def test_types_that_a_gpu_does_not_compute_are_named_with_the_device():
    program = """
        import numpy as np
        import cnnrs
        from cnnrs import ops

        with cnnrs.device("gpu"):
            try:
                ops.add(np.arange(3), 1).numpy()
            except TypeError as error:
                print(error)
        """
    said = run_apart(program, **SOFTWARE)
    assert 'device "gpu:0" does not compute' in said
    assert 'cast to int32, or compute on the device "cpu"' in said


@needs_software
def test_a_driver_that_crashes_when_it_is_asked_takes_no_process_along(tmp_path):
    python = tmp_path / "python-that-crashes"
    python.write_text("#!/bin/sh\nkill -SEGV $$\n")
    python.chmod(0o755)
    program = f"""
        import sys
        sys.executable = {str(python)!r}
        import cnnrs
        print([device.name for device in cnnrs.devices()])
        try:
            cnnrs.config.set_device("gpu")
        except ValueError as error:
            print(error)
        """
    kept = {**SOFTWARE, "XDG_CACHE_HOME": str(tmp_path)}
    crashed = run_apart(program, **kept)
    assert "['cpu:0']" in crashed and "asked for its adapters (signal 11), so Vulkan is left alone" in crashed
    # The next process knows, whatever a driver would do now; this one asks it all the same.
    assert run_apart(program.replace(str(python), sys.executable), **kept) == crashed
    assert "gpu:0" in run_apart(program, CNNRS_GPU_PROBE="never", **kept)
    # Drivers that answer are asked first once.
    other = tmp_path / "other"
    asked = {**SOFTWARE, "XDG_CACHE_HOME": str(other)}
    assert "gpu:0" in run_apart(program.replace(str(python), sys.executable), **asked)
    assert (other / "cnnrs" / "gpu-probe").read_text().startswith("survived")
    assert "gpu:0" in run_apart(program, **asked)


@needs_software
def test_a_forked_child_says_that_it_cannot_use_the_gpu():
    program = """
        import os
        from cnnrs import config, ops

        config.set_device("gpu")
        float(ops.sum([1.0, 2.0]))
        read, write = os.pipe()
        if os.fork() == 0:
            try:
                said = str(float(ops.sum([1.0, 2.0])))
            except RuntimeError as error:
                said = str(error)
            os.write(write, said.encode())
            os._exit(0)
        os.wait()
        print(os.read(read, 1000).decode())
        print(float(ops.sum([1.0, 2.0])))
        """
    said, after = run_apart(program, **SOFTWARE).split("\n")
    assert "forked" in said and "spawn" in said
    assert after == "3.0"


# lavapipe's thread compiles a kernel by LLVM when it first runs it, and `exit` destroys LLVM's tables. What
# is registered before the driver is loaded runs behind that: it leaves the thread a second to read them.
ENDING = """
    import atexit, ctypes, threading, time
    libc = ctypes.CDLL(None)
    libc.__cxa_atexit(libc.usleep, ctypes.c_void_p(1_000_000), None)
    late = lambda: None
    atexit.register(lambda: late())

    import numpy as np
    import cnnrs
    from cnnrs import config, ops

    config.set_device("gpu")
    x = ops.convert_to_tensor(np.full((64, 64), 1 / 64, "float32"))
    ops.square(x).numpy()
    @cnnrs.function
    def many(x):
        return [ops.sum(ops.exp(ops.sin(x[:, :k]) * k) @ ops.tanh(x[:k, :] + k)) for k in range(1, 30)]
    """


@needs_software
@pytest.mark.parametrize(
    "use",
    [
        pytest.param("under_way = many(x)", id="under way"),
        pytest.param("late = lambda: many(x)", id="in an exit function registered before"),
        pytest.param(
            "threading.Thread(target=many, args=(x,), daemon=True).start(); time.sleep(0.2)",
            id="in a daemon thread",
        ),
    ],
)
def test_a_process_that_ends_waits_for_its_devices(use):
    assert run_apart(f"{textwrap.dedent(ENDING)}\n{use}\nprint('given')", **SOFTWARE) == "given"


@needs_software
def test_functions_at_odd_numbers_are_those_of_the_cpu_inside_of_kernels_too():
    # A product by 1 is exact, and reads what a function gives (prologue), or gives what one reads (epilogue).
    program = """
        import numpy as np
        import cnnrs
        from cnnrs import ops

        odd = [0.0, 1.0, 0.5, 2.0, 7.25, 30.0, 88.0, 100.0, 1e-3, 1e10, 3e38, np.inf, 1e-30]
        odd = np.array([*odd, *(-v for v in odd), np.nan], "float32")[:, None]
        one = np.ones((1, 1), "float32")
        functions = [
            getattr(ops, name)
            for name in "erf exp expm1 floor isfinite isnan log log1p relu reciprocal round rsqrt sigmoid "
            "sign silu softplus sqrt tan tanh gelu".split()
        ]
        ways = (
            lambda f, x: ops.cast(f(x), "float32"),
            lambda f, x: ops.matmul(ops.cast(f(x), "float32"), one),
            lambda f, x: ops.cast(f(ops.matmul(x, one)), "float32"),
        )
        for way in ways:
            made = cnnrs.function(lambda x: [way(f, x) for f in functions])
            on = []
            for device in ("cpu", "gpu"):
                with cnnrs.device(device):
                    on.append([y.numpy() for y in made(ops.convert_to_tensor(odd))])
            for f, cpu, gpu in zip(functions, *on):
                np.testing.assert_allclose(gpu, cpu, rtol=1e-5, atol=4e-7, err_msg=f.__name__)
        print("ok")
        """
    assert run_apart(program, CNNRS_GPU_TIER="tiled", **SOFTWARE) == "ok"


@needs_software
def test_doctor_shows_the_adapter_or_why_there_is_none():
    program = "from cnnrs.cli import main; main(['doctor'])"
    asked = run_apart(program, **SOFTWARE)
    assert "gpu:0" in asked and "software; vulkan" in asked
    assert "CNNRS_ADAPTER=software takes it" in run_apart(program, NODEVICE_SELECT="1")


@needs_software
def test_the_command_line_trains_on_a_device(tmp_path):
    program = f"""
        from cnnrs.cli import main
        status = main(["train", "mnist", "--device", "tpu", "--output", {str(tmp_path / "m")!r}])
        raise SystemExit(status != 1)
        """
    assert run_apart(program) == ""


@needs_software
def test_values_stay_where_they_were_made_until_somebody_looks():
    program = """
        import numpy as np
        import cnnrs
        from cnnrs import config, layers, ops

        with cnnrs.device("gpu"):
            made = ops.square(np.arange(6, dtype=np.float32))
            assert (made.device, made.is_realised) == ("gpu:0", False)
            assert made.realise().device == "gpu:0"
            assert config.memory_info()["device"] > 0
        # What is on a device is computed with there.
        assert (made + 1).device == "gpu:0"
        here = (made + 1).to("cpu")
        assert here.device == "cpu:0" and (here + 1).device == "cpu:0"
        assert list(here.numpy()) == [1, 2, 5, 10, 17, 26]
        assert here.to("GPU:0").device == "gpu:0" and here.to("cpu") is not None

        assert made.__dlpack_device__() == (7, 0) and here.__dlpack_device__() == (1, 0)
        assert list(np.from_dlpack(here)) == [1, 2, 5, 10, 17, 26]
        for refused in (lambda: made.__dlpack__(), lambda: np.from_dlpack(made)):
            try:
                refused()
            except BufferError as error:
                said = str(error)
                assert ("gpu:0" in said and ".to(" in said) or "unsupported device" in said, said
            else:
                raise AssertionError("exported")
        try:
            made.to("tpu")
        except ValueError as error:
            assert '"cpu"' in str(error) and "tpu" in str(error)

        # Gradients flow through.
        x = ops.convert_to_tensor(np.array([1.0, -2.0], np.float32))
        x.requires_grad = True
        ops.sum(ops.square((3 * x).to("gpu"))).backward()
        assert np.allclose(x.grad, [18, -36]), x.grad

        # A model goes where it is trained, with its optimizer.
        model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(2)])
        model.compile("adam", "mse")
        data = np.ones((8, 3), np.float32), np.ones((8, 2), np.float32)
        places = []
        for device in ("cpu", "gpu", "cpu"):
            with cnnrs.device(device):
                model.fit(*data, epochs=2, verbose=0)
            places.append({v.device for v in [*model.variables, *model.optimizer.variables[2:]]})
        assert places == [{"cpu:0"}, {"gpu:0"}, {"cpu:0"}], places
        assert int(model.optimizer.iterations) == 6
        print("ok")
        """
    assert run_apart(program, **SOFTWARE) == "ok"


@needs_software
def test_a_bad_batch_changes_nothing_though_others_are_under_way():
    program = """
        import numpy as np
        import cnnrs
        from cnnrs import layers

        def trained(device, labels, epochs=1):
            cnnrs.utils.set_random_seed(2)
            model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(4)])
            loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(cnnrs.optimizers.SGD(0.1), loss, jit_compile=True)
            x = np.random.default_rng(1).random((64, 3), np.float32)
            said = ""
            with cnnrs.device(device):
                try:
                    model.fit(x, labels, batch_size=4, verbose=0, shuffle=False)
                except ValueError as error:
                    said = str(error)
            return said, int(model.optimizer.iterations), model.get_weights()[0]

        labels = np.arange(64) % 4
        bad = labels.copy()
        bad[30] = 9
        (_, all_steps, whole), (said, steps, weights) = trained("gpu", labels), trained("gpu", bad)
        assert "label 9 at position 2" in said, said
        assert (all_steps, steps) == (16, 7)
        on_cpu = trained("cpu", bad)
        assert on_cpu[:2] == (said, steps)
        assert np.allclose(weights, on_cpu[2], atol=1e-5) and not np.allclose(weights, whole, atol=1e-5)
        print("ok")
        """
    assert run_apart(program, **SOFTWARE) == "ok"


@needs_software
def test_a_lost_device_takes_no_weights():
    program = """
        import numpy as np
        import cnnrs
        from cnnrs import _core, layers

        class Lose(cnnrs.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if batch == 3:
                    _core.lose_device()

        cnnrs.utils.set_random_seed(2)
        model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
        model.compile("adam", "mse")
        x = np.random.default_rng(1).random((32, 3), np.float32)
        y = x.sum(1, keepdims=True)
        cnnrs.config.set_device("gpu")
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        kept = [w.copy() for w in model.get_weights()]
        model.optimizer.learning_rate = 0.5
        try:
            model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=[Lose()])
        except cnnrs.DeviceLostError as error:
            assert "was lost" in str(error) and "before fit began" in str(error), error
        else:
            raise AssertionError("nobody noticed")
        assert int(model.optimizer.iterations) == 16
        assert all(np.array_equal(a, b) for a, b in zip(kept, model.get_weights()))
        # A loop of one's own is told what to do.
        tensor = cnnrs.ops.ones(3) * 2
        tensor.realise()
        model.train_on_batch(x, y)
        _core.lose_device()
        for look in (tensor.numpy, lambda: model.train_on_batch(x, y)):
            try:
                look()
            except cnnrs.DeviceLostError as error:
                assert "recover" in str(error) or "opens the device again" in str(error), error
            else:
                raise AssertionError("stale")
        assert len(cnnrs.utils.recover(model)) > 4
        assert all(np.isfinite(w).all() for w in model.get_weights())
        assert np.isfinite(model.train_on_batch(x, y))
        print("ok")
        """
    assert run_apart(program, **SOFTWARE) == "ok"


@needs_software
def test_several_gpus_have_numbers_and_values_go_between_them_when_asked():
    program = """
        import numpy as np
        import cnnrs
        from cnnrs import config, layers, ops

        assert [d.name for d in cnnrs.devices()] == ["cpu:0", "gpu:0", "gpu:1"]
        made = []
        for name in ("gpu:0", "gpu:1"):
            with cnnrs.device(name):
                made.append(ops.square(np.arange(3, dtype=np.float32)).realise())
                assert config.get_device() == name.removesuffix(":0")
        assert [t.device for t in made] == ["gpu:0", "gpu:1"]
        try:
            ops.add(*made).realise()
        except ValueError as error:
            assert '"gpu:0"' in str(error) and '"gpu:1"' in str(error) and "to(device)" in str(error), error
        else:
            raise AssertionError("added")
        total = ops.add(made[0].to("gpu:1"), made[1])
        assert total.device == "gpu:1" and list(total.numpy()) == [0, 2, 8]
        model = cnnrs.Sequential([cnnrs.Input((3,)), layers.Dense(2)])
        model.compile("adam", "mse")
        for name in ("gpu:1", "gpu:0"):
            with cnnrs.device(name):
                model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
            assert {v.device for v in model.variables} == {name}
        try:
            config.set_device("gpu:2")
        except ValueError as error:
            assert '"gpu:0" to "gpu:1"' in str(error), error
        print("ok")
        """
    assert run_apart(program, **SOFTWARE, CNNRS_ADAPTER_COPIES="2") == "ok"


CURVE = """
    import numpy as np
    import cnnrs
    from cnnrs import layers

    class Losses(cnnrs.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(logs["loss"])

    cnnrs.utils.set_random_seed(1)
    (x, y), _ = cnnrs.datasets.mnist.load_data()
    x, y = x[:3200, ..., None] / np.float32(255), y[:3200]
    model = cnnrs.applications.LeNet5(classifier_activation=None)
    model.compile("adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = Losses()
    model.fit(x, y, batch_size=16, shuffle=False, verbose=0, callbacks=[losses])
    print(*losses.seen)
    """


@needs_software
def test_two_hundred_steps_of_lenet_have_one_curve_on_both_devices():
    curves = []
    for device in ("cpu", "gpu"):
        losses = run_apart(CURVE, CNNRS_DEVICE=device, **SOFTWARE).split()
        curves.append([float(loss) for loss in losses])
    cpu, gpu = curves
    assert len(cpu) == len(gpu) == 200
    # A loss is the mean of those up to its batch.
    assert cpu[-1] < cpu[0] / 2
    assert gpu == pytest.approx(cpu, rel=0.03)


def test_drivers_are_asked_for_their_devices_once(monkeypatch):
    asked = []
    found = [("cpu:0", "processor", "", "")]
    monkeypatch.setattr(base_devices, "_core", SimpleNamespace(devices=lambda: asked.append(1) or found))
    base_devices._found.cache_clear()
    try:
        first = cnnrs.devices()
        first.clear()
        assert [device.name for device in cnnrs.devices()] == ["cpu:0"] and len(asked) == 1
        monkeypatch.setenv("CNNRS_ADAPTER", "software")
        assert len(cnnrs.devices()) == 1 and len(asked) == 2
    finally:
        base_devices._found.cache_clear()
