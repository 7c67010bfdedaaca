"""A fleet of simulated endpoints under load while processes are killed, paused and slowed down: nothing is lost that
had not begun to stream, and dead endpoints are soon chosen no more. The figures of a large one: docs/benchmarks.md."""

import json
import subprocess
from pathlib import Path

from waiting import TIME_SCALE

SOURCE_DIR = Path(__file__).resolve().parents[2]
WITHIN_MS = 1_000 * TIME_SCALE  # where nothing else runs it is a tenth of it


def test_nothing_is_lost_that_had_not_begun_to_stream(binary, tmp_path):
    out = tmp_path / "out.json"
    ran = subprocess.run(
        [SOURCE_DIR / "bench/e2e/fleet.py", "--llmd", binary, "--endpoints", "20", "--seconds", "6", "--rate", "20",
         "--out", out], check=False, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(out.read_text())
    assert set(found["outcomes"]) <= {"done", "cut after its first token"}, found
    assert found["outcomes"]["done"] > 100, found
    assert found["killed_endpoints"] == 5 and found["unexplained"] == 0, found
    assert found["failover_ms"] < WITHIN_MS, found
    assert found["dead_choices_of_one"] <= 2, found
