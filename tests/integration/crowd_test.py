"""A thousand clients that come and go at random points: afterwards nothing of them is left in any process."""

import asyncio
import json
import os
import random
import time
from pathlib import Path

import pytest

from waiting import TIME_SCALE, wait_for

CLIENTS = 1_000
WITHIN_S = 60
AT_ONCE = 64
PATIENCE_S = 3.0
BODY_WORDS = "The river runs through the old town and past the mill where people met. "
SALT_COUNT = 8


class Crowd:
    """What each client did, for the message of a failure."""

    def __init__(self, url: str, seed: int):
        host, port = url.removeprefix("http://").split(":")
        self.host, self.port = host, int(port)
        self.rng = random.Random(seed)
        self.left: dict[str, int] = {}

    def message(self) -> tuple[bytes, int]:
        """A request, and where its body begins. Some prompts are long enough to go to the prefill worker first."""
        words = BODY_WORDS * self.rng.choice([1, 1, 2, 8, 20])
        fields = {"prompt": words, "max_tokens": self.rng.choice([2, 20, 200]), "ignore_eos": True}
        fields |= {"stream": self.rng.random() < 0.8, "cache_salt": f"crowd-{self.rng.randrange(SALT_COUNT)}"}
        body = json.dumps(fields).encode()
        head = (
            f"POST /v1/completions HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        return head + body, len(head)

    async def one(self) -> None:
        message, head_bytes = self.message()
        phase = self.rng.choice(["connected", "in head", "in body", "before a token", "in stream", "in stream", "done"])
        self.left[phase] = self.left.get(phase, 0) + 1
        sent = {"connected": 0, "in head": self.rng.randrange(1, head_bytes)}.get(phase, len(message))
        if phase == "in body":
            sent = self.rng.randrange(head_bytes, len(message))
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(message[:sent])
            await writer.drain()
            await self.stay(phase, reader)
        except (ConnectionError, TimeoutError):
            pass  # a reset, or no patience left: another point at which to leave
        if self.rng.random() < 0.3:
            writer.transport.abort()  # with a reset, as a process that dies
        writer.close()

    async def stay(self, phase: str, reader: asyncio.StreamReader) -> None:
        patience_s = self.rng.uniform(0.2, PATIENCE_S)
        if phase == "before a token":
            await asyncio.sleep(self.rng.uniform(0, 0.3))
        if phase == "in stream":
            for _ in range(self.rng.randrange(1, 12)):
                if not await asyncio.wait_for(reader.read(300), patience_s):
                    return
        if phase == "done":
            await asyncio.wait_for(reader.read(), patience_s)

    async def run(self, count: int) -> None:
        places = asyncio.Semaphore(AT_ONCE)

        async def placed() -> None:
            async with places:
                await self.one()

        await asyncio.gather(*(placed() for _ in range(count)))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


ZERO_AFTERWARDS = (
    "llmd_gateway_requests_in_flight",
    "llmd_worker_requests_in_flight",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "llmd_worker_waiting_tokens",
    "vllm:kv_cache_usage_perc",
    "llmd_kv_leases",
    'llmd_budget_used_bytes{budget="request-bodies"}',
)


def nothing_left(one) -> bool:
    busy = [e["name"] for e in one.endpoints() if e["inflight_requests"]]
    return not busy and all(one.metric(name) == 0 for name in ZERO_AFTERWARDS)


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["prefill:1,decode:1"])
def test_a_thousand_clients_that_leave_at_random_points_leave_nothing_behind(up, topology):
    one = up("--topology", topology)
    pids = {"up": one.process.process.pid, "prefill": one.process_of("worker-0"), "decode": one.process_of("worker-1")}
    asyncio.run(Crowd(one.url, seed=1).run(40))
    wait_for(lambda: nothing_left(one), "nothing left of the first clients", 60 * TIME_SCALE)
    before = {name: (descriptors(pid), rss_bytes(pid)) for name, pid in pids.items()}

    crowd = Crowd(one.url, seed=2)
    began = time.monotonic()
    asyncio.run(crowd.run(CLIENTS))
    assert time.monotonic() - began < WITHIN_S * TIME_SCALE, crowd.left

    # Leases of prompts whose decode leg never came go when they expire.
    wait_for(lambda: nothing_left(one), f"nothing left of {crowd.left}", 45 * TIME_SCALE)
    wait_for(lambda: one.metric("llmd_gateway_connections") <= 1, "no connection but the one that asks", 10)
    for name, pid in pids.items():
        assert (one.process_of({"prefill": "worker-0", "decode": "worker-1"}[name]) if name != "up" else pid) == pid
        # A pool keeps idle connections to the workers for half a minute.
        wait_for(
            lambda pid=pid, most=before[name][0] + 2: descriptors(pid) <= most,
            f"the descriptors of {name}: {before[name][0]} before, {descriptors(pid)} now",
            45 * TIME_SCALE,
        )
    assert one.serves()
    assert one.metric("llmd_worker_store_bytes") > 0
