#!/usr/bin/env python3
"""Sidecar benchmark: what a request costs in llmd's sidecar, beside llm-d's, in one run.

Question: how much CPU and latency does the sidecar add, when it passes a request on (local) and when it sends two legs
(nixlv2)? Engines give a canned answer and cost next to nothing. The numbers that matter: CPU-microseconds of the
sidecar a request at 8 clients, and the p50 latency that it adds to a direct call at one client (two calls for two
legs). Loopback only, without TLS, bounded in requests and time.

  PEER_SIDECAR=path/to/pd-sidecar bench/e2e/sidecar.py --llmd build/llmd --bench build/bench

Without PEER_SIDECAR only llmd and the direct call are measured.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import common
from common import free_port, server, tree_cpu_seconds
from gateway import tree_rss_mib

SIZES = {"1 KB": (1_024, 20_000), "100 KB": (102_400, 3_000)}


def load(args, port, clients, size, requests, prefiller):
    command = [args.bench / "llmd-loadgen", "--url", f"127.0.0.1:{port}", "--workload", "router", "--clients", clients]
    command += ["--requests", requests, "--body-bytes", size, "--seconds-max", args.seconds, "--model", "canned"]
    command += ["--prefiller", prefiller] if prefiller else []
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=args.seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"loadgen failed: {done.stderr}")
    return json.loads(done.stdout)


def measure(args, name, port, pid, prefiller, direct):
    for way in ("local", "nixlv2") if pid else ("direct",):
        target = prefiller if way == "nixlv2" else None
        for label, (size, requests) in SIZES.items():
            load(args, port, 8, size, requests // 10, target)  # connections, caches, allocators
            before = tree_cpu_seconds(pid) if pid else 0.0
            many = load(args, port, 8, size, requests, target)
            cpu_s = (tree_cpu_seconds(pid) if pid else 0.0) - before
            one = load(args, port, 1, size, requests // 10, target)
            calls = 2 if way == "nixlv2" else 1
            row = {
                "sidecar": name,
                "way": way,
                "size": label,
                "cpu_us": cpu_s / max(1, many["requests"]) * 1e6,
                "requests_per_second": many["requests_per_second"],
                "p50_ms": one["latency_ms"]["p50"],
                "added_p50_ms": one["latency_ms"]["p50"] - calls * direct.get(label, 0.0),
                "p99_ms_8_clients": many["latency_ms"]["p99"],
                "failed": many["failed"] + one["failed"],
                "rss_mib": tree_rss_mib(pid) if pid else 0.0,
            }
            yield row
            print(
                f"{name:8} {way:7} {label:>7}  {row['cpu_us']:8.1f} CPU us/request  "
                f"{row['requests_per_second']:8.0f} requests/s  p50 {row['p50_ms']:.3f} ms, "
                f"added {row['added_p50_ms']:.3f} ms  p99 at 8 clients {row['p99_ms_8_clients']:.2f} ms  "
                f"{row['rss_mib']:.0f} MiB  failed {row['failed']}",
                flush=True,
            )


def contenders(args, port, engine):
    tail = ["--port", str(port), "--secure-proxy=false", "--model-server-port", str(engine)]
    yield "llmd", [args.llmd, "sidecar", *tail]
    peer = os.environ.get("PEER_SIDECAR")
    if peer:
        yield "llm-d", [peer, *tail, "--zap-log-level", "error"]
    else:
        print("PEER_SIDECAR is not set: only llmd is measured", file=sys.stderr)


def main():
    parser = common.parser(__doc__, seconds=20, what="a cell")
    parser.add_argument("--bench", type=pathlib.Path, default=pathlib.Path("build/bench"))
    args = parser.parse_args()
    rows = []
    log_dir = common.log_folder()
    with open(log_dir / "engines.log", "wb") as engine_log, contextlib.ExitStack() as stack:
        prefiller, decoder = free_port(), free_port()
        for port in (prefiller, decoder):
            command = [str(args.bench / "llmd-canned_server"), "--listen", f"127.0.0.1:{port}"]
            stack.enter_context(server(command, port, engine_log))
        rows += measure(args, "direct", decoder, None, None, {})
        direct = {row["size"]: row["p50_ms"] for row in rows}
        for name, command in contenders(args, free_port(), decoder):
            port = int(command[command.index("--port") + 1])
            with open(log_dir / f"{name}.log", "wb") as log, server(command, port, log) as (process, _):
                time.sleep(0.5)
                rows += measure(args, name, port, process.pid, f"127.0.0.1:{prefiller}", direct)
    common.finish(args, rows, log_dir)


if __name__ == "__main__":
    main()
