#!/usr/bin/env python3
"""Is the twin true? One worker on a core of its own is calibrated, serves recorded traffic, and `llmd sim` replays it.

The figure that matters: how far TTFT and TPOT (p50, p90) of the twin are from those of the worker. The client plays
chats at random times through a gateway that records; both sides are read from that record. Load, generator and gateway
are on the other cores. A machine that does other work meanwhile measures that work.
"""

import http.client
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

import common

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


def main():
    parser = common.parser(__doc__, 120, "of each of calibration and traffic")
    parser.add_argument("--model", help="left out: a simulated engine, to see what else differs")
    parser.add_argument("--profile", default="gpu", help="of that engine")
    parser.add_argument("--core", default="1", help="of the worker")
    parser.add_argument("--others", default="0", help="cores of the rest")
    parser.add_argument("--rate", type=float, default=0.5, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logs = common.log_folder()
    profile, trace, out = (logs / name for name in ("profile.yaml", "traffic.jsonl", "twin.json"))
    worker, gateway = common.free_port(), common.free_port()
    engine = ["--model", args.model, "--threads", "1"] if args.model else ["--engine", "sim", "--profile", args.profile]
    pinned = ["taskset", "-c", args.core, args.llmd, "worker", *engine, "--listen", f"127.0.0.1:{worker}",
              "--log-level", "warn"]
    beside = ["taskset", "-c", args.others, args.llmd]
    with (logs / "worker.log").open("w") as log, common.server(pinned, worker, log, "/ready"):
        subprocess.run([*beside, "sim", "calibrate", f"127.0.0.1:{worker}", "--out", profile, "--quiet",
                        "--seconds", str(min(60, args.seconds))], check=True, stdout=subprocess.DEVNULL)
        front = [*beside, "gateway", "--listen", f"127.0.0.1:{gateway}", "--endpoints", f"http://127.0.0.1:{worker}",
                 "--loops", "1", "--admin", "none", "--record", str(trace), "--log-level", "warn"]
        with (logs / "gateway.log").open("w") as front_log, common.server(front, gateway, front_log, "/ready"):
            play(gateway, requests(args.seed, args.seconds, args.rate))
    rows = [row for row in map(json.loads, trace.read_text().splitlines()) if row["status"] == 200]
    subprocess.run([args.llmd, "sim", "compare", "--trace", trace, "--profile", profile, "--endpoints", "1", "--load",
                    "0", "--requests", "0", "--warm-up", "0", "--policies", "round-robin", "--quiet", "--json", out],
                   check=True, stdout=subprocess.DEVNULL)
    twin = json.loads(out.read_text())["policies"][0]
    live = live_figures(rows)
    cached = sum(row["cached_tokens"] for row in rows) / sum(row["input_length"] for row in rows)
    print("".join(line for line in profile.read_text().splitlines(True) if line.startswith("#")), end="")
    print(f"{len(rows)} requests at {args.rate}/s, cached {cached:.2f} live and {twin['hit_rate']:.2f} in the twin")
    found = []
    for name, value in live.items():
        found.append({"figure": name, "live": value, "twin": twin[name], "off": twin[name] / value - 1})
        print(f"{name:12} live {value:8.1f}  twin {twin[name]:8.1f}  off {found[-1]['off'] * 100:+6.1f} %")
    common.finish(args, found, logs)


if __name__ == "__main__":
    sys.exit(main())
