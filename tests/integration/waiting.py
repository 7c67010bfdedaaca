"""Waiting for a condition with a deadline."""

import os
import time
from collections.abc import Callable

# How much longer everything may take: 1 for the release build; more for one with sanitizers, or on a busy machine.
TIME_SCALE = float(os.environ.get("LLMD_TEST_TIME_SCALE", "1"))


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = 10.0) -> None:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come within {deadline_s} s")
