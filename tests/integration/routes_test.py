"""Several models and versions behind one `llmd gateway --routes`."""

import json
import os
import re
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml

from fake_engine import FakeEngine, FakeRequest
from waiting import wait_for

MESSAGES = [{"role": "user", "content": "hi"}]


def chat(url: str, model: str | None = None, stream: bool = False, **headers: str) -> httpx.Response:
    body = {"messages": MESSAGES, "stream": stream, **({"model": model} if model else {})}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=named, timeout=30)


def pool(name: str, *engines: FakeEngine, **more) -> dict:
    return {"name": name, "endpoints": [engine.url for engine in engines], **more}


def write(path: Path, routes: dict) -> None:
    """Replaces the file, so that the gateway never reads half of it."""
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump(routes, sort_keys=False))
    os.replace(new, path)


@pytest.fixture
def routed(start, runtime_folder, tmp_path):
    """Starts a gateway with routes, and waits until as many endpoints are ready."""

    def make(routes: dict, ready: int, *arguments: str):
        path = tmp_path / "routes.yaml"
        write(path, routes)
        process = start(
            "gateway", "--listen", "127.0.0.1:0", "--routes", str(path), "--probe-interval", "100", "--loops", "2",
            *arguments, env={"XDG_RUNTIME_DIR": str(runtime_folder)},
        )
        url = process.base_url()
        wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == ready, "ready engines")
        return process, url, path

    return make


def admin(runtime_folder: Path) -> httpx.Client:
    (path,) = runtime_folder.glob("llmd-*/*/admin.sock")
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://admin")


def metric(url: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    assert found, series
    return float(found.group(1))


def test_five_lines_put_the_gateway_in_front_of_an_engine(engines, start, tmp_path):
    engine = engines()
    path = tmp_path / "routes.yaml"
    path.write_text(f"pools:\n- name: main\n  endpoints:\n  - {engine.url}\n")
    url = start("gateway", "--listen", "127.0.0.1:0", "--routes", str(path)).base_url()
    wait_for(lambda: httpx.get(f"{url}/ready").status_code == 200, "ready")
    assert chat(url, "m").status_code == 200
    assert chat(url).status_code == 200, "no name: the first model of the pool"
    assert [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]] == ["m"]


def test_two_models_in_two_versions_go_where_their_routes_lead(engines, routed, runtime_folder):
    a1, a2, b = engines(model="llama"), engines(model="llama-new"), engines(model="qwen")
    _, url, _ = routed(
        {
            "pools": [pool("a-v1", a1), pool("a-v2", a2), pool("b", b)],
            "routes": [
                {"name": "llama", "match": {"model": "llama"}, "targets": [{"pool": "a-v1"}]},
                {
                    "name": "llama-v2",
                    "match": {"model": "llama", "version": "v2"},
                    "targets": [{"pool": "a-v2", "model": "llama-new"}],
                },
                {"name": "qwen", "match": {"model": "qwen*"}, "targets": [{"pool": "b"}]},
            ],
        },
        3,
    )
    assert chat(url, "llama").status_code == 200
    assert chat(url, "default").status_code == 200
    assert chat(url).status_code == 200
    assert [request.body["model"] for request in a1.requests] == ["llama"] * 3

    by_name = chat(url, "llama@v2", x_request_id="r2")
    by_header = chat(url, "llama", x_llmd_model_version="v2")
    assert by_name.json()["model"] == "llama@v2", "the client's name comes back"
    assert by_header.json()["model"] == "llama"
    assert [request.body["model"] for request in a2.requests] == ["llama-new"] * 2
    assert not any("x-llmd" in name.lower() for request in a2.requests for name in request.headers)

    assert chat(url, "qwen").status_code == 200
    assert len(b.requests) == 1

    for model, version in (("mistral", ""), ("llama@v3", ""), ("llama", "v3")):
        refused = chat(url, model, **({"x_llmd_model_version": version} if version else {}))
        assert refused.status_code == 404
        error = refused.json()["error"]
        assert error["code"] == "model_not_found" and error["param"] == "model"
        assert "llama, llama@v2, qwen*" in error["message"]

    listed = {model["id"]: model["owned_by"] for model in httpx.get(f"{url}/v1/models").json()["data"]}
    assert listed == {"llama": "a-v1", "llama@v2": "a-v2", "qwen": "b"}
    record = admin(runtime_folder).get("/explanations/r2").json()
    assert (record["pool"], record["route"]) == ("a-v2", "llama-v2")
    names = {(each["pool"], each["name"]) for each in admin(runtime_folder).get("/endpoints").json()["endpoints"]}
    assert names == {("a-v1", a1.url), ("a-v2", a2.url), ("b", b.url)}
    assert metric(url, 'llmd_gateway_routed_requests_total{route="llama-v2",pool="a-v2"}') == 2
    assert metric(url, 'llmd_gateway_endpoints_ready{pool="b"}') == 1


def test_a_renamed_model_comes_back_in_streams_and_conversions(engines, routed):
    def named(request: FakeRequest) -> None:
        request.start_stream()
        for text in ("a", "b"):
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
            request.event(json.dumps({"model": "inner", "choices": [choice]}))
        request.end_stream()

    engine = engines(model="inner").then(named).then(named)
    _, url, _ = routed(
        {
            "pools": [pool("p", engine)],
            "routes": [{"match": {"model": "outer"}, "targets": [{"pool": "p", "model": "inner"}]}],
        },
        1,
    )
    text = chat(url, "outer", stream=True).text
    assert text.count('"model": "outer"') == 2 and "inner" not in text
    message = httpx.post(
        f"{url}/v1/messages",
        json={"model": "outer", "max_tokens": 5, "messages": MESSAGES, "stream": True},
        headers={"anthropic-version": "2023-06-01"},
    ).text
    assert '"outer"' in message and "inner" not in message


def test_a_canary_gets_its_share_and_sessions_stay(engines, routed):
    old, new = engines(), engines()
    _, url, _ = routed(
        {
            "pools": [pool("old", old), pool("new", new)],
            "routes": [
                {
                    "name": "canary",
                    "match": {"model": "m"},
                    "sticky": "session",
                    "targets": [{"pool": "old", "weight": 90}, {"pool": "new", "weight": 10}],
                }
            ],
        },
        2,
    )
    with httpx.Client(base_url=url) as client:
        body = {"model": "m", "messages": MESSAGES}
        post = lambda _: client.post("/v1/chat/completions", json=body, timeout=30).status_code
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(post, range(600))) == {200}
        # 600 draws at a tenth: 60, and 7.3 is one standard deviation.
        assert 30 <= len(new.requests) <= 90, (len(old.requests), len(new.requests))
        where = set()
        for session in range(60):
            before = len(new.requests)
            for _ in range(3):
                client.post("/v1/chat/completions", json=body, headers={"x-session-id": f"s{session}"})
            went = len(new.requests) - before
            assert went in (0, 3), "a session is on one version"
            where.add(went)
        assert where == {0, 3}


def test_the_share_of_a_dead_pool_goes_to_the_others(start, routed):
    simulated = ("worker", "--engine", "sim", "--served-model-name", "m", "--listen", "127.0.0.1:0")
    old, new = start(*simulated), start(*simulated)
    _, url, _ = routed(
        {
            "pools": [
                {"name": "old", "endpoints": [old.base_url()]},
                {"name": "new", "endpoints": [new.base_url()]},
            ],
            "routes": [{"match": {"model": "m"}, "targets": [{"pool": "old"}, {"pool": "new"}]}],
        },
        2,
    )
    new.process.kill()
    answers = [chat(url, "m").status_code for _ in range(40)]
    assert answers == [200] * 40, "those that were sent to it before anybody knew went on to the other"
    old.process.kill()
    wait_for(lambda: chat(url, "m").status_code == 503, "none left")


def test_another_target_takes_over_from_one_that_fails_but_not_from_one_that_is_full(engines, routed):
    def cut(request: FakeRequest) -> None:
        request.cut()

    def full(request: FakeRequest) -> None:
        request.answer(429, {"error": {"message": "full"}}, {"Retry-After": "1"})

    first, second = engines(), engines()
    targets = [{"pool": "first", "weight": 1000000}, {"pool": "second", "weight": 1}]
    _, url, _ = routed(
        {
            "pools": [pool("first", first), pool("second", second)],
            "routes": [{"match": {"model": "m"}, "targets": targets}],
        },
        2,
    )
    first.then(cut)
    assert chat(url, "m").status_code == 200
    assert (len(first.requests), len(second.requests)) == (1, 1)
    first.then(full)
    assert chat(url, "m").status_code == 429
    assert len(second.requests) == 1


def test_sla_classes_have_pools_priorities_and_objectives(engines, routed, tmp_path):
    fast, cheap = engines(), engines()
    _, url, _ = routed(
        {
            "pools": [pool("fast", fast), pool("cheap", cheap)],
            "slaClasses": [
                {"name": "gold", "priority": 10, "ttftMs": 500, "tpotMs": 40},
                {"name": "free", "priority": 0},
            ],
            "defaultSlaClass": "free",
            "routes": [
                {"match": {"model": "m"}, "targets": [{"pool": "cheap"}]},
                {"match": {"model": "m", "slaClass": "gold"}, "targets": [{"pool": "fast"}]},
            ],
        },
        2,
        "--record", str(tmp_path / "log.jsonl"),
    )
    assert chat(url, "m").status_code == 200
    assert chat(url, "m", x_llmd_sla_class="gold").status_code == 200
    assert chat(url, "m", x_llmd_sla_class="gold", x_slo_ttft_ms="90").status_code == 200
    assert (len(cheap.requests), len(fast.requests)) == (1, 2)
    refused = chat(url, "m", x_llmd_sla_class="platinum")
    assert refused.status_code == 400 and "gold, free" in refused.json()["error"]["message"]
    wait_for(lambda: len((tmp_path / "log.jsonl").read_text().splitlines()) == 3, "three lines")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["priority"] for line in lines] == [0, 10, 10]
    assert [line.get("slo_ttft_ms") for line in lines] == [None, 500, 90]
    assert lines[1]["slo_tpot_ms"] == 40


def test_routes_are_swapped_under_load_without_a_lost_request(engines, routed):
    one, two = engines(), engines()
    both = [pool("one", one), pool("two", two)]
    only = lambda name: {
        "pools": [each for each in both if each["name"] == name],
        "routes": [{"match": {"model": "m"}, "targets": [{"pool": name}]}],
    }
    process, url, path = routed(only("one"), 1)
    stop = threading.Event()
    statuses: list[int] = []

    def load() -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while not stop.is_set():
                body = {"model": "m", "messages": MESSAGES, "stream": True}
                answer = client.post("/v1/chat/completions", json=body)
                statuses.append(answer.status_code if "[DONE]" in answer.text else 0)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(statuses) > 50, "load")
    write(path, only("two"))
    process.wait_for_log(r"is in force: 1 pools")
    process.wait_for_log(r"pool one is gone")
    count = len(one.requests)
    wait_for(lambda: len(two.requests) > 20, "requests of the new pool")
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}, [status for status in statuses if status != 200]
    assert len(one.requests) == count


@pytest.fixture
def certified(tmp_path):
    """A certificate of its own for engines.local, and its key."""
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=engines.local", "-addext", "subjectAltName=DNS:engines.local",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


@pytest.mark.parametrize("tls", [{"caFile": "ca.pem", "serverName": "engines.local"}, {"insecureSkipVerify": True}])
def test_engines_behind_tls_are_looked_at_and_asked(engines, routed, certified, tls):
    context, _ = certified
    engine = engines(tls=context)
    assert engine.url.startswith("https://")
    _, url, _ = routed({"pools": [pool("p", engine, tls=tls)]}, 1)
    assert chat(url, "m").status_code == 200
    assert chat(url, "m", stream=True).text.endswith("data: [DONE]\n\n")
    assert len(engine.requests) == 2


def test_an_engine_whose_certificate_is_not_trusted_gets_no_requests(engines, routed, certified, runtime_folder):
    context, _ = certified
    engine = engines(tls=context)
    _, url, _ = routed({"pools": [pool("p", engine)]}, 0)
    told = lambda: admin(runtime_folder).get("/endpoints").json()["endpoints"][0]["error"]
    wait_for(lambda: "certificate" in told(), "why")
    assert chat(url, "m").status_code == 503
    assert engine.requests == []


def test_a_wrong_file_changes_nothing(engines, routed):
    engine = engines()
    routes = {"pools": [pool("p", engine)], "routes": [{"match": {"model": "m"}, "targets": [{"pool": "p"}]}]}
    process, url, path = routed(routes, 1)
    write(path, {**routes, "routes": [{"match": {"model": "m"}, "targets": [{"pool": "q"}]}]})
    process.wait_for_log(r"the routes stay as they were: .*routes\.yaml:\d+:\d+: there is no pool .*q")
    assert chat(url, "m").status_code == 200
    assert metric(url, 'llmd_gateway_routes_reloads_total{outcome="refused"}') == 1


def test_a_file_that_is_wrong_at_the_start_says_where(binary, tmp_path, start):
    path = tmp_path / "routes.yaml"
    path.write_text("pools:\n- name: p\n  endpoints: [ftp://x]\n")
    process = start("gateway", "--listen", "127.0.0.1:0", "--routes", str(path))
    assert process.wait() == 1
    assert re.search(r"routes\.yaml:3: .*ftp", process.log)
