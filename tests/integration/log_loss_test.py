"""Logs that cannot be written: the service goes on, and what was lost is counted and said."""

import fcntl
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from llmd_process import _die_with_parent
from waiting import TIME_SCALE, wait_for


class FullDisk:
    """`llmd` whose stderr is a file on a full disk (/dev/full), or a pipe that nobody reads."""

    def __init__(self, binary: Path, arguments: list[str], output, runtime: Path):
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
        self.process = subprocess.Popen(
            [str(binary), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            preexec_fn=_die_with_parent,
        )

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(20 * TIME_SCALE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lost_lines(url: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=10).text
    return sum(float(value) for value in re.findall(r"^llmd_log_lines_lost_total(?:\{[^}]*\})? (\S+)$", page, re.M))


def answers(url: str) -> bool:
    try:
        return httpx.post(f"{url}/v1/completions", json={"prompt": "a", "max_tokens": 1}, timeout=30).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("output", ["full disk", "stalled pipe"])
def test_up_serves_on_when_its_log_cannot_be_written_and_counts_what_was_lost(
    binary, model_path, runtime_folder, output
):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = ["up", "--model", str(model_path), "--listen", f"127.0.0.1:{port}", "--threads", "1"]
    arguments += ["--kv-memory", "64MiB", "--store-memory", "32MiB", "--context", "512", "--log-level", "debug"]
    if output == "full disk":
        with open("/dev/full", "w") as full:
            one = FullDisk(binary, arguments, full, runtime_folder)
        reader = None
    else:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        while True:  # nothing fits any more
            try:
                os.write(writer, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
        one = FullDisk(binary, arguments, writer, runtime_folder)
        os.close(writer)
    try:
        wait_for(lambda: answers(url), "an answer", 60 * TIME_SCALE)
        before = lost_lines(url)
        assert before > 0
        for _ in range(5):
            assert answers(url)
        # A request's line is written after its answer, so the last one may still be on its way.
        wait_for(lambda: lost_lines(url) >= before + 5, "a count of five more lost lines", 10 * TIME_SCALE)
    finally:
        assert one.stop() == 0
        if reader is not None:
            os.close(reader)


def test_what_was_lost_is_said_when_the_log_can_be_written_again(binary, engines, runtime_folder):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)  # full after some lines
    arguments = ["gateway", "--listen", f"127.0.0.1:{port}", "--endpoints", engines().url, "--log-level", "debug"]
    one = FullDisk(binary, arguments, writer, runtime_folder)
    os.close(writer)
    try:
        wait_for(lambda: answers(url), "an answer", 10 * TIME_SCALE)
        end = time.monotonic() + 20 * TIME_SCALE
        with httpx.Client() as http:
            while lost_lines(url) < 20:
                assert time.monotonic() < end
                for _ in range(20):
                    body = {"model": "m", "prompt": "a"}
                    http.post(f"{url}/v1/completions", json=body, headers={"x-request-id": "r" * 128})
        os.set_blocking(reader, False)
        text = ""

        def read_on() -> bool:
            nonlocal text
            try:
                text += os.read(reader, 1 << 20).decode()
            except BlockingIOError:  # the line of a request is written after its answer
                assert answers(url)
            return "log lines were lost" in text

        wait_for(read_on, "a line that tells of the lost ones", 10 * TIME_SCALE)
        told = [int(number) for number in re.findall(r"(\d+) log lines were lost", text)]
        assert told[0] >= 20 and sum(told) <= lost_lines(url), text[-500:]
    finally:
        assert one.stop() == 0
        os.close(reader)
