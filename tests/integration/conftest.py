"""Fixtures of the integration tests: the binary under test, a model, and processes of it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest

from fake_engine import FakeEngine
from llmd_process import LlmdProcess
from up_process import Up
from waiting import wait_for

SOURCE_DIR = Path(__file__).resolve().parents[2]


LEFT_OUT = pytest.StashKey[bool]()


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[LEFT_OUT] = True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A file whose tests were all left out by -m is skipped (77 for ctest); one without any test fails."""
    by_mark = session.config.getoption("markexpr") and session.config.stash.get(LEFT_OUT, False)
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and by_mark:
        session.exitstatus = 77


@pytest.fixture(scope="session")
def binary() -> Path:
    path = Path(os.environ.get("LLMD_BINARY", SOURCE_DIR / "build" / "llmd"))
    assert path.is_file(), f"{path} is not there: run make build, or set LLMD_BINARY"
    return path


@pytest.fixture(scope="session")
def model_path() -> Path:
    """LLMD_TEST_MODEL, what tools/run_integration.sh found, or the default model in the cache."""
    for name in ("LLMD_TEST_MODEL", "LLMD_MODEL"):
        if os.environ.get(name):
            return Path(os.environ[name])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmd" / "models"
    found = sorted(cache.glob("*.gguf"))
    assert found, f"no model in {cache}: run tools/fetch_model.sh, or set LLMD_TEST_MODEL"
    return found[0]


Start = Callable[..., LlmdProcess]


def assert_no_findings(processes: list[LlmdProcess]) -> None:
    """A leak shows only when a process has ended; with `up`, the logs of its workers are part of its own."""
    for process in processes:
        found = process.log.find("Sanitizer")
        assert found < 0, process.log[max(0, found - 200) : found + 4000]


@pytest.fixture(scope="session")
def start_shared(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a process that lives as long as the session."""
    processes: list[LlmdProcess] = []
    folder = tmp_path_factory.mktemp("shared")

    def start(*arguments: str, env: dict[str, str] | None = None) -> LlmdProcess:
        log = folder / f"{len(processes)}.log"
        processes.append(LlmdProcess(binary, list(arguments), log, env))
        return processes[-1]

    yield start
    for process in reversed(processes):
        process.close()
    assert_no_findings(processes)


@pytest.fixture
def start(binary: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a process that ends with the test; prints its log if the test fails."""
    processes: list[LlmdProcess] = []

    def start_one(*arguments: str, env: dict[str, str] | None = None) -> LlmdProcess:
        log = tmp_path / f"process-{len(processes)}.log"
        processes.append(LlmdProcess(binary, list(arguments), log, env))
        return processes[-1]

    yield start_one
    for process in reversed(processes):
        process.close()
    if getattr(request.node, "failed", False):
        for process in processes:
            print(f"--- {process.log_path}\n{process.log}")
    assert_no_findings(processes)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report


# One thread: beside other load, two that wait for each other at every step take many times as long.
THREADS = ("--threads", os.environ.get("LLMD_TEST_THREADS", "1"))
WORKER_ARGUMENTS = ("--listen", "127.0.0.1:0", "--store-memory", "256MiB", *THREADS)


@pytest.fixture(scope="session")
def worker_process(start_shared: Start, model_path: Path) -> LlmdProcess:
    return start_shared("worker", "--model", str(model_path), "--served-model-name", "smol", *WORKER_ARGUMENTS)


@pytest.fixture(scope="session")
def worker_url(worker_process: LlmdProcess) -> str:
    url = worker_process.base_url()
    worker_process.wait_ready(url)
    return url


@pytest.fixture(scope="session")
def served_up(start_shared: Start, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `llmd up` for all tests of what clients see, on a model called smol."""
    model = tmp_path_factory.mktemp("model") / "smol.gguf"
    model.symlink_to(model_path)
    served = Up(start_shared, model, ())
    yield served
    served.process.close()
    shutil.rmtree(served.runtime)


@pytest.fixture(scope="session")
def served_url(served_up: Up) -> str:
    return served_up.url


@pytest.fixture(scope="session")
def client(served_url: str) -> openai.OpenAI:
    """The official client before gateway, scheduler and worker, with no retries of its own, so that each answer is the
    server's first."""
    return openai.OpenAI(base_url=f"{served_url}/v1", api_key="unused", max_retries=0, timeout=60)


@pytest.fixture
def up(start, model_path):
    made: list[Up] = []

    def make(*arguments: str, **options) -> Up:
        made.append(Up(start, model_path, arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.process.close()
        shutil.rmtree(one.runtime)


@pytest.fixture
def engines():
    """Makes engines that end with the test."""
    made: list[FakeEngine] = []

    def make(**options) -> FakeEngine:
        made.append(FakeEngine(**options))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def runtime_folder():
    """A short path: it holds unix sockets."""
    folder = Path(tempfile.mkdtemp(prefix="llmd-it-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def gateway(start, runtime_folder):
    """Starts a gateway for engines and waits until it knows that all of them are ready."""

    def make(*endpoints: FakeEngine, arguments: tuple[str, ...] = (), env: dict[str, str] | None = None):
        urls = ",".join(engine.url for engine in endpoints)
        process = start(
            "gateway",
            "--listen",
            "127.0.0.1:0",
            "--endpoints",
            urls,
            "--probe-interval",
            "100",
            "--loops",
            "1",
            *arguments,
            env={"XDG_RUNTIME_DIR": str(runtime_folder), **(env or {})},
        )
        url = process.base_url()
        wait_for(lambda: httpx.get(f"{url}/health").json()["endpoints_ready"] == len(endpoints), "ready engines")
        return process, url

    return make
