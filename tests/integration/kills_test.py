"""kill -9 of each process while clients wait or stream: how each request ends, how soon, and when the service is back.

`up_test.py` has the same for one client of unified workers; here are many clients, and the other processes.
"""

import os
import re
import signal
import time

import httpx
import pytest

from streams import Stream, start_streams
from up_process import LONG, children_of, is_gone
from waiting import TIME_SCALE, wait_for

WITHIN_S = 5 * TIME_SCALE
PROMPT = "The river runs through the old town and past the mill where people met. " * 15
SPLIT = ("--topology", "prefill:1,decode:1")
SPLIT_TWICE = ("--topology", "prefill:1,decode:2")


def kill(pid: int) -> float:
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def all_ready(one) -> bool:
    return all(endpoint["health"] == "ready" for endpoint in one.endpoints())


def assert_back(one, killed_at: float) -> None:
    """Served again, and with all its workers, within 5 s of the kill."""
    wait_for(one.serves, "a service that is back", max(0.1, killed_at + WITHIN_S - time.monotonic()))
    wait_for(lambda: all_ready(one), "all workers", max(0.1, killed_at + WITHIN_S - time.monotonic()))


def assert_ends_with_error(streams: list[Stream]) -> None:
    for stream in streams:
        stream.join(WITHIN_S)
        assert (stream.status, stream.broke, stream.error_code) == (200, "", "upstream_failed"), stream.events[-2:]
        assert "[DONE]" not in stream.events


@pytest.mark.parametrize(
    ("topology", "victim"),
    [(("--topology", "unified:1"), "worker-0"), (SPLIT, "worker-1")],
    ids=["unified", "decode"],
)
def test_each_of_many_streams_of_a_killed_worker_ends_with_an_error_event(up, topology, victim):
    one = up(*topology)
    streams = start_streams(one.url, 8, LONG)
    killed_at = kill(one.process_of(victim))
    assert_ends_with_error(streams)
    assert max(stream.ended_at for stream in streams) - killed_at < WITHIN_S
    assert_back(one, killed_at)
    assert one.metric("llmd_gateway_requests_in_flight") == 0


def test_streams_go_on_when_the_prefill_worker_that_began_them_is_killed(up):
    one = up(*SPLIT)
    body = {"model": "default", "prompt": PROMPT, "max_tokens": 40, "temperature": 0, "ignore_eos": True}
    streams = start_streams(one.url, 3, {**body, "stream_options": {"include_usage": True}})
    killed_at = kill(one.process_of("worker-0"))
    for stream in streams:
        assert stream.join(30 * TIME_SCALE).done, stream.events[-1:]
    assert_back(one, killed_at)


def test_a_prefill_worker_killed_at_work_leaves_the_prompt_to_the_decode_worker(up):
    one = up(*SPLIT)
    prompt = "one two three four five six seven eight nine ten " * 60
    asked = Stream(one.url, {"prompt": prompt, "max_tokens": 2}, request_id="at-work")
    prefilling = lambda: "worker-0" in [e["name"] for e in one.endpoints() if e["inflight_requests"]]
    wait_for(prefilling, "the prompt at the prefill worker")
    killed_at = kill(one.process_of("worker-0"))
    assert_back(one, killed_at)
    assert asked.join(60).status == 200, asked.text
    assert one.metric("llmd_gateway_prefill_failures_total") == 1


def stop_decode_workers(one) -> dict[str, int]:
    """Stopped ones take a request and do not answer it."""
    workers = {e["name"]: one.process_of(e["name"]) for e in one.endpoints() if e["name"] != "worker-0"}
    for pid in workers.values():
        os.kill(pid, signal.SIGSTOP)
    return workers


def busy_decode_worker(one) -> str:
    busy = lambda: [e["name"] for e in one.endpoints() if e["inflight_requests"] and e["name"] != "worker-0"]
    wait_for(lambda: bool(busy()), "a decode worker with the request")
    return busy()[0]


def test_a_decode_worker_killed_before_the_first_token_is_retried_on_another(up):
    one = up(*SPLIT_TWICE)
    workers = stop_decode_workers(one)
    asked = Stream(one.url, {"prompt": "Hello", "max_tokens": 4, "stream": True}, request_id="retried")
    victim = busy_decode_worker(one)
    killed_at = kill(workers[victim])
    for name, pid in workers.items():
        if name != victim:
            os.kill(pid, signal.SIGCONT)
    asked.join(WITHIN_S)
    assert asked.status == 200 and asked.done, asked.text
    outcome = one.admin("/explanations/retried").json()["outcome"]
    assert outcome["retries"] == 1 and outcome["endpoint"] != victim
    assert_back(one, killed_at)


def test_without_another_decode_worker_it_is_a_503(up):
    one = up(*SPLIT)
    workers = stop_decode_workers(one)
    asked = Stream(one.url, {"prompt": "Hello", "max_tokens": 4, "stream": True})
    killed_at = kill(workers[busy_decode_worker(one)])
    asked.join(WITHIN_S)
    assert (asked.status, asked.error_code) == (503, "upstream_failed"), asked.text
    assert_back(one, killed_at)


def test_a_killed_gateway_breaks_its_streams_frees_the_worker_and_can_start_again_at_once(
    start, worker_url, runtime_folder
):
    """Without the gateway nobody can send an error event: connections break, which is how a client sees it."""
    env = {"XDG_RUNTIME_DIR": str(runtime_folder)}
    flags = ("--endpoints", worker_url, "--probe-interval", "100")
    gateway = start("gateway", "--listen", "127.0.0.1:0", *flags, env=env)
    url = gateway.base_url()
    ready = lambda: httpx.get(f"{url}/health", timeout=5).status_code == 200
    wait_for(ready, "a gateway with its worker")
    streams = start_streams(url, 6, LONG)
    waiting = Stream(url, {"prompt": PROMPT, "max_tokens": 3})
    killed_at = kill(gateway.process.pid)
    for stream in [*streams, waiting]:
        stream.join(WITHIN_S)
        assert stream.broke and "[DONE]" not in stream.events
    page = lambda: httpx.get(f"{worker_url}/metrics", timeout=10).text
    freed = lambda: re.search(r"^vllm:num_requests_running\{[^}]*\} 0(\.0)?$", page(), re.MULTILINE) is not None
    wait_for(freed, "free slots in the worker", WITHIN_S)
    start("gateway", "--listen", url.removeprefix("http://"), *flags, env=env).base_url()
    wait_for(ready, "a gateway on the same port", max(0.1, killed_at + WITHIN_S - time.monotonic()))
    assert httpx.post(f"{url}/v1/completions", json={"prompt": "Hi", "max_tokens": 1}, timeout=30).status_code == 200


def test_a_killed_parent_takes_all_with_it_and_up_can_start_again_at_once(up):
    """The gateway is in the parent, so clients see their connections break; workers end too, and the port is free."""
    one = up(*SPLIT)
    processes = [one.process.process.pid, *children_of(one.process.process.pid)]
    streams = start_streams(one.url, 8, LONG)
    kill(one.process.process.pid)
    one.process.process.wait()
    for stream in streams:
        stream.join(WITHIN_S)
        assert stream.broke and "[DONE]" not in stream.events
    wait_for(lambda: all(is_gone(pid) for pid in processes), "the end of every process", WITHIN_S)
    wait_for(lambda: list(one.runtime.iterdir()) == [], "an empty runtime folder", WITHIN_S)
    again = up(*SPLIT, listen=one.url.removeprefix("http://"))
    assert again.url == one.url and again.serves()
