"""`llmd gateway` in front of engines that the test drives."""

import json
import os
import re
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from fake_engine import FakeEngine, FakeRequest, streamed_answer, whole_answer
from waiting import wait_for

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def admin_client(runtime_folder: Path) -> httpx.Client:
    (path,) = runtime_folder.glob("llmd-*/*/admin.sock")
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://admin")


def events_of(text: str) -> list[str]:
    return re.findall(r"^data: (.*)$", text, re.MULTILINE)


def fail_before_the_head(request: FakeRequest) -> None:
    request.cut()


def fail_after_the_head(request: FakeRequest) -> None:
    request.start_stream()
    request.cut()


def fail_within_the_first_event(request: FakeRequest) -> None:
    request.start_stream()
    request.chunk(b'data: {"choices"')
    request.cut()


def refuse(request: FakeRequest) -> None:
    request.answer(503, {"error": {"message": "loading"}})


@pytest.mark.parametrize("failure", [fail_before_the_head, fail_after_the_head, fail_within_the_first_event, refuse])
def test_another_endpoint_takes_over_while_nothing_was_streamed(engines, gateway, runtime_folder, failure):
    first, second = engines(waiting=0).then(failure), engines(waiting=9)
    _, url = gateway(first, second)
    answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "stream": True}, headers={"x-request-id": "r1"})
    assert answer.status_code == 200
    assert events_of(answer.text)[-1] == "[DONE]"
    assert len(first.requests) == 1 and len(second.requests) == 1
    record = admin_client(runtime_folder).get("/explanations/r1").json()
    assert record["outcome"]["retries"] == 1
    assert record["outcome"]["endpoint"] == second.url
    assert record["chosen"] == first.url


def test_a_cut_answer_that_is_no_stream_is_retried_whole(engines, gateway):
    def cut_body(request: FakeRequest) -> None:
        request.head(200, {"Content-Type": "application/json", "Content-Length": "100"})
        request.raw(b'{"choices": [')
        request.cut()

    first, second = engines(waiting=0).then(cut_body), engines(waiting=9)
    _, url = gateway(first, second)
    answer = httpx.post(f"{url}/v1/chat/completions", json=CHAT)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "hello"


def test_if_no_endpoint_is_left_the_answer_is_a_503_in_openais_shape(engines, gateway):
    engine = engines().then(fail_before_the_head).then(fail_before_the_head)
    _, url = gateway(engine)
    answer = httpx.post(f"{url}/v1/chat/completions", json=CHAT)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "upstream_failed"
    assert answer.json()["error"]["type"] == "server_error"
    assert answer.headers["retry-after"] == "1"


def test_a_stream_cut_after_its_first_event_ends_with_an_error_event_and_no_done(engines, gateway):
    def cut_later(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        request.token("b")
        request.chunk(b'data: {"half')
        request.cut()

    first, second = engines(waiting=0).then(cut_later), engines(waiting=9)
    _, url = gateway(first, second)
    answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "stream": True})
    events = [json.loads(event) for event in events_of(answer.text)]
    assert [event["choices"][0]["delta"]["content"] for event in events[:-1]] == ["a", "b"]
    assert events[-1]["error"]["code"] == "upstream_failed"
    assert "[DONE]" not in answer.text and "half" not in answer.text
    assert second.requests == [], "what was streamed cannot be taken back"


def test_an_error_event_of_the_endpoints_own_is_passed_on_alone(engines, gateway):
    def own_error(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        request.event('{"error":{"message":"x","type":"server_error","param":null,"code":"internal"}}')
        request.raw(b"0\r\n\r\n")

    _, url = gateway(engines().then(own_error))
    answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "stream": True})
    assert len(re.findall('"error"', answer.text)) == 1
    assert "[DONE]" not in answer.text


def test_the_endpoint_sees_at_once_that_the_client_left(engines, gateway):
    seen = threading.Event()

    def stream_for_ever(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        if request.wait_for_close():
            seen.set()

    _, url = gateway(engines().then(stream_for_ever))
    with httpx.stream("POST", f"{url}/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
        next(answer.iter_lines())
    assert seen.wait(5)
    metric = lambda: re.search(
        r"^llmd_gateway_requests_in_flight (\S+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE
    )
    wait_for(lambda: metric().group(1) == "0", "no request in flight")


def test_tokens_of_streams_are_counted_whether_or_not_the_client_asks(engines, gateway, runtime_folder):
    usage = {"prompt_tokens": 30, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 16}}

    def with_usage(request: FakeRequest) -> None:
        assert request.body["stream_options"] == {"include_usage": True}
        request.start_stream()
        request.token("a")
        request.token("")
        request.event(json.dumps({"choices": [], "usage": usage}))
        request.end_stream()

    engine = engines().then(with_usage).then(with_usage).then(with_usage)
    _, url = gateway(engine)
    for options in ({}, {"stream_options": {"include_usage": False}}, {"stream_options": {"include_usage": True}}):
        body = {**CHAT, "stream": True, **options}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"x-request-id": "r1"})
        events = events_of(answer.text)
        assert len(events) == (4 if options.get("stream_options") == {"include_usage": True} else 3)
        assert events[-1] == "[DONE]" and ("usage" in answer.text) == (len(events) == 4)
        outcome = admin_client(runtime_folder).get("/explanations/r1").json()["outcome"]
        assert [outcome[f"{kind}_tokens"] for kind in ("prompt", "cached", "completion")] == [30, 16, 1]
    page = httpx.get(f"{url}/metrics").text
    for kind, total in (("prompt", 90), ("cached", 48), ("completion", 3)):
        assert re.search(rf'^llmd_gateway_tokens_total{{kind="{kind}"}} {total}$', page, re.MULTILINE), kind


def test_a_client_cannot_steer_what_is_behind(engines, gateway):
    engine = engines()
    _, url = gateway(engine)
    body = {**CHAT, "kv_transfer_params": {"remote_host": "evil"}, "bootstrap_host": "evil", "top_k": 5}
    body["llmd_prompt_tokens"] = "AAAA"
    headers = {"x-prefiller-host-port": "evil:1", "x-data-parallel-host-port": "evil:1", "x-custom": "kept"}
    assert httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    (request,) = engine.requests
    assert request.body == {**CHAT, "top_k": 5}
    names = {name.lower() for name in request.headers}
    assert "x-custom" in names and not names & {"x-prefiller-host-port", "x-data-parallel-host-port"}


@pytest.mark.parametrize("given", [{}, {"model": "default"}, {"model": None}, {"model": ""}])
def test_without_a_name_the_first_model_is_meant(engines, gateway, given):
    engine = engines(model="org/model-1")
    _, url = gateway(engine)
    assert httpx.post(f"{url}/v1/chat/completions", json={**given, "messages": CHAT["messages"]}).status_code == 200
    assert engine.requests[0].body["model"] == "org/model-1"
    assert httpx.get(f"{url}/v1/models/default").json()["id"] == "org/model-1"
    assert httpx.get(f"{url}/v1/models/org%2Fmodel-1").json()["id"] == "org/model-1"
    assert [card["id"] for card in httpx.get(f"{url}/v1/models").json()["data"]] == ["org/model-1"]


def test_every_model_that_an_endpoint_lists_is_served_by_it(engines, gateway):
    first, second = engines(model="base", adapters=("sql", "law")), engines(model="base", adapters=("law",), waiting=9)
    _, url = gateway(first, second)
    listed = [card["id"] for card in httpx.get(f"{url}/v1/models").json()["data"]]
    assert listed[0] == "base" and sorted(listed) == ["base", "law", "sql"], "each once"

    def served_by(model: str) -> FakeEngine:
        before = len(first.requests)
        answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "model": model})
        assert answer.status_code == 200, answer.text
        engine = first if len(first.requests) > before else second
        assert engine.requests[-1].body["model"] == model
        return engine

    assert served_by("sql") is first
    assert served_by("law") is first and served_by("base") is first, "less waits there"
    first.ready = False
    wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == 1, "one ready engine")
    assert served_by("law") is second
    answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "model": "sql"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_endpoint"), "it may come back"
    answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "model": "art"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_errors_have_openais_shape_and_stable_codes(engines, gateway):
    engine = engines()
    _, url = gateway(engine, arguments=("--max-body", "2048"))
    chat = f"{url}/v1/chat/completions"
    json_type = {"Content-Type": "application/json"}
    cases = [
        (httpx.post(chat, json={**CHAT, "model": "other"}), 404, "model_not_found"),
        (httpx.post(chat, content="{", headers=json_type), 400, "invalid_json"),
        (httpx.post(chat, content="[]", headers=json_type), 400, "invalid_request"),
        (httpx.post(chat, json={"model": 7}), 400, "invalid_request"),
        (httpx.post(chat, content="{}", headers={"Content-Type": "text/plain"}), 415, "unsupported_media_type"),
        (httpx.post(chat, json={**CHAT, "x": "y" * 3000}), 413, "body_too_large"),
        (httpx.get(chat), 405, "method_not_allowed"),
        (httpx.post(f"{url}/v1/nothing", json={}), 404, "not_found"),
        (httpx.get(f"{url}/v1/models/other"), 404, "model_not_found"),
    ]
    for answer, status, code in cases:
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert cases[6][0].headers["allow"] == "POST"
    assert cases[0][0].json()["error"]["param"] == "model"
    assert engine.requests == []


def test_with_a_key_only_health_readiness_and_metrics_are_open(engines, gateway):
    engine = engines()
    _, url = gateway(engine, env={"LLMD_API_KEY": "secret"})
    for path in ("/health", "/ready", "/metrics"):
        assert httpx.get(f"{url}{path}").status_code == 200
    for path in ("/v1/models", "/openapi.json", "/nothing"):
        denied = httpx.get(f"{url}{path}")
        assert (denied.status_code, denied.json()["error"]["code"]) == (401, "invalid_api_key")
    wrong = httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers={"Authorization": "Bearer secreT"})
    assert wrong.status_code == 401
    right = httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers={"Authorization": "Bearer secret"})
    assert right.status_code == 200
    assert "Authorization" not in engine.requests[0].headers, "the gateway's key is not the engine's business"


def test_sigterm_lets_the_stream_end_and_exits_0(engines, gateway):
    go_on = threading.Event()

    def slow(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        go_on.wait(10)
        request.token("b")
        request.end_stream()

    process, url = gateway(engines().then(slow))
    with httpx.stream("POST", f"{url}/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
        lines = answer.iter_lines()
        assert "a" in next(lines)
        process.process.terminate()
        port = int(url.rsplit(":", 1)[1])
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) != 0, "a closed listener")
        go_on.set()
        rest = "\n".join(lines)
    assert '"b"' in rest and rest.rstrip().endswith("[DONE]")
    assert process.wait() == 0


def test_follows_changes_of_the_endpoint_file(engines, start, runtime_folder, tmp_path):
    first, second = engines(model="one"), engines(model="two")
    file = tmp_path / "endpoints.yaml"

    def write(engine: FakeEngine) -> None:
        port = engine.url.rsplit(":", 1)[1]
        text = f'endpoints:\n- {{name: pod, namespace: {engine.model}, address: 127.0.0.1, port: "{port}"}}\n'
        (tmp_path / "new").write_text(text)
        os.replace(tmp_path / "new", file)

    write(first)
    process = start(
        "gateway",
        "--listen",
        "127.0.0.1:0",
        "--endpoints",
        str(file),
        "--probe-interval",
        "100",
        env={"XDG_RUNTIME_DIR": str(runtime_folder)},
    )
    url = process.base_url()
    models = lambda: [card["id"] for card in httpx.get(f"{url}/v1/models").json()["data"]]
    wait_for(lambda: models() == ["one"], "the first engine")
    write(second)
    wait_for(lambda: models() == ["two"], "the second engine")
    file.write_text("endpoints: nonsense\n")
    process.wait_for_log("endpoints stay as they were")
    assert models() == ["two"]


def test_the_admin_socket_is_private_and_gone_afterwards(engines, gateway, runtime_folder):
    engine = engines()
    process, url = gateway(engine)
    (path,) = runtime_folder.glob("llmd-*/*/admin.sock")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    admin = admin_client(runtime_folder)
    httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers={"x-request-id": "abc"})
    record = admin.get("/explanations/abc").json()
    assert record["chosen"] == engine.url
    assert record["outcome"]["cached_tokens"] == 2
    (endpoint,) = admin.get("/endpoints").json()["endpoints"]
    assert (endpoint["health"], endpoint["models"]) == ("ready", ["m"])
    assert admin.get("/config").json()["profiles"][0]["plugins"]
    assert admin.get("/explanations/unknown").status_code == 404
    assert admin.post("/config").status_code == 405
    assert process.terminate() == 0
    assert list(runtime_folder.iterdir()) == []


def test_the_admin_folder_is_gone_after_a_kill(engines, gateway, runtime_folder):
    process, _ = gateway(engines())
    process.process.kill()
    process.process.wait()
    wait_for(lambda: list(runtime_folder.iterdir()) == [], "an empty runtime folder", 5)


def test_explain_tells_why_a_request_was_refused(binary, engines, gateway, runtime_folder):
    started = threading.Event()

    def hold(request: FakeRequest) -> None:
        request.start_stream()
        request.token("a")
        started.set()
        request.wait_for_close()

    engine = engines().then(hold)
    _, url = gateway(engine, arguments=("--max-in-flight", "1"))
    chat = f"{url}/v1/chat/completions"

    def told(name: str) -> str:
        command = [binary, "explain", name]
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime_folder)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20).stdout

    httpx.post(chat, json={**CHAT, "model": "other"}, headers={"x-request-id": "unknown"})
    assert "refused with 404 model_not_found" in told("unknown")
    assert "model-filter: serves m; wanted other" in told("unknown")
    httpx.post(chat, content="{", headers={"x-request-id": "broken", "Content-Type": "application/json"})
    assert told("broken").startswith("request broken: refused with 400 invalid_json")
    with httpx.stream("POST", chat, json={**CHAT, "stream": True}):
        assert started.wait(5)
        assert httpx.post(chat, json=CHAT, headers={"x-request-id": "crowd"}).status_code == 429
    assert "refused with 429 overloaded: 1 requests are in flight" in told("crowd")
    engine.ready = False
    wait_for(lambda: httpx.get(f"{url}/health").status_code == 503, "no ready engine")
    wait_for(lambda: httpx.post(chat, json=CHAT, headers={"x-request-id": "none"}).status_code == 503, "a refusal")
    assert "refused with 503 no_endpoint" in told("none") and "health-filter" in told("none")


def test_explain_without_an_id_says_so_in_one_line(binary):
    ran = subprocess.run([binary, "explain"], capture_output=True, text=True, timeout=20)
    assert ran.returncode == 2
    assert ran.stderr == "llmd explain: REQUEST_ID is required (see llmd explain --help)\n"


def test_errors_of_foreign_servers_get_openais_shape(engines, gateway):
    def page(request: FakeRequest) -> None:
        request.head(500, {"Content-Type": "text/html", "Content-Length": "13"})
        request.raw(b"<html></html>")

    engine = engines().then(page).then(lambda request: request.answer(400, {"detail": "no such thing"}))
    engine.then(lambda request: request.answer(400, {"error": {"message": "own", "code": 7}}))
    _, url = gateway(engine)
    answers = [httpx.post(f"{url}/v1/chat/completions", json=CHAT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 400, 400]
    errors = [answer.json()["error"] for answer in answers]
    assert errors[0]["message"] == "the endpoint answered 500 and did not say why"
    assert answers[0].headers["content-type"] == "application/json"
    assert (errors[1]["message"], errors[1]["type"]) == ("no such thing", "invalid_request_error")
    assert errors[2] == {"message": "own", "code": 7}


def test_explain_and_top_find_the_running_gateway(binary, engines, gateway, runtime_folder):
    engine = engines()
    _, url = gateway(engine)
    httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers={"x-request-id": "abc"})
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime_folder)}

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([binary, *arguments], env=environment, capture_output=True, text=True, timeout=20)

    told = run("explain", "abc")
    assert told.returncode == 0 and f"request abc: to {engine.url}" in told.stdout and "queue-scorer" in told.stdout
    assert json.loads(run("explain", "abc", "--json").stdout)["request_id"] == "abc"
    unknown = run("explain", "zzz")
    assert unknown.returncode == 1 and "no request zzz is remembered" in unknown.stderr
    top = run("top", "--once")
    assert top.returncode == 0 and "ENDPOINT" in top.stdout and "ready" in top.stdout
    assert run("top", "--no-such-flag").returncode == 2


def test_metrics_show_a_zero_before_the_first_request(engines, gateway):
    _, url = gateway(engines())
    page = httpx.get(f"{url}/metrics").text
    for line in (
        "llmd_gateway_requests_in_flight 0",
        "llmd_kv_transfer_bytes_total 0",
        "llmd_gateway_endpoints_ready 1",
    ):
        assert re.search(rf"^{re.escape(line)}$", page, re.MULTILINE), line


def test_a_taken_port_and_a_wrong_config_are_named(engines, start, runtime_folder, tmp_path):
    engine = engines()
    port = engine.url.rsplit(":", 1)[1]
    env = {"XDG_RUNTIME_DIR": str(runtime_folder)}
    taken = start("gateway", "--listen", f"127.0.0.1:{port}", "--endpoints", engine.url, env=env)
    assert taken.wait() == 1
    assert "address_in_use" in taken.log and port in taken.log
    config = tmp_path / "config.yaml"
    config.write_text("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: queue-scorr\n")
    wrong = start("gateway", "--listen", "127.0.0.1:0", "--endpoints", engine.url, "--config", str(config), env=env)
    assert wrong.wait() == 1
    assert "config_invalid" in wrong.log and "config.yaml:4" in wrong.log
    assert start("gateway", "--listen", "127.0.0.1:0", env=env).wait() == 2


def test_a_listener_open_to_the_network_without_a_key_warns(engines, start, runtime_folder):
    process = start(
        "gateway", "--listen", "0.0.0.0:0", "--endpoints", engines().url, env={"XDG_RUNTIME_DIR": str(runtime_folder)}
    )
    process.wait_for_log("CAN USE THIS SERVER: set LLMD_API_KEY")


def test_an_endpoint_that_fails_is_left_alone_and_comes_back(engines, gateway):
    engine = engines()
    for _ in range(3):
        engine.then(lambda request: request.answer(500, {"error": {"message": "x"}}))
    _, url = gateway(engine)
    statuses = [httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code for _ in range(4)]
    assert statuses[:3] == [500, 500, 500] and statuses[3] == 503, "the breaker is open"
    wait_for(
        lambda: httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200, "a trial that is served", 5
    )


def test_many_clients_that_leave_at_random_points_leave_nothing_behind(engines, gateway):
    engine = engines()
    _, url = gateway(engine)
    port = int(url.rsplit(":", 1)[1])
    body = json.dumps({**CHAT, "stream": True}).encode()
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s"
        % (len(body), body)
    )
    for cut in range(1, len(request) + 1, 3):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(request[:cut])
    page = lambda: httpx.get(f"{url}/metrics").text
    gone = lambda: re.search(r"^llmd_gateway_requests_in_flight 0$", page(), re.MULTILINE)
    wait_for(lambda: bool(gone()), "no request in flight")
    (value,) = re.findall(r'^llmd_budget_used_bytes{budget="request-bodies"} (\S+)$', page(), re.MULTILINE)
    assert float(value) == 0
    assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200


ALWAYS_DISAGGREGATE = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: prefill-filter
- type: decode-filter
- type: queue-scorer
- type: always-disagg-pd-decider
- {type: disagg-profile-handler, parameters: {deciders: {prefill: always-disagg-pd-decider}}}
schedulingProfiles:
- name: prefill
  plugins: [{pluginRef: prefill-filter}, {pluginRef: queue-scorer}]
- name: decode
  plugins: [{pluginRef: decode-filter}, {pluginRef: queue-scorer}]
"""
TRANSFER = {"remote_engine_id": "e", "remote_block_ids": [[1, 2]], "remote_host": "h", "remote_port": 7}


@pytest.fixture
def split_gateway(start, engines, runtime_folder, tmp_path):
    """A gateway over one prefill and one decode engine that always sends both legs."""

    def make(labels: str = "") -> tuple[FakeEngine, FakeEngine, str]:
        prefill, decode = engines(), engines()
        entries = "".join(
            f'- {{name: {role}, address: 127.0.0.1, port: "{engine.url.rsplit(":", 1)[1]}", '
            f"labels: {{llm-d.ai/role: {role}{labels}}}}}\n"
            for role, engine in (("prefill", prefill), ("decode", decode))
        )
        (tmp_path / "endpoints.yaml").write_text(f"endpoints:\n{entries}")
        (tmp_path / "config.yaml").write_text(ALWAYS_DISAGGREGATE)
        process = start(
            "gateway",
            "--listen",
            "127.0.0.1:0",
            "--endpoints",
            str(tmp_path / "endpoints.yaml"),
            "--config",
            str(tmp_path / "config.yaml"),
            "--probe-interval",
            "100",
            env={"XDG_RUNTIME_DIR": str(runtime_folder)},
        )
        url = process.base_url()
        wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == 2, "ready engines")
        return prefill, decode, url

    return make


def test_the_gateway_sends_sglangs_legs_at_once(split_gateway):
    prefill, decode, url = split_gateway(', llmd.ai/kv-connector: sglang, llmd.ai/bootstrap-port: "9001"')
    assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200
    wait_for(lambda: bool(prefill.requests), "the prefill leg")
    assert prefill.requests[0].raw_body == decode.requests[0].raw_body
    sent = decode.requests[0].body
    assert (sent["bootstrap_host"], sent["bootstrap_port"]) == ("127.0.0.1", 9001)
    assert 0 < sent["bootstrap_room"] < 2**53
    # The decode leg would wait for ever.
    closed = threading.Event()
    decode.then(lambda request: closed.set() if request.wait_for_close() else None)
    prefill.then(lambda request: request.answer(500, {"error": "no room"}))
    failed = httpx.post(f"{url}/v1/chat/completions", json=CHAT, timeout=10)
    assert (failed.status_code, failed.json()["error"]["code"]) == (503, "upstream_failed")
    assert closed.wait(5)


def test_without_a_decode_engine_the_gateway_is_not_healthy(split_gateway):
    prefill, decode, url = split_gateway()
    status = lambda path: httpx.get(f"{url}{path}").status_code
    assert (status("/health"), status("/ready")) == (200, 200)
    decode.ready = False
    wait_for(lambda: status("/health") == 503, "a gateway that says that it cannot serve")
    assert status("/ready") == 503
    assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).json()["error"]["code"] == "no_endpoint"
    prefill.ready, decode.ready = False, True
    wait_for(lambda: status("/health") == 200, "a gateway that decodes")
    assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200


def test_explain_tells_why_not_another_endpoint_and_all_of_what_was_asked_for(
    binary, engines, gateway, runtime_folder
):
    busy, middling, idle = engines(waiting=9), engines(waiting=5), engines(waiting=0)
    _, url = gateway(busy, middling, idle, arguments=("--explain-rate", "0"))
    for name, headers in {"plain": {}, "asked": {"x-llmd-explain": "1"}}.items():
        httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers={"x-request-id": name, **headers})

    def explain(*arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime_folder)}
        command = [binary, "explain", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)

    assert "x-llmd-explain" not in idle.requests[-1].headers
    asked = json.loads(explain("asked", "--json").stdout)
    assert asked["detail"] == "full" and len(asked["profiles"][0]["candidates"]) == 3
    assert [other["policy"] for other in asked["profiles"][0]["others"]] == ["random", "round-robin", "least-loaded"]
    plain = json.loads(explain("plain", "--json").stdout)
    assert plain["detail"] == "brief" and len(plain["profiles"][0]["candidates"]) == 2
    assert "recorded in brief" in explain("plain").stdout
    assert plain["profiles"][0]["runner_up"]["endpoint"] == middling.url
    lower = explain("--why-not", busy.url.rsplit(":")[-1], "asked")
    assert lower.returncode == 0 and re.search(rf"{busy.url} scored .* less than {idle.url}", lower.stdout)
    assert re.search(r"^  queue-scorer .* -2\.000", lower.stdout, re.MULTILINE), lower.stdout
    verdict = json.loads(explain("asked", "--why-not", busy.url, "--json").stdout)["profiles"][0]
    assert (verdict["verdict"], verdict["chosen"]) == ("scored_lower", idle.url)
    assert "only" in explain("plain", "--why-not", busy.url).stdout
    unknown = explain("asked", "--why-not", "http://127.0.0.1:1")
    assert unknown.returncode == 1 and "no endpoint is meant" in unknown.stderr
    several = explain("asked", "--why-not", "127.0.0.1")
    assert several.returncode == 1 and "more than one endpoint is meant" in several.stderr


def test_two_legs_carry_the_prefillers_parameters_to_the_decoder(split_gateway, runtime_folder):
    prefill, decode, url = split_gateway()
    prefill.then(lambda request: request.answer(200, {"choices": [], "kv_transfer_params": TRANSFER}))
    body = {**CHAT, "stream": True, "max_tokens": 9, "stream_options": {"include_usage": True}}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"x-request-id": "r1"})
    assert events_of(answer.text)[-1] == "[DONE]"
    first, second = prefill.requests[0].body, decode.requests[0].body
    assert (first["max_tokens"], first["stream"], "stream_options" in first) == (1, False, False)
    assert first["kv_transfer_params"]["do_remote_decode"] is True
    assert second == {**body, "kv_transfer_params": TRANSFER}
    record = admin_client(runtime_folder).get("/explanations/r1").json()
    assert (record["prefill"], record["outcome"]["prefill_endpoint"]) == ("default/prefill", "default/prefill")


@pytest.mark.parametrize(
    "failure", [fail_before_the_head, refuse, lambda request: request.answer(200, {"kv_transfer_params": 7})]
)
def test_a_failed_prefill_leg_leaves_the_prompt_to_the_decoder(split_gateway, binary, runtime_folder, failure):
    prefill, decode, url = split_gateway()
    prefill.then(failure)
    answer = httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers={"x-request-id": "r1"})
    assert answer.status_code == 200
    assert decode.requests[0].body == CHAT
    page = httpx.get(f"{url}/metrics").text
    assert re.search(r"^llmd_gateway_prefill_failures_total 1$", page, re.MULTILINE)
    assert re.search(r"^llmd_kv_recomputed_tokens_total 1$", page, re.MULTILINE), "3 prompt tokens, 2 of them cached"
    command = [binary, "explain", "r1"]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime_folder)}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20).stdout
    line = r"^prefill by default/prefill failed: \S+: .*; 1 tokens computed by default/decode"
    assert re.search(line, told, re.MULTILINE), told


def test_a_request_that_the_prefiller_finds_wrong_is_no_failure_of_its(split_gateway, runtime_folder):
    prefill, decode, url = split_gateway()
    error = {"error": {"message": "top_p is 7", "type": "invalid_request_error", "param": "top_p", "code": "x"}}
    prefill.then(lambda request: request.answer(400, error))
    answer = httpx.post(f"{url}/v1/chat/completions", json={**CHAT, "top_p": 7}, headers={"x-request-id": "r1"})
    assert (answer.status_code, answer.json()) == (400, error)
    assert decode.requests == []
    page = httpx.get(f"{url}/metrics").text
    assert re.search(r"^llmd_gateway_prefill_failures_total 0$", page, re.MULTILINE)
    record = admin_client(runtime_folder).get("/explanations/r1").json()
    assert (record["outcome"]["status"], record["outcome"]["endpoint"]) == (400, "default/prefill")


def test_the_prefill_leg_is_cancelled_when_the_client_leaves(split_gateway):
    prefill, decode, url = split_gateway()
    left = threading.Event()
    prefill.then(lambda request: left.set() if request.wait_for_close() else None)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/chat/completions", json=CHAT, timeout=0.3)
    assert left.wait(5)
    assert decode.requests == []
