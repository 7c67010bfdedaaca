#!/usr/bin/env python3
"""Engine benchmark: llmd beside llama-server, same model, same threads, one run.

Question: does `llmd up` deliver more tokens per second, sooner and more evenly, than llama-server on the same mix?
The numbers that matter: output tokens/s, TTFT p50, TPOT p99. Baseline: llama-server with its defaults (and with its
best settings, reported beside). Everything runs on loopback, one server at a time, bounded in requests and time.

  bench/e2e/run.py --llmd build/llmd --loadgen build/bench/llmd-loadgen --llama-server PATH --model FILE

The peer's binary is taken by path; llmd's cached engine source builds one (docs/benchmarks.md says how).
"""

import json
import subprocess

import common
from common import free_port, idle_memory, server, tree_cpu_seconds
from limit import measure_limit

# name, loadgen workload, prompt tokens, output tokens, requests at 1 / 8 / 32 clients
WORKLOADS = [
    ("a unique-500", "unique", 500, 64, {1: 6, 8: 24, 32: 64}),
    ("b shared-1000", "shared", 1000, 32, {1: 12, 8: 48, 32: 96}),
    ("c multi-turn", "chat", 0, 48, {1: 4, 8: 32, 32: 96}),
    ("d short-256", "unique", 24, 256, {1: 2, 8: 16, 32: 64}),
]


def print_cell(cell):
    ttft, tpot = cell["ttft_ms"], cell["tpot_ms"]
    print(
        f"{cell['server']:22} {cell['label']:14} {cell['clients']:3} clients  "
        f"{cell['output_tokens_per_second']:8.1f} tok/s out  {cell['total_tokens_per_second']:9.1f} all  "
        f"TTFT {ttft['p50']:8.1f}/{ttft['p99']:8.1f} ms  TPOT {tpot['p50']:6.1f}/{tpot['p99']:6.1f} ms  "
        f"failed {cell['failed']} {cell['errors'][:1] if cell['failed'] else ''}",
        flush=True,
    )


def print_idle(name, ready_s, pid, rows):
    rows.append({"server": name, "ready_s": ready_s, "idle": idle_memory(pid)})
    memory = ", ".join(
        f"{one['process']} {one['resident_mib']:.0f} ({one['anonymous_mib']:.0f} without files)"
        for one in rows[-1]["idle"]
    )
    print(f"{name:22} ready after {ready_s:.2f} s; resident MiB: {memory}", flush=True)


def measure_cell(args, name, command, port, row, clients, rows, log):
    label, workload, prompt, output, requests = row
    with server(command, port, log) as (process, ready_s):
        if not any(earlier.get("server") == name and "idle" in earlier for earlier in rows):
            print_idle(name, ready_s, process.pid, rows)
        before = tree_cpu_seconds(process.pid)
        done = subprocess.run(
            [
                args.loadgen,
                "--url",
                f"127.0.0.1:{port}",
                "--workload",
                workload,
                "--clients",
                str(clients),
                "--requests",
                str(requests[clients] * args.scale),
                "--prompt-tokens",
                str(prompt),
                "--output-tokens",
                str(output),
                "--seconds-max",
                str(args.seconds),
                "--model",
                args.model_name,
            ],
            capture_output=True,
            text=True,
            timeout=args.seconds * 3 + 60,
        )
        if done.returncode != 0:
            raise SystemExit(f"loadgen failed: {done.stderr}")
        cell = json.loads(done.stdout)
        cell |= {
            "server": name,
            "label": label,
            "ready_s": ready_s,
            "cpu_s": tree_cpu_seconds(process.pid) - before,
        }
        rows.append(cell)
        print_cell(cell)


def measure_limit_of(args, row, clients, rows):
    """Workloads of one length only: llama-batched-bench knows no others."""
    label, workload, prompt, output, _ = row
    if not args.batched_bench or workload != "unique":
        return
    limit = measure_limit(args.batched_bench, args.model, args.threads, clients, prompt, output)
    rows.append(limit | {"server": "llama-batched-bench", "label": label, "clients": clients})
    print(
        f"{'llama-batched-bench':22} {label:14} {clients:3} clients  "
        f"{limit['output_tokens_per_second']:8.1f} tok/s out",
        flush=True,
    )


def measure(args, contenders, port, rows, log_dir):
    """Cell by cell, one contender after the other, so that a machine that slows down for minutes slows all of them. A
    fresh server for each: no cell profits from the cache that another one filled."""
    logs = {name: open(log_dir / f"{name}.log", "wb") for name, _ in contenders}
    for row in WORKLOADS:
        if args.only and not row[0].startswith(tuple(args.only)):
            continue
        for clients in args.clients:
            for name, command in contenders:
                measure_cell(args, name, command, port, row, clients, rows, logs[name])
            measure_limit_of(args, row, clients, rows)


def main():
    parser = common.parser(__doc__, seconds=120, what="a cell")
    common.add_model_arguments(parser, "llmd up")
    parser.add_argument("--loadgen", default="build/bench/llmd-loadgen")
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 8, 32])
    parser.add_argument("--only", nargs="*", help="workload letters")
    parser.add_argument("--scale", type=int, default=1, help="multiplies the number of requests")
    parser.add_argument("--best", action="store_true", help="llama-server with a slot a client as well")
    parser.add_argument("--batched-bench", help="path of llama-batched-bench: what the library gives without a server")
    args = parser.parse_args()
    log_dir = common.log_folder()
    rows = []
    port = free_port()
    contenders = [
        (
            "llmd",
            [
                args.llmd,
                "up",
                "--model",
                args.model,
                "--listen",
                f"127.0.0.1:{port}",
                "--threads",
                str(args.threads),
                *args.llmd_args.split(),
            ],
        )
    ]
    if args.llama_server:
        base = [args.llama_server, "-m", args.model, "--port", str(port), "-t", str(args.threads), "--no-webui"]
        contenders.append(("llama-server", base))
        if args.best:
            contenders.append(("llama-server-np32", base + ["-np", "32", "-c", str(32 * 2048), "--cache-reuse", "0"]))
    measure(args, contenders, port, rows, log_dir)
    common.finish(args, rows, log_dir)


if __name__ == "__main__":
    main()
