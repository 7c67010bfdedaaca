"""A gateway in front of engines that each have pages of their own, as files of their versions show them."""

import json
from pathlib import Path

import httpx
import pytest

from fake_engine import FakeEngine
from gateway_test import CHAT, admin_client
from waiting import wait_for

EXPOSITIONS = Path(__file__).parents[2] / "src/host/pool/testdata/expositions"


def endpoints_of(runtime_folder: Path) -> dict[str, dict]:
    with admin_client(runtime_folder) as admin:
        return {endpoint["url"]: endpoint for endpoint in admin.get("/endpoints").json()["endpoints"]}


def page(name: str) -> str:
    return (EXPOSITIONS / name).read_text()


@pytest.mark.parametrize(
    ("file", "engine", "waiting", "running"),
    [
        ("vllm-0.6.prom", "vllm", 3, 12),
        ("vllm-2026.prom", "vllm", 6, 32),
        ("sglang-2026.prom", "sglang", 2, 4),
        ("trtllm-serve-2026.prom", "trtllm-serve", 5, 11),
        ("triton-tensorrt-llm.prom", "triton-tensorrt-llm", 1, 2),
        ("llama-server-2026.prom", "llama-server", 9, 4),
        ("tgi.prom", "tgi", 6, 8),
        ("lmdeploy.prom", "lmdeploy", 1, 6),
        ("mindie.prom", "mindie", 2, 8),
    ],
)
def test_an_engine_is_recognised_by_its_page(engines, gateway, runtime_folder, file, engine, waiting, running):
    first = engines(pages={"/metrics": page(file)})
    gateway(first)
    wait_for(lambda: endpoints_of(runtime_folder)[first.url]["waiting_requests"] is not None, "a reading")
    endpoint = endpoints_of(runtime_folder)[first.url]
    assert endpoint["engine"] == engine
    assert endpoint["waiting_requests"]["value"] == waiting
    assert endpoint["running_requests"]["value"] == running
    assert endpoint["waiting_requests"]["age_ms"] < 10_000


def test_the_idle_engine_is_chosen_whatever_both_are(engines, gateway, runtime_folder):
    busy = engines(pages={"/metrics": page("sglang-2026.prom").replace("num_queue_reqs{", "num_queue_reqs{x=\"1\",")})
    idle = engines(pages={"/metrics": "tgi_queue_size 0\ntgi_batch_current_size 0\n"})
    _, url = gateway(busy, idle)
    wait_for(lambda: all(e["engine"] for e in endpoints_of(runtime_folder).values()), "both engines")
    for _ in range(3):
        assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200
    assert len(idle.requests) == 3
    assert not busy.requests


def test_ollama_tells_what_it_has_loaded(engines, gateway, runtime_folder):
    loaded = json.dumps({"models": [{"name": "llama3.2:3b", "size": 5, "size_vram": 5, "context_length": 4096}]})
    engine = engines(pages={"/metrics": None, "/api/ps": loaded})
    gateway(engine)
    wait_for(lambda: endpoints_of(runtime_folder)[engine.url]["engine"] == "ollama", "Ollama")
    assert endpoints_of(runtime_folder)[engine.url]["lora"]["running"] == ["llama3.2:3b"]


def configured(start, runtime_folder: Path, tmp_path: Path, endpoints: str, config: str):
    (tmp_path / "endpoints.yaml").write_text(endpoints)
    (tmp_path / "config.yaml").write_text(config)
    process = start(
        "gateway", "--listen", "127.0.0.1:0", "--loops", "1", "--probe-interval", "100", "--allow-experimental-plugins",
        "--endpoints", str(tmp_path / "endpoints.yaml"), "--config", str(tmp_path / "config.yaml"),
        env={"XDG_RUNTIME_DIR": str(runtime_folder)},
    )  # fmt: skip
    return process, process.base_url()


def port_of(engine: FakeEngine) -> str:
    return engine.url.rsplit(":", 1)[1]


def test_engines_and_exporters_of_a_configuration_feed_decisions(engines, start, runtime_folder, tmp_path):
    exporter = engines(
        pages={
            "/gpus": 'DCGM_FI_DEV_GPU_UTIL{gpu="0",pod="a"} 90\nDCGM_FI_DEV_GPU_UTIL{gpu="1",pod="b"} 10\n'
            'DCGM_FI_DEV_FB_USED{gpu="0",pod="a"} 3\nDCGM_FI_DEV_FB_FREE{gpu="0",pod="a"} 1\n',
            "/node": "node_memory_MemTotal_bytes 10\nnode_memory_MemAvailable_bytes 5\n",
        }
    )
    mine = 'depth{state="waiting"} 4\nbusy 2\noven_heat 180\n'
    first, second = engines(pages={"/stats": mine}), engines(pages={"/stats": mine})
    labels = "labels: {llm-d.ai/engine-type: mine, llm-d.ai/node-address: 127.0.0.1}"
    process, url = configured(
        start,
        runtime_folder,
        tmp_path,
        "endpoints:\n"
        + "".join(
            f'- {{name: {name}, address: 127.0.0.1, port: "{port_of(engine)}", {labels}}}\n'
            for name, engine in (("a", first), ("b", second))
        ),
        f"""apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- {{type: metrics-data-source, parameters: {{path: /stats, interval: 50ms}}}}
- type: core-metrics-extractor
  parameters:
    engineConfigs:
    - name: mine
      queuedRequestsSpec: depth{{state=waiting}}
      runningRequestsSpec: busy
      customMetrics: [{{attributeKey: heat, metricSpec: oven_heat}}]
- type: dcgm-data-source
  parameters: {{path: /gpus, port: {port_of(exporter)}, useNodeAddress: true, interval: 50ms}}
- type: dcgm-extractor
- {{type: node-exporter-data-source, parameters: {{path: /node, port: {port_of(exporter)}}}}}
- type: node-exporter-extractor
- type: gpu-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins: [{{pluginRef: gpu-scorer}}, {{pluginRef: max-score-picker}}]
dataLayer:
  sources:
  - {{pluginRef: dcgm-data-source, extractors: [{{pluginRef: dcgm-extractor}}]}}
  - {{pluginRef: node-exporter-data-source, extractors: [{{pluginRef: node-exporter-extractor}}]}}
""",
    )
    wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == 2, "ready engines")

    def signals(engine: FakeEngine) -> dict:
        return endpoints_of(runtime_folder)[engine.url]["signals"]

    wait_for(lambda: all("gpu_use" in signals(e) and "heat" in signals(e) for e in (first, second)), "the signals")
    assert signals(first)["gpu_use"]["value"] == pytest.approx(0.9)
    assert signals(second)["gpu_use"]["value"] == pytest.approx(0.1)
    assert signals(first)["memory_use"]["value"] == pytest.approx(0.75), "the GPU's"
    wait_for(lambda: "memory_use" in signals(second), "the machine's memory")
    assert signals(second)["memory_use"]["value"] == pytest.approx(0.5)
    assert signals(first)["heat"]["value"] == 180
    assert endpoints_of(runtime_folder)[first.url]["waiting_requests"]["value"] == 4
    for _ in range(3):
        assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200
    assert len(second.requests) == 3, "its GPU has less to do"
    metrics = httpx.get(f"{url}/metrics").text
    assert "llmd_pool_probe_interval_seconds" in metrics
    assert "llmd_pool_metrics_age_seconds" in metrics
    file = tmp_path / "config.yaml"
    file.write_text(file.read_text().replace("interval: 50ms", "interval: 70ms"))
    process.wait_for_log("the sources of dataLayer have changed: they count from the next start")


def test_an_unsupported_scheme_is_named(engines, start, runtime_folder, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n"
        "- {type: metrics-data-source, parameters: {scheme: https}}\n"
    )
    process = start(
        "gateway", "--listen", "127.0.0.1:0", "--endpoints", "http://127.0.0.1:9", "--config",
        str(tmp_path / "config.yaml"), env={"XDG_RUNTIME_DIR": str(runtime_folder)},
    )  # fmt: skip
    process.wait_for_log("metrics-data-source: scheme is not supported by this version")
    assert process.wait() == 1
