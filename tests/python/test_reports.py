"""Reports of runs: what is in the page, that it asks for nothing, and that it tells what is missing."""

from __future__ import annotations

import base64
import errno
import html.parser
import io
import json
import re
import socket
import threading
import urllib.error
import urllib.request
import zlib

import numpy as np
import pytest
from PIL import Image

import cnnrs
from cnnrs import analysis, charts, evaluation, layers, reporting
from cnnrs.data import Dataset, TensorSpec
from cnnrs.reporting.insight import layer_times

NAMES = ["кошка", "犬", "<script>alert(1)</script>"]
VOID = {"br", "hr", "img", "link", "meta", "input"}


class Page(html.parser.HTMLParser):
    """A page whose elements are closed in their order, with what it holds."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def sections(self) -> list[str]:
        return [attributes["id"] for attributes in self.all("section")]


def classifier(classes: int = 3, size: int = 12) -> cnnrs.Model:
    cnnrs.utils.set_random_seed(3)
    activation = "softmax" if classes > 1 else "sigmoid"
    model = cnnrs.Sequential(
        [
            cnnrs.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(8, 3, activation="relu", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation=activation),
        ],
        name="tiny",
    )
    loss = "sparse_categorical_crossentropy" if classes > 1 else "binary_crossentropy"
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


X = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3)).astype("float32")
Y = np.arange(40) % 3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run, as a plain `fit` with the callback makes it, with settings."""
    folder = tmp_path_factory.mktemp("runs") / "<b>лауф</b> & co"
    model = classifier()
    model.set_image_preprocessing(NAMES)
    report = reporting.RunReport(folder, validation_data=(X, Y))
    model.fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0, callbacks=[report])
    (folder / "run.toml").write_text('model = "tiny" # <i>\n', encoding="utf-8")
    return folder


ALL = ["figures", "curves", "classes", "mistakes", "confidence", "attention", "maps", "filters", "layers",
       "origin", "settings"]  # fmt: skip


def test_the_page_has_all_parts_and_asks_for_nothing(run):
    path = reporting.write(run)
    assert path == run / "report.html"
    text = path.read_text("utf-8")
    page = Page(text)
    assert page.sections == ALL
    assert [a["href"] for a in page.all("a")] == [f"#{name}" for name in ALL]
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for attribute in ("src", "href"):
        for _, attributes in page.elements:
            value = attributes.get(attribute, "#")
            assert value.startswith(("#", "data:image/png;base64,")) or value == "data:,"
    assert not page.all("script") and "url(" not in text and "@import" not in text
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert 'http-equiv="Content-Security-Policy"' in text and "script-src" not in text
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert len(text) < 3_000_000


def test_names_are_shown_as_they_are(run):
    page = Page(reporting.write(run).read_text("utf-8"))
    for name in (*NAMES, "<b>лауф</b> & co", 'model = "tiny" # <i>'):
        assert name in page.text
    assert not page.all("i") and not page.all("script")


def test_figures_are_those_of_the_evaluation(run):
    found = evaluation.Evaluation.load(run)
    page = Page(reporting.write(run).read_text("utf-8"))
    assert f"{found.accuracy:.2%}" in page.text
    assert f"{found.calibration.expected_error:.4f}" in page.text
    for row in found.report.rows():
        assert " ".join(row) in page.text
    worst = found.worst(1)[0]
    assert f"{worst.true} taken for {worst.predicted} ({worst.score:.0%})" in page.text
    assert f"{cnnrs.models.load_model(run / 'model.keras').count_params():,}" in page.text


def test_pictures_are_those_of_the_samples(run):
    page = Page(reporting.write(run).read_text("utf-8"))
    pictures = {a["alt"]: a["src"] for a in page.all("img")}
    found = evaluation.Evaluation.load(run)
    worst = found.worst(1)[0]
    source = pictures[f"sample {worst.index}, {worst.true}"]
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
    assert decoded.shape == (12, 12, 3)
    enlarged = {k: v for k, v in page.all("img")[0].items() if k in ("width", "class")}
    assert enlarged == {"width": "108", "class": "pixels"}
    # The first picture of a mistake is the sample itself, later ones have heat over it.
    first = next(a["src"] for a in page.all("img") if a["alt"] == f"sample {worst.index}, {worst.true}")
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(first.partition(",")[2]))))
    np.testing.assert_array_equal(decoded, X[worst.index].astype("uint8"))


def test_what_is_missing_is_told(run, tmp_path):
    page = Page(reporting.write(tmp_path).read_text("utf-8"))
    assert page.sections == ["missing"]
    for name in ("history.csv", "predictions.npz", "model.keras", "environment.json", "run.toml"):
        assert name in page.text
    (tmp_path / "history.csv").write_text("epoch,loss,val_loss\n1,2.0,\n2,nan,1.5\n")
    (tmp_path / "model.keras").write_bytes(b"no model")
    (tmp_path / "predictions.npz").write_bytes(b"PK\x03\x04")
    (tmp_path / "environment.json").write_text("{")
    page = Page(reporting.write(tmp_path, tmp_path / "other.html", title="T").read_text("utf-8"))
    assert page.sections == ["figures", "curves", "missing"]
    assert "model.keras cannot be loaded" in page.text and "environment.json is damaged" in page.text
    assert "Without a number in the last epoch: loss." in page.text
    with pytest.raises(FileNotFoundError, match="expected the folder of a run"):
        reporting.write(tmp_path / "none")


def test_samples_that_are_files(tmp_path):
    """Without kept samples, pictures are read from the paths; a file that is gone is left out."""
    model = classifier()
    model.set_image_preprocessing(["a", "b", "c"])
    paths = []
    for i in range(6):
        paths.append(str(tmp_path / f"{i}.png"))
        cnnrs.utils.save_img(paths[-1], X[i], scale=False)
    found = evaluation.evaluate_model(model, X[:6], Y[:6], paths=paths, samples=0)
    assert found.samples is None
    found.save(tmp_path)
    model.save(tmp_path / "model.keras")
    wrong = found.worst(6)
    (tmp_path / f"{wrong[0].index}.png").unlink()
    page = Page(reporting.write(tmp_path).read_text("utf-8"))
    shown = [a["alt"] for a in page.all("img")]
    assert f"sample {wrong[1].index}, {wrong[1].true}" in shown
    assert f"sample {wrong[0].index}, {wrong[0].true}" not in shown
    assert "attention" in page.sections and f"{wrong[1].index}.png" in page.text


def test_two_classes_and_one_output(tmp_path):
    model = classifier(1)
    evaluation.evaluate_model(model, X, Y % 2, class_names=["no", "yes"]).save(tmp_path)
    model.save(tmp_path / "model.keras")
    page = Page(reporting.write(tmp_path).read_text("utf-8"))
    assert {"attention", "confidence"} <= set(page.sections) and "'yes' as positive" in page.text
    assert "Average precision" in page.text


def test_many_classes_and_noise_stay_small(tmp_path):
    rng = np.random.default_rng(0)
    scores = rng.random((900, 300))
    scores /= scores.sum(axis=1, keepdims=True)
    found = evaluation.Evaluation(np.arange(900) % 300, scores, [f"class {k}" for k in range(300)])
    images = rng.integers(0, 256, (32, 112, 112, 3)).astype("uint8")
    chosen = [m.index for m in found.worst(24)]
    found.samples = evaluation.run_files.Samples(np.array(chosen), images[:24])
    found.save(tmp_path)
    text = reporting.write(tmp_path).read_text("utf-8")
    page = Page(text)
    assert len(text) < 3_000_000
    assert [a["id"] for a in page.all("details")] == ["all-classes"]
    assert len(page.all("img")) == 24 and len(page.all("image")) == 1


def test_models_that_explain_nothing(tmp_path):
    """A model of no images: what needs images is left out, the rest is there."""
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(3, activation="softmax")])
    x = np.random.default_rng(0).random((9, 4), np.float32)
    evaluation.evaluate_model(model, x, np.arange(9) % 3).save(tmp_path)
    model.save(tmp_path / "model.keras")
    page = Page(reporting.write(tmp_path).read_text("utf-8"))
    assert page.sections == ["figures", "classes", "mistakes", "confidence", "layers", "missing"]
    assert "Filters of the first layer" in page.text
    light = Page(reporting.write(tmp_path, explain=False).read_text("utf-8"))
    assert "layers" not in light.sections and "model.keras" not in light.text


def test_trials_of_a_search(tmp_path):
    trials = [
        {"number": 0, "value": 0.7, "settings": {"rate": 0.1, "<x>": "a"}, "epochs": [0.5, 0.7]},
        {"number": 1, "value": 0.9, "settings": {"rate": 0.001, "<x>": "b"}, "epochs": [0.9]},
        {"number": 2, "state": "pruned", "value": None, "settings": {"rate": 1.0}, "error": "<b> " * 60},
    ]  # fmt: skip
    content = {"metric": "val_accuracy", "direction": "maximize", "best": 1, "trials": trials}
    (tmp_path / "search.json").write_text(json.dumps(content))
    page = Page(reporting.write(tmp_path).read_text("utf-8"))
    assert "search" in page.sections and "<x>" in page.text and "<b>" in page.text
    assert "the best is trial 1 with 0.9" in page.text
    assert [a["class"] for a in page.all("div") if a.get("class") == "long"] == ["long"]
    assert page.text.index("1 0.9 0.001 b") < page.text.index("0 0.7 0.1 a")
    # By trial, by epoch, by the rate, and by the setting of words.
    assert len(page.all("svg")) == 4
    assert "val_accuracy by <x>" in page.text and "trial: 0.9 at b, trial 1" in page.text
    (tmp_path / "search.json").write_text("[]")
    assert "Search: search.json lists no trials" in Page(reporting.write(tmp_path).read_text("utf-8")).text


def test_settings_of_a_search_that_are_lists_have_charts(tmp_path):
    sizes = ["[28, 28]", "[32, 32]", "[28, 28]"]
    trials = [
        {"number": i, "value": 0.5 + i / 10, "settings": {"image_size": size, "flip": i > 0, "same": "a"}}
        for i, size in enumerate(sizes)
    ]
    content = {"metric": "val_accuracy", "direction": "maximize", "best": 2, "trials": trials}
    (tmp_path / "search.json").write_text(json.dumps(content))
    page = Page(reporting.write(tmp_path).read_text("utf-8"))
    for text in ("val_accuracy by image_size", "[28, 28]", "[32, 32]", "val_accuracy by flip", "true"):
        assert text in page.text
    assert "val_accuracy by same" not in page.text
    # Points of one value stand above each other, those of another beside them.
    chart = charts.LineChart("", x_names=["a rather long name of a value", "b"])
    chart.add("trial", [0, 1, 0], [1, 2, 3], joined=False)
    drawn = Page(chart.svg())
    first, second, third = [float(a["cx"]) for a in drawn.all("circle")][1:]
    assert first == third < second and "…" in drawn.text


def test_times_belong_to_layers():
    model = classifier()
    times = layer_times(model, X[:1], repeats=2)
    assert {"first", "second"} <= set(times) and times["first"] > 0
    # Another model of equal layers has the plan of the one before, which knows that one's name.
    again = cnnrs.Sequential(classifier().layers, name="another")
    assert set(layer_times(again, X[:1], repeats=2)) == set(times)


# ---- while training


def ask(url: str, **headers: str):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def test_live_follows_the_run(tmp_path):
    with reporting.live(tmp_path) as served:
        status, headers, text = ask(served.url)
        assert status == 200 and "charset=utf-8" in headers["Content-Type"]
        page = Page(text)
        assert len(page.all("script")) == 1 and "src" not in page.all("script")[0]
        assert ask(served.url, **{"If-None-Match": headers["ETag"]})[0] == 304
        (tmp_path / "history.csv").write_text("epoch,loss\n1,2.0\n2,1.5\n")
        status, later, text = ask(served.url, **{"If-None-Match": headers["ETag"]})
        assert status == 200 and later["ETag"] != headers["ETag"] and "curves" in Page(text).sections
        assert ask(served.url + "etc/passwd")[0] == 404
        assert ask(served.url, Host="evil.example:80")[0] == 403
        head = urllib.request.Request(served.url, method="HEAD")
        with urllib.request.urlopen(head, timeout=10) as answer:
            assert answer.read() == b""
        answers: list[int] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(served.url)[0])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 8
        with pytest.raises(OSError, match=f"port {served.port} is in use"):
            reporting.live(tmp_path, port=served.port)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(served.url, timeout=2)
    served.close()
    with pytest.raises(ValueError, match="port"):
        reporting.live(tmp_path, port=70000)
    with pytest.raises(FileNotFoundError):
        reporting.live(tmp_path / "none")


def test_a_client_that_hangs_stops_nobody(tmp_path):
    with reporting.live(tmp_path) as served, socket.create_connection(("127.0.0.1", served.port)) as hanging:
        hanging.sendall(b"GET / HT")
        assert ask(served.url)[0] == 200


def test_the_callback_serves_while_it_trains(tmp_path, capsys):
    model = classifier()
    seen: list[tuple[int, int]] = []
    report = reporting.RunReport(tmp_path / "run", live=True)

    def look(epoch, logs):
        status, _, text = ask(report.url)
        seen.append((status, text.count("<svg")))

    watch = cnnrs.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[report, watch])
    assert report.url is None
    # Accuracy, loss, learning rate and seconds.
    assert seen == [(200, 4), (200, 4)]
    assert capsys.readouterr().out.startswith("report: http://127.0.0.1:")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert rows[0].split(",")[0] == "epoch" and rows[0].endswith("seconds") and len(rows) == 3
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["parameters"] == model.count_params() and environment["optimizer"] == "SGD"
    page = Page((tmp_path / "run" / "report.html").read_text("utf-8"))
    assert page.sections == ["figures", "curves", "origin", "missing"]


@pytest.mark.parametrize("kind", ["arrays", "split", "data set"])
def test_the_callback_takes_the_validation_of_fit(kind, tmp_path):
    model = classifier()
    report = reporting.RunReport(tmp_path, class_names=["a", "b", "c"])
    data = cnnrs.data.Dataset.from_tensor_slices((X[30:], Y[30:])).batch(5)
    options = {"arrays": {"validation_data": (X[30:], Y[30:])}, "split": {"validation_split": 0.25},
               "data set": {"validation_data": data}}[kind]  # fmt: skip
    model.fit(X, Y, verbose=0, callbacks=[report], **options)
    found = evaluation.Evaluation.load(tmp_path)
    np.testing.assert_array_equal(found.labels, Y[30:])
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert {"classes", "mistakes"} <= set(page.sections) and (tmp_path / "model.keras").exists()


def test_a_full_disk_costs_the_report_alone(tmp_path, monkeypatch):
    model = classifier()

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    report = reporting.RunReport(tmp_path / "run", validation_data=(X, Y))
    seen = cnnrs.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: monkeypatch.setattr("cnnrs.reporting.recorder.write_file", full)
    )
    with pytest.warns(UserWarning, match=r"history\.csv.*training goes on"):
        history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[report, seen])
    assert len(history.history["loss"]) == 2
    assert not list((tmp_path / "run").glob(".*"))


# ---- drawings, and what notebooks show


def test_png_is_read_by_pillow():
    rng = np.random.default_rng(0)
    for channels in (1, 3, 4):
        pixels = rng.integers(0, 256, (7, 5, channels), np.uint8)
        decoded = np.asarray(Image.open(io.BytesIO(charts.png(pixels))))
        np.testing.assert_array_equal(decoded.reshape(pixels.shape), pixels)
    with pytest.raises(ValueError, match="expected uint8"):
        charts.png(np.zeros((2, 2)))
    data = charts.png(np.zeros((1, 1), np.uint8))
    assert data[12:16] == b"IHDR" and int.from_bytes(data[29:33], "big") == zlib.crc32(data[12:29])


@pytest.mark.parametrize("values", [[], [1.0], [float("nan")] * 3, [0, 0, 0], [1e-9, 1e9], [-5, 5, np.inf]])
@pytest.mark.parametrize("log_y", [False, True])
def test_lines_of_any_values(values, log_y):
    chart = charts.LineChart("t < u", "x", "y", log_y=log_y)
    chart.add("a & b", range(len(values)), values)
    text = str(chart.svg())
    Page(text)
    assert not re.search(r"(?<![a-z])(nan|inf)(?![a-z])", text)


def test_lines_are_where_their_values_are():
    chart = charts.LineChart("", x_range=(0, 1), y_range=(0, 1))
    chart.add("line", [0, 0.5, 1], [0, 1, 0.5])
    path = [a["d"] for a in Page(chart.svg()).all("path")][-1]
    (x0, y0), (x1, y1), (x2, y2) = [tuple(map(float, p.split())) for p in re.split("[ML]", path)[1:]]
    assert x1 - x0 == pytest.approx(x2 - x1) and y2 == pytest.approx((y0 + y1) / 2)
    assert x0 > 0 and x2 < chart.width and y1 > 0 and y0 < chart.height
    long = charts.LineChart("")
    long.add("line", range(100_000), np.sin(np.arange(100_000)))
    assert len(long.svg()) < 40_000


def test_notebooks():
    model = classifier()
    history = model.fit(X, Y, epochs=2, validation_split=0.5, verbose=0)
    assert Page(history._repr_html_()).text.count("validation") >= 2
    page = Page(model._repr_html_())
    assert "first Conv2D (None, 10, 10, 6) 168" in page.text
    deep = cnnrs.Sequential([cnnrs.Input((4,)), *(layers.Dense(2) for _ in range(30))])
    assert len(Page(deep._repr_html_()).all("details")) == 1
    assert "not built yet" in Page(cnnrs.Sequential([layers.Dense(2)])._repr_html_()).text
    maps = analysis.feature_maps(model, X[:2])
    assert len(Page(maps._repr_html_()).all("img")) == 4
    filters = analysis.filters(model)
    assert repr(filters) in Page(filters._repr_html_()).text
    heat = analysis.grad_cam(model, X[:3], 1)
    assert len(Page(heat._repr_html_()).all("img")) == 3
    found = evaluation.evaluate_model(model, X, Y, class_names=NAMES)
    page = Page(found._repr_html_())
    assert NAMES[2] in page.text and len(page.all("svg")) == 2
    Page(found.roc(NAMES[0])._repr_svg_())


def test_data_sets_in_notebooks_compute_nothing():
    looked = []

    def elements():
        looked.append(1)
        yield np.float32(1)

    data = Dataset.from_generator(elements, output_signature=TensorSpec((), "float32"))
    data.class_names = NAMES
    assert "an unknown number of elements" in Page(data._repr_html_()).text
    assert not looked
    page = Page(Dataset.from_tensor_slices((X, Y)).batch(8)._repr_html_())
    assert "0 (None, 12, 12, 3) float32" in page.text
    assert "3 classes: кошка" in Page(data._repr_html_()).text
