"""KV events of `llmd worker --engine sim` as a stock consumer sees them: pyzmq and msgpack, nothing of ours."""

import json
import os
import re
import socket
import struct
import time
from pathlib import Path

import httpx
import msgpack
import pytest
import zmq

from waiting import wait_for

BLOCK = 16
STORE_BLOCKS = 64
PROFILE = f"""
name: quick
step_s: 0.001
prefill_token_s: 0.000001
decode_sequence_s: 0.000001
submit_s: 0.0001
stream_s: 0
block_tokens: {BLOCK}
store_tokens: {STORE_BLOCKS * BLOCK}
slots:
  - {{slots: 8, tokens_max: 1024}}
"""
END = b"\xff" * 8


class Consumer:
    """What an endpoint's cache holds, from its events alone."""

    def __init__(self, context: zmq.Context, live: str, replay: str | None = None, **options: int):
        self.context = context
        self.socket = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        for name, value in options.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"kv@")
        self.socket.connect(live)
        self.replay_place = replay
        self.topics: set[str] = set()
        self.numbers: list[int] = []
        self.blocks: dict[int, dict] = {}
        self.events: list[dict] = []

    def take(self, topic: bytes, seq: bytes, payload: bytes) -> None:
        stamp, events, rank = msgpack.unpackb(payload)
        assert abs(stamp - time.time()) < 600 and rank == 0
        number = struct.unpack(">Q", seq)[0]
        if self.numbers and number > self.numbers[-1] + 1:
            self.replay(self.numbers[-1] + 1)
        if self.numbers and number <= self.numbers[-1]:
            return  # came by a replay already
        self.topics.add(topic.decode())
        self.numbers.append(number)
        for event in events:
            self.events.append(event)
            self.apply(event)

    def apply(self, event: dict) -> None:
        if event["type"] == "AllBlocksCleared":
            self.blocks.clear()
            return
        assert event["medium"] == "GPU" and event["group_idx"] == 0
        hashes = event["block_hashes"]
        if event["type"] == "BlockRemoved":
            for block in hashes:
                del self.blocks[block]
            return
        assert event["type"] == "BlockStored"
        assert event["block_size"] == BLOCK and len(event["token_ids"]) == BLOCK * len(hashes)
        parent = event["parent_block_hash"]
        for i, block in enumerate(hashes):
            assert parent is None or parent in self.blocks, "a block hangs on one that is held"
            assert block not in self.blocks
            self.blocks[block] = {"parent": parent, "tokens": event["token_ids"][i * BLOCK : (i + 1) * BLOCK]}
            parent = block

    def poll(self, timeout_ms: int = 0) -> None:
        while self.socket.poll(timeout_ms):
            frames = self.socket.recv_multipart()
            assert len(frames) == 3
            self.take(*frames)
            timeout_ms = 0

    def replay(self, first: int) -> int:
        """Asks for all batches from `first` on; returns how many came."""
        client = self.context.socket(zmq.DEALER)
        client.setsockopt(zmq.LINGER, 0)
        client.connect(self.replay_place)
        client.send_multipart([b"", struct.pack(">Q", first)])
        count = 0
        while True:
            assert client.poll(10_000), "the replay does not end"
            empty, topic, seq, payload = client.recv_multipart()
            assert empty == b""
            if seq == END:
                assert (topic, payload) == (b"", b"")
                client.close()
                return count
            self.take(topic, seq, payload)
            count += 1

    def chain_of(self, tokens: list[int]) -> int:
        """Leading tokens of a prompt that are held: whole blocks, each below the one before."""
        by_place = {(block["parent"], tuple(block["tokens"])): name for name, block in self.blocks.items()}
        parent, held = None, 0
        for begin in range(0, len(tokens) - BLOCK + 1, BLOCK):
            parent = by_place.get((parent, tuple(tokens[begin : begin + BLOCK])))
            if parent is None:
                break
            held += BLOCK
        return held


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def workers(start, tmp_path):
    """Starts simulated endpoints that publish; returns the process and, of each, URL and places of its sockets."""

    def make(count: int = 1, **config):
        profile = tmp_path / "quick.yaml"
        profile.write_text(PROFILE)
        events = {"enable_kv_cache_events": True, "publisher": "zmq", "endpoint": "tcp://*:0",
                  "topic": "kv@{address}@{model}", "replay_endpoint": "tcp://*:0", **config}
        process = start("worker", "--engine", "sim", "--profile", str(profile), "--listen", "127.0.0.1:0",
                        "--sim-endpoints", str(count), "--kv-events-config", json.dumps(events))
        process.wait_for_log(r"ready: model quick")
        urls = re.findall(r"listening on ([0-9.]+:\d+), simulated", process.log)
        live = re.findall(r"publishing KV events on \S+:(\d+), topic", process.log)
        replays = re.findall(r"replaying KV events on \S+:(\d+)", process.log) or [None] * count
        assert len(urls) == len(live) == len(replays) == count, process.log
        return process, [(f"http://{url}", f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{replay}")
                         for url, port, replay in zip(urls, live, replays, strict=True)]

    return make


def complete(url: str, prompt: str, max_tokens: int = 1, **fields) -> dict:
    body = {"prompt": prompt, "max_tokens": max_tokens, **fields}
    answer = httpx.post(f"{url}/v1/completions", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def cached_tokens(answer: dict) -> int:
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def tokens_of(url: str, prompt: str) -> list[int]:
    return httpx.post(f"{url}/tokenize", json={"prompt": prompt}).json()["tokens"]


def metric(url: str, name: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=5).text
    found = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+-]+)$", page, re.MULTILINE)
    assert found, f"no {name} in\n{page}"
    return float(found.group(1))


def dropped(url: str, reason: str) -> float:
    return metric(url, f'llmd_worker_kv_events_dropped_total{{reason="{reason}"}}')


def prompt_of(number: int, blocks: int = 6) -> str:
    return "".join(f"{number:02x}{i % 256:02x}" for i in range(blocks * BLOCK)) + "tail"


def joined(consumer: Consumer, url: str) -> None:
    """Until live batches come, as a subscription takes a moment; a replay brings those before."""
    asked = iter(range(1_000_000))

    def heard() -> bool:
        complete(url, f"hello {next(asked)} " * BLOCK)
        return bool(consumer.socket.poll(20))

    wait_for(heard, "a first batch")
    consumer.replay(0)
    assert consumer.numbers[0] == 0


def settled(consumer: Consumer, url: str) -> None:
    """Until the consumer has all that the engine has published."""
    def done() -> bool:
        consumer.poll(10)
        assert consumer.numbers == list(range(len(consumer.numbers))), "no gap"
        return len(consumer.numbers) == metric(url, "llmd_worker_kv_events_batches_total")

    wait_for(done, "all batches")


def test_stored_blocks_chain_and_hold_the_prompts_tokens(workers, context):
    _, [(url, live, replay)] = workers()
    consumer = Consumer(context, live, replay)
    joined(consumer, url)
    prompt = prompt_of(1)
    answer = complete(url, prompt, max_tokens=40)
    settled(consumer, url)
    assert consumer.topics == {f"kv@{url.removeprefix('http://')}@quick"}
    tokens = tokens_of(url, prompt)
    assert answer["usage"]["prompt_tokens"] == len(tokens)
    assert consumer.chain_of(tokens) == len(tokens) // BLOCK * BLOCK
    # The answer is cached, too: its tokens are those of its text, behind the prompt's.
    whole = tokens_of(url, prompt + answer["choices"][0]["text"])
    assert consumer.chain_of(whole) >= (len(tokens) + 32) // BLOCK * BLOCK
    assert consumer.numbers == list(range(len(consumer.numbers)))


def test_the_cache_rebuilt_from_events_foretells_every_hit(workers, context):
    _, [(url, live, replay)] = workers()
    consumer = Consumer(context, live, replay)
    joined(consumer, url)
    sizes = [3, 9, 6, 14, 5]
    for step in range(60):
        number = step * step % 23
        prompt = prompt_of(number % 7)[: 4 * BLOCK * (step % 3 + 1)] + prompt_of(number, sizes[number % 5])
        settled(consumer, url)
        held = consumer.chain_of(tokens_of(url, prompt))
        answer = complete(url, prompt, max_tokens=1 + step % 30)
        # The last token is always computed, so a block that ends with it is no hit.
        usable = (answer["usage"]["prompt_tokens"] - 1) // BLOCK * BLOCK
        assert cached_tokens(answer) == min(held, usable), step
    settled(consumer, url)
    assert metric(url, "llmd_worker_store_evictions_total") > 50
    removed = sum(event["type"] == "BlockRemoved" for event in consumer.events)
    assert removed == metric(url, "llmd_worker_store_evictions_total")
    assert len(consumer.blocks) == metric(url, "llmd_worker_store_blocks") == STORE_BLOCKS


def test_a_cleared_cache_is_told(workers, context):
    _, [(url, live, replay)] = workers()
    consumer = Consumer(context, live, replay)
    joined(consumer, url)
    prompt = prompt_of(1)
    complete(url, prompt)
    assert cached_tokens(complete(url, prompt)) > 0
    assert httpx.post(f"{url}/reset_prefix_cache").status_code == 200
    settled(consumer, url)
    assert consumer.blocks == {} and metric(url, "llmd_worker_store_blocks") == 0
    assert cached_tokens(complete(url, prompt)) == 0


def test_salted_prompts_say_their_salt_once(workers, context):
    _, [(url, live, replay)] = workers()
    consumer = Consumer(context, live, replay)
    joined(consumer, url)
    before = len(consumer.events)
    complete(url, prompt_of(1), cache_salt="pepper")
    settled(consumer, url)
    stored = [event for event in consumer.events[before:] if event["type"] == "BlockStored"]
    keys = [key for event in stored for key in event["extra_keys"]]
    assert keys == [["pepper"], *[None] * (len(keys) - 1)]


def first_of_replay(context: zmq.Context, place: str) -> int:
    client = context.socket(zmq.DEALER)
    client.setsockopt(zmq.LINGER, 0)
    client.connect(place)
    client.send_multipart([b"", struct.pack(">Q", 0)])
    assert client.poll(10_000)
    return struct.unpack(">Q", client.recv_multipart()[2])[0]


def test_a_replay_fills_the_gap_of_a_consumer_that_came_late(workers, context):
    process, [(url, live, replay)] = workers(buffer_steps=20)
    for number in range(5):
        complete(url, prompt_of(number))
    late = Consumer(context, live, replay)
    wait_for(lambda: metric(url, "llmd_worker_kv_events_batches_total") >= 5, "the thread has sent them")
    batches = int(metric(url, "llmd_worker_kv_events_batches_total"))
    assert late.replay(0) == batches and late.numbers == list(range(batches))
    assert len(late.blocks) == metric(url, "llmd_worker_store_blocks")
    assert late.replay(batches) == 0
    for number in range(30):
        complete(url, prompt_of(number))
    settled_at = metric(url, "llmd_worker_kv_events_batches_total")
    assert first_of_replay(context, replay) >= settled_at - 20 > 0, "only the newest batches are kept"
    assert process.terminate() == 0


def test_a_gap_is_filled_from_where_it_begins(workers, context):
    _, [(url, live, replay)] = workers()
    consumer = Consumer(context, live, replay)
    joined(consumer, url)
    settled(consumer, url)
    for number in range(6):
        complete(url, prompt_of(number))
    for _ in range(3):
        assert consumer.socket.poll(10_000)
        consumer.socket.recv_multipart()  # lost
    settled(consumer, url)
    assert len(consumer.blocks) == metric(url, "llmd_worker_store_blocks")
    assert metric(url, "llmd_worker_kv_events_replays_total") == 2, "to join, and for the gap"


def test_a_new_process_begins_at_0_with_an_empty_cache(workers, context):
    for _ in range(2):
        process, [(url, live, replay)] = workers()
        complete(url, prompt_of(1))
        consumer = Consumer(context, live, replay)
        wait_for(lambda url=url: metric(url, "llmd_worker_kv_events_batches_total") >= 1, "a batch")
        consumer.replay(0)
        assert consumer.numbers[0] == 0
        assert all(block["parent"] is None or block["parent"] in consumer.blocks for block in consumer.blocks.values())
        assert process.terminate() == 0


def test_every_endpoint_of_a_process_has_its_own(workers, context):
    _, places = workers(3)
    consumers = [Consumer(context, live, replay) for _, live, replay in places]
    for (url, _, _), consumer in zip(places, consumers, strict=True):
        joined(consumer, url)
    complete(places[1][0], prompt_of(9))
    for (url, _, _), consumer in zip(places, consumers, strict=True):
        settled(consumer, url)
    tokens = tokens_of(places[0][0], prompt_of(9))
    assert [consumer.chain_of(tokens) > 0 for consumer in consumers] == [False, True, False]
    assert len(set.union(*(consumer.topics for consumer in consumers))) == 3


def test_ports_are_counted_up_as_those_of_vllms_ranks(start, tmp_path, context):
    with_ports = []
    for _ in range(20):
        probe = context.socket(zmq.PUB)
        probe.bind("tcp://*:0")
        with_ports.append(int(probe.getsockopt(zmq.LAST_ENDPOINT).decode().rsplit(":", 1)[1]))
        probe.close()
    profile = tmp_path / "quick.yaml"
    profile.write_text(PROFILE)
    for base in (port for port in with_ports if port < 65_000):
        process = start("worker", "--engine", "sim", "--profile", str(profile), "--listen", "127.0.0.1:0",
                        "--sim-endpoints", "2", "--kv-events-config",
                        json.dumps({"enable_kv_cache_events": True, "endpoint": f"tcp://*:{base}"}))
        process.wait_for_log(r"ready: model quick|in use")
        if "in use" in process.log:
            continue  # somebody took one of the two meanwhile
        ports = re.findall(r"publishing KV events on \S+:(\d+), topic", process.log)
        assert ports == [str(base), str(base + 1)]
        return
    pytest.fail("no two ports in a row were free")


def test_a_consumer_that_never_reads_holds_nothing_up(workers, context):
    process, [(url, live, replay)] = workers(hwm=20, buffer_steps=100)
    stuck = Consumer(context, live, replay, RCVHWM=1, RCVBUF=4096)
    reader = Consumer(context, live, replay)
    joined(reader, url)
    asked = iter(range(1_000))
    wait_for(lambda: bool(stuck.socket.poll(20)) or not complete(url, prompt_of(next(asked))), "both have joined")

    def resident_kib() -> int:
        status = Path(f"/proc/{process.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    before = resident_kib()
    with httpx.Client(timeout=30) as client:
        for number in range(1_500):
            body = {"prompt": prompt_of(number % 250, blocks=60), "max_tokens": 1}
            assert client.post(f"{url}/v1/completions", json=body).status_code == 200
            reader.poll()
    settled(reader, url)
    assert len(reader.blocks) == metric(url, "llmd_worker_store_blocks")
    assert dropped(url, "hwm") > 0, "the one that never reads misses batches"
    # A queue without a bound grows by 32 MiB here. AddressSanitizer keeps freed memory: there it says nothing.
    if "ASAN_OPTIONS" not in os.environ:
        assert resident_kib() - before < 8 * 1024


def test_bytes_that_are_no_zeromq_disturb_nobody(workers, context):
    process, [(url, live, replay)] = workers()
    consumer = Consumer(context, live, replay)
    joined(consumer, url)
    greeting = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00NULL" + bytes(48)
    for place in (live, replay):
        address = ("127.0.0.1", int(place.rsplit(":", 1)[1]))
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5_000, greeting + b"\x02" + b"\xff" * 64, greeting):
            with socket.create_connection(address, timeout=10) as raw:
                raw.sendall(junk)
    complete(url, prompt_of(1))
    settled(consumer, url)
    assert consumer.chain_of(tokens_of(url, prompt_of(1))) > 0
    assert consumer.replay(0) == len(consumer.numbers)
    assert process.terminate() == 0


def test_without_events_nothing_is_opened(start, tmp_path):
    profile = tmp_path / "quick.yaml"
    profile.write_text(PROFILE)
    for config in ({}, {"enable_kv_cache_events": True, "publisher": "null"}, {"publisher": "zmq"}):
        process = start("worker", "--engine", "sim", "--profile", str(profile), "--listen", "127.0.0.1:0",
                        "--kv-events-config", json.dumps(config))
        process.wait_for_log(r"ready: model quick")
        assert "publishing" not in process.log
        assert "llmd_worker_kv_events" not in httpx.get(f"{process.base_url()}/metrics").text
        assert process.terminate() == 0
