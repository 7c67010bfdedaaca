"""Start, stop, limits and observability of a worker process."""

import contextlib
import json
import os
import re
import signal
import socket
import time

import httpx
import openai
import pytest

from conftest import THREADS, WORKER_ARGUMENTS

LONG = {"model": "default", "prompt": "Once upon a time", "max_tokens": 3000, "stream": True, "ignore_eos": True}


def metric(url: str, name: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=10).text
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


def wait_for(condition, what: str, deadline_s: float = 10.0) -> None:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {deadline_s} s")


@pytest.fixture
def worker(start, model_path):
    """Starts a worker with further arguments and waits until it is ready."""

    def make(*arguments: str, env: dict[str, str] | None = None):
        process = start("worker", "--model", str(model_path), *WORKER_ARGUMENTS, *arguments, env=env)
        url = process.base_url()
        process.wait_ready(url)
        return process, url

    return make


def test_health_is_up_before_the_model_is_ready(start, model_path):
    process = start("worker", "--model", str(model_path), *WORKER_ARGUMENTS)
    url = process.base_url()
    assert httpx.get(f"{url}/health").status_code == 200
    early = httpx.get(f"{url}/ready")
    assert early.status_code in (200, 503)
    assert early.json()["status"] in ("loading", "ready")
    process.wait_ready(url)
    assert httpx.get(f"{url}/ready").json() == {"status": "ready", "role": "unified"}
    assert process.terminate() == 0


def test_serves_on_a_unix_socket_that_only_its_owner_can_use(start, model_path, tmp_path):
    path = tmp_path / "w.sock"
    process = start("worker", "--model", str(model_path), "--listen", f"unix:{path}", *THREADS)
    process.wait_for_log(r'"ready: model')
    assert path.stat().st_mode & 0o777 == 0o600
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://worker") as http:
        assert http.post("/v1/completions", json={"prompt": "a", "max_tokens": 2}).status_code == 200
    assert process.terminate() == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--listen", "127.0.0.1:0"], 2, "--model"),
        (["--model", "x", "--threads", "many"], 2, "--threads"),
        (["--model", "x", "--no-such-flag"], 2, "--no-such-flag"),
        (["--model", "/nowhere/model.gguf", "--listen", "127.0.0.1:0"], 1, "/nowhere/model.gguf"),
        (["--model", "x", "--listen", "nonsense"], 2, "nonsense"),
    ],
    ids=["no-model", "bad-number", "unknown-flag", "missing-file", "bad-address"],
)
def test_a_bad_start_ends_with_one_clear_line(start, arguments, code, text):
    process = start("worker", *arguments)
    assert process.wait() == code
    errors = [line for line in process.log.splitlines() if "listening on" not in line]
    assert len(errors) == 1, process.log
    assert text in errors[0]


def test_a_context_beyond_the_trained_one_is_refused_with_the_numbers(start, model_path):
    process = start("worker", "--model", str(model_path), *WORKER_ARGUMENTS, "--context", "1000000")
    assert process.wait() == 1
    assert re.search(r"config_invalid: .* 1000000 tokens .* trained for (\d+) .*--context \1 or less", process.log)


def test_an_unknown_command_and_help(start):
    unknown = start("wroker")
    assert unknown.wait() == 2
    assert "wroker" in unknown.log
    helped = start("--help")
    assert helped.wait() == 0
    assert "worker" in helped.log
    version = start("--version")
    assert version.wait() == 0
    assert re.match(r"llmd \d+\.\d+", version.log)


@pytest.mark.parametrize("kind", ["text", "cut"])
def test_a_file_that_is_no_whole_model_is_refused(start, model_path, tmp_path, kind):
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"this is not a model\n" * 100 if kind == "text" else model_path.read_bytes()[:2_000_000])
    process = start("worker", "--model", str(path), "--listen", "127.0.0.1:0")
    assert process.wait() == 1
    assert "file_invalid" in process.log
    assert str(path) in process.log


def test_a_port_that_is_taken_is_named(start, model_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("worker", "--model", str(model_path), "--listen", f"127.0.0.1:{port}")
        assert process.wait() == 1
        assert str(port) in process.log
        assert "address_in_use" in process.log


def test_the_key_guards_all_but_probes_and_metrics(worker):
    _, url = worker(env={"LLMD_API_KEY": "sesame"})
    for path in ("/health", "/ready", "/metrics"):
        assert httpx.get(f"{url}{path}").status_code == 200
    for path in ("/v1/models", "/no/such/path"):
        assert httpx.get(f"{url}{path}").status_code == 401
    for key in ("wrong", "sesam", "sesame1"):
        with pytest.raises(openai.AuthenticationError) as refused:
            openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0).models.list()
        assert refused.value.code == "invalid_api_key"
    assert openai.OpenAI(base_url=f"{url}/v1", api_key="sesame", max_retries=0).models.list().data


def test_an_open_listener_without_a_key_warns(start, model_path):
    process = start("worker", "--model", str(model_path), "--listen", "0.0.0.0:0")
    line = json.loads(process.wait_for_log(r'(\{[^\n]*"level":"warn"[^\n]*\})').group(1))
    assert "LLMD_API_KEY is not set" in line["message"]


def test_a_client_that_leaves_frees_its_slot(worker):
    _, url = worker()
    with httpx.stream("POST", f"{url}/v1/completions", json=LONG, timeout=30) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert metric(url, "vllm:num_requests_running") == 1
    wait_for(lambda: metric(url, "vllm:num_requests_running") == 0, "an empty slot")
    assert metric(url, "llmd_worker_requests_in_flight") == 0


def test_a_client_that_leaves_before_the_whole_answer_frees_its_slot(worker):
    _, url = worker()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/completions", json={**LONG, "stream": False}, timeout=1)
    wait_for(lambda: metric(url, "vllm:num_requests_running") == 0, "an empty slot")


def test_a_full_queue_answers_429_with_retry_after(worker):
    _, url = worker("--max-running", "1", "--max-waiting", "1")
    address = url.removeprefix("http://").split(":")
    body = json.dumps(LONG).encode()
    request = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with contextlib.ExitStack() as connections:
        for name in ("vllm:num_requests_running", "vllm:num_requests_waiting"):
            connection = socket.create_connection((address[0], int(address[1])), timeout=10)
            connections.enter_context(connection).sendall(request)
            wait_for(lambda counted=name: metric(url, counted) == 1, name)
        refused = httpx.post(f"{url}/v1/completions", json=LONG, timeout=30)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "overloaded"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert int(refused.headers["retry-after"]) >= 1


def test_sigterm_lets_running_answers_end(worker):
    process, url = worker()
    body = {"prompt": "Once upon a time", "max_tokens": 120, "stream": True, "ignore_eos": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        process.process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert process.wait() == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/health")


def test_a_drain_that_takes_too_long_ends_streams_with_an_error(worker):
    process, url = worker("--drain-timeout", "0")
    with httpx.stream("POST", f"{url}/v1/completions", json=LONG, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        process.process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line]
    assert json.loads(rest[-1].removeprefix("data: "))["error"]["code"] == "shutting_down"
    assert "data: [DONE]" not in rest
    assert process.wait() == 0


def test_a_request_that_takes_too_long_ends_with_an_error(worker):
    _, url = worker("--request-timeout", "1")
    whole = httpx.post(f"{url}/v1/completions", json={**LONG, "stream": False}, timeout=30)
    assert whole.status_code == 504
    assert whole.json()["error"]["code"] == "deadline_exceeded"
    with httpx.stream("POST", f"{url}/v1/completions", json=LONG, timeout=30) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "deadline_exceeded"
    wait_for(lambda: metric(url, "vllm:num_requests_running") == 0, "an empty slot")


def test_metrics_tell_what_was_served(worker):
    _, url = worker()
    before = metric(url, "vllm:generation_tokens_total")
    answer = httpx.post(
        f"{url}/v1/completions", json={"prompt": "a b c", "max_tokens": 7, "ignore_eos": True}, timeout=30
    ).json()
    assert metric(url, "vllm:generation_tokens_total") - before == 7
    assert metric(url, "vllm:prompt_tokens_total") == answer["usage"]["prompt_tokens"]
    assert metric(url, "vllm:time_to_first_token_seconds_count") == 1
    assert metric(url, "vllm:inter_token_latency_seconds_count") == 6
    assert metric(url, "vllm:e2e_request_latency_seconds_count") == 1
    for phase in ("queue", "prefill", "decode", "inference"):
        assert metric(url, f"vllm:request_{phase}_time_seconds_count") == 1, phase
    spent = {p: metric(url, f"vllm:request_{p}_time_seconds_sum") for p in ("prefill", "decode", "inference")}
    assert spent["prefill"] > 0 and spent["decode"] > 0
    assert spent["inference"] == pytest.approx(spent["prefill"] + spent["decode"])
    assert spent["inference"] < metric(url, "vllm:e2e_request_latency_seconds_sum")
    assert metric(url, "vllm:iteration_tokens_total_sum") == answer["usage"]["total_tokens"]
    assert metric(url, "vllm:iteration_tokens_total_count") == metric(url, "llmd_worker_engine_steps_total")
    page = httpx.get(f"{url}/metrics").text
    assert 'finished_reason="length"} 1' in page
    config = re.search(r'vllm:cache_config_info\{[^}]*block_size="(\d+)",num_gpu_blocks="(\d+)"[^}]*\} 1', page)
    assert config and int(config.group(1)) > 0 and int(config.group(2)) > 0


def test_no_prompt_text_reaches_the_log(worker):
    process, url = worker("--log-level", "debug")
    httpx.post(f"{url}/v1/completions", json={"prompt": "xyzzy-secret", "max_tokens": 2}, timeout=30)
    httpx.post(
        f"{url}/v1/chat/completions",
        json={"messages": [{"role": "user", "content": "xyzzy-secret"}], "max_tokens": 2},
        timeout=30,
    )
    httpx.post(f"{url}/v1/completions", json={"prompt": "xyzzy-secret", "temperature": 9}, timeout=30)
    assert "xyzzy" not in process.log


def test_a_client_that_reads_slowly_gets_the_whole_stream(worker):
    _, url = worker()
    body = {"prompt": "Once", "max_tokens": 60, "stream": True, "ignore_eos": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
        lines = []
        for line in answer.iter_lines():
            if line:
                lines.append(line)
                time.sleep(0.01)
    assert lines[-1] == "data: [DONE]"
    assert len(lines) >= 50


def test_fifty_clients_that_leave_at_random_points_leave_nothing_behind(worker):
    _, url = worker()
    address = url.removeprefix("http://").split(":")
    body = json.dumps({**LONG, "max_tokens": 200}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    whole = head + body
    for index in range(50):
        with socket.create_connection((address[0], int(address[1])), timeout=10) as connection:
            sent = len(whole) if index % 2 else (index * 37) % len(whole)
            connection.sendall(whole[:sent])
            if index % 4 == 1:
                connection.recv(200)
            if index % 3 == 0:
                # Close with RST, as a process that dies does.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    wait_for(lambda: metric(url, "llmd_worker_requests_in_flight") == 0, "no request in flight", 20)
    wait_for(
        lambda: metric(url, "vllm:num_requests_running") + metric(url, "vllm:num_requests_waiting") == 0,
        "no sequence left",
    )
    assert httpx.post(f"{url}/v1/completions", json={"prompt": "a", "max_tokens": 1}, timeout=30).status_code == 200


def test_a_killed_worker_breaks_the_stream_and_frees_its_port(worker, start, model_path):
    process, url = worker()
    with httpx.stream("POST", f"{url}/v1/completions", json=LONG, timeout=30) as answer:
        lines = answer.iter_lines()
        next(lines)
        os.kill(process.process.pid, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            list(lines)
    address = url.removeprefix("http://")
    again = start("worker", "--model", str(model_path), "--listen", address, *THREADS)
    again.wait_ready(again.base_url())
