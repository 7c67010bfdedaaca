"""`llmd epp` behind a real Envoy, with endpoints from a file: what clients and operators see."""

import itertools
import json
import re
import signal
import ssl
import subprocess
import threading
from pathlib import Path

import envoy
import httpx
import openai
import pytest

from envoy_process import Envoy
from trace_collector import TraceCollector
from waiting import wait_for

PROFILE = """
name: quick
step_s: 0.002
prefill_token_s: 0.000001
decode_sequence_s: 0.00001
submit_s: 0.0001
stream_s: 0
store_tokens: 8000000
slots:
  - {slots: 8, tokens_max: 4000000}
"""

CONFIG = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: prefix-cache-scorer
- {{type: max-score-picker, parameters: {{maxNumOfEndpoints: {endpoints_max}}}}}
- {{type: file-discovery, parameters: {{path: {path}, watchFile: true}}}}
schedulingProfiles:
- name: default
  plugins:
  - {{pluginRef: queue-scorer, weight: 2}}
  - {{pluginRef: kv-cache-utilization-scorer, weight: 2}}
  - {{pluginRef: prefix-cache-scorer, weight: 3}}
  - {{pluginRef: max-score-picker}}
dataLayer:
  discovery: {{pluginRef: file-discovery}}
"""

DESTINATION = "x-gateway-destination-endpoint"
DROPPED = "x-llm-d-request-dropped-reason"


class Fleet:
    """Simulated workers, a picker that knows them from a file, and an Envoy before it."""

    def __init__(self, start, folder: Path):
        self.start = start
        self.folder = folder
        self.envoys: list[Envoy] = []
        (folder / "quick.yaml").write_text(PROFILE)

    def workers(self, count: int):
        process = self.start("worker", "--engine", "sim", "--profile", str(self.folder / "quick.yaml"),
                             "--listen", "127.0.0.1:0", "--sim-endpoints", str(count), "--max-body", "16MiB")
        process.wait_for_log(r"ready: model quick")
        addresses = re.findall(r"listening on ([0-9.]+:\d+), simulated", process.log)
        assert len(set(addresses)) == count, process.log
        return process, [f"http://{address}" for address in addresses]

    def write_endpoints(self, urls: list[str]) -> Path:
        path = self.folder / "endpoints.yaml"
        entries = []
        for index, url in enumerate(urls):
            host, port = url.removeprefix("http://").rsplit(":", 1)
            entries.append({"name": f"worker-{index}", "address": host, "port": port})
        replacement = self.folder / "endpoints.next"
        replacement.write_text(json.dumps({"endpoints": entries}))
        replacement.rename(path)
        return path

    def config(self, urls: list[str], config: str = CONFIG, endpoints_max: int = 1) -> Path:
        path = self.folder / "config.yaml"
        path.write_text(config.format(path=self.write_endpoints(urls), endpoints_max=endpoints_max))
        return path

    def picker(self, urls: list[str], *arguments: str, endpoints_max: int = 1, config: str = CONFIG,
               ready: int | None = None, env: dict[str, str] | None = None):
        config_path = self.config(urls, config, endpoints_max)
        at_once = [] if "--drain-timeout" in arguments else ["--drain-timeout", "0s"]
        process = self.start("epp", "--config-file", str(config_path), "--bind-address", "127.0.0.1", "--grpc-port",
                             "0", "--grpc-health-port", "0", "--metrics-port", "0", "--secure-serving=false",
                             "--admin", "none", *arguments, *at_once, env=env)
        found = process.wait_for_log(r"listening on ([0-9.]+:\d+) \(health ([0-9.]+:\d+), metrics ([0-9.]+:\d+)")
        process.address, process.health, process.metrics = found.groups()
        wanted = len(urls) if ready is None else ready
        wait_for(lambda: metric(process, "llmd_epp_endpoints_ready") == wanted, "endpoints that are ready")
        return process

    def envoy(self, picker, **options) -> Envoy:
        self.envoys.append(Envoy(self.folder / f"envoy-{len(self.envoys)}", picker.address, **options))
        return self.envoys[-1]


@pytest.fixture
def fleet(start, tmp_path):
    made = Fleet(start, tmp_path)
    yield made
    for envoy in made.envoys:
        envoy.close()


def metric(picker, name: str) -> float:
    page = httpx.get(f"http://{picker.metrics}/metrics", timeout=5).text
    values = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+-]+)$", page, re.MULTILINE)
    return sum(float(value) for value in values)


def client_of(envoy: Envoy) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{envoy.url}/v1", api_key="unused", max_retries=0, timeout=60)


def chat(client: openai.OpenAI, text: str, model: str = "quick", **options):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **options)


def test_chats_and_streams_of_the_official_client(fleet):
    _, urls = fleet.workers(4)
    picker = fleet.picker(urls)
    envoy = fleet.envoy(picker)
    client = client_of(envoy)
    whole = chat(client, "tell me something", max_tokens=20)
    assert whole.usage.completion_tokens == 20
    chunks = list(chat(client, "tell me something", max_tokens=20, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens == 20
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == \
        whole.choices[0].message.content
    assert client.completions.create(model="quick", prompt="x", max_tokens=3).usage.completion_tokens == 3
    assert [model.id for model in client.models.list().data] == ["quick"]
    assert metric(picker, "llmd_epp_picks_total") == 4
    wait_for(lambda: metric(picker, "llmd_epp_streams") == 0, "all streams ended")


def test_a_prompt_goes_where_its_beginning_is_cached(fleet):
    _, urls = fleet.workers(4)
    client = client_of(fleet.envoy(fleet.picker(urls)))
    for conversation in range(6):
        text = f"conversation {conversation}: " + "words that repeat " * 200
        chat(client, text, max_tokens=2)
        again = chat(client, text + "and more", max_tokens=2)
        assert again.usage.prompt_tokens_details.cached_tokens > 500, conversation


def test_prompts_of_ten_megabytes_arrive_unchanged(fleet, engines):
    engine = engines()
    picker = fleet.picker([engine.url])
    envoy = fleet.envoy(picker)
    # Not as a JSON library would write it: what is forwarded must be what was sent.
    text = "0123456789abcdef" * (10_000_000 // 16)
    body = (f'{{ "seed":9007199254740993,\n "model" : "{engine.model}",'
            f' "messages":[{{"role":"user","content":"{text}"}}]}}')
    for _ in range(3):
        answer = httpx.post(f"{envoy.url}/v1/chat/completions", content=body, timeout=60,
                            headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text[:500]
        assert engine.requests[-1].raw_body == body.encode()
    assert metric(picker, "llmd_budget_used_bytes") < 50_000_000


def test_buffered_bodies_work_too(fleet):
    _, urls = fleet.workers(2)
    client = client_of(fleet.envoy(fleet.picker(urls), body_mode="BUFFERED"))
    assert chat(client, "hello", max_tokens=5).usage.completion_tokens == 5
    chunks = list(chat(client, "hello", max_tokens=5, stream=True))
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"


def test_a_mode_in_which_nothing_can_be_picked_is_named(fleet):
    _, urls = fleet.workers(1)
    envoy = fleet.envoy(fleet.picker(urls), body_mode="STREAMED")
    answer = httpx.post(f"{envoy.url}/v1/completions", json={"model": "quick", "prompt": "x"})
    assert answer.status_code == 500
    assert "request_body_mode" in answer.text


def test_wrong_requests_are_answered_by_the_picker(fleet):
    _, urls = fleet.workers(1)
    picker = fleet.picker(urls)
    url = fleet.envoy(picker).url + "/v1/completions"
    for body, wanted in (("no healthy upstream", "inference error: BadRequest - "),
                         ('{"prompt":"hello world"}', "inference error: BadRequest - model not found in request body"),
                         ('{"model":7,"messages":[]}', "inference error: BadRequest - ")):
        answer = httpx.post(url, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400, answer.text
        assert answer.text.startswith(wanted)
    assert metric(picker, "llmd_epp_refusals_total") == 3


def test_a_subset_hint_restricts_the_choice(fleet):
    _, urls = fleet.workers(4)
    envoy = fleet.envoy(fleet.picker(urls))
    addresses = [url.removeprefix("http://") for url in urls]
    numbers = itertools.count()

    def ask(subset: str) -> httpx.Response:
        # None begins as another does, so that no cache draws them to one endpoint.
        body = {"model": "quick", "prompt": f"{next(numbers)} " * 100, "max_tokens": 1}
        return httpx.post(f"{envoy.url}/v1/completions", json=body, headers={"test-subset": subset})

    seen = {upstream_of(envoy, lambda: ask(addresses[2])) for _ in range(8)}
    assert seen == {addresses[2]}
    seen = {upstream_of(envoy, lambda: ask(f"{addresses[0]} {addresses[3]}")) for _ in range(30)}
    assert seen == {addresses[0], addresses[3]}
    refused = ask("192.168.1.99:8000")
    assert refused.status_code == 503
    assert refused.headers[DROPPED] == "rejected-no-endpoints"
    assert refused.text == ("inference error: ServiceUnavailable - "
                            "failed to find endpoint candidates for serving the request")


def upstream_of(envoy: Envoy, ask) -> str:
    """The endpoint that a request went to, by Envoy's own counters."""
    def counts() -> dict[str, int]:
        hosts = httpx.get(f"{envoy.admin}/clusters?format=json").json()
        pool = next(each for each in hosts["cluster_statuses"] if each["name"] == "pool")
        found = {}
        for host in pool.get("host_statuses", []):
            address = host["address"]["socket_address"]
            total = next((int(stat.get("value", 0)) for stat in host["stats"] if stat["name"] == "rq_total"), 0)
            found[f"{address['address']}:{address['port_value']}"] = total
        return found

    before = counts()
    assert ask().status_code == 200
    after = counts()
    changed = [address for address, total in after.items() if total > before.get(address, 0)]
    assert len(changed) == 1, (before, after)
    return changed[0]


def test_what_steers_endpoints_is_taken_from_clients(fleet, engines):
    engine = engines()
    envoy = fleet.envoy(fleet.picker([engine.url]))
    steering = {"x-prefiller-host-port": "10.0.0.9:8000", "x-encoder-hosts-ports": "10.0.0.9:8000",
                "x-kv-cache-source-host-port": "10.0.0.9:8000", "x-data-parallel-host-port": "10.0.0.9:8000",
                "x-llmd-steering": "1"}
    answer = httpx.post(f"{envoy.url}/v1/chat/completions",
                        json={"model": engine.model, "messages": [{"role": "user", "content": "x"}]},
                        headers={**steering, "x-kept": "yes", "x-request-id": "mine",
                                 DESTINATION: "10.0.0.9:8000"})
    assert answer.status_code == 200, answer.text
    got = engine.requests[-1].headers
    assert got["x-kept"] == "yes" and got["x-request-id"] == "mine"
    assert not set(steering) & set(got), got


def test_another_model_name_is_put_in(fleet):
    _, urls = fleet.workers(1)
    client = client_of(fleet.envoy(fleet.picker(urls)))
    answer = chat(client, "hello", model="public-name", max_tokens=3,
                  extra_headers={"x-llm-d-model-name-rewrite": "quick"})
    assert answer.usage.completion_tokens == 3
    assert answer.model == "public-name"


def test_the_next_endpoint_serves_when_the_first_dies_after_the_pick(fleet):
    processes, urls = zip(*(fleet.workers(1) for _ in range(4)))
    urls = [url for (url,) in urls]
    # The picker looks rarely: it still names the dead one.
    picker = fleet.picker(urls, "--refresh-metrics-interval", "1h", endpoints_max=3)
    envoy = fleet.envoy(picker, fallback_over=urls)
    client = client_of(envoy)
    text = "words that repeat " * 100
    chat(client, text, max_tokens=2)
    home = max(urls, key=lambda url: metric_of(url, "vllm:prompt_tokens_total"))
    processes[urls.index(home)].process.send_signal(signal.SIGKILL)
    processes[urls.index(home)].process.wait(10)
    for _ in range(5):
        assert chat(client, text, max_tokens=2).usage.completion_tokens == 2


def metric_of(url: str, name: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=5).text
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+-]+)$", page, re.M))


def test_endpoints_come_and_go_with_the_file(fleet):
    _, urls = fleet.workers(2)
    picker = fleet.picker(urls[:1])
    envoy = fleet.envoy(picker)
    client = client_of(envoy)
    chat(client, "a", max_tokens=1)
    fleet.write_endpoints(urls)
    wait_for(lambda: metric(picker, "llmd_epp_endpoints_ready") == 2, "the second endpoint")
    for number in range(20):
        chat(client, f"{number}", max_tokens=1)
    assert all(metric_of(url, "vllm:prompt_tokens_total") > 0 for url in urls)
    fleet.write_endpoints([])
    wait_for(lambda: metric(picker, "llmd_epp_endpoints") == 0, "no endpoint")
    with pytest.raises(openai.InternalServerError) as refused:
        chat(client, "b", max_tokens=1)
    assert refused.value.status_code == 503
    answer = httpx.get(f"{envoy.url}/v1/models")
    assert answer.status_code == 500
    assert answer.text == "inference error: Internal - no pods available in datastore"


def test_requests_are_served_while_it_drains(fleet):
    _, urls = fleet.workers(2)
    picker = fleet.picker(urls, "--drain-timeout", "3s")
    envoy = fleet.envoy(picker)
    client = client_of(envoy)
    chunks = []
    stream = chat(client, "hello", max_tokens=700, stream=True)
    reader = threading.Thread(target=lambda: chunks.extend(stream))
    reader.start()
    picker.process.send_signal(signal.SIGTERM)
    wait_for(lambda: httpx.get(f"http://{picker.metrics}/readyz").status_code == 503, "not ready")
    assert chat(client, "still there", max_tokens=2).usage.completion_tokens == 2
    assert picker.wait() == 0
    reader.join(30)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"


def test_clients_that_leave_are_forgotten(fleet):
    _, urls = fleet.workers(1)
    picker = fleet.picker(urls)
    envoy = fleet.envoy(picker)
    body = {"model": "quick", "prompt": "x", "max_tokens": 100_000, "stream": True}
    for _ in range(5):
        with httpx.stream("POST", f"{envoy.url}/v1/completions", json=body) as answer:
            next(answer.iter_raw())
    wait_for(lambda: metric(picker, "llmd_epp_streams") == 0, "streams of clients that left")
    assert client_of(envoy).completions.create(model="quick", prompt="x", max_tokens=2).usage.completion_tokens == 2


def test_the_envoy_configuration_of_the_repository_is_valid():
    binary = Path(envoy.__file__).parent / "_bin" / "envoy"
    config = Path(__file__).resolve().parents[2] / "deploy" / "envoy" / "epp.yaml"
    checked = subprocess.run([binary, "--mode", "validate", "-c", config], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr[-3000:]


def test_tls_with_the_certificate_that_it_makes(fleet):
    _, urls = fleet.workers(2)
    picker = fleet.picker(urls, "--secure-serving=true")
    client = client_of(fleet.envoy(picker, tls=True))
    assert chat(client, "hello", max_tokens=5).usage.completion_tokens == 5
    text = "words that repeat " * 20_000
    assert chat(client, text, max_tokens=2).usage.completion_tokens == 2


def test_spans_reach_a_collector_and_join_the_callers_trace(fleet, engines):
    engine = engines()
    with TraceCollector(fleet.folder) as collector:
        picker = fleet.picker([engine.url], env={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                                                 "OTEL_TRACES_SAMPLER_ARG": "0",
                                                 "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=epp-0"})
        envoy = fleet.envoy(picker)
        trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        body = {"model": engine.model, "messages": [{"role": "user", "content": "x"}]}

        def post(content, **headers):
            return httpx.post(f"{envoy.url}/v1/chat/completions", json=content, headers=headers)

        assert post(body, traceparent=f"00-{trace}-{caller}-01", tracestate="v=1").status_code == 200
        told = engine.requests[-1].headers
        assert post(body).status_code == 200, "sampled by the ratio: not at all"
        assert engine.requests[-1].headers["traceparent"].endswith("-00")
        assert post({"messages": []}, traceparent=f"00-{trace}-{caller}-01").status_code == 400
        picker.process.send_signal(signal.SIGTERM)
        assert picker.wait() == 0
        good, bad = collector.spans("gateway.request")
        assert (good.trace_id.hex(), good.parent_span_id.hex()) == (trace, caller)
        assert told["traceparent"] == f"00-{trace}-{good.span_id.hex()}-01" and told["tracestate"] == "v=1"
        assert collector.attributes(good)["http.response.status_code"] == 200
        assert good.start_time_unix_nano < good.end_time_unix_nano and not good.status.code
        decided, refused = collector.spans("gateway.request_orchestration")
        assert decided.parent_span_id == good.span_id and decided.trace_id == good.trace_id
        assert collector.attributes(decided) == {"target_model": engine.model, "request_prio": 0}
        assert "messages" in bad.status.message and bad.status.code == refused.status.code == 2
        assert collector.resource["service.name"] == "llm-d-epp" and collector.resource["k8s.pod.name"] == "epp-0"


def test_the_metrics_port_with_tls_and_certificates_of_clients(fleet, tmp_path):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60, cwd=tmp_path)

    for name in ("ca", "server", "client"):
        signer = [] if name == "ca" else ["-CA", "ca.crt", "-CAkey", "ca.key"]
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt",
                "-days", "1", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", *signer)
    folder = tmp_path / "certificates"
    folder.mkdir()
    for suffix in ("crt", "key"):
        (folder / f"tls.{suffix}").write_bytes((tmp_path / f"server.{suffix}").read_bytes())
    process = fleet.start("epp", "--config-file", str(fleet.config([])), "--bind-address", "127.0.0.1", "--grpc-port",
                          "0", "--grpc-health-port", "0", "--metrics-port", "0", "--secure-serving=false", "--admin",
                          "none", "--drain-timeout", "0s", "--metrics-cert-dir", str(folder),
                          "--metrics-client-ca-file", str(tmp_path / "ca.crt"))
    url = "https://" + process.wait_for_log(r"metrics ([0-9.]+:\d+)").group(1) + "/metrics"
    trusted = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    with pytest.raises(httpx.HTTPError):
        httpx.get(url, verify=trusted, timeout=5)
    trusted.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    assert "llm_d_epp" in httpx.get(url, verify=trusted, timeout=5).text
