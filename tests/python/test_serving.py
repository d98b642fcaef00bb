"""The server on loopback: answers, limits, and whatever else it is sent."""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import photos
import pytest

import cnnrs
from cnnrs import layers, serving
from cnnrs.serving.batching import padded_size

SIZE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photos.write(tmp_path_factory.mktemp("data") / "photos", count=3, size=24)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network whose scores differ from class to class."""
    cnnrs.utils.set_random_seed(1)
    model = cnnrs.Sequential(
        [cnnrs.Input((SIZE, SIZE, 3)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"),
         layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    )  # fmt: skip
    model.set_image_preprocessing(list(photos.CLASSES))
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


class Served:
    """A server in a process of its own."""

    def __init__(self, model, *options):
        command = [sys.executable, "-m", "cnnrs", "serve", str(model), "--port", "0", "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read())
        self.address = json.loads(line)["address"]
        self.port = int(self.address.rsplit(":", 1)[1])

    def request(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read(), dict(response.getheaders())
        finally:
            connection.close()

    def predict(self, body, kind="image/png", path="/predict"):
        status, content, _ = self.request("POST", path, body, {"Content-Type": kind})
        return status, json.loads(content)

    def is_up(self):
        return self.request("GET", "/healthz")[0] == 200

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def served(model):
    server = Served(
        model, "--max-mb", "0.5", "--read-timeout", "1", "--max-images", "5", "--max-wait", "1", "--top", "2"
    )
    yield server
    status, errors = server.stop()
    assert status == 0 and "Traceback" not in errors, errors


def content(folder, name=photos.CLASSES[0], number=0):
    return (folder / name / f"{number}.png").read_bytes()


def multipart(*files, **fields):
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
        for k, v in fields.items()
    ]
    for name, data in files:
        head = f'--b\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b"


def test_answers_are_those_of_the_model(served, model, folder):
    data = content(folder)
    expected = cnnrs.models.load_model(model).predict_image(data).top(2)
    status, found = served.predict(data)
    assert status == 200
    (prediction,) = found["predictions"]
    assert [c["name"] for c in prediction["classes"]] == [name for name, _ in expected]
    assert [c["score"] for c in prediction["classes"]] == pytest.approx([s for _, s in expected], abs=2e-6)


def test_images_come_as_files_as_base64_and_as_pixels(served, folder):
    data = content(folder)
    _, one = served.predict(data)
    expected = one["predictions"][0]["classes"]
    body, kind = multipart(("кот.png", data), ("b.png", content(folder, photos.CLASSES[1])), top=1)
    status, two = served.predict(body, kind)
    assert status == 200 and [p["image"] for p in two["predictions"]] == ["кот.png", "b.png"]
    assert [len(p["classes"]) for p in two["predictions"]] == [1, 1]
    assert two["predictions"][0]["classes"][0]["name"] == expected[0]["name"]
    pixels = np.asarray(cnnrs.utils.load_img(io.BytesIO(data)))
    encoded = base64.b64encode(data).decode()
    body = {"images": [encoded, f"data:image/png;base64,{encoded}", pixels.tolist()], "top": 2}
    status, three = served.predict(json.dumps(body), "application/json")
    assert status == 200
    for prediction in three["predictions"]:
        assert [c["name"] for c in prediction["classes"]] == [c["name"] for c in expected]
        scores = [c["score"] for c in prediction["classes"]]
        assert scores == pytest.approx([c["score"] for c in expected], abs=2e-6)
    status, all_classes = served.predict(data, path="/predict?top=99")
    assert status == 200 and len(all_classes["predictions"][0]["classes"]) == 3


JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", "image/png", 422, "received nothing"),
        (b"hello", "image/png", 422, "not an image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "image/png", 422, "not an image"),
        (b"x", "text/plain", 415, "received 'text/plain'"),
        (b"{", JSON, 400, "expected JSON"),
        (b"[" * 50_000, JSON, 400, "expected JSON"),
        (b"[]", JSON, 400, "images"),
        (b'{"images": []}', JSON, 400, "at least one image"),
        (b'{"images": ["%%"]}', JSON, 400, "images[0]: expected a file in base64"),
        (b'{"images": ["aGVsbG8="]}', JSON, 422, "images[0]: not an image"),
        (b'{"images": [[1, 2]]}', JSON, 400, "received shape (2,)"),
        (b'{"images": [[[1], [2, 3]]]}', JSON, 400, "images[0]: expected rows of pixels"),
        (b'{"images": [[[1, 256]]]}', JSON, 400, "pixels from 0 to 255"),
        (b'{"images": [[[1, NaN]]]}', JSON, 400, "expected JSON"),
        (b'{"images": [[[1, -1]]]}', JSON, 400, "pixels from 0 to 255"),
        (b'{"images": [[[1, 1e39]]]}', JSON, 400, "pixels from 0 to 255"),
        (b'{"images": [[["a"]]]}', JSON, 400, "images[0]: expected rows of pixels, received a text"),
        (b'{"images": [[[1]], null]}', JSON, 400, "images[1]: expected rows of pixels, received null"),
        (b'{"images": [[[1, [2]]]]}', JSON, 400, "rows of different depths"),
        (b'{"images": {"a": 1}}', JSON, 400, "images"),
        (b'{"images": [[[1, 2]]], "top": 0}', JSON, 400, "top: expected a positive integer"),
        (b'{"images": [[[1, 2]]], "top": 1.5}', JSON, 400, "top: expected a positive integer"),
        (b'{"images": [[[1, 2]]], "top": [1]}', JSON, 400, "top: expected a positive integer"),
        (b'{"images": [[[1, -Infinity]]]}', JSON, 400, "expected JSON"),
        (b'{"images": [1, 2]}', JSON, 400, "received shape ()"),
        (b'{"images": [[[[1, 2, 3, 4]]]]}', JSON, 422, "images[0]: expected (height, width, 3)"),
        (b'{"images": [[[1, 2]]], "tops": 1}', JSON, 400, 'no "tops"; expected images and top'),
        (b'{"images": [[[[[1, 2]]]]]}', JSON, 400, "received shape"),
        (json.dumps({"images": [[[1]]] * 6}).encode(), JSON, 413, "6 images; at most 5"),
        (multipart(*[("a", b"x")] * 6)[0], "multipart/form-data; boundary=b", 413, "more than 5 images"),
        (b"no form", "multipart/form-data; boundary=b", 400, ""),
        (b"no form", "multipart/form-data", 400, "multipart/form-data"),
        (multipart(top=1)[0], "multipart/form-data; boundary=b", 400, "at least one image"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_answered_and_the_server_stays_up(served, body, kind, status, message):
    found, answer = served.predict(body, kind)
    assert (found, message in answer["error"]) == (status, True), answer
    assert served.is_up()


def test_other_addresses_and_methods_are_answered_in_json(served):
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/predict", 405)):
        found, body, headers = served.request(method, path)
        assert found == status and path in json.loads(body)["error"]
        assert headers["content-type"] == "application/json"


def test_documents_are_those_of_pythons_parser():
    from cnnrs.serving.reading import of_json

    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (40, 30, 3)).tolist(), (rng.random((5, 7)) * 255).tolist(), [[1e2, 2.5e0]]]
    file = rng.bytes(3_300_001)
    images.append(base64.b64encode(file).decode())
    found, rest = of_json(json.dumps({"top": 2, "images": images}).encode())
    for mine, given in zip(found, images[:3], strict=False):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, np.array(given, np.float32))
    assert found[3] == file and rest == {"top": 2}


@pytest.mark.parametrize("wrong", [1 << 20, (1 << 20) - 1, 5, -3])
def test_a_long_text_that_is_no_base64_is_refused_wherever_it_is_wrong(wrong):
    from cnnrs.serving.reading import Refused, of_json

    text = base64.b64encode(bytes(2_000_000)).decode()
    for character in "=%":
        broken = text[:wrong] + character + text[wrong:][1:]
        with pytest.raises(Refused, match=r"images\[0\]: expected a file in base64"):
            of_json(json.dumps({"images": [broken]}).encode())


@pytest.mark.parametrize("times", [1, 2])
def test_clients_that_hang_do_not_stop_a_server_from_stopping_quietly(model, times):
    server = Served(model, "--timeout", "1" if times == 1 else "20", "--read-timeout", "20")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as hanging:
        hanging.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert server.is_up()
        if times == 2:
            server.process.send_signal(signal.SIGINT)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                # The first one has come when nobody listens any more.
                try:
                    socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
                except OSError:
                    break
                time.sleep(0.01)
        status, errors = server.stop(signal.SIGINT)
        if times == 1:
            answer = hanging.recv(4096)
            assert b"503" in answer.split(b"\r\n")[0] and b"the server is stopping" in answer
    assert status == 0 and "Traceback" not in errors and "CancelledError" not in errors, errors


def test_an_image_of_too_many_pixels_is_not_decoded(served):
    from PIL import Image

    file = io.BytesIO()
    Image.new("1", (8000, 7000)).save(file, "png")
    status, answer = served.predict(file.getvalue())
    assert status == 413 and "8000x7000 pixels; at most 50,000,000" in answer["error"]


def test_a_request_of_a_gigabyte_is_refused_without_being_read_into_memory(served):
    def peak():
        with open(f"/proc/{served.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    before = peak() if sys.platform == "linux" else 0
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    connection.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1073741824\r\n\r\n"
    )
    part, answer = b"\0" * (1 << 20), b""
    with connection:
        # As much as the server takes; it may close the connection meanwhile.
        try:
            for _ in range(1024):
                connection.sendall(part)
        except OSError:
            pass
        try:
            answer = connection.recv(4096)
        except OSError:
            pass
    assert answer == b"" or b"413" in answer.split(b"\r\n")[0]
    if sys.platform == "linux":
        assert peak() - before < 40_000
    assert served.is_up()


def test_a_body_without_a_length_is_refused_once_it_is_too_large(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    chunks = (b"x" * 65536 for _ in range(12))
    connection.request("POST", "/predict", chunks, {"Content-Type": "image/png"}, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413 and "524,288 bytes" in json.loads(response.read())["error"]
    connection.close()


def test_clients_that_hang_are_let_go(served):
    silent = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    half_a_head = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    half_a_head.sendall(b"POST /predict HTTP/1.1\r\nHost:")
    half_a_body = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    half_a_body.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    assert served.is_up()
    with silent, half_a_head, half_a_body:
        assert b"408" in half_a_body.recv(4096).split(b"\r\n")[0]
        assert silent.recv(10) == b"" and half_a_head.recv(10) == b""
    gone = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    gone.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    gone.close()
    noise = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    noise.sendall(b"\x16\x03\x01\0\xff" * 40 + b"\r\n\r\n")
    with noise:
        assert b"400" in noise.recv(4096).split(b"\r\n")[0]
    assert served.is_up()


def test_many_at_once_are_answered_each_with_its_own(served, folder):
    images = [content(folder, name, number) for name in photos.CLASSES for number in range(3)]
    alone = [served.predict(image)[1]["predictions"][0]["classes"] for image in images]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: (i, served.predict(images[i % 9])), range(90)))
    for number, (status, found) in answers:
        assert status == 200
        scores = [c["score"] for c in found["predictions"][0]["classes"]]
        assert scores == pytest.approx([c["score"] for c in alone[number % 9]], abs=1e-5)
    metrics = served.request("GET", "/metrics")[1].decode()
    batches = float(
        next(line.split()[1] for line in metrics.splitlines() if line.startswith("cnnrs_batch_images_count "))
    )
    computed = float(
        next(line.split()[1] for line in metrics.splitlines() if line.startswith("cnnrs_images_total "))
    )
    assert computed >= 99 and batches < computed


def test_metrics_health_and_model(served):
    status, text, headers = served.request("GET", "/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    lines = text.decode().splitlines()
    assert any(line.startswith('cnnrs_requests_total{path="/predict",status="200"}') for line in lines)
    assert all(line.startswith("#") or len(line.rsplit(" ", 1)) == 2 for line in lines)
    status, text, _ = served.request("GET", "/model")
    assert json.loads(text)["class_names"] == list(photos.CLASSES)
    assert served.request("GET", "/predict")[0] == 405
    assert served.request("GET", "/none")[0] == 404


def test_the_page_and_the_document_need_nothing_from_elsewhere(served):
    status, text, _ = served.request("GET", "/openapi.json")
    document = json.loads(text)
    assert status == 200 and document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/predict", "/model", "/healthz", "/metrics"}
    references = [part.split('"')[0] for part in text.decode().split('"$ref":"')[1:]]
    assert references and all(r.rsplit("/", 1)[1] in document["components"]["schemas"] for r in references)
    status, page, headers = served.request("GET", "/docs")
    page = page.decode()
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert "<script" not in page and "src=" not in page and "@import" not in page
    assert all(f"/{name}" in page for name in ("predict", "model", "healthz", "metrics"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_answers_what_it_has(model, folder, number):
    server = Served(model, "--max-wait", "800", "--max-batch", "8")
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.predict(content(folder)))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if json.loads(server.request("GET", "/healthz")[1])["waiting"] == 3:
            break
        time.sleep(0.01)
    status, errors = server.stop(number)
    for thread in threads:
        thread.join()
    assert status == 0 and "Traceback" not in errors, errors
    assert [status for status, _ in answers] == [200, 200, 200]


def test_a_port_in_use_is_named(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "cnnrs", "serve", str(model), "--port", port],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use; --port 0 takes a free one" in done.stderr


def test_a_batcher_computes_together_what_waits():
    sizes, entered, go = [], threading.Event(), threading.Event()

    def compute(images):
        sizes.append(len(images))
        entered.set()
        assert go.wait(20)
        return images.reshape(len(images), -1).sum(1)

    with serving.Batcher(compute, max_batch=4, wait_seconds=0, queue=6) as batcher:
        first = batcher.submit(np.ones(2))
        assert entered.wait(20)
        rest = [batcher.submit(np.full(2, n)) for n in range(6)]
        with pytest.raises(serving.QueueFull, match="6 images wait, at most 6 may"):
            batcher.submit(np.ones(2))
        assert rest[5].cancel()
        go.set()
        assert first.result(20) == 2
        assert [future.result(20) for future in rest[:5]] == [0, 2, 4, 6, 8]
    # One alone, four together, and the last one, for another has gone away.
    assert sizes == [1, 4, 1]
    with pytest.raises(serving.QueueFull):
        batcher.submit(np.ones(2))


def test_a_batch_that_fails_fails_for_those_in_it_alone():
    def compute(images):
        if images.max() > 5:
            raise ValueError("too large")
        return images

    with serving.Batcher(compute, max_batch=1) as batcher:
        wrong, right = batcher.submit(np.array([9])), batcher.submit(np.array([3]))
        assert right.result(20) == 3
        with pytest.raises(ValueError, match="too large"):
            wrong.result(20)


async def called(app, body, kind=b"image/png"):
    """The status that an ASGI application answers a request with, and what it says."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/predict", "raw_path": b"/predict", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", kind)], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


def test_a_full_queue_and_a_late_answer_have_their_statuses(model, folder):
    """In this process, by a network that takes its time."""
    app = serving.make_app(model, serving.Limits(queue=1, max_batch=1, answer_seconds=0.5))
    service, body, go = app.state.service, content(folder), threading.Event()
    compute = service.batcher._compute
    service.batcher._compute = lambda images: (go.wait(20), compute(images))[1]

    async def run():
        service.batcher.start()
        first = asyncio.create_task(called(app, body))
        while service.batcher.waiting or not first.get_coro().cr_await:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        late, full = asyncio.create_task(called(app, body)), asyncio.create_task(called(app, body))
        answers = [await first, await late, await full]
        go.set()
        answers.append(await called(app, body))
        service.stop()
        return answers

    answers = asyncio.run(run())
    assert sorted(status for status, _ in answers[:3]) == [503, 504, 504]
    assert answers[0][1]["error"] == "no answer within 0.5 seconds"
    assert answers[3][0] == 200


def test_documents_are_read_beside_the_event_loop_and_more_than_the_queue_is_refused(model, monkeypatch):
    from cnnrs.serving import application

    app = serving.make_app(model, serving.Limits(queue=2))
    threads, of_json = [], application.of_json
    monkeypatch.setattr(
        application, "of_json", lambda body: (threads.append(threading.current_thread()), of_json(body))[1]
    )
    pixels = [[[0, 0, 0]]]
    body = json.dumps({"images": [pixels] * 3}).encode()
    status, answer = asyncio.run(called(app, body, b"application/json"))
    assert status == 413 and answer["error"].startswith("3 images; at most 2")
    assert threads and threads[0] is not threading.main_thread()


def test_sizes_of_batches_are_few():
    assert sorted({padded_size(n, 48) for n in range(1, 49)}) == [1, 2, 4, 8, 16, 32, 48]


def test_limits_are_checked():
    with pytest.raises(ValueError, match="max_batch"):
        serving.Limits(max_batch=0)
    with pytest.raises(ValueError, match="read_seconds"):
        serving.Limits(read_seconds=0)


def test_the_application_of_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected the folder of a run"):
        serving.make_app(tmp_path)
    assert os.listdir(tmp_path) == []
