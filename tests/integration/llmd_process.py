"""Starts real llmd processes for tests, and ends only those."""

import ctypes
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0


def _die_with_parent() -> None:
    """In the child: a test run that is killed leaves no process behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)


class LlmdProcess:
    """One `llmd` command. Its stderr goes to `log_path`, which is kept when a test fails."""

    def __init__(self, binary: Path, arguments: list[str], log_path: Path, env: dict[str, str] | None = None):
        self.log_path = log_path
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LLMD_API")}
        environment.update(env or {})
        self._log = log_path.open("wb")
        self.process = subprocess.Popen(
            [str(binary), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            preexec_fn=_die_with_parent,
        )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, pattern: str, deadline_s: float = START_DEADLINE_S) -> re.Match[str]:
        """The first match of `pattern` in the log; fails if the process ends or the deadline passes first."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            match = re.search(pattern, self.log)
            if match:
                return match
            if self.process.poll() is not None:
                # What it wrote last may have come after the look above.
                match = re.search(pattern, self.log)
                assert match, f"exit code {self.process.returncode} before {pattern!r}:\n{self.log}"
                return match
            time.sleep(0.01)
        raise AssertionError(f"no {pattern!r} within {deadline_s} s:\n{self.log}")

    def base_url(self) -> str:
        """The address of the listener, from the line that names it."""
        address = self.wait_for_log(r"listening on ([0-9.]+:\d+)").group(1)
        return f"http://{address}"

    def wait_ready(self, url: str, deadline_s: float = START_DEADLINE_S) -> None:
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            assert self.process.poll() is None, f"exit code {self.process.returncode}:\n{self.log}"
            try:
                if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready within {deadline_s} s:\n{self.log}")

    def wait(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {deadline_s} s:\n{self.log}") from None

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_DEADLINE_S)
        self._log.close()
