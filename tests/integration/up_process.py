"""One `llmd up` under test, and looks at the processes below it."""

import re
import tempfile
from pathlib import Path

import httpx
import openai

LONG = {"model": "default", "prompt": "Once upon a time", "max_tokens": 3000, "ignore_eos": True}
WORKER_MEMORY = ("--store-memory", "128MiB", "--kv-memory", "256MiB", "--threads", "1")


class Up:
    """One `llmd up` with a runtime folder of its own."""

    def __init__(
        self,
        start,
        model_path: Path,
        arguments: tuple[str, ...],
        env: dict[str, str] | None = None,
        listen: str = "127.0.0.1:0",
        memory: tuple[str, ...] = WORKER_MEMORY,
    ):
        self.runtime = Path(tempfile.mkdtemp(prefix="llmd-it-", dir="/tmp"))
        self.process = start(
            "up",
            "--model",
            str(model_path),
            "--listen",
            listen,
            *memory,
            *arguments,
            env={"XDG_RUNTIME_DIR": str(self.runtime), **(env or {})},
        )
        self.url = self.process.base_url()
        self.process.wait_for_log("ready; try it")

    def process_of(self, worker: str) -> int:
        """The process id under which the worker is running now: the supervisor's children by their command line."""
        for pid in children_of(self.process.process.pid):
            if f"{worker}.sock".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError(f"{worker} is not running")

    def admin(self, path: str) -> httpx.Response:
        (socket,) = self.runtime.glob("llmd-*/*/admin.sock")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://admin", timeout=10) as admin:
            return admin.get(path)

    def workers(self) -> list[int]:
        """Process ids, in the order in which the workers became ready."""
        return [int(pid) for pid in re.findall(r"is ready: .* process (\d+)", self.process.log)]

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0, timeout=60)

    def endpoints(self) -> list[dict]:
        return self.admin("/endpoints").json()["endpoints"]

    def counter(self, name: str) -> float:
        """The sum of the series whose lines begin so."""
        page = httpx.get(f"{self.url}/metrics", timeout=10).text
        return sum(float(value) for value in re.findall(rf"^{re.escape(name)}.* ([0-9.e+]+)$", page, re.MULTILINE))

    def serves(self) -> bool:
        answer = httpx.post(f"{self.url}/v1/completions", json={"prompt": "Hi", "max_tokens": 1}, timeout=30)
        return answer.status_code == 200

    def metric(self, name: str) -> float:
        """The sum over a family's series on the page of the gateway and its workers."""
        page = httpx.get(f"{self.url}/metrics", timeout=10).text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def is_gone(pid: int) -> bool:
    """It ended, or is a zombie that only its parent's parent has to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
