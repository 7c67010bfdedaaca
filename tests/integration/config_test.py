"""`llmd config`, and configurations that change under a running gateway."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from waiting import wait_for

SOURCE_DIR = Path(__file__).resolve().parents[2]
HEAD = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
QUEUE = HEAD + "plugins:\n- type: queue-scorer\n"
KV = HEAD + "plugins:\n- type: kv-cache-utilization-scorer\n"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def config(binary, runtime_folder):
    """Runs `llmd config` among the processes of this test."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, "config", *arguments], check=False, capture_output=True, text=True, timeout=30,
                              env={**os.environ, "XDG_RUNTIME_DIR": str(runtime_folder)})

    return run


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(QUEUE)
    return path


def metric(url: str, series: str) -> float:
    for line in httpx.get(f"{url}/metrics").text.splitlines():
        if line.startswith(series + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"{series} is not on the page")


def plugins_in_force(config) -> str:
    shown = config("show")
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_validate_says_yes_no_and_what_waits(config, config_file):
    good = config("validate", str(config_file))
    assert (good.returncode, good.stdout) == (0, f"{config_file}: valid; 3 plugins, 1 profiles\n")
    config_file.write_text(HEAD + "plugins:\n- type: queue-scoer\n")
    wrong = config("validate", str(config_file))
    assert wrong.returncode == 1
    assert wrong.stderr == (
        f"llmd config: config_invalid: {config_file}:4:9: plugin type \"queue-scoer\" is not known "
        "(did you mean queue-scorer?)\n"
    )
    config_file.write_text(HEAD + "plugins:\n- type: k8s-notification-source\n")
    waits = config("validate", str(config_file))
    assert waits.returncode == 0
    assert f"{config_file}:4:9: plugin type k8s-notification-source is not supported by this version" in waits.stderr
    assert config("validate", "/nowhere.yaml").returncode == 1


def test_experimental_types_need_the_flag(config, config_file):
    config_file.write_text(HEAD + "plugins:\n- type: header-profile-handler\n")
    refused = config("validate", str(config_file))
    assert refused.returncode == 1 and "--allow-experimental-plugins" in refused.stderr
    assert config("validate", "--allow-experimental-plugins", str(config_file)).returncode == 0


def test_a_server_refuses_what_waits_and_names_it(binary, config_file):
    config_file.write_text(HEAD + "plugins:\n- type: queue-scorer\n- type: k8s-notification-source\n")
    ran = subprocess.run(
        [binary, "gateway", "--listen", "127.0.0.1:0", "--endpoints", "http://127.0.0.1:1", "--config", config_file],
        check=False, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 1
    assert f"{config_file}:5:9: plugin type k8s-notification-source is not supported by this version" in ran.stderr


def test_a_changed_file_is_swapped_in_and_a_bad_one_is_not(engines, gateway, config, config_file):
    process, url = gateway(engines(), arguments=("--config", str(config_file)))
    assert "- type: queue-scorer" in plugins_in_force(config)
    assert metric(url, "llmd_config_version") == 1
    config_file.write_text(KV)
    wait_for(lambda: "kv-cache-utilization-scorer" in plugins_in_force(config), "the new configuration")
    assert metric(url, "llmd_config_version") == 2
    config_file.write_text(KV + "- type: nonsense\n")
    wait_for(lambda: metric(url, 'llmd_config_reloads_total{outcome="refused"}') == 1, "the refusal")
    assert "the configuration stays as it was" in process.log and "nonsense" in process.log
    assert "kv-cache-utilization-scorer" in plugins_in_force(config)
    assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200


def test_discovery_names_the_endpoints(engines, start, runtime_folder, tmp_path):
    engine = engines()
    port = engine.url.rsplit(":", 1)[1]
    endpoints = tmp_path / "endpoints.yaml"
    endpoints.write_text(f"endpoints:\n- {{name: a, address: 127.0.0.1, port: '{port}'}}\n")
    path = tmp_path / "config.yaml"
    discovery = f"- {{type: file-discovery, parameters: {{path: {endpoints}, watchFile: true}}}}\n"
    path.write_text(QUEUE + discovery + "dataLayer: {discovery: {pluginRef: file-discovery}}\n")
    process = start("gateway", "--listen", "127.0.0.1:0", "--config", str(path), "--probe-interval", "100",
                    env={"XDG_RUNTIME_DIR": str(runtime_folder)})
    url = process.base_url()
    wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == 1, "the endpoint of the file")
    assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200


def test_session_affinity_keeps_a_session_at_its_endpoint(engines, gateway, config_file):
    config_file.write_text(HEAD + "plugins:\n- type: session-affinity-scorer\n- type: random-picker\n"
                           "- {type: max-score-picker}\nschedulingProfiles:\n- name: default\n  plugins:\n"
                           "  - {pluginRef: session-affinity-scorer}\n  - {pluginRef: max-score-picker}\n")
    _, url = gateway(engines(), engines(), engines(),
                     arguments=("--config", str(config_file), "--allow-experimental-plugins"))
    first = httpx.post(f"{url}/v1/chat/completions", json=CHAT)
    token = first.headers["x-session-token"]
    again = [httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers={"x-session-token": token}) for _ in range(12)]
    assert {answer.headers["x-session-token"] for answer in again} == {token}
    others = {httpx.post(f"{url}/v1/chat/completions", json=CHAT).headers["x-session-token"] for _ in range(24)}
    assert len(others) > 1


def test_a_plugin_from_a_library_decides(binary, engines, gateway, config_file, tmp_path, config):
    library = tmp_path / "queue_depth.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-I", SOURCE_DIR / "src/core/scheduling/abi", "-o", library,
                    SOURCE_DIR / "examples/plugin/queue_depth_scorer.c"], check=True, timeout=60)
    config_file.write_text(HEAD + f"plugins:\n- {{type: shared-library-scorer, parameters: {{path: {library}}}}}\n")
    busy, idle = engines(waiting=50), engines(waiting=0)
    _, url = gateway(busy, idle, arguments=("--config", str(config_file)))
    for _ in range(8):
        assert httpx.post(f"{url}/v1/chat/completions", json=CHAT).status_code == 200
    assert len(idle.requests) == 8 and not busy.requests
    config_file.write_text(HEAD + "plugins:\n- {type: shared-library-scorer, parameters: {path: /nowhere.so}}\n")
    wait_for(lambda: metric(url, 'llmd_config_reloads_total{outcome="refused"}') == 1, "the refusal")
    assert "shared-library-scorer" in plugins_in_force(config)


def test_sighup_reads_the_file_at_once(engines, gateway, config, config_file):
    process, url = gateway(engines(), arguments=("--config", str(config_file)))
    stamp = config_file.stat()
    config_file.write_text(QUEUE + "# a comment\n")
    os.utime(config_file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    os.kill(process.process.pid, signal.SIGHUP)
    wait_for(lambda: metric(url, "llmd_config_version") == 2, "the new version")


def test_rollback_brings_an_older_version_back(engines, gateway, config, config_file):
    _, url = gateway(engines(), arguments=("--config", str(config_file)))
    config_file.write_text(KV)
    wait_for(lambda: metric(url, "llmd_config_version") == 2, "the second version")
    compared = config("diff", "1", "2")
    assert compared.returncode == 1
    assert "-- type: queue-scorer\n" in compared.stdout and "+- type: kv-cache-utilization-scorer\n" in compared.stdout
    assert config("diff", str(config_file)).stdout == ""
    back = config("rollback", "1")
    assert (back.returncode, back.stdout) == (0, "version 1 is in force again, as version 3\n"), back.stderr
    assert "- type: queue-scorer" in plugins_in_force(config)
    assert "rollback to version 1" in config("show", "--versions").stdout
    assert config("show", "--version", "2", "--as-written").stdout == KV
    missing = config("rollback", "99")
    assert missing.returncode == 1 and "there is no version 99" in missing.stderr


def test_requests_go_on_while_configurations_change(engines, gateway, config_file):
    _, url = gateway(engines(), arguments=("--config", str(config_file)))
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client() as client:
            while not done.is_set():
                statuses.append(client.post(f"{url}/v1/chat/completions", json=CHAT).status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for version, text in enumerate([KV, QUEUE, KV], start=2):
            config_file.write_text(text + "#" * version + "\n")
            wait_for(lambda want=version: metric(url, "llmd_config_version") == want, "the next version")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(statuses) > 20 and set(statuses) == {200}


def test_the_reference_is_what_validates(config):
    docs = config("docs")
    assert docs.returncode == 0
    assert docs.stdout == (SOURCE_DIR / "docs" / "plugins.md").read_text(), "run: llmd config docs > docs/plugins.md"


def test_learned_weights_are_shown_frozen_and_reset(engines, gateway, config, config_file):
    config_file.write_text(QUEUE)
    _, url = gateway(engines(), arguments=("--config", str(config_file)))
    nothing = config("weights")
    assert nothing.returncode == 1 and "no weights are learned" in nothing.stderr
    config_file.write_text(QUEUE + "- type: kv-cache-utilization-scorer\n- type: weight-learner\n")
    wait_for(lambda: config("weights").returncode == 0, "the learner")
    answer = httpx.post(f"{url}/v1/chat/completions", json=CHAT)
    assert answer.status_code == 200
    shown = config("weights", "show").stdout
    assert "profile default: learning, after 1 requests" in shown
    assert "queue-scorer 1 (configured 1)" in shown
    assert metric(url, 'llmd_gateway_learned_weight{profile="default",scorer="queue-scorer"}') == 1
    assert metric(url, "llmd_gateway_learned_weight_fallbacks_total") == 0
    assert "poor: " in shown and "0 pauses" in shown, "nothing is tried before a round has ended"
    assert metric(url, 'llmd_gateway_learned_weights_state{state="poor"}') == 1
    assert metric(url, 'llmd_gateway_learned_weights_state{state="mixed"}') == 0
    assert metric(url, "llmd_gateway_learned_weights_pauses_total") == 0
    assert "profile default: frozen" in config("weights", "freeze").stdout
    assert metric(url, "llmd_gateway_learned_weights_frozen") == 1
    assert "profile default: learning" in config("weights", "unfreeze").stdout
    assert config("weights", "reset").returncode == 0
    assert config("weights", "melt").returncode == 2
