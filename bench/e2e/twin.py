#!/usr/bin/env python3
"""Is the twin true? `llmd up` serves the same traffic under several policies, `llmd sim` replays what it recorded.

The figures that matter: how far TTFT and TPOT (p50, p90) of the twin are from those of the workers, and whether both
put the policies into the same order. Workers have one thread each and are pinned to the cores, in turn; more workers
than cores share them, in the twin too. One of them is calibrated before, also beside busy ones on the other cores and,
if there are more workers than cores, on its own. Both sides are read from the gateway's record. The twin decides for
itself, as it would about traffic that nobody has served yet, the mean over five seeds, as its chance is another than
that of the live run; beside that it repeats the live choices (`recorded`), where what is off is the engines' alone. A
machine that does other work meanwhile measures that work.
"""

import http.client
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import threading
import time

import common

HERE = pathlib.Path(__file__).parent
CALIBRATION_S = 120
SEEDS = 5
TOLERANCE = {"p50": 0.15, "p90": 0.25}
POLICIES = ("random", "active-requests", "llm-d-default", "expected-latency")
WORDS = "time year people way day man thing woman life child world school state family student group country".split()


def text(rng, words):
    return " ".join(rng.choice(WORDS) for _ in range(words))


def requests(seed, seconds, rate):
    """(time, body): half of the chats begin with one of three system prompts."""
    rng = random.Random(seed)
    systems = [text(rng, 180) for _ in range(3)]
    at = 0.0
    while (at := at + rng.expovariate(rate)) < seconds:
        messages = [{"role": "user", "content": text(rng, min(600, int(rng.lognormvariate(4.5, 0.8))))}]
        if rng.random() < 0.5:
            messages.insert(0, {"role": "system", "content": rng.choice(systems)})
        body = {"messages": messages, "max_tokens": rng.randint(8, 64), "ignore_eos": True, "stream": True}
        yield at, json.dumps(body)


def ask(port, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()


def play(port, planned):
    began = time.monotonic()
    threads = []
    for at, body in planned:
        time.sleep(max(0.0, began + at - time.monotonic()))
        threads.append(threading.Thread(target=ask, args=(port, body)))
        threads[-1].start()
    for thread in threads:
        thread.join()


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def live_figures(rows):
    ttft = [row["ttft_ms"] for row in rows]
    tpot = [(row["e2e_ms"] - row["ttft_ms"]) / (row["output_length"] - 1) for row in rows if row["output_length"] > 1]
    return {f"{name}_{key}_ms": quantile(values, share) for name, values in (("ttft", ttft), ("tpot", tpot))
            for key, share in (("p50", 0.5), ("p90", 0.9))}


def worker_processes(pid):
    """(pid, address) of the workers below a process, in the order in which they were started."""
    for folder in common.processes(pid):
        words = (folder / "cmdline").read_bytes().decode().split("\0")
        if "worker" in words:
            yield int(folder.name), words[words.index("--listen") + 1]


def wait_ready(address):
    """`up` is ready with the first of its workers."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("worker", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(address.removeprefix("unix:"))
        connection.request("GET", "/ready")
        if connection.getresponse().status == 200:
            return
        time.sleep(0.1)
    sys.exit(f"{address} does not become ready")


def pin(pid, core):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


class Live:
    """One policy on real workers."""

    def __init__(self, args, logs, policy):
        self.args, self.logs, self.policy = args, logs, policy
        self.trace = logs / f"{policy.stem}.jsonl"

    def serve(self, profile):
        args = self.args
        port = common.free_port()
        command = [args.llmd, "up", "--model", args.model, "--topology", f"unified:{args.workers}", "--threads", "1",
                   "--config", str(self.policy), "--record", str(self.trace), "--listen", f"127.0.0.1:{port}",
                   "--log-level", "warn"]
        log = (self.logs / f"{self.policy.stem}.log").open("w")
        with log, common.server(command, port, log, "/ready") as (process, _):
            pid = process.pid
            workers = list(worker_processes(pid))
            for at, (worker, address) in enumerate(workers):
                wait_ready(address)
                pin(worker, args.cores[at % len(args.cores)])
            if not profile.exists():
                self.calibrate([address for _, address in workers], profile)
            before = self.cpu(pid, workers)
            began = time.monotonic()
            play(port, requests(args.seed, args.seconds, args.rate))
            self.beside = (self.cpu(pid, workers) - before) / (time.monotonic() - began)
        self.rows = [row for row in map(json.loads, self.trace.read_text().splitlines()) if row["status"] == 200]
        if len({row["endpoint"] for row in self.rows}) < args.workers:
            sys.exit(f"{self.policy.stem} did not use each of the workers, so the record does not tell their places")

    def calibrate(self, addresses, profile):
        """The first worker; one on each other core is its neighbour, and one shares its core, where there are such."""
        cores = len(self.args.cores)
        command = [self.args.llmd, "sim", "calibrate", addresses[0], "--out", profile, "--quiet", "--seconds",
                   str(CALIBRATION_S)]
        for neighbour in addresses[1:cores]:
            command += ["--neighbour", neighbour]
        for sharing in addresses[cores:cores + 1]:
            command += ["--sharing", sharing]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def cpu(self, pid, workers):
        """Seconds of the gateway and of this generator."""
        of_workers = sum(common.tree_cpu_seconds(worker) for worker, _ in workers)
        times = os.times()
        return common.tree_cpu_seconds(pid) - of_workers + times.user + times.system

    def replay(self, profile):
        """What the twin makes of the policy's traffic by decisions of its own, and by those of the live run."""
        args = self.args
        out = self.logs / f"{self.policy.stem}.json"
        subprocess.run([args.llmd, "sim", "compare", "--trace", self.trace, "--profile", profile, "--endpoints",
                        str(args.workers), "--load", "0", "--requests", "0", "--warm-up", "0", "--scrape-interval",
                        "200", "--policies", f"{self.policy},recorded", "--seeds", str(SEEDS), "--cores",
                        str(len(args.cores)), "--quiet", "--json", out],
                       check=True, stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())["policies"]


def within(found, share, column):
    """How many figures of a quantile are as near to the live ones as is wanted."""
    of_share = [row for row in found if share in row["figure"]]
    near = sum(abs(row[column]) <= TOLERANCE[share] for row in of_share)
    return f"{near} of {len(of_share)} {share} within {TOLERANCE[share] * 100:.0f} %"


def main():
    parser = common.parser(__doc__, 120, "of each policy's traffic")
    parser.add_argument("--model", required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cores", type=lambda text: [int(core) for core in text.split(",")], default=[0, 1])
    parser.add_argument("--rate", type=float, default=0.8, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policies", type=lambda text: [pathlib.Path(each) for each in text.split(",")],
                        default=[HERE / f"../policies/{name}.yaml" for name in POLICIES])
    args = parser.parse_args()
    logs = common.log_folder()
    profile = logs / "profile.yaml"
    found = []
    for policy in args.policies:
        live = Live(args, logs, policy)
        live.serve(profile)
        twin, repeated = live.replay(profile)
        cached = sum(row["cached_tokens"] for row in live.rows) / sum(row["input_length"] for row in live.rows)
        print(f"{policy.stem}: {len(live.rows)} requests at {args.rate}/s, cached {cached:.2f} live and "
              f"{twin['hit_rate']:.2f} in the twin ({repeated['hit_rate']:.2f} recorded), "
              f"gateway and generator took {live.beside:.2f} of a core")
        for name, value in live_figures(live.rows).items():
            row = {"policy": policy.stem, "figure": name, "live": value,
                   "twin": twin[name], "off": twin[name] / value - 1,
                   "recorded": repeated[name], "recorded_off": repeated[name] / value - 1}
            found.append(row)
            print(f"  {name:12} live {value:8.1f}  twin {row['twin']:8.1f} ({row['off'] * 100:+6.1f} %)  "
                  f"recorded {row['recorded']:8.1f} ({row['recorded_off'] * 100:+6.1f} %)", flush=True)
    for figure in ("ttft_p50_ms", "ttft_p90_ms", "tpot_p50_ms", "tpot_p90_ms"):
        rows = [row for row in found if row["figure"] == figure]
        for side in ("live", "twin"):
            print(f"{figure} {side}: " + ", ".join(row["policy"] for row in sorted(rows, key=lambda row: row[side])))
    for side, column in (("twin", "off"), ("recorded", "recorded_off")):
        print(f"{side}: " + ", ".join(within(found, share, column) for share in TOLERANCE))
    print("".join(line for line in profile.read_text().splitlines(True) if line.startswith("#")), end="")
    common.finish(args, found, logs)


if __name__ == "__main__":
    sys.exit(main())
