"""Clients that send or read as slowly as they can: each is let go in bounded time, and others are served meanwhile."""

import json
import re
import resource
import socket
import time

import httpx
import pytest

from waiting import TIME_SCALE, wait_for

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
SHORT = ("--header-timeout", "2", "--body-timeout", "2", "--write-timeout", "2")
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SLOW_CLIENTS = 300


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20 * TIME_SCALE)
    client.connect((host, int(port)))
    return client


def read_all(client: socket.socket) -> bytes:
    answer = b""
    try:
        while piece := client.recv(65_536):
            answer += piece
    except ConnectionResetError:
        pass
    return answer


def connections(url: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=10).text
    return float(re.search(r"^llmd_gateway_connections (\S+)$", page, re.MULTILINE).group(1))


def assert_served(url: str, within_s: float = 1.0) -> None:
    began = time.monotonic()
    assert httpx.post(f"{url}/v1/chat/completions", json=CHAT, timeout=20).status_code == 200
    assert time.monotonic() - began < within_s * TIME_SCALE


def drip(clients: list[socket.socket], piece: bytes, until: float) -> None:
    while time.monotonic() < until:
        for client in clients:
            try:
                client.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
        time.sleep(0.2)


@pytest.mark.parametrize("phase", ["head", "body"])
def test_hundreds_of_slow_writers_get_a_408_and_others_are_served_meanwhile(engines, gateway, phase):
    _, url = gateway(engines(), arguments=SHORT)
    begin = b"POST /v1/chat/completions HTTP/1.1\r\nX: " if phase == "head" else HEAD + b"Content-Length: 90000\r\n\r\n"
    clients = [connect(url) for _ in range(SLOW_CLIENTS)]
    for client in clients:
        client.sendall(begin)
    assert connections(url) >= SLOW_CLIENTS
    assert_served(url)
    drip(clients, b"a", time.monotonic() + 1)
    assert_served(url)
    began = time.monotonic()
    for client in clients:
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 408 "), answer[:100]
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["code"] == "request_timeout"
        client.close()
    assert time.monotonic() - began < 6 * TIME_SCALE
    wait_for(lambda: connections(url) <= 1, "no connection but the one that asks", 10 * TIME_SCALE)


def test_readers_that_stop_in_mid_stream_are_let_go_and_others_are_served_meanwhile(engines, gateway, runtime_folder):
    def flood(request):
        request.start_stream()
        for _ in range(4_000):
            request.token("x" * 8_000)

    engine = engines()
    process, url = gateway(engine, arguments=SHORT)
    body = json.dumps({**CHAT, "stream": True}).encode()
    clients = []
    for _ in range(10):
        engine.then(flood)
        clients.append(connect(url))
        clients[-1].sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    wait_for(lambda: len(engine.requests) == 10, "the requests at the engine")
    began = time.monotonic()
    for _ in range(5):
        assert_served(url)
        time.sleep(0.1)
    wait_for(lambda: connections(url) <= 1, "no connection but the one that asks", 15 * TIME_SCALE)
    assert time.monotonic() - began < 15 * TIME_SCALE
    page = httpx.get(f"{url}/metrics", timeout=10).text
    assert re.search(r"^llmd_gateway_requests_in_flight 0$", page, re.MULTILINE)
    resident = int(open(f"/proc/{process.process.pid}/statm").read().split()[1]) * 4096
    assert resident < (200 << 20) * TIME_SCALE
    for client in clients:
        assert b"[DONE]" not in read_all(client)
        client.close()


def test_a_slow_reader_of_a_worker_holds_neither_its_slot_nor_the_others(up):
    """The worker goes on computing into a bounded buffer: its slot is free long before the reader is let go."""
    one = up()
    body = {"model": "default", "prompt": "Once", "max_tokens": 30, "stream": True, "ignore_eos": True, "logprobs": 5}
    data = json.dumps(body).encode()
    clients = [connect(one.url) for _ in range(8)]
    for client in clients:
        client.sendall(HEAD.replace(b"chat/", b"") + b"Content-Length: %d\r\n\r\n" % len(data) + data)
    for client in clients:
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert one.serves()
    wait_for(lambda: one.metric("vllm:num_requests_running") == 0, "free slots", 30 * TIME_SCALE)
    assert one.serves()
    for client in clients:
        client.close()
    wait_for(lambda: one.metric("llmd_gateway_requests_in_flight") == 0, "no request in flight", 10 * TIME_SCALE)


def test_more_connections_than_the_usual_soft_limit_of_descriptors_are_served(engines, gateway):
    """Shells start programs with 1,024 descriptors at most, of which the hard limit is far."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1_100
    if hard < 3 * wanted:
        pytest.skip(f"the hard limit is {hard} descriptors")
    engine = engines()
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, hard))
    try:
        process, url = gateway(engine)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3 * wanted), hard))
    try:
        clients = [connect(url) for _ in range(wanted)]
        wait_for(lambda: connections(url) >= wanted, "all connections accepted", 10 * TIME_SCALE)
        assert_served(url)
        for client in clients:
            client.close()
        wait_for(lambda: connections(url) <= 1, "no connection but the one that asks", 10 * TIME_SCALE)
        assert "accept on" not in process.log
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
