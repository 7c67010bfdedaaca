"""Flow control in a real gateway: who waits, in which order they go, and what those that may not are told."""

import concurrent.futures
import json
import queue
import socket
import threading
import time

import httpx
import pytest

from fake_engine import FakeRequest, streamed_answer, whole_answer
from waiting import wait_for

HEAD = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
# One request at a time, so that each test says when the next may go.
ONE_AT_A_TIME = "- {type: concurrency-detector, parameters: {maxConcurrency: 1}}\n"
DETECTOR = "saturationDetector: {pluginRef: concurrency-detector}"


def config(flow: str = "", plugins: str = "", gate: str = "flowControl") -> str:
    return (
        f"{HEAD}featureGates: [{gate}]\nplugins:\n- type: queue-scorer\n{ONE_AT_A_TIME}{plugins}"
        f"schedulingProfiles: [{{name: default, plugins: [{{pluginRef: queue-scorer}}]}}]\n"
        f"flowControl:\n  {DETECTOR}\n{flow}"
    )


class Engine:
    """A fake engine whose answers wait for `let_go`."""

    def __init__(self, engine):
        self.engine = engine
        self._go: queue.Queue[None] = queue.Queue()

    def hold(self, requests: int) -> None:
        def behave(request: FakeRequest) -> None:
            self._go.get(timeout=30)
            whole_answer()(request)

        for _ in range(requests):
            self.engine.then(behave)

    def let_go(self, requests: int = 1) -> None:
        for _ in range(requests):
            self._go.put(None)

    def texts(self) -> list[str]:
        """What arrived, in order."""
        return [request.body["messages"][0]["content"] for request in self.engine.requests]


class Clients:
    def __init__(self, url: str):
        self.url = url
        self._pool = concurrent.futures.ThreadPoolExecutor(64)

    def ask(self, text: str, priority: int = 0, tenant: str = "", timeout: float = 30) -> httpx.Response:
        headers = {"x-llm-d-inference-fairness-id": tenant} if tenant else {}
        # vLLM's field: lower is earlier, so llm-d's priority is its negative.
        body = {"model": "m", "priority": -priority, "messages": [{"role": "user", "content": text}]}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=timeout)

    def start(self, text: str, priority: int = 0, tenant: str = "") -> "concurrent.futures.Future[httpx.Response]":
        return self._pool.submit(self.ask, text, priority, tenant)

    def send(self, text: str, priority: int = 0, tenant: str = "") -> "concurrent.futures.Future[httpx.Response]":
        """Asks, and returns when the gateway has the request."""
        before = self.seen()
        answer = self.start(text, priority, tenant)
        wait_for(lambda: self.seen() > before, f"{text} in the gateway")
        return answer

    def seen(self) -> float:
        return self.metric("llmd_gateway_requests_in_flight")

    def waiting(self) -> float:
        return self.metric("llm_d_epp_flow_control_queue_size")

    def metric(self, name: str, labels: str = "") -> float:
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        named = [line for line in lines if line.startswith((f"{name} ", f"{name}{{")) and labels in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in named)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture
def scene(engines, gateway, tmp_path):
    """A gateway with this configuration before one engine that answers when it is told to."""
    made: list[Clients] = []

    def make(text: str, *arguments: str):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        engine = Engine(engines())
        process, url = gateway(engine.engine, arguments=("--config", str(path), *arguments))
        made.append(Clients(url))
        return process, engine, made[-1], path

    yield make
    for clients in made:
        clients.close()


def test_higher_bands_go_first_and_each_waits_its_turn(scene):
    _, engine, clients, _ = scene(config())
    engine.hold(5)
    answers = [clients.send("first")]
    wait_for(lambda: engine.texts() == ["first"], "the first at the engine")
    for text, priority in (("low", -1), ("middle", 0), ("high", 5), ("middle again", 0)):
        answers.append(clients.send(text, priority))
    assert clients.waiting() == 4
    assert engine.texts() == ["first"], "the gate is closed"
    engine.let_go(5)
    assert [answer.result().status_code for answer in answers] == [200] * 5
    assert engine.texts() == ["first", "high", "middle", "middle again", "low"]
    assert clients.waiting() == 0
    assert clients.metric("llm_d_epp_flow_control_requests_total", 'outcome="Dispatched"') == 5


def test_a_tenant_with_few_requests_is_not_behind_one_with_many(scene):
    _, engine, clients, _ = scene(
        config(
            "  defaultPriorityBand: {fairnessPolicyRef: vtc}\n",
            "- {type: virtual-token-counter-fairness-policy, name: vtc}\n",
        )
    )
    engine.hold(9)
    answers = [clients.send("a0", tenant="a")]
    answers += [clients.send(f"a{i}", tenant="a") for i in range(1, 7)]
    answers += [clients.send(f"b{i}", tenant="b") for i in range(2)]
    engine.let_go(9)
    assert {answer.result().status_code for answer in answers} == {200}
    order = engine.texts()
    assert order.index("b1") <= 5, f"b waits behind all of a: {order}"


def test_what_waits_too_long_is_told_so(scene):
    _, engine, clients, _ = scene(config("  defaultRequestTTL: 300ms\n"))
    engine.hold(1)
    first = clients.send("first")
    wait_for(lambda: engine.texts() == ["first"], "the first at the engine")
    began = time.monotonic()
    refused = clients.ask("second")
    assert 0.25 < time.monotonic() - began < 2
    assert refused.status_code == 429
    assert refused.headers["x-llm-d-request-dropped-reason"] == "rejected-ttl-expired"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "overloaded"
    engine.let_go()
    assert first.result().status_code == 200
    assert engine.texts() == ["first"]


def test_a_full_band_refuses_at_once_and_says_when_to_come_back(scene):
    _, engine, clients, _ = scene(config('  priorityBands: [{priority: 0, maxRequests: "2"}]\n'))
    engine.hold(3)
    answers = [clients.send(text) for text in ("first", "second", "third")]
    refused = clients.ask("fourth")
    assert refused.status_code == 429
    assert refused.headers["x-llm-d-request-dropped-reason"] == "rejected-saturated"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "maxRequests would be 3; 2 is allowed" in refused.json()["error"]["message"]
    engine.let_go(3)
    assert [answer.result().status_code for answer in answers] == [200] * 3
    assert clients.metric("llm_d_epp_flow_control_requests_total", 'outcome="RejectedCapacity"') == 1


def test_what_waits_does_not_count_as_in_flight_but_the_rest_is_bounded(scene):
    text = config().replace("maxConcurrency: 1}", "maxConcurrency: 3}")
    _, engine, clients, _ = scene(text, "--max-in-flight", "2")
    engine.hold(3)
    answers = [clients.send(text) for text in ("first", "second")]
    wait_for(lambda: len(engine.texts()) == 2, "two at the engine")
    refused = clients.ask("third")
    assert refused.status_code == 429
    assert "2 requests are in flight, which is the limit" in refused.json()["error"]["message"]
    engine.let_go(2)
    assert [answer.result().status_code for answer in answers] == [200] * 2
    engine.let_go()
    assert clients.ask("third").status_code == 200


def test_many_may_wait_beyond_the_limit_of_those_in_flight(scene):
    _, engine, clients, _ = scene(config(), "--max-in-flight", "2")
    engine.hold(5)
    answers = [clients.send(f"r{i}") for i in range(5)]
    assert clients.waiting() == 4
    engine.let_go(5)
    assert [answer.result().status_code for answer in answers] == [200] * 5


def test_names_of_flows_leave_the_metrics_readable(scene):
    _, _, clients, _ = scene(config())
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    for name in (b"\xff\xfe", b"x" * 255 + "\u00eb".encode(), b'quote " and \\'):
        answer = httpx.post(
            f"{clients.url}/v1/chat/completions", json=body, headers={b"x-llm-d-inference-fairness-id": name}
        )
        assert answer.status_code == 200
    page = httpx.get(f"{clients.url}/metrics").content.decode("utf-8")
    assert 'fairness_id="??"' in page
    assert f'fairness_id="{"x" * 255}"' in page


def test_while_the_only_endpoint_is_on_trial_the_others_wait(scene):
    _, engine, clients, _ = scene(config().replace("maxConcurrency: 1}", "maxConcurrency: 8}"))
    for _ in range(3):
        engine.engine.then(lambda request: request.answer(500, {"error": {"message": "x"}}))
    assert [clients.ask("fails").status_code for _ in range(3)] == [500] * 3
    engine.hold(5)
    answers = [clients.send(f"r{i}") for i in range(5)]
    assert clients.waiting() == 5, "the breaker is open"
    wait_for(lambda: len(engine.texts()) == 4, "the trial")
    time.sleep(0.1)
    assert len(engine.texts()) == 4 and clients.waiting() == 4
    engine.let_go(5)
    assert [answer.result().status_code for answer in answers] == [200] * 5


def test_a_client_that_leaves_gives_its_place_up(scene):
    _, engine, clients, _ = scene(config())
    engine.hold(2)
    first = clients.send("first")
    wait_for(lambda: engine.texts() == ["first"], "the first at the engine")
    host, port = clients.url.removeprefix("http://").split(":")
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "gone"}]}).encode()
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        wait_for(lambda: clients.waiting() == 1, "the second in the queue")
    wait_for(lambda: clients.waiting() == 0, "the queue without the one that left")
    last = clients.send("last")
    engine.let_go(2)
    assert first.result().status_code == last.result().status_code == 200
    assert engine.texts() == ["first", "last"]
    assert clients.metric("llm_d_epp_flow_control_requests_total", 'outcome="EvictedContextCancelled"') == 1


def test_a_new_configuration_finds_what_waits(scene):
    process, engine, clients, path = scene(config())
    engine.hold(5)
    answers = [clients.send("first")]
    wait_for(lambda: engine.texts() == ["first"], "the first at the engine")
    answers += [clients.send(f"second {i}", tenant=f"t{i}") for i in range(4)]
    path.write_text(
        config("  defaultPriorityBand: {fairnessPolicyRef: rr}\n", "- {type: round-robin-fairness-policy, name: rr}\n")
    )
    process.wait_for_log("in force as version 2")
    assert clients.waiting() == 4
    engine.let_go(5)
    assert [answer.result().status_code for answer in answers] == [200] * 5
    assert len(engine.texts()) == 5


def test_with_llm_ds_defaults_the_gate_follows_what_engines_tell(scene):
    _, engine, clients, _ = scene(f"{HEAD}featureGates: [flowControl]\n")
    saturation = ("llm_d_epp_flow_control_pool_saturation", 'stage="effective"')
    engine.engine.waiting = 5
    wait_for(lambda: clients.metric(*saturation) >= 1, "a full pool")
    waits = clients.send("waits")
    assert clients.waiting() == 1
    engine.engine.waiting = 0
    assert waits.result(10).status_code == 200
    wait_for(lambda: clients.metric(*saturation) < 1, "room")


def test_without_the_gate_nothing_waits_any_more(scene):
    process, engine, clients, path = scene(config())
    engine.hold(3)
    answers = [clients.send(text) for text in ("first", "second", "third")]
    assert clients.waiting() == 2
    path.write_text(config(gate="flowControl=false"))
    process.wait_for_log("in force as version 2")
    wait_for(lambda: len(engine.texts()) == 3, "all at the engine")
    shed = clients.ask("of negative priority", priority=-1)
    assert shed.status_code == 429
    assert "sheddable request dropped" in shed.json()["error"]["message"]
    assert "x-llm-d-request-dropped-reason" not in shed.headers
    engine.let_go(3)
    assert [answer.result().status_code for answer in answers] == [200] * 3


def test_a_pool_without_endpoints_is_a_waiting_room(scene):
    _, engine, clients, _ = scene(config("  defaultRequestTTL: 300ms\n  noEndpointRequestTTL: 20s\n"))
    engine.engine.ready = False
    wait_for(lambda: httpx.get(f"{clients.url}/health").json()["endpoints_ready"] == 0, "no ready engine")
    waits = clients.send("patient")
    with pytest.raises(concurrent.futures.TimeoutError):
        waits.result(0.6)
    engine.engine.ready = True
    assert waits.result(10).status_code == 200


def test_a_server_that_stops_answers_what_waits(scene):
    process, engine, clients, _ = scene(config(), "--drain-timeout", "2")
    engine.hold(1)
    first = clients.send("first")
    wait_for(lambda: engine.texts() == ["first"], "the first at the engine")
    second = clients.send("second")
    process.process.terminate()
    refused = second.result(10)
    assert refused.status_code == 503
    assert refused.headers["x-llm-d-request-dropped-reason"] == "rejected-shutting-down"
    engine.let_go()
    assert first.result(10).status_code in (200, 502)
    assert process.wait() == 0


def test_eviction_makes_room_for_a_higher_band(scene):
    _, engine, clients, _ = scene(config("  enableEviction: true\n"))
    engine.hold(1)
    low = clients.send("low", priority=-1)
    wait_for(lambda: engine.texts() == ["low"], "the first at the engine")
    high = clients.start("high", priority=1)
    evicted = low.result(10)
    assert evicted.status_code == 429
    assert evicted.headers["x-llm-d-request-dropped-reason"] == "evicted"
    assert "request evicted by flow control" in evicted.json()["error"]["message"]
    assert high.result(10).status_code == 200
    assert engine.texts() == ["low", "high"]
    engine.let_go()


def test_a_stream_that_makes_room_ends_with_an_error(scene):
    _, engine, clients, _ = scene(config("  enableEviction: true\n"))
    begun = threading.Event()

    def behave(request: FakeRequest) -> None:
        request.start_stream()
        request.token("half")
        begun.set()
        request.wait_for_close(20)

    engine.engine.then(behave).then(streamed_answer("whole"))
    body = {"model": "m", "stream": True, "priority": 1, "messages": [{"role": "user", "content": "x"}]}
    with httpx.stream("POST", f"{clients.url}/v1/chat/completions", json=body, timeout=30) as stream:
        assert begun.wait(10)
        body["priority"] = 0
        other = httpx.post(f"{clients.url}/v1/chat/completions", json=body, timeout=30)
        text = "".join(stream.iter_text())
    assert '"code":"overloaded"' in text and "[DONE]" not in text
    assert "whole" in other.text and "[DONE]" in other.text


def test_real_workers_at_saturation_share_by_tenant(start, worker_url, tmp_path, runtime_folder):
    """Two tenants, one with ten times the requests, before a real worker: both get through, none is lost."""
    path = tmp_path / "config.yaml"
    path.write_text(
        config(
            "  defaultPriorityBand: {fairnessPolicyRef: vtc}\n",
            "- {type: virtual-token-counter-fairness-policy, name: vtc}\n",
        ).replace("maxConcurrency: 1}", "maxConcurrency: 2}")
    )
    process = start(
        "gateway", "--listen", "127.0.0.1:0", "--endpoints", worker_url, "--config", str(path),
        env={"XDG_RUNTIME_DIR": str(runtime_folder)})  # fmt: skip
    url = process.base_url()
    process.wait_ready(url)
    done: list[tuple[str, int]] = []
    lock = threading.Lock()

    def ask(tenant: str) -> None:
        body = {"messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 32}
        answer = httpx.post(
            f"{url}/v1/chat/completions", json=body, timeout=60, headers={"x-llm-d-inference-fairness-id": tenant}
        )
        with lock:
            done.append((tenant, answer.status_code))

    with concurrent.futures.ThreadPoolExecutor(44) as pool:
        flood = [pool.submit(ask, "many") for _ in range(40)]
        watcher = Clients(url)
        wait_for(lambda: watcher.waiting() > 30, "a queue")
        few = [pool.submit(ask, "few") for _ in range(4)]
        for answer in few:
            answer.result(60)
        with lock:
            before = sum(tenant == "many" for tenant, _ in done)
        for answer in flood:
            answer.result(60)
    assert len(done) == 44 and {status for _, status in done} == {200}
    assert before < 30, f"the few had to wait for {before} of the many"
