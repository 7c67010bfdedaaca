"""Prefill and decode on simulated endpoints: real legs, leases and connections, in the time of the profile's link."""

import concurrent.futures
import json
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from pd_legs import ASK_PREFILL
from waiting import TIME_SCALE, wait_for

BLOCK = 16
TOKEN_BYTES = 1_000
PROFILE = f"""
name: quick
step_s: 0.002
prefill_token_s: 0.0001
decode_sequence_s: 0.0002
submit_s: 0.0001
stream_s: 0
block_tokens: {BLOCK}
store_tokens: 65536
step_tokens_max: 256
prefill_chunk_max: 256
kv_bytes_per_token: {TOKEN_BYTES}
transfer_bytes_per_s: 8.0e6
transfer_latency_s: 0.002
slots:
  - {{slots: 8, tokens_max: 4096}}
"""
CONFIG = Path(__file__).resolve().parents[2] / "bench" / "policies" / "pd-expected-latency.yaml"


@pytest.fixture
def endpoints(start, tmp_path, runtime_folder):
    """Starts a process of so many simulated endpoints of a role; returns it and their URLs."""

    def make(role: str, *arguments: str, count: int = 1, profile: str = PROFILE):
        path = tmp_path / f"{role}.yaml"
        path.write_text(profile)
        process = start("worker", "--engine", "sim", "--profile", str(path), "--served-model-name", "quick",
                        "--listen", "127.0.0.1:0", "--role", role, "--sim-endpoints", str(count), *arguments,
                        env={"XDG_RUNTIME_DIR": str(runtime_folder)})
        process.wait_for_log(r"ready: model quick")
        urls = [f"http://{address}" for address in re.findall(r"listening on ([0-9.]+:\d+), simulated", process.log)]
        assert len(urls) == count, process.log
        return process, urls

    return make


def complete(url: str, prompt: str, **fields) -> httpx.Response:
    answer = httpx.post(f"{url}/v1/completions", json={"prompt": prompt, "max_tokens": 8, **fields}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def prefill(url: str, prompt: str, **fields) -> dict | None:
    asked = {**fields, "max_tokens": 1, "kv_transfer_params": ASK_PREFILL}
    return complete(url, prompt, **asked).json().get("kv_transfer_params")


def moved(answer: httpx.Response) -> dict:
    fields = dict(part.split("=") for part in answer.headers["x-llmd-kv-transfer"].split(", "))
    return {name: value if name == "error" else int(value) for name, value in fields.items()}


def cached_tokens(answer: httpx.Response) -> int:
    return answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]


def metric(url: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)}(?:{{[^}}]*}})? (\S+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    return float(found.group(1)) if found else 0


def prompt_of(number: int, tokens: int = 320) -> str:
    return "".join(f"{number:02x}{i % 256:02x}" for i in range(tokens))


@pytest.mark.parametrize("listen", ["auto", "127.0.0.1:0"])
def test_blocks_of_a_prefill_endpoint_are_cached_on_the_decode_endpoint(endpoints, listen):
    _, (source,) = endpoints("prefill", "--kv-listen", listen)
    _, (sink, other) = endpoints("decode", count=2)
    prompt = prompt_of(1)
    alone = complete(other, prompt).json()["choices"][0]["text"]
    params = prefill(source, prompt, n=3)
    assert params["do_remote_prefill"] and not params["do_remote_decode"]
    whole = len(params["remote_block_ids"][0])
    assert (params["remote_num_tokens"], whole) == (whole * BLOCK, 320 // BLOCK - 1), "the last token is computed"
    assert metric(source, "llmd_kv_leases") == 1
    began = time.monotonic()
    answer = complete(sink, prompt, kv_transfer_params=params)
    took = time.monotonic() - began
    assert moved(answer) == {"blocks": whole, "bytes": whole * BLOCK * TOKEN_BYTES, "recomputed_tokens": 0}
    assert cached_tokens(answer) == whole * BLOCK
    assert took > 0.002 + whole * BLOCK * TOKEN_BYTES / 8.0e6, "as long as the link takes"
    assert answer.json()["choices"][0]["text"] == alone != ""
    assert metric(sink, "llmd_kv_received_bytes_total") == whole * BLOCK * TOKEN_BYTES
    wait_for(lambda: metric(source, "llmd_kv_leases") == 0, "the end of the lease")
    assert metric(source, "llmd_kv_sent_bytes_total") == whole * BLOCK * TOKEN_BYTES
    assert metric(sink, "llmd_kv_transfer_seconds_count") == 1
    assert metric(sink, "llmd_kv_transfer_seconds_sum") == pytest.approx(0.002 + whole * BLOCK * TOKEN_BYTES / 8.0e6)
    # What is here already does not come again.
    again = complete(sink, prompt, kv_transfer_params=prefill(source, prompt))
    assert moved(again) == {"blocks": 0, "bytes": 0, "recomputed_tokens": 0}
    longer = prompt + prompt_of(2, 64)
    more = complete(sink, longer, kv_transfer_params=prefill(source, longer))
    assert moved(more)["blocks"] == 3, "the decode endpoint has computed the block that it lacked"
    assert cached_tokens(more) == (320 + 64) - BLOCK


def test_what_does_not_come_is_computed(endpoints):
    _, (source,) = endpoints("prefill", "--kv-lease", "1")
    _, (sink,) = endpoints("decode")
    _, (fussy,) = endpoints("decode", "--kv-peers", "unix:/nowhere/")
    _, (hasty,) = endpoints("decode", "--kv-pull-timeout", "22")
    blocks = 320 // BLOCK - 1
    missed = {"blocks": 0, "bytes": 0, "recomputed_tokens": blocks * BLOCK}

    late = prefill(source, prompt_of(1))
    wait_for(lambda: metric(source, "llmd_kv_leases_expired_total") == 1, "the end of the lease")
    answer = complete(sink, prompt_of(1), kv_transfer_params=late)
    assert moved(answer) == {**missed, "error": "lease_expired"} and cached_tokens(answer) == 0

    answer = complete(fussy, prompt_of(2), kv_transfer_params=prefill(source, prompt_of(2)))
    assert moved(answer) == {**missed, "error": "peer_not_allowed"}
    assert metric(fussy, "llmd_kv_recomputed_tokens_total") == blocks * BLOCK

    # 2 ms of latency and 2 ms a block: some come in time.
    answer = complete(hasty, prompt_of(3), kv_transfer_params=prefill(source, prompt_of(3)))
    told = moved(answer)
    assert told["error"] == "deadline_exceeded" and told["blocks"] <= 10
    assert told["recomputed_tokens"] == (blocks - told["blocks"]) * BLOCK
    assert cached_tokens(answer) == told["blocks"] * BLOCK

    params = prefill(source, prompt_of(4))
    assert moved(complete(sink, prompt_of(5), kv_transfer_params=params))["error"] == "block_mismatch"
    assert "lease" in httpx.post(f"{sink}/v1/completions", timeout=30, json={
        "prompt": prompt_of(6), "kv_transfer_params": {**params, "remote_request_id": "0123456789abcdef"}
    }).headers["x-llmd-kv-transfer"]


def test_a_client_that_leaves_ends_its_pull(endpoints):
    _, (source,) = endpoints("prefill")
    slow = PROFILE.replace("transfer_bytes_per_s: 8.0e6", "transfer_bytes_per_s: 1.0e3")
    _, (sink,) = endpoints("decode", "--kv-pull-timeout", "600000", profile=slow)
    prompt = prompt_of(1)
    params = prefill(source, prompt)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{sink}/v1/completions", json={"prompt": prompt, "kv_transfer_params": params}, timeout=0.5)
    cancelled = 'llmd_kv_transfer_failures_total{reason="cancelled"}'
    wait_for(lambda: metric(sink, cancelled) == 1, "the end of the pull")
    assert metric(sink, "llmd_kv_received_blocks_total") == 0
    assert cached_tokens(complete(sink, prompt)) == 0, "nothing is cached"


def test_endpoints_of_one_process_keep_blocks_apart(endpoints):
    process, sources = endpoints("prefill", count=3)
    _, sinks = endpoints("decode", count=2)
    params = [prefill(url, prompt_of(9, 64)) for url in sources]
    assert len({each["remote_host"] for each in params}) == 3
    for sink, each in zip((*sinks, sinks[0]), params, strict=True):
        assert "error" not in moved(complete(sink, prompt_of(9, 64), kv_transfer_params=each))
    wait_for(lambda: all(metric(url, "llmd_kv_leases") == 0 for url in sources), "the end of all leases")
    assert process.terminate() == 0


def pd_fleet(endpoints, start, folder: Path, runtime_folder: Path) -> tuple[str, list[str], list[str], Path]:
    """A gateway with llmd's default for such fleets before two prefill and two decode endpoints."""
    _, prefills = endpoints("prefill", count=2)
    _, decodes = endpoints("decode", count=2)
    rows = [{"name": f"{role}-{i}", "url": url, "labels": {"llm-d.ai/role": role}}
            for role, urls in (("prefill", prefills), ("decode", decodes)) for i, url in enumerate(urls)]
    listed = folder / "endpoints.yaml"
    listed.write_text(json.dumps({"endpoints": rows}))
    log = folder / "traffic.jsonl"
    gateway = start("gateway", "--listen", "127.0.0.1:0", "--endpoints", str(listed), "--probe-interval", "100",
                    "--loops", "1", "--record", str(log), "--config", str(CONFIG),
                    env={"XDG_RUNTIME_DIR": str(runtime_folder)})
    url = gateway.base_url()
    wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == 4, "ready endpoints")
    return url, prefills, decodes, log


def test_a_gateway_serves_prefill_and_decode_live_as_the_twin_foretells(
    endpoints, start, binary, tmp_path, runtime_folder
):
    url, prefills, decodes, log = pd_fleet(endpoints, start, tmp_path, runtime_folder)
    requests = 160

    def ask(number: int) -> None:
        time.sleep(max(0.0, began + number * 0.03 - time.monotonic()))
        asked = {"prompt": prompt_of(number, 300 + 16 * (number % 40)), "max_tokens": 8 + number % 24, "stream": True}
        answer = httpx.post(f"{url}/v1/completions", json=asked, timeout=60)
        assert answer.status_code == 200 and "data: [DONE]" in answer.text, answer.text

    began = time.monotonic() + 0.1
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(ask, range(requests)))
    wait_for(lambda: len(log.read_text().splitlines()) == requests, "the recorded log")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert {row["status"] for row in rows} == {200}
    assert {row["endpoint"].removeprefix("default/") for row in rows} <= {"decode-0", "decode-1"}
    received = sum(metric(each, "llmd_kv_received_bytes_total") for each in decodes)
    pulls = sum(metric(each, "llmd_kv_transfer_seconds_count") for each in decodes)
    print(f"{pulls:.0f} of {requests} prompts are computed apart")
    assert pulls > requests / 2 and received > pulls * 250 * TOKEN_BYTES, "most prompts are computed apart"
    assert metric(url, "llmd_kv_transfer_bytes_total") == received
    assert sum(metric(each, "llmd_kv_sent_bytes_total") for each in prefills) == received
    wait_for(lambda: sum(metric(each, "llmd_kv_leases") for each in prefills) == 0, "the end of all leases")
    assert sum(metric(each, "llmd_kv_leases_expired_total") for each in prefills) == 0

    out = tmp_path / "out.json"
    ran = subprocess.run([binary, "sim", "compare", "--trace", str(log), "--requests", "0", "--load", "0",
                          "--endpoints", "4", "--prefill", "2", "--profile", str(tmp_path / "decode.yaml"),
                          "--policies", str(CONFIG), "--warm-up", "0.2", "--quiet", "--json", str(out)],
                         check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    foretold = json.loads(out.read_text())["policies"][0]["ttft_p50_ms"]
    times = sorted(row["ttft_ms"] for row in rows[requests // 5 :])
    lived = times[len(times) // 2]
    print(f"TTFT p50: {lived:.1f} ms live, {foretold:.1f} ms foretold")
    assert 0.5 * foretold < lived < 2 * TIME_SCALE * foretold
