#!/usr/bin/env python3
"""The scheduling study: runs `llmd sim` over workloads, endpoints and loads, and writes docs/scheduling-study.md from
what it says. No figure of that page is written by hand.

  bench/study.py                  # the whole grid: about two hours of one core; --jobs 2 halves them
  bench/study.py --quick          # a small grid, to see that all works

Each run is kept under --cache by the bytes of the binary and its arguments: a study that was stopped goes on where it
was, and one that ran before costs nothing. --live takes the --out of bench/e2e/fleet.py for the figures that only a
live gateway has.
"""

import argparse
import concurrent.futures
import dataclasses
import gzip
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time

import study_document

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRACE = ROOT / "bench/traces/mooncake-conversation.jsonl.gz"
POLICIES = ROOT / "bench/policies"
WEIGHTED = ("llm-d-default", "llm-d-precise-prefix", "llm-d-precise-prefix-perf")  # rivals with weights to tune
LOOKS = POLICIES / "looks"
OURS, BASE = "expected-latency", "round-robin"
TIMEOUT_S = 1800  # of one run


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    requests: int  # an endpoint; 0: a trace, always taken whole
    about: str


# So many requests that sessions are under way for most of the time (chat's last the longest), and no more.
WORKLOADS = (
    Workload("mooncake", 0, "Mooncake's conversation trace, 12,031 requests without sessions, 512 tokens a block"),
    Workload("chat", 2000, "people who talk with assistants over 20 system prompts"),
    Workload("agents", 700, "tool loops of 12 turns over 8 long shared prompts"),
    Workload("shared-prefix", 700, "single questions over 12 prompts of some 6,000 tokens, and bursts on new ones"),
    Workload("documents", 750, "questions about documents of 16,000 to 65,000 tokens with several readers"),
    Workload("tenants", 700, "five tenants with objectives and priorities of their own"),
)


@dataclasses.dataclass(frozen=True)
class Grid:
    endpoints: tuple
    loads: tuple
    trials: int  # of a search for weights
    share: float = 1.0  # of the requests
    tables: tuple = (0.5, 0.9, 1.1)  # loads with a table of all policies
    middle: int = 16  # endpoints of tables, plots and tuning
    beyond: tuple = (0.1, 0.2, 1.4, 1.8, 2.4, 3.2, 4.2, 5.6, 7.5, 10.0)  # for throughput at the objective
    oracle_loads: tuple = (0.5, 0.9)
    oracle_every: int = 40
    tuned_at: float = 0.9


FULL = Grid(endpoints=(8, 16, 64), loads=(0.3, 0.5, 0.7, 0.9, 1.1), trials=40)
QUICK = Grid(endpoints=(8, 16), loads=(0.5, 0.9), trials=6, share=0.2, tables=(0.9,), beyond=(0.2, 1.4, 2.4, 4.2, 10.0),
             oracle_loads=(0.9,), oracle_every=40)


class Runner:
    """Runs `llmd sim` with a memory of what it ran."""

    def __init__(self, args):
        self.llmd, self.cache, self.jobs = args.llmd, pathlib.Path(args.cache), args.jobs
        self.cache.mkdir(parents=True, exist_ok=True)
        self.inputs = hashlib.sha256(pathlib.Path(args.llmd).read_bytes() + TRACE.read_bytes()).hexdigest()
        self.seconds = 0.0  # of all runs, also those of former studies that are used again
        self.trace = self.cache / "mooncake-conversation.jsonl"
        self.trace.write_bytes(gzip.decompress(TRACE.read_bytes()))

    def kept(self, arguments, files=()):
        """Where the result of such a run is. Paths do not count, what is in them does."""
        key = hashlib.sha256(self.inputs.encode())
        for part in arguments:
            path = pathlib.Path(part)
            key.update((path.name if path.is_absolute() else part).encode() + b"\0")
            if path.is_absolute() and path.is_file() and path != self.trace:
                key.update(path.read_bytes())
        for file in files:
            key.update(pathlib.Path(file).read_bytes())
        return self.cache / f"{key.hexdigest()[:24]}.json"

    def run(self, arguments, files=(), output="--json"):
        """What the run printed and wrote: {"stdout", "stderr", "written", "seconds"}."""
        place = self.kept(arguments, files)
        if not place.exists():
            written = place.with_suffix(".out")
            began = time.monotonic()
            done = subprocess.run([self.llmd, "sim", *arguments, "--quiet", output, str(written)], capture_output=True,
                                  text=True, timeout=TIMEOUT_S)
            if done.returncode != 0:
                raise SystemExit(f"llmd sim {' '.join(arguments)}: {done.stderr}")
            found = {"arguments": arguments, "stdout": done.stdout, "stderr": done.stderr,
                     "written": written.read_text(), "seconds": time.monotonic() - began}
            written.unlink()
            partial = place.with_suffix(".part")
            partial.write_text(json.dumps(found))
            partial.rename(place)
        result = json.loads(place.read_text())
        self.seconds += result["seconds"]
        return result

    def traffic(self, workload, endpoints, load, share, more=1.0):
        requests = int(workload.requests * endpoints * share * more)
        trace = str(self.trace) if workload.requests == 0 else workload.name
        if workload.requests == 0 and share < 1:
            requests = int(12_031 * share)
        return ["--trace", trace, "--endpoints", str(endpoints), "--load", f"{load:g}", "--requests", str(requests)]

    def tune(self, workload, grid, config):
        """The configuration with weights found on the first half, as a file named after it. Half as many requests as
        the tables have, so that what was searched is before what is measured at 8 endpoints and more."""
        half = 0.5 if workload.requests else 1.0
        arguments = ["tune", *self.traffic(workload, grid.middle, grid.tuned_at, grid.share, half), "--config",
                     str(config), "--trials", str(grid.trials)]
        text = self.run(arguments, [config], "--out")["written"]
        folder = self.cache / "tuned" / hashlib.sha256(text.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{config.stem}-tuned.yaml"
        path.write_text(text)
        return path

    def compare(self, workload, grid, endpoints, load, policies, files=(), more=1.0, flags=()):
        """{policy: figures}."""
        arguments = ["compare", *self.traffic(workload, endpoints, load, grid.share, more), "--policies",
                     ",".join([*policies, *map(str, files)]), *flags]
        if endpoints == grid.middle and load in grid.oracle_loads:
            arguments += ["--oracle-every", str(grid.oracle_every)]
        result = self.run(arguments, files)
        comparison = json.loads(result["written"])
        found = {policy["name"]: policy for policy in comparison["policies"]}
        for name, (rate, p99_us) in decision_times(result["stdout"]).items():
            found[name].update(decision_us=1e6 / rate if rate else 0.0, decision_p99_us=p99_us)
        for policy in found.values():
            policy["asked_rps"] = comparison["arrivals_per_s"]
        return found


def decision_times(table):
    """{policy: (decisions a second, p99 in us)} of the table that `sim compare` prints."""
    rows = [re.split(r" {2,}", line.strip()) for line in table.splitlines()[1:]]
    head = rows[0]
    rate, p99 = head.index("decisions/s"), head.index("p99 us")
    return {row[0]: (0.0 if row[rate] == "-" else float(row[rate]), float(row[p99])) for row in rows[1:]}


def find_throughput(runner, workload, grid, at_middle):
    """Round robin's and ours' goodput over the load, with loads beyond the grid until each has crossed 90 %, and all of
    ours' figures there."""
    curves = {policy: sorted((load, found[policy]["goodput"]) for load, found in at_middle.items())
              for policy in (BASE, OURS)}
    enough, beyond = study_document.GOODPUT_WANTED, {}

    def go_on(loads, end, is_open):
        for load in loads:
            policies = [policy for policy, curve in curves.items() if is_open(curve[end][1])]
            if not policies:
                return
            more = max(1.0, load / max(grid.loads)) if workload.requests else 1.0
            found = runner.compare(workload, grid, grid.middle, load, policies, more=more)
            beyond[load] = found.get(OURS)
            for policy, figures in found.items():
                curves[policy] = sorted([*curves[policy], (load, figures["goodput"])])

    go_on([load for load in grid.beyond if load > max(grid.loads)], -1, lambda goodput: goodput >= enough)
    go_on([load for load in reversed(grid.beyond) if load < min(grid.loads)], 0, lambda goodput: goodput < enough)
    return {"curves": curves, "ours": {load: figures for load, figures in beyond.items() if figures}}


def look(runner, workload, grid):
    """Ours beside itself without one of its terms, with fresh metrics, and with other engines: {name: figures}."""
    load = grid.oracle_loads[-1]
    ours = lambda *flags: runner.compare(workload, grid, grid.middle, load, [OURS], flags=flags)[OURS]
    found = runner.compare(workload, grid, grid.middle, load, [OURS], sorted(LOOKS.glob("*.yaml")))
    return {**found, "fresh metrics": ours("--scrape-interval", "5", "--scrape-delay", "0"),
            "wide slots": ours("--profile", str(ROOT / "bench/profiles/wide-slots.yaml"))}


def study(runner, grid, workloads, progress):
    """Everything that the document is made of."""
    configs = [POLICIES / f"{name}.yaml" for name in WEIGHTED]
    data = {"tuned": {}, "cells": {}, "throughput": {}, "looks": {}}
    with concurrent.futures.ThreadPoolExecutor(runner.jobs) as pool:
        jobs = {pool.submit(runner.tune, workload, grid, config): (workload.name, config.stem)
                for workload in workloads for config in configs}
        for done in concurrent.futures.as_completed(jobs):
            workload, config = jobs[done]
            data["tuned"].setdefault(workload, {})[config] = done.result()
            progress(f"tuned {config} on {workload}")
        jobs = {}
        for workload in workloads:
            files = [data["tuned"][workload.name][config.stem] for config in configs]
            for endpoints in grid.endpoints:
                for load in grid.loads:
                    jobs[pool.submit(runner.compare, workload, grid, endpoints, load, ["builtin"], files)] = (
                        workload.name, endpoints, load)
        for number, done in enumerate(concurrent.futures.as_completed(jobs), 1):
            data["cells"][jobs[done]] = done.result()
            progress("{}/{}: {} at {} endpoints, load {}".format(number, len(jobs), *jobs[done]))
        jobs = {}
        for workload in workloads:
            at_middle = {load: data["cells"][workload.name, grid.middle, load] for load in grid.loads}
            jobs[pool.submit(find_throughput, runner, workload, grid, at_middle)] = ("throughput", workload.name)
            jobs[pool.submit(look, runner, workload, grid)] = ("looks", workload.name)
        for done in concurrent.futures.as_completed(jobs):
            what, workload = jobs[done]
            data[what][workload] = done.result()
            progress(f"{what} of {workload}")
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llmd", default=str(ROOT / "build/llmd"))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--quick", action="store_true", help="a small grid with a fifth of the requests")
    parser.add_argument("--workloads", default=",".join(workload.name for workload in WORKLOADS), help="only these")
    parser.add_argument("--cache", default=str(ROOT / ".cache/study"), help="folder for what was run")
    parser.add_argument("--live", help="figures of bench/e2e/fleet.py")
    parser.add_argument("--out", default=str(ROOT / "docs/scheduling-study.md"))
    args = parser.parse_args()
    grid = QUICK if args.quick else FULL
    workloads = [workload for workload in WORKLOADS if workload.name in args.workloads.split(",")]
    runner = Runner(args)
    began = time.monotonic()
    progress = lambda what: print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)
    data = study(runner, grid, workloads, progress)
    data["live"] = json.loads(pathlib.Path(args.live).read_text()) if args.live else None
    data["seconds"] = runner.seconds
    data["command"] = "bench/study.py" + (" --quick" if args.quick else "")
    study_document.write(pathlib.Path(args.out), grid, workloads, data)
    print(f"{args.out}: {runner.seconds:.0f} s of runs, {time.monotonic() - began:.0f} s now", file=sys.stderr)


if __name__ == "__main__":
    main()
