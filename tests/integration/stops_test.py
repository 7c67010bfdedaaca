"""Starts that must fail, stops in awkward moments: a clear end, at once, and nothing left behind."""

import json
import signal
import socket
import struct
import time
from pathlib import Path

import httpx
import pytest

from conftest import THREADS, WORKER_ARGUMENTS
from streams import Stream
from up_process import children_of, is_gone
from waiting import TIME_SCALE, wait_for

SOON_S = 5 * TIME_SCALE
# Some kilobytes an event, so that the buffers of a socket nobody reads are full after a hundred tokens.
TALKATIVE = {
    "messages": [{"role": "user", "content": "Once upon a time"}],
    "max_tokens": 1000,
    "stream": True,
    "ignore_eos": True,
    "logprobs": True,
    "top_logprobs": 20,
    "n": 2,
}


def header(version: int = 3, tensors: int = 272, pairs: int = 34) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


def damaged_models(model: bytes) -> dict[str, bytes]:
    """Files that are no whole model, by what is wrong with them."""
    cuts = {f"cut-at-{size}": model[:size] for size in (3, 4, 23, 24, 100, 5_000, 500_000, 1_900_000, len(model) - 1)}
    first_key = model[:24] + struct.pack("<Q", 1 << 62) + model[32:200_000]
    return {
        "empty": b"",
        "text": b"this is no model\n" * 100,
        "zeros": bytes(4096),
        "version-99": header(version=99) + model[24:200_000],
        "countless-tensors": header(tensors=1 << 62) + model[24:200_000],
        "countless-pairs": header(pairs=1 << 60) + model[24:200_000],
        "no-pairs": header(tensors=0, pairs=0),
        "endless-key": first_key,
        **cuts,
    }


def test_each_kind_of_damaged_model_file_is_refused_with_a_clear_error(start, model_path, tmp_path):
    """All at once, each by a worker of its own: exit code 1 and one line that names the file, within seconds."""
    files = {}
    for name, data in damaged_models(model_path.read_bytes()).items():
        files[name] = tmp_path / f"{name}.gguf"
        files[name].write_bytes(data)
    files["folder"] = tmp_path / "folder.gguf"
    files["folder"].mkdir()
    files["missing"] = tmp_path / "missing.gguf"
    workers = {
        name: start("worker", "--model", str(path), "--listen", f"unix:{tmp_path}/{name[:20]}.sock")
        for name, path in files.items()
    }
    for name, worker in workers.items():
        assert worker.wait(20 * TIME_SCALE) == 1, f"{name}: {worker.log}"
        errors = [line for line in worker.log.splitlines() if '"level":"error"' in line]
        assert len(errors) == 1 and str(files[name]) in errors[0], f"{name}: {worker.log}"
        assert "file_invalid" in errors[0] or "file_not_found" in errors[0], f"{name}: {worker.log}"
    assert list(tmp_path.glob("*.sock")) == []


@pytest.mark.parametrize("kind", ["missing", "cut", "port"])
def test_an_up_that_cannot_start_leaves_nothing_behind(start, model_path, tmp_path, runtime_folder, kind):
    model, listen = model_path, "127.0.0.1:0"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if kind == "port":
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
        if kind == "missing":
            model = tmp_path / "missing.gguf"
        if kind == "cut":
            model = tmp_path / "cut.gguf"
            model.write_bytes(model_path.read_bytes()[:3_000_000])
        env = {"XDG_RUNTIME_DIR": str(runtime_folder)}
        one = start("up", "--model", str(model), "--listen", listen, "--topology", "unified:2", env=env)
        began = time.monotonic()
        children: set[int] = set()
        while one.process.poll() is None and time.monotonic() - began < 20 * TIME_SCALE:
            children |= set(children_of(one.process.pid))
            time.sleep(0.02)
    assert one.wait() == 1, one.log
    wait_for(lambda: all(is_gone(pid) for pid in children), "the end of every process", SOON_S)
    wait_for(lambda: list(runtime_folder.iterdir()) == [], "an empty runtime folder", SOON_S)
    assert "terminate called" not in one.log


@pytest.mark.parametrize("pause_s", [0, 0.03, 0.1, 0.2])
def test_sigterm_while_the_model_loads_ends_a_worker_at_once(start, model_path, tmp_path, pause_s):
    path = tmp_path / "w.sock"
    worker = start("worker", "--model", str(model_path), "--listen", f"unix:{path}", *THREADS)
    worker.wait_for_log("listening on")
    time.sleep(pause_s * TIME_SCALE)
    asked_at = time.monotonic()
    assert worker.terminate() == 0, worker.log
    assert time.monotonic() - asked_at < SOON_S
    assert not path.exists()
    assert "level\":\"error" not in worker.log, worker.log


def test_sigterm_while_workers_load_ends_up_at_once(start, model_path, runtime_folder):
    env = {"XDG_RUNTIME_DIR": str(runtime_folder)}
    one = start("up", "--model", str(model_path), "--listen", "127.0.0.1:0", "--topology", "unified:2", env=env)
    one.base_url()
    wait_for(lambda: len(children_of(one.process.pid)) >= 2, "workers")
    children = children_of(one.process.pid)
    asked_at = time.monotonic()
    assert one.terminate() == 0, one.log
    assert time.monotonic() - asked_at < SOON_S
    wait_for(lambda: all(is_gone(pid) for pid in children), "the end of every process", SOON_S)
    wait_for(lambda: list(runtime_folder.iterdir()) == [], "an empty runtime folder", SOON_S)


class Deaf:
    """A client on a unix or TCP socket that asks and then reads nothing."""

    def __init__(self, address: str, body: dict, path: str = "/v1/chat/completions"):
        family = socket.AF_UNIX if address.startswith("/") else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        host, _, port = address.rpartition(":")
        self.socket.connect(address if family == socket.AF_UNIX else (host, int(port)))
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        self.socket.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def close(self) -> None:
        self.socket.close()


def worker_on_socket(start, model_path: Path, path: Path, *arguments: str):
    worker = start("worker", "--model", str(model_path), *WORKER_ARGUMENTS[2:], "--listen", f"unix:{path}", *arguments)
    worker.wait_for_log('"ready: model')
    return worker


def tokens_made(path: Path) -> float:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://w", timeout=10) as http:
        page = http.get("/metrics").text
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith("vllm:generation_tokens_total"))


def test_a_drain_deadline_with_a_client_that_reads_nothing_ends_the_worker_cleanly(start, model_path, tmp_path):
    """Its handler is then still suspended in a write."""
    path = tmp_path / "w.sock"
    worker = worker_on_socket(start, model_path, path, "--drain-timeout", "0")
    client = Deaf(str(path), TALKATIVE)
    wait_for(lambda: tokens_made(path) > 250, "full buffers", 60 * TIME_SCALE)
    asked_at = time.monotonic()
    assert worker.terminate() == 0, worker.log
    assert time.monotonic() - asked_at < SOON_S
    assert "requests did not end in time and are cut off" in worker.log
    assert not path.exists()
    client.close()


def test_a_second_sigterm_ends_a_draining_worker_at_once(start, model_path, tmp_path):
    path = tmp_path / "w.sock"
    worker = worker_on_socket(start, model_path, path)
    clients = [Deaf(str(path), TALKATIVE) for _ in range(2)]
    wait_for(lambda: tokens_made(path) > 20, "tokens", 60 * TIME_SCALE)
    worker.process.send_signal(signal.SIGTERM)
    worker.wait_for_log("draining for at most")
    asked_at = time.monotonic()
    assert worker.terminate() == 1, worker.log
    assert time.monotonic() - asked_at < SOON_S
    assert not path.exists()
    for client in clients:
        client.close()


def test_a_drain_deadline_of_a_gateway_cuts_all_kinds_of_requests_cleanly(engines, gateway):
    """One that waits for its head, one in mid-stream, one whose client reads nothing."""
    engine = engines()
    engine.then(lambda request: request.wait_for_close(30) and None)

    def stream_and_wait(request):
        request.start_stream()
        request.token("a")
        request.wait_for_close(30)

    def flood(request):
        request.start_stream()
        for _ in range(2000):
            request.token("x" * 16_000)

    process, url = gateway(engine, arguments=("--drain-timeout", "0"))
    body = {"model": "m", "prompt": "hi"}
    waiting = Stream(url, body)
    wait_for(lambda: len(engine.requests) == 1, "the first request")
    engine.then(stream_and_wait)
    streaming = Stream(url, {**body, "stream": True})
    wait_for(lambda: len(streaming.events) == 1, "a token")
    engine.then(flood)
    deaf = Deaf(url.removeprefix("http://"), {**body, "stream": True}, "/v1/completions")
    wait_for(lambda: len(engine.requests) == 3, "the third request")
    time.sleep(0.5)
    asked_at = time.monotonic()
    assert process.terminate() == 0, process.log
    assert time.monotonic() - asked_at < SOON_S
    assert "3 requests are cut by the drain timeout" in process.log
    for stream in (waiting, streaming):
        assert stream.join(SOON_S).broke
        assert not stream.done
    deaf.close()


def test_a_second_sigint_ends_up_at_once_with_130(up):
    one = up()
    stream = Stream(one.url, {"prompt": "Once", "max_tokens": 3000, "ignore_eos": True, "stream": True})
    wait_for(lambda: len(stream.events) > 1, "a token")
    children = children_of(one.process.process.pid)
    one.process.process.send_signal(signal.SIGINT)
    one.process.wait_for_log("once more ends at once")
    one.process.process.send_signal(signal.SIGINT)
    assert one.process.wait(SOON_S) == 130
    assert stream.join(SOON_S).broke and not stream.done
    wait_for(lambda: all(is_gone(pid) for pid in children), "the end of every process", SOON_S)
    wait_for(lambda: list(one.runtime.iterdir()) == [], "an empty runtime folder", SOON_S)
