"""Prefill and decode on different workers, each leg sent as a gateway sends it.

The text is that of one worker, the bytes moved are those of the prompt's blocks, and every fault of the transfer ends
in the same text."""

import re
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from llmd_process import LlmdProcess
from pd_legs import ASK_PREFILL
from pd_prompts import LICENSE, all_prompts
from waiting import wait_for

WORKER = ("--served-model-name", "smol", "--listen", "127.0.0.1:0", "--kv-memory", "256MiB")
BLOCK_TOKENS = 32
LONG_PROMPT = f"Task: Say what these lines forbid.\n\n{LICENSE[1_000:3_000]}\n\nAnswer:"


@dataclass
class Moved:
    blocks: int
    bytes: int
    recomputed_tokens: int
    error: str | None


class Worker:
    def __init__(self, start, model: Path, *arguments: str):
        self.process: LlmdProcess = start("worker", "--model", str(model), *WORKER, *arguments)
        self.url = self.process.base_url()
        self.process.wait_ready(self.url)

    def complete(self, prompt: str, **fields) -> httpx.Response:
        body = {"prompt": prompt, "max_tokens": 16, "temperature": 0, **fields}
        answer = httpx.post(f"{self.url}/v1/completions", json=body, timeout=90)
        assert answer.status_code == 200, answer.text
        return answer

    def text(self, prompt: str, **fields) -> str:
        return self.complete(prompt, **fields).json()["choices"][0]["text"]

    def prefill(self, prompt: str, **fields) -> dict | None:
        """The first leg: the params for the second one."""
        leg = {**fields, "max_tokens": 1, "stream": False, "kv_transfer_params": ASK_PREFILL}
        return self.complete(prompt, **leg).json().get("kv_transfer_params")

    def decode(self, prompt: str, params: dict | None, **fields) -> tuple[str, dict, Moved]:
        """The second leg: text, usage and what the header says."""
        answer = self.complete(prompt, **fields, kv_transfer_params=params)
        body = answer.json()
        return body["choices"][0]["text"], body["usage"], moved_of(answer.headers["x-llmd-kv-transfer"])

    def metric(self, series: str) -> float:
        page = httpx.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
        return float(found.group(1)) if found else 0


def moved_of(header: str) -> Moved:
    fields = dict(part.split("=") for part in header.split(", "))
    return Moved(int(fields["blocks"]), int(fields["bytes"]), int(fields["recomputed_tokens"]), fields.get("error"))


@pytest.fixture(scope="module")
def prefill(start_shared, model_path: Path) -> Worker:
    """Keeps its blocks on a unix socket of its own choice."""
    return Worker(start_shared, model_path, "--role", "prefill", "--store-memory", "1GiB")


@pytest.fixture(scope="module")
def decode(start_shared, model_path: Path) -> Worker:
    """Also keeps blocks, on TCP: what it pulled it can hand on."""
    return Worker(start_shared, model_path, "--role", "decode", "--store-memory", "1GiB", "--kv-listen", "127.0.0.1:0")


@pytest.fixture(scope="module")
def last(start_shared, model_path: Path) -> Worker:
    return Worker(start_shared, model_path, "--role", "decode", "--store-memory", "1GiB", "--kv-pull-timeout", "400")


@pytest.fixture(scope="module")
def unified(start_shared, model_path: Path) -> Worker:
    """Computes every prompt by itself, whatever came before."""
    return Worker(start_shared, model_path, "--store-memory", "0")


@pytest.fixture(scope="module")
def expected(unified: Worker) -> str:
    return unified.text(LONG_PROMPT)


def check_hand_over(source: Worker, sink: Worker, prompt: str, salt: str, text: str) -> Moved:
    params = source.prefill(prompt, cache_salt=salt)
    if params is None:
        assert sink.text(prompt, cache_salt=salt) == text, prompt
        return Moved(0, 0, 0, None)
    got, usage, moved = sink.decode(prompt, params, cache_salt=salt)
    assert got == text, prompt
    whole_blocks = (usage["prompt_tokens"] - 1) // BLOCK_TOKENS
    assert (moved.blocks, moved.recomputed_tokens, moved.error) == (whole_blocks, 0, None), prompt
    assert usage["prompt_tokens_details"]["cached_tokens"] == whole_blocks * BLOCK_TOKENS
    return moved


def check_prompts(
    prompts: list[str], name: str, prefill: Worker, decode: Worker, last: Worker, unified: Worker
) -> None:
    """Each prompt from `prefill` to `decode` by shared memory, and on to `last` by TCP."""
    totals = {worker: worker.metric("llmd_kv_received_bytes_total") for worker in (decode, last)}
    sizes = set()
    for i, prompt in enumerate(prompts):
        text = unified.text(prompt)
        for source, sink in ((prefill, decode), (decode, last)):
            moved = check_hand_over(source, sink, prompt, f"{name}-{i}", text)
            totals[sink] += moved.bytes
            if moved.blocks:
                sizes.add(moved.bytes / moved.blocks)
    assert len(sizes) == 1, "every block has one size"
    for worker, total in totals.items():
        assert worker.metric("llmd_kv_received_bytes_total") == total
    for worker in (prefill, decode):
        wait_for(lambda worker=worker: worker.metric("llmd_kv_leases") == 0, "the end of all leases")
        assert worker.metric("llmd_kv_leases_expired_total") == 0


def test_text_is_that_of_one_worker_over_shared_memory_and_tcp(prefill, decode, last, unified):
    prompts = all_prompts()
    check_prompts([prompts[i] for i in (0, 9, 21, 30, 37, 42)], "few", prefill, decode, last, unified)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_prompts_of_20_to_1500_tokens_give_the_text_of_one_worker(prefill, decode, last, unified):
    prompts = all_prompts()
    assert len(set(prompts)) == 50
    check_prompts(prompts, "fifty", prefill, decode, last, unified)


def test_chat_and_stream_go_on_from_received_blocks(prefill, decode, unified):
    chat = {
        "messages": [{"role": "user", "content": LONG_PROMPT}],
        "max_completion_tokens": 12,
        "temperature": 0,
        "cache_salt": "chat",
    }

    def ask(worker: Worker, **fields) -> httpx.Response:
        answer = httpx.post(f"{worker.url}/v1/chat/completions", json={**chat, **fields}, timeout=90)
        assert answer.status_code == 200, answer.text
        return answer

    alone = ask(unified).json()["choices"][0]["message"]["content"]
    first = ask(prefill, max_completion_tokens=1, stream=False, n=3, kv_transfer_params=ASK_PREFILL).json()
    assert first["usage"]["completion_tokens"] == 1, "a prefill leg makes one token of one choice"
    params = first["kv_transfer_params"]
    assert params["do_remote_prefill"] and not params["do_remote_decode"]
    assert params["remote_host"].startswith("unix:/") and params["remote_port"] == 0
    answer = ask(decode, stream=True, kv_transfer_params=params)
    assert moved_of(answer.headers["x-llmd-kv-transfer"]).blocks == len(params["remote_block_ids"][0])
    pieces = re.findall(r'"content":"((?:[^"\\]|\\.)*)"', answer.text)
    assert "".join(pieces).encode().decode("unicode_escape") == alone


def test_several_prompts_of_one_request_are_moved_together(prefill, decode, unified):
    prompts = [LONG_PROMPT, f"Question: What is this?\n\n{LICENSE[4_000:4_600]}\n\nAnswer:"]
    alone = [unified.text(prompt) for prompt in prompts]
    params = prefill.prefill(prompts, cache_salt="several")
    answer = decode.complete(prompts, cache_salt="several", kv_transfer_params=params)
    assert [choice["text"] for choice in answer.json()["choices"]] == alone
    moved = moved_of(answer.headers["x-llmd-kv-transfer"])
    assert moved.blocks == len(params["remote_block_ids"][0]) and moved.recomputed_tokens == 0
    wait_for(lambda: prefill.metric("llmd_kv_leases") == 0, "the end of the lease")


def test_blocks_that_are_here_already_are_not_moved_again(prefill, decode, expected):
    for blocks_come in (True, False):
        text, _, moved = decode.decode(
            LONG_PROMPT, prefill.prefill(LONG_PROMPT, cache_salt="twice"), cache_salt="twice"
        )
        assert text == expected
        assert (moved.blocks > 0) == blocks_come
        assert moved.recomputed_tokens == 0
    wait_for(lambda: prefill.metric("llmd_kv_leases") == 0, "the end of all leases")


def test_a_prompt_without_a_whole_block_has_nothing_to_move(prefill):
    assert prefill.prefill("Hello there") is None


def test_a_prefill_leg_must_not_be_streamed(prefill):
    body = {"prompt": "Hello", "max_tokens": 1, "stream": True, "kv_transfer_params": ASK_PREFILL}
    answer = httpx.post(f"{prefill.url}/v1/completions", json=body, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "stream"


class Relay:
    """Passes one TCP connection on up to `bytes_max` bytes of the holder, and cuts it there, or says nothing more.

    0 bytes: accepts and says nothing.
    """

    def __init__(self, port: int, bytes_max: int, then_silent: bool = False):
        self._then_silent = then_silent
        self._released = threading.Event()
        self.stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._target, self._bytes_max = port, bytes_max
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._listener.settimeout(30)
        near, _ = self._listener.accept()
        near.settimeout(30)
        if self._bytes_max == 0:
            while near.recv(65_536):
                pass
            return
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            threading.Thread(target=self._forward, args=(near, far), daemon=True).start()
            left = self._bytes_max
            while left > 0 and (data := far.recv(min(left, 65_536))):
                near.sendall(data)
                left -= len(data)
            self.stopped.set()
            if self._then_silent:
                self._released.wait(60)
            near.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _forward(near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(65_536):
                far.sendall(data)
        except OSError:
            return

    def close(self) -> None:
        self._released.set()
        self._listener.close()


FAULTS = {
    "cut in the hello": ({"cut": 30}, "connection_closed"),
    "cut in the third block": ({"cut": 1_700_000}, "connection_closed"),
    "silent": ({"cut": 0}, "deadline_exceeded"),
    "nobody listens": ({"remote_port": 1}, "connection_refused"),
    "not allowed": ({"remote_host": "192.0.2.1"}, "peer_not_allowed"),
    "a socket elsewhere": ({"remote_host": "unix:/var/run/docker.sock", "remote_port": 0}, "peer_not_allowed"),
    "an address that is none": ({"remote_host": "a b"}, "address_invalid"),
    "a lease that is none": ({"remote_request_id": "cmpl-1"}, "invalid_request"),
    "an unknown lease": ({"remote_request_id": "0123456789abcdef"}, "lease_expired"),
    "no params but the flag": (None, "invalid_request"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_transfer_ends_in_the_right_text(fault, decode, last, expected):
    change, error = FAULTS[fault]
    salt = f"fault {fault}"
    params = decode.prefill(LONG_PROMPT, cache_salt=salt)
    relay = Relay(params["remote_port"], change["cut"]) if change and "cut" in change else None
    if relay:
        params["remote_port"] = relay.port
    params = {**params, **change} if change is not None else {"do_remote_prefill": True, "remote_host": "127.0.0.1"}
    failures = f'llmd_kv_transfer_failures_total{{reason="{error}"}}'
    before, recomputed = last.metric(failures), last.metric("llmd_kv_recomputed_tokens_total")
    start = time.monotonic()
    text, usage, moved = last.decode(LONG_PROMPT, params, cache_salt=salt)
    assert time.monotonic() - start < 60, "it must not hang"
    assert text == expected
    assert moved.error == error
    assert last.metric(failures) == before + 1
    whole_blocks = (usage["prompt_tokens"] - 1) // BLOCK_TOKENS
    assert moved.recomputed_tokens == (whole_blocks - moved.blocks) * BLOCK_TOKENS
    assert moved.blocks == (2 if fault == "cut in the third block" else 0)
    assert last.metric("llmd_kv_recomputed_tokens_total") == recomputed + moved.recomputed_tokens
    assert error in last.process.log
    if relay:
        relay.close()


def test_an_expired_lease_ends_in_the_right_text(start, model_path, last, expected):
    source = Worker(start, model_path, "--role", "prefill", "--store-memory", "256MiB", "--kv-lease", "1")
    params = source.prefill(LONG_PROMPT, cache_salt="expired")
    wait_for(lambda: source.metric("llmd_kv_leases_expired_total") == 1, "the end of the lease")
    text, _, moved = last.decode(LONG_PROMPT, params, cache_salt="expired")
    assert text == expected
    assert moved.error == "lease_expired" and moved.recomputed_tokens > 0


def test_another_model_ends_in_the_right_text(start, model_path, tmp_path, last, expected):
    other = tmp_path / "other.gguf"
    data = model_path.read_bytes()
    assert data.count(b"apache-2.0", 0, 1_000_000) == 1
    other.write_bytes(data.replace(b"apache-2.0", b"apache-2.1", 1))
    source = Worker(start, other, "--role", "prefill", "--store-memory", "256MiB")
    text, _, moved = last.decode(LONG_PROMPT, source.prefill(LONG_PROMPT, cache_salt="other"), cache_salt="other")
    assert text == expected
    assert moved.error == "block_mismatch" and moved.blocks == 0


def test_a_killed_prefill_worker_leaves_the_right_text_and_no_socket(start, model_path, last, expected):
    source = Worker(start, model_path, "--role", "prefill", "--store-memory", "256MiB")
    params = source.prefill(LONG_PROMPT, cache_salt="killed")
    path = Path(params["remote_host"].removeprefix("unix:"))
    assert path.is_socket()
    source.process.process.send_signal(signal.SIGKILL)
    source.process.process.wait(10)
    text, _, moved = last.decode(LONG_PROMPT, params, cache_salt="killed")
    assert text == expected
    assert moved.error == "connection_refused"
    wait_for(lambda: not path.parent.exists(), "the end of the killed worker's folder")


def test_a_prefill_worker_that_drains_waits_for_its_leases(start, model_path, last, expected):
    source = Worker(start, model_path, "--role", "prefill", "--store-memory", "256MiB")
    params = source.prefill(LONG_PROMPT, cache_salt="drained")
    source.process.process.terminate()
    source.process.wait_for_log("draining")
    text, _, moved = last.decode(LONG_PROMPT, params, cache_salt="drained")
    assert text == expected
    assert moved.error is None and moved.blocks > 0
    assert source.process.wait(10) == 0


def test_a_drain_deadline_in_the_middle_of_a_transfer_ends_the_worker_cleanly(start, model_path, decode):
    """Its handler is then suspended with blocks in its hands, which must go before their store does."""
    sink = Worker(start, model_path, "--kv-pull-timeout", "60000", "--drain-timeout", "0")
    salt = "stopped in the middle"
    sink.text(LONG_PROMPT[: len(LONG_PROMPT) // 3], cache_salt=salt)
    params = decode.prefill(LONG_PROMPT, cache_salt=salt)
    relay = Relay(params["remote_port"], 900_000, then_silent=True)
    body = {"prompt": LONG_PROMPT, "cache_salt": salt, "kv_transfer_params": {**params, "remote_port": relay.port}}
    broke = threading.Event()

    def ask() -> None:
        try:
            httpx.post(f"{sink.url}/v1/completions", json=body, timeout=60)
        except httpx.TransportError:
            broke.set()

    asking = threading.Thread(target=ask)
    asking.start()
    assert relay.stopped.wait(30)
    assert sink.process.terminate() == 0, sink.process.log
    assert "requests did not end in time and are cut off" in sink.process.log
    asking.join(10)
    assert broke.is_set()
    relay.close()
