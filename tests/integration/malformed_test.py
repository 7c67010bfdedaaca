"""Thousands of bodies and heads that are no good request, by a fixed seed: each gets a clear answer."""

import json
import random
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from waiting import TIME_SCALE, wait_for

BODIES = 10_000
CLIENTS = 4
RSS_GROWTH_MAX_BYTES = 96 << 20  # prefix cache and buffers that are filled once

CHAT = {
    "model": "default",
    "messages": [{"role": "system", "content": "be é"}, {"role": "user", "content": "hi"}],
    "stop": ["a"],
    "max_tokens": 1,
    "logit_bias": {"1": 2},
    "temperature": 0.5,
    "n": 1,
    "stream": False,
    "response_format": {"type": "text"},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "tool_choice": "none",
}
COMPLETION = {"model": "default", "prompt": "hi", "max_tokens": 1, "logprobs": 1, "seed": 3, "echo": False, "stop": "a"}
EMBEDDING = {"model": "default", "input": ["hi", "there"], "encoding_format": "float"}
TOKENIZE = {"prompt": "hi", "add_special_tokens": True}
ROUTES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/v1/embeddings": EMBEDDING,
    "/tokenize": TOKENIZE,
}
WRONG_VALUES = [
    "null", "true", "-1", "0", "1e400", "-1e400", "1e-400", "99999999999999999999", "4294967296",
    "-9223372036854775809", "2147483648",
    "1.5", '""', '"x"', "[]", "{}", "[[]]", '[null]', '{"a":{"b":[1]}}', '"\\ud800"', '"\\u0000"',
    '"' + "a" * 3000 + '"', "[" * 200 + "]" * 200, '{"a":' * 200 + "1" + "}" * 200, "[" + "1," * 500 + "1]", "NaN",
    "Infinity", "01", "1.", ".5", "+1", "'x'", '"a\nb"', "tru", "[1,]", '{"a":1,}', "/*c*/1",
]  # fmt: skip


def cut(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body))]


def flip_bytes(rng: random.Random, body: bytes) -> bytes:
    flipped = bytearray(body)
    for _ in range(rng.randint(1, 6)):
        flipped[rng.randrange(len(flipped))] = rng.randrange(256)
    return bytes(flipped)


def wrong_type(rng: random.Random, body: bytes) -> bytes:
    """One field, at any depth one or two, has a value that it cannot have."""
    fields = json.loads(body)
    name = rng.choice([*fields, "max_tokens", "top_p", "top_k", "min_p", "presence_penalty", "seed", "stream_options",
                       "kv_transfer_params", "top_logprobs", "user", "priority", "unknown"])  # fmt: skip
    marker = "@wrong@"
    if isinstance(fields.get(name), list) and fields[name] and rng.random() < 0.5:
        element = rng.randrange(len(fields[name]))
        if isinstance(fields[name][element], dict):
            fields[name][element][rng.choice([*fields[name][element], "content"])] = marker
        else:
            fields[name][element] = marker
    else:
        fields[name] = marker
    return json.dumps(fields).replace(f'"{marker}"', rng.choice(WRONG_VALUES)).encode()


def missing_or_double_key(rng: random.Random, body: bytes) -> bytes:
    fields = json.loads(body)
    name = rng.choice(list(fields))
    if rng.random() < 0.5:
        del fields[name]
        return json.dumps(fields).encode()
    return body[:-1] + b', "%s": %s}' % (name.encode(), rng.choice(WRONG_VALUES).encode())


def bad_utf8(rng: random.Random, body: bytes) -> bytes:
    bad = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x00", b"\x1f", b"\xef\xbb\xbf"]
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.choice(bad) * rng.randint(1, 3) + body[at:]


def deep_nesting(rng: random.Random, body: bytes) -> bytes:
    depth = rng.choice([10, 100, 1_000, 20_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    nested = opening * depth + b"1" + (closing * depth if rng.random() < 0.7 else b"")
    return body[:-1] + b', "x": ' + nested + b"}" if rng.random() < 0.5 else nested


def junk(rng: random.Random, body: bytes) -> bytes:
    return rng.choice([
        b"", b" ", b"null", b"[]", b"1", b'"text"', b"{", b"}", b"{}", b"{}{}", body + body, body + b",",
        b"\x00" * 50,
        rng.randbytes(rng.randint(1, 400)), b"POST / HTTP/1.1\r\n\r\n", b"messages=hi&model=x",
        body.replace(b'"', b"'"),
        body.replace(b":", b"="), b"[" + body + b"]", json.dumps(body.decode()).encode(),
    ])  # fmt: skip


KINDS = (cut, flip_bytes, wrong_type, wrong_type, wrong_type, missing_or_double_key, bad_utf8, deep_nesting, junk)


def bodies(seed: int, count: int):
    """(path, body), the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        path = rng.choice(list(ROUTES))
        body = json.dumps(ROUTES[path], ensure_ascii=False).encode()
        for _ in range(rng.choice([1, 1, 1, 2])):
            try:
                body = rng.choice(KINDS)(rng, body)
            except (ValueError, AttributeError, IndexError, TypeError, RecursionError):
                break  # what an earlier one made of it is no object any more
        yield path, body


def assert_clear(answer: httpx.Response, body: bytes) -> None:
    shown = body[:300]
    assert answer.status_code == 200 or 400 <= answer.status_code < 500, (answer.status_code, answer.text, shown)
    if answer.status_code == 200:
        return
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"} and error["message"] and error["code"], shown


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


class Sender(threading.Thread):
    """One client with one connection. A stream in the answer is read to its end, which is an event or [DONE]."""

    def __init__(self, url: str, seed: int, count: int):
        super().__init__(daemon=True)
        self.url, self.seed, self.count = url, seed, count
        self.statuses: dict[int, int] = {}
        self.slowest_s = 0.0
        self.failure: Exception | AssertionError | None = None

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self.url, timeout=30 * TIME_SCALE) as http:
                for path, body in bodies(self.seed, self.count):
                    began = time.monotonic()
                    answer = http.post(path, content=body, headers={"content-type": "application/json"})
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                    assert_clear(answer, body)
                    self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        except (AssertionError, httpx.HTTPError, ValueError) as failure:
            self.failure = failure


@pytest.mark.slow
def test_ten_thousand_malformed_bodies_each_get_a_clear_answer(up):
    """`--context 256` bounds what a body asks for whose max_tokens was lost."""
    one = up("--context", "256", "--log-level", "info")
    pids = {"up": one.process.process.pid, "worker": one.process_of("worker-0")}
    warm = Sender(one.url, seed=1, count=200)
    warm.run()
    assert warm.failure is None, warm.failure
    before = {name: rss_bytes(pid) for name, pid in pids.items()}
    senders = [Sender(one.url, seed=100 + i, count=BODIES // CLIENTS) for i in range(CLIENTS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
        assert sender.failure is None, sender.failure
    answers = {status: sum(s.statuses.get(status, 0) for s in senders) for status in range(200, 500)}
    assert sum(answers.values()) == BODIES
    assert answers[400] > BODIES / 2, answers
    assert max(sender.slowest_s for sender in senders) < 20 * TIME_SCALE
    assert one.process_of("worker-0") == pids["worker"] and one.process.process.poll() is None
    for name, pid in pids.items():
        assert rss_bytes(pid) - before[name] < RSS_GROWTH_MAX_BYTES * max(1, TIME_SCALE), name
    wait_for(lambda: one.metric("llmd_gateway_requests_in_flight") == 0, "no request in flight")
    wait_for(lambda: one.metric("vllm:num_requests_running") == 0, "no sequence left")
    assert one.serves()


def heads(rng: random.Random, host: str, count: int):
    """Whole messages whose head is wrong, or whose length does not fit the body."""
    body = json.dumps(CHAT).encode()
    good = b"POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n" % host.encode()
    framed = good + b"Content-Length: %d\r\n\r\n" % len(body) + body
    lengths = [b"-1", b"1e3", b"abc", b"", b"99999999999999999999", b"+5", b"0x10", b"5, 6", b"5 5", b" ", b"1" * 300]
    for _ in range(count):
        kind = rng.randrange(7)
        if kind == 0:
            yield good + b"Content-Length: " + rng.choice(lengths) + b"\r\n\r\n" + body
        elif kind == 1:
            yield good + b"Content-Length: %d\r\n\r\n" % rng.randrange(len(body)) + body
        elif kind == 2:
            yield good + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
        elif kind == 3:
            sizes = [b"zz", b"-5", b"ffffffffffffffffff", b"5;" + b"x" * 9000, b"", b"5\n"]
            yield good + b"Transfer-Encoding: chunked\r\n\r\n" + rng.choice(sizes) + b"\r\nhello\r\n0\r\n\r\n"
        elif kind == 4:
            yield good + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
        elif kind == 5:
            end = framed.index(b"\r\n\r\n")
            yield flip_bytes(rng, framed[:end]) + framed[end:]
        else:
            yield rng.randbytes(rng.randint(1, 200)) + b"\r\n\r\n"


def test_a_thousand_malformed_heads_and_lengths_end_in_4xx_or_a_closed_connection(up):
    one = up("--context", "256", "--log-level", "info")
    host, port = one.url.removeprefix("http://").split(":")
    rng = random.Random(5)
    refused = 0
    for message in heads(rng, host, 1000):
        with socket.create_connection((host, int(port)), timeout=20 * TIME_SCALE) as client:
            client.sendall(message)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        statuses = [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
        assert all(status == 200 or 400 <= status < 500 or status == 501 for status in statuses), (message, answer)
        refused += any(status >= 400 for status in statuses)
    assert refused > 500
    wait_for(lambda: one.metric("llmd_gateway_requests_in_flight") == 0, "no request in flight")
    wait_for(lambda: one.metric("llmd_gateway_connections") <= 1, "no connection but the one that asks")
    assert one.serves()
