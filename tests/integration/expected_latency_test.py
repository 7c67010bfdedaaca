"""The default policy, expected-latency, on a gateway before simulated endpoints of which one is slow."""

import re
from collections import Counter

import httpx
import openai
import pytest

from llmd_process import LISTENING

PROFILE = """
name: quick
step_s: 0.004
prefill_token_s: 0.00002
decode_sequence_s: 0.0002
submit_s: 0.0001
stream_s: 0
store_tokens: 65536
slots:
  - {slots: 8, tokens_max: 4096}
"""


@pytest.fixture
def gateway(start, tmp_path):
    """A gateway before three endpoints, of which the last takes five times as long: its URL, and those of the endpoints."""
    path = tmp_path / "quick.yaml"
    path.write_text(PROFILE)
    workers = start("worker", "--engine", "sim", "--profile", str(path), "--listen", "127.0.0.1:0", "--sim-endpoints", "3")
    workers.wait_for_log(r"ready: model quick")
    urls = [f"http://{address}" for address in re.findall(r"listening on ([0-9.]+:\d+), simulated", workers.log)]
    assert httpx.post(f"{urls[2]}/sim/speed", json={"factor": 5}, timeout=5).status_code == 200
    process = start("gateway", "--listen", "127.0.0.1:0", "--probe-interval", "100ms",
                    *[part for url in urls for part in ("--endpoints", url)])
    address = process.wait_for_log(LISTENING).group(1)
    return f"http://{address}", urls


def ask(client, number):
    """One streamed answer; returns the endpoint that gave it."""
    raw = client.chat.completions.with_raw_response.create(
        model="quick", messages=[{"role": "user", "content": f"{number} " + "word " * 40}], max_tokens=12, stream=True)
    for _ in raw.parse():
        pass
    return raw.headers["x-llmd-endpoint"]


def series(page, name):
    found = re.search(rf"^{re.escape(name)} ([0-9.e+-]+)$", page, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def test_it_learns_which_endpoint_is_slow_and_tells_how_wrong_it_was(gateway):
    url, urls = gateway
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=30)
    first = Counter(ask(client, number) for number in range(60))
    then = Counter(ask(client, number) for number in range(60, 100))
    slow = [name for name in first if urls[2].split(":")[-1] in name]
    assert sum(first.values()) == 60 and slow, f"nobody was sent to the slow one while nothing was known: {first}"
    assert then[slow[0]] <= 6, f"{then}: a third of 40 would be 13"
    page = httpx.get(f"{url}/metrics", timeout=5).text
    for of in ("ttft", "tpot"):
        seen = series(page, f'llmd_gateway_prediction_error_ratio_count{{of="{of}"}}')
        assert 40 <= seen <= 100 - 32, f"{of}: {seen} judged predictions"
