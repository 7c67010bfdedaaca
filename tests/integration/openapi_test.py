"""The OpenAPI document is true: a generator of requests finds no 5xx and no answer that is not documented."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKS = ",".join([
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "unsupported_method",
])


def test_generated_requests_meet_only_documented_answers(start, model_path):
    runtime = Path(tempfile.mkdtemp(prefix="llmd-it-", dir="/tmp"))
    try:
        # Answers without a limit go on to the end of the context.
        up = start("up", "--model", str(model_path), "--listen", "127.0.0.1:0", "--context", "128",
                   "--kv-memory", "256MiB",
                   env={"XDG_RUNTIME_DIR": str(runtime)})
        url = up.base_url()
        up.wait_for_log("ready; try it")
        program = Path(sys.executable).with_name("schemathesis")
        # One worker: before 3.11.8 two threads that parse Python code at once can fail (CPython issue 106905).
        ran = subprocess.run(
            [program, "run", f"{url}/openapi.json", "--checks", CHECKS, "--max-examples", "5",
             "--phases", "coverage,fuzzing",
             "--seed", "1", "--request-timeout", "60", "--no-color", "--workers", "1"],
            cwd=runtime, capture_output=True, text=True, timeout=110)
        assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
        generated = int(re.search(r"(\d+) generated", ran.stdout).group(1))
        assert generated > 500, ran.stdout
        assert up.terminate() == 0
    finally:
        shutil.rmtree(runtime)
