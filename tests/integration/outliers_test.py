"""A gateway before endpoints of which one stands out: it loses its traffic step by step, and gets it back."""

import re
import threading
import time
from types import SimpleNamespace

import httpx
import pytest

from fake_engine import whole_answer
from sim_profile import PROFILE
from waiting import TIME_SCALE, wait_for

CONFIG = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: random-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: random-picker
"""


class Load:
    """Clients that ask without end, one request after the other."""

    def __init__(self, url: str, clients: int):
        self._url = url
        self._over = threading.Event()
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(clients)]

    def _ask(self, client: int) -> None:
        number = 0
        with httpx.Client(timeout=30) as http:
            while not self._over.is_set():
                number += 1
                body = {"model": "quick", "messages": [{"role": "user", "content": f"{client} {number} word word"}],
                        "max_tokens": 12, "stream": True}
                self.statuses.append(http.post(f"{self._url}/v1/chat/completions", json=body).status_code)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive()


def value(url: str, name: str) -> float | None:
    page = httpx.get(f"{url}/metrics", timeout=5).text
    found = re.search(rf"^{re.escape(name)} ([0-9.e+-]+)$", page, re.MULTILINE)
    return float(found.group(1)) if found else None


def share(url: str, endpoint: str) -> float | None:
    return value(url, f'llmd_gateway_endpoint_share{{endpoint="{endpoint}"}}')


def served(url: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=5).text
    counts = re.findall(r"^vllm:request_success_total{[^}]*} ([0-9.e+-]+)$", page, re.MULTILINE)
    return sum(float(each) for each in counts)


@pytest.fixture
def fleet(start, gateway, tmp_path):
    """A gateway that chooses at random before four simulated endpoints: it, its URL, and theirs."""

    def make(*arguments: str):
        path = tmp_path / "quick.yaml"
        path.write_text(PROFILE)
        workers = start("worker", "--engine", "sim", "--profile", str(path), "--listen", "127.0.0.1:0",
                        "--sim-endpoints", "4")
        workers.wait_for_log(r"ready: model quick")
        urls = [f"http://{address}" for address in re.findall(r"listening on ([0-9.]+:\d+), simulated", workers.log)]
        config = tmp_path / "random.yaml"
        config.write_text(CONFIG)
        engines = [SimpleNamespace(url=each) for each in urls]
        process, url = gateway(*engines, arguments=("--config", str(config), *arguments))
        return process, url, urls

    return make


def speed(url: str, factor: float) -> None:
    assert httpx.post(f"{url}/sim/speed", json={"factor": factor}, timeout=5).status_code == 200


def test_a_slow_endpoint_loses_its_traffic_and_gets_it_back(fleet):
    process, url, urls = fleet()
    slow = urls[2]
    with Load(url, 8) as load:
        time.sleep(5)
        assert all(share(url, each) is None for each in urls), "nobody stands out"
        speed(slow, 10)
        wait_for(lambda: share(url, slow) == 0.5, "half of its traffic", deadline_s=30 * TIME_SCALE)
        wait_for(lambda: share(url, slow) == 0, "only probes", deadline_s=60 * TIME_SCALE)
        before = [served(each) for each in urls]
        time.sleep(8)
        then = [served(each) - first for each, first in zip(urls, before, strict=True)]
        assert then[2] <= 9, f"{then}: at most one probe a second"
        assert min(then[0], then[1], then[3]) > 20, then
        speed(slow, 1)
        wait_for(lambda: share(url, slow) == 1, "all of its traffic", deadline_s=120 * TIME_SCALE)
        assert set(load.statuses) == {200}
    assert value(url, 'llmd_gateway_endpoint_ejections_total{reason="slow"}') >= 1
    assert re.search(re.escape(slow) + r" is half ejected: \d+\.\d times as slow as its peers; look at", process.log)
    assert f"{slow} has its full share of traffic again" in process.log
    assert [share(url, each) for each in urls if each != slow] == [None] * 3


def test_it_can_be_switched_off(fleet):
    _, url, urls = fleet("--outlier-detection", "off")
    speed(urls[0], 10)
    with Load(url, 8):
        time.sleep(15)
    assert share(url, urls[0]) is None
    assert served(urls[0]) > 10


def failure(request) -> None:
    request.answer(500, {"error": {"message": "out of luck"}})


def test_an_endpoint_that_fails_more_than_its_peers_is_ejected(gateway, engines, tmp_path):
    """Every fourth answer of it is a 500: never three in a row, nor half of them, so its breaker stays closed."""
    config = tmp_path / "random.yaml"
    config.write_text(CONFIG)
    fleet = [engines() for _ in range(4)]
    failing = fleet[1]
    for _ in range(500):
        failing.then(whole_answer()).then(whole_answer()).then(whole_answer()).then(failure)
    process, url = gateway(*fleet, arguments=("--config", str(config)))
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    with httpx.Client(timeout=30) as http:
        deadline = time.monotonic() + 60 * TIME_SCALE
        while share(url, failing.url) != 0:
            assert time.monotonic() < deadline, f"{share(url, failing.url)}\n{process.log}"
            for _ in range(20):
                http.post(f"{url}/v1/chat/completions", json=body)
    assert value(url, 'llmd_gateway_endpoint_ejections_total{reason="failing"}') >= 1
    assert re.search(re.escape(failing.url) + r" is half ejected: \d+ % of its requests failed", process.log)
