#!/usr/bin/env python3
"""Router benchmark: what a request costs in llmd's gateway, beside vllm-router and sglang-router, in one run.

Question: how much CPU and latency does the router itself add? The upstreams give a canned answer and cost next to
nothing. The numbers that matter: CPU-microseconds of the router's processes a request at 8 clients, and the p50 latency
that it adds to a direct call at one client. Loopback only, bounded in requests and time.

  bench/e2e/gateway.py --llmd build/llmd --bench build/bench --peers VENV

VENV is a Python environment with the peers' packages: pip install vllm-router==0.1.17 sglang-router==0.3.2 setproctitle
Left out: only llmd and the direct call are measured.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import time

import common
from common import free_port, server, tree_cpu_seconds, tree_total

SIZES = {"1 KB": (1_024, 20_000), "100 KB": (102_400, 3_000)}


def tree_rss_mib(pid):
    """Resident memory of a process and its children, shared pages counted in each."""
    pages = tree_total(pid, lambda folder: int((folder / "statm").read_text().split()[1]))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def load(args, port, clients, size, requests):
    command = [args.bench / "llmd-loadgen", "--url", f"127.0.0.1:{port}", "--workload", "router", "--clients", clients]
    command += ["--requests", requests, "--body-bytes", size, "--seconds-max", args.seconds, "--model", "canned"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=args.seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"loadgen failed: {done.stderr}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def upstreams(args, log):
    with contextlib.ExitStack() as stack:
        ports = [free_port() for _ in range(args.upstreams)]
        for port in ports:
            command = [args.bench / "llmd-canned_server", "--listen", f"127.0.0.1:{port}"]
            stack.enter_context(server([str(part) for part in command], port, log))
        yield ports


def contenders(args, ports, port):
    urls = [f"http://127.0.0.1:{upstream}" for upstream in ports]
    yield "llmd", [args.llmd, "gateway", "--listen", f"127.0.0.1:{port}", "--endpoints", ",".join(urls)]
    if args.peers:
        python = str(args.peers / "bin/python")
        tail = ["--worker-urls", *urls, "--host", "127.0.0.1", "--port", str(port), "--policy", "cache_aware"]
        tail += ["--log-level", "error"]
        yield "vllm-router", [python, "-m", "vllm_router.launch_router", *tail, "--prometheus-port", str(free_port())]
        yield "sglang-router", [
            python, "-m", "sglang_router.launch_router", *tail, "--prometheus-port", str(free_port())
        ]


def measure(args, name, port, pid, direct, rows):
    for label, (size, requests) in SIZES.items():
        load(args, port, 8, size, requests // 10)  # connections, caches, allocators
        before, begin = tree_cpu_seconds(pid) if pid else 0.0, time.monotonic()
        many = load(args, port, 8, size, requests)
        cpu_s, wall_s = (tree_cpu_seconds(pid) if pid else 0.0) - before, time.monotonic() - begin
        one = load(args, port, 1, size, requests // 10)
        row = {
            "router": name,
            "size": label,
            "cpu_us": cpu_s / max(1, many["requests"]) * 1e6,
            "requests_per_second": many["requests_per_second"],
            "p50_ms": one["latency_ms"]["p50"],
            "added_p50_ms": one["latency_ms"]["p50"] - direct.get(label, one["latency_ms"]["p50"]),
            "p99_ms_8_clients": many["latency_ms"]["p99"],
            "failed": many["failed"] + one["failed"],
            "errors": (many["errors"] + one["errors"])[:1],
            "seconds": wall_s,
            "rss_mib": tree_rss_mib(pid) if pid else 0.0,
        }
        rows.append(row)
        print(
            f"{name:14} {label:>7}  {row['cpu_us']:8.1f} CPU us/request  {row['requests_per_second']:8.0f} requests/s  "
            f"p50 {row['p50_ms']:.3f} ms, added {row['added_p50_ms']:.3f} ms  p99 at 8 clients "
            f"{row['p99_ms_8_clients']:.2f} ms  {row['rss_mib']:.0f} MiB  failed {row['failed']} {row['errors'] or ''}",
            flush=True,
        )


def main():
    parser = common.parser(__doc__, seconds=20, what="a cell")
    parser.add_argument("--bench", type=pathlib.Path, default=pathlib.Path("build/bench"))
    parser.add_argument("--peers", type=pathlib.Path, help="Python environment with vllm-router and sglang-router")
    parser.add_argument("--upstreams", type=int, default=2)
    args = parser.parse_args()
    rows, direct = [], {}
    log_dir = common.log_folder()
    with open(log_dir / "upstreams.log", "wb") as upstream_log, upstreams(args, upstream_log) as ports:
        measure(args, "direct", ports[0], None, direct, rows)
        direct = {row["size"]: row["p50_ms"] for row in rows}
        port = free_port()
        for name, command in contenders(args, ports, port):
            with open(log_dir / f"{name}.log", "wb") as log, server(command, port, log) as (process, _):
                time.sleep(2)  # peers add their upstreams after they call themselves healthy
                measure(args, name, port, process.pid, direct, rows)
    common.finish(args, rows, log_dir)


if __name__ == "__main__":
    main()
