"""The default policy, expected-latency, on a gateway before simulated endpoints of which one is slow."""

import re
from types import SimpleNamespace

import httpx
import openai
import pytest

from sim_profile import PROFILE


@pytest.fixture
def fleet(start, gateway, tmp_path):
    """A gateway before three endpoints, of which the last takes five times as long: its URL, and theirs."""
    path = tmp_path / "quick.yaml"
    path.write_text(PROFILE)
    workers = start("worker", "--engine", "sim", "--profile", str(path), "--listen", "127.0.0.1:0",
                    "--sim-endpoints", "3")
    workers.wait_for_log(r"ready: model quick")
    urls = [f"http://{address}" for address in re.findall(r"listening on ([0-9.]+:\d+), simulated", workers.log)]
    assert httpx.post(f"{urls[2]}/sim/speed", json={"factor": 5}, timeout=5).status_code == 200
    _, url = gateway(*[SimpleNamespace(url=each) for each in urls])
    return url, urls


def ask(client, number):
    """One streamed answer, read to its end."""
    stream = client.chat.completions.create(
        model="quick", messages=[{"role": "user", "content": f"{number} " + "word " * 40}], max_tokens=12, stream=True)
    assert sum(1 for _ in stream) > 1


def total(page, name):
    values = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+-]+)$", page, re.MULTILINE)
    return sum(float(value) for value in values)


def served(url):
    return total(httpx.get(f"{url}/metrics", timeout=5).text, "vllm:request_success_total")


def test_it_learns_which_endpoint_is_slow_and_tells_how_wrong_it_was(fleet):
    url, urls = fleet
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=30)
    for number in range(60):
        ask(client, number)
    before = [served(each) for each in urls]
    assert sum(before) == 60 and min(before) > 0, f"nobody was sent to one of them while nothing was known: {before}"
    for number in range(60, 100):
        ask(client, number)
    then = [served(each) - first for each, first in zip(urls, before)]
    assert sum(then) == 40 and then[2] <= 6, f"{then}: a third of 40 would be 13"
    page = httpx.get(f"{url}/metrics", timeout=5).text
    for of in ("ttft", "tpot"):
        seen = re.search(rf'^llmd_gateway_prediction_error_ratio_count{{of="{of}"}} (\d+)$', page, re.MULTILINE)
        assert seen and 40 <= int(seen.group(1)) <= 100 - 32, f"{of}: {seen}"
