"""docs/scheduling-study.md from the figures of study.py: sentences are written here, numbers and verdicts computed."""

import pathlib
import re
import statistics

import study_reasons
import svg_plot

OURS, BASE, CHANCE = "expected-latency", "round-robin", "random"
GOODPUT_WANTED = 0.9  # share of requests within their objectives: throughput is counted up to the load that keeps it
LEVEL_GOODPUT, LEVEL_TTFT = 0.001, 0.02  # a tenth of a percent point, 2 %: closer is no difference
PREFIX_HEAVY = ("agents", "shared-prefix", "documents")
LLM_D = "llm-d-router at ebab6879"
SOURCES = {
    "random": "any endpoint that serves",
    "round-robin": "the next one in turn",
    "least-requests": "fewest requests in flight from here",
    "power-of-two": "the emptier of two at random (Mitzenmacher 2001)",
    "session-hash": "consistent hashing with bounded loads, factor 1.25 (arXiv:1608.01350)",
    "sglang-cache-aware": "sglang's router, `cache_aware`: lightseekorg/smg at 73da68ca, defaults of its command line",
    "dynamo-cost": "NVIDIA Dynamo's KV router: ai-dynamo/dynamo at 01690d42, defaults at 0243c51b; fed by KV events",
    "llm-d-default": f"{LLM_D} without a configuration: queue 2, KV use 2, prefix 3",
    "llm-d-precise-prefix": f"{LLM_D}, deploy/config/epp-precise-prefix-cache-config.yaml; fed by KV events",
    "llm-d-precise-prefix-perf": f"{LLM_D}, test/perf/config/router-configs/precise-prefix.yaml; fed by KV events",
    "llm-d-predicted-latency": f"{LLM_D}, its chart with the latency predictor; our predictor in place of its trained "
                               "models. One scorer: nothing to weigh",
    "expected-latency": "ours, the default of `llmd gateway`, `up` and `sim`",
}
PLOTTED = (OURS, "dynamo-cost", "sglang-cache-aware", "llm-d-default", "llm-d-precise-prefix-perf",
           "llm-d-predicted-latency", "least-requests", BASE, CHANCE, "llm-d-default-tuned",
           "llm-d-precise-prefix-perf-tuned")


def number(value, digits=0):
    return f"{value:,.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


class Cells:
    """The grid's figures, and who is first where."""

    def __init__(self, grid, workloads, cells):
        self.grid, self.workloads, self.cells = grid, workloads, cells

    def at(self, workload, endpoints, load):
        return self.cells[workload, endpoints, load]

    def middle(self, workload, load):
        return self.at(workload, self.grid.middle, load)

    def places(self, workload):
        return [(endpoints, load) for endpoints in self.grid.endpoints for load in self.grid.loads]

    def against(self, found, key):
        """The best of the others: its name, and how far ours is from it; above 0: ours is better. Points of goodput
        in %, or % of its TTFT p90 (of policies that serve at least as much as ours, less a point)."""
        more = key == "goodput"
        others = {name: figures for name, figures in found.items() if name != OURS}
        if not more:
            floor = found[OURS]["goodput"] - 0.01
            others = {name: figures for name, figures in others.items() if figures["goodput"] >= floor} or others
        best = (max if more else min)(others, key=lambda name: others[name][key])
        own, its = found[OURS][key], others[best][key]
        return best, (own - its) * 100 if more else (its / own - 1) * 100

    def first(self, found, key):
        level = LEVEL_GOODPUT * 100 if key == "goodput" else LEVEL_TTFT * 100
        return self.against(found, key)[1] >= -level


def figures_table(found):
    head = ["policy", "goodput %", "TTFT p50", "p90", "p99 ms", "TPOT p90 ms", "hits %", "CV %"]
    rows = []
    for name in sorted(found, key=lambda name: (-found[name]["goodput"], found[name]["ttft_p90_ms"])):
        f = found[name]
        row = [f"**{name}**" if name == OURS else name, number(f["goodput"] * 100, 1), number(f["ttft_p50_ms"]),
               number(f["ttft_p90_ms"]), number(f["ttft_p99_ms"]), number(f["tpot_p90_ms"], 1),
               number(f["hit_rate"] * 100, 1), number(f["busy_variation"] * 100, 1)]
        rows.append(row)
    return table(head, rows)


def matrix(cells, workload, key, unit):
    rows = []
    for endpoints in cells.grid.endpoints:
        row = [str(endpoints)]
        for load in cells.grid.loads:
            best, distance = cells.against(cells.at(workload, endpoints, load), key)
            first = cells.first(cells.at(workload, endpoints, load), key)
            level = abs(distance) < (LEVEL_GOODPUT if key == "goodput" else LEVEL_TTFT) * 100
            row.append(f"level with {best}" if level else f"**ours** {distance:+.1f}" if first else
                       f"{best} {distance:+.1f}")
        rows.append(row)
    return table([f"endpoints ({unit})"] + [f"load {load:g}" for load in cells.grid.loads], rows)


def plot(cells, workload, folder):
    lines = lambda key, factor: {
        name: [(load, max(1e-3, cells.middle(workload, load)[name][key] * factor)) for load in cells.grid.loads]
        for name in PLOTTED if all(name in cells.middle(workload, load) for load in cells.grid.loads)}
    svg = svg_plot.plots([("goodput %", lines("goodput", 100), False),
                          ("TTFT p90, ms (logarithmic)", lines("ttft_p90_ms", 1), True)], "load", OURS)
    (folder / f"{workload}.svg").write_text(svg)


def crossing(curve):
    """The load up to which goodput stays at what is wanted, and whether it is known; between two loads by the straight
    line."""
    if curve[0][1] < GOODPUT_WANTED:
        return curve[0][0], False
    for (load, goodput), (next_load, next_goodput) in zip(curve, curve[1:]):
        if next_goodput < GOODPUT_WANTED:
            return load + (next_load - load) * (goodput - GOODPUT_WANTED) / (goodput - next_goodput), True
    return curve[-1][0], False


def throughput(data, workload):
    """Ours, round robin's and their ratio as text, and the ratio or its bound."""
    texts, loads, exact = [], [], []
    for policy in (OURS, BASE):
        curve = data["throughput"][workload]["curves"][policy]
        load, known = crossing(curve)
        below = not known and curve[0][1] < GOODPUT_WANTED
        texts.append(f"{load:.2f}" if known else f"below {load:g}" if below else f"above {load:g}")
        loads.append(load)
        exact.append("" if known else "<" if below else ">")
    ratio = loads[0] / loads[1]
    if exact == ["", ""]:
        return texts, f"{ratio:.2f}", ratio
    if exact[0] in ("", ">") and exact[1] in ("", "<"):
        return texts, f"above {ratio:.2f}", ratio
    return texts, "not known", None


def verdict(good):
    return "yes" if good else "**no**"


def wanted_rows(cells, data):
    """(what, wanted, found, whether it is met)."""
    rows = []
    names = [workload.name for workload in cells.workloads]
    for key, what in (("goodput", "first in goodput"), ("ttft_p90_ms", "first in TTFT p90")):
        for name in names:
            counts = [cells.first(cells.at(name, *place), key) for place in cells.places(name)]
            rows.append((f"{what}, {name}", "everywhere", f"{sum(counts)} of {len(counts)} cells", all(counts)))
    load = 0.7 if 0.7 in cells.grid.loads else cells.grid.loads[-1]
    for name in names:
        found = cells.middle(name, load)
        own, chance = found[OURS]["hit_rate"], found[CHANCE]["hit_rate"]
        rows.append((f"hit rate of random's, {name} at load {load:g}", "1.7 to 2.3",
                     f"{own / chance if chance else 0:.2f} ({own:.1%} and {chance:.1%}; most of any policy "
                     f"{max(f['hit_rate'] for f in found.values()):.1%})", own >= 1.7 * chance))
    for name in names:
        (own, base), text, ratio = throughput(data, name)
        least = 3.0 if name in PREFIX_HEAVY else 1.5
        rows.append((f"throughput at the objectives of round robin's, {name}", f"{least:g}",
                     f"{text} (load {own} and {base})", ratio is not None and ratio >= least))
    for name in names:
        loads = [load for load in cells.grid.loads if load >= 0.5]
        most = max(cells.middle(name, load)[OURS]["busy_variation"] for load in loads)
        rows.append((f"CV of busy time at load 0.5 and more, {name}", "below 15 %", f"at most {most:.1%}", most < 0.15))
    for name in names:
        seen = [(load, cells.middle(name, load)[OURS]) for load in cells.grid.oracle_loads]
        text = "; ".join(f"load {load:g}: {f['best_instance']:.1%}, regret {f['regret_ms']:.1f} ms" for load, f in seen)
        rows.append((f"best-instance rate, {name}", "above 90 %", text,
                     all(f["best_instance"] > 0.9 for _, f in seen)))
    own = [f[OURS] for f in cells.cells.values()]
    mean, p99 = max(f["decision_us"] for f in own), max(f["decision_p99_us"] for f in own)
    rows.append(("decision in the twin, slowest cell", "mean < 1 ms, p99 < 5 ms", f"{mean:.0f} and {p99:.0f} µs",
                 mean < 1e3 and p99 < 5e3))
    if live := data["live"]:
        p99 = live["decision_p99_us"]  # an edge of a histogram
        rows.append((f"decision live, {live['endpoints']} endpoints", "mean < 1 ms, p99 < 5 ms",
                     f"mean {live['decision_mean_us']:.0f} µs, p99 " +
                     (f"at most {p99:.0f} µs" if p99 < 1e9 else "above the histogram's last edge, 10 ms"),
                     live["decision_mean_us"] < 1e3 and live["decision_p99_us"] <= 5e3))
        rows.append((f"failover live, {live['killed_endpoints']} of {live['endpoints']} endpoints killed", "< 200 ms",
                     f"{live['failover_ms']:.0f} ms", live["failover_ms"] < 200))
    return rows


def best_instance_table(cells):
    """Of each policy, over the workloads."""
    load = cells.grid.oracle_loads[-1]
    names = [workload.name for workload in cells.workloads]
    policies = sorted({policy for name in names for policy in cells.middle(name, load)})
    share = lambda policy, name: cells.middle(name, load).get(policy, {}).get("best_instance", 0.0)
    policies.sort(key=lambda policy: -statistics.mean(share(policy, name) for name in names))
    rows = [[f"**{policy}**" if policy == OURS else policy] + [
        f"{share(policy, name) * 100:.1f} / {number(cells.middle(name, load)[policy]['regret_ms'], 1)}"
        if policy in cells.middle(name, load) else "-" for name in names] for policy in policies]
    return table([f"policy, load {load:g}", *names], rows)


def tuned_table(data):
    rows = []
    for workload, found in data["tuned"].items():
        for config, path in sorted(found.items()):
            text = path.read_text()
            goodput, before = re.search(r"goodput ([\d.]+), before ([\d.]+)", text).groups()
            weights = re.findall(r"pluginRef: \"?([\w-]+)\"?\s*,?\s*weight: ([\d.]+)", text)
            weighed = ", ".join(f"{name.removesuffix('-scorer')} {weight}" for name, weight in weights
                                if name.endswith("-scorer"))
            rows.append([workload, config, weighed, f"{float(before):.1%}", f"{float(goodput):.1%}"])
    return table(["workload", "configuration", "weights found", "goodput with its own", "with these"], rows)


def looks_table(data):
    head = ["workload", "", "goodput %", "TTFT p50", "p90", "p99 ms", "TPOT p90 ms", "hits %", "CV %", "best %",
            "regret ms"]
    rows = []
    for workload, found in data["looks"].items():
        for name, f in found.items():
            rows.append([workload, name, number(f["goodput"] * 100, 1), number(f["ttft_p50_ms"]),
                         number(f["ttft_p90_ms"]), number(f["ttft_p99_ms"]), number(f["tpot_p90_ms"], 1),
                         number(f["hit_rate"] * 100, 1), number(f["busy_variation"] * 100, 1),
                         number(f["best_instance"] * 100, 1), number(f["regret_ms"], 1)])
    return table(head, rows)


def busy_table(cells, data):
    rows, loads = [], sorted({*cells.grid.loads, *(load for f in data["throughput"].values() for load in f["ours"])})
    for workload in (workload.name for workload in cells.workloads):
        seen = {load: cells.middle(workload, load)[OURS] for load in cells.grid.loads}
        seen.update(data["throughput"][workload]["ours"])
        text = lambda f: f"{f['busy_variation'] * 100:.1f} ({f['busy_mean'] * 100:.0f} %)" if f else "-"
        rows.append([workload, *(text(seen.get(load)) for load in loads)])
    return table(["workload", *(f"load {load:g}" for load in loads)], rows)


def differences(cells, workload):
    """Where ours is not the first in goodput at the middle: what the winner has otherwise."""
    lines = []
    for load in cells.grid.loads:
        found = cells.middle(workload, load)
        best, distance = cells.against(found, "goodput")
        if cells.first(found, "goodput"):
            continue
        own, its = found[OURS], found[best]
        both = lambda key, factor=1, digits=0: " and ".join(number(f[key] * factor, digits) for f in (its, own))
        lines.append(f"- load {load:g}: {best} has {-distance:.1f} points more. Of it and ours: hits "
                     f"{both('hit_rate', 100, 1)} %, TTFT p90 {both('ttft_p90_ms')} ms, p99 {both('ttft_p99_ms')} ms, "
                     f"TPOT p90 {both('tpot_p90_ms', 1, 1)} ms, CV {both('busy_variation', 100, 1)} %.")
    return "\n".join(lines)


def workload_section(cells, workload, folder):
    name = workload.name
    plot(cells, name, folder)
    parts = [f"## {name}\n{workload.about[0].upper()}{workload.about[1:]}.",
             f"![goodput and TTFT p90 over the load](study/{name}.svg)",
             "Who is first in goodput, and by how many points ours is ahead (+) or behind (-) the best of the others:",
             matrix(cells, name, "goodput", "points"),
             "The same of TTFT p90, in % of ours, among those whose goodput is at most a point below ours:",
             matrix(cells, name, "ttft_p90_ms", "%")]
    if behind := differences(cells, name):
        parts += [f"Where ours is behind at {cells.grid.middle} endpoints:", behind]
    for load in cells.grid.tables:
        found = cells.middle(name, load)
        rate = next(iter(found.values()))["asked_rps"]
        parts += [f"{cells.grid.middle} endpoints, load {load:g} ({rate:.1f} requests/s):", figures_table(found)]
    return "\n\n".join(parts)


def summary(cells):
    """How often ours is first, of all cells."""
    sentences = []
    for key, what in (("goodput", "goodput"), ("ttft_p90_ms", "TTFT p90")):
        all_cells = [cells.first(found, key) for found in cells.cells.values()]
        sentences.append(f"in {what} in {sum(all_cells)} of {len(all_cells)} cells")
    worst = min(((cells.against(found, "goodput")[1], place) for place, found in cells.cells.items()))
    distance, (workload, endpoints, load) = worst
    best = cells.against(cells.cells[worst[1]], "goodput")[0]
    return (f"`{OURS}` is first, or level with the first, {' and '.join(sentences)}. "
            f"Its worst cell: {workload}, {endpoints} endpoints, load {load:g}: {distance:+.1f} points beside {best}.")


INTRODUCTION = """# Scheduling study
Made by `{command}` and by nobody's hand: run it again with the binary that you have. It took {minutes:.0f} minutes of
`llmd sim`; the machine's other tenants change decision times and nothing else.{note}

{summary}

## What was run
- Fleets of {endpoints} endpoints of the built-in `gpu` profile ([configuration](configuration.md#llmd-sim)), metrics
  read each 50 ms and seen 5 ms later, loads {loads}: 1 is the arrival rate at which endpoints without any prefix cache
  would be always busy. One seed.
- Measured is the second half of the time. The first half fills caches, is what our policy learns from, and is what
  `llmd sim tune` searched for the weights of the policies called *-tuned*: {trials} trials at {middle} endpoints and
  load {tuned_at:g}; of generated workloads on half as many requests, so that nothing measured was searched on at any
  number of endpoints.
- Goodput: share of all requests with TTFT and TPOT within their objectives, 2 s and 50 ms unless the workload has its
  own. CV: standard deviation of the endpoints' busy time by its mean. Hits: prompt tokens that were cached where the
  request went.
- Best-instance rate: at {middle} endpoints one in {every} decisions is held against an oracle, which copies every
  endpoint's engine as it stands, gives each the request, and runs it alone to the first token. The best is within 10 %
  or 1 ms of the least; regret is the mean of what the choice took longer. The oracle knows how long each running answer
  will be, and not who comes next: it is right for one request, not for all.
- Throughput at the objectives: the highest load with a goodput of {wanted:.0%}, between two loads by the straight line,
  beyond the grid with loads {beyond} as far as needed.
- Level: within {level_goodput:.1%} of goodput, or {level_ttft:.0%} of TTFT p90. It counts as first.

Requests of each workload, an endpoint: {requests}; the trace as a whole."""


def introduction(cells, data):
    grid = cells.grid
    join = lambda values: ", ".join(f"{value:g}" for value in values)
    note = "" if grid.share == 1 else f" A quick run: {grid.share:.0%} of the requests and a small grid."
    requests = ", ".join(f"{w.name} {int(w.requests * grid.share)}" for w in cells.workloads if w.requests)
    return INTRODUCTION.format(
        command=data["command"], minutes=data["seconds"] / 60, note=note, summary=summary(cells),
        endpoints=join(grid.endpoints), loads=join(grid.loads), trials=grid.trials, middle=grid.middle,
        tuned_at=grid.tuned_at, every=grid.oracle_every, wanted=GOODPUT_WANTED, beyond=join(grid.beyond),
        level_goodput=LEVEL_GOODPUT, level_ttft=LEVEL_TTFT, requests=requests)


def write(path, grid, workloads, data):
    cells = Cells(grid, workloads, data["cells"])
    folder = path.parent / "study"
    folder.mkdir(exist_ok=True)
    policies = sorted({policy for found in data["cells"].values() for policy in found if not policy.endswith("-tuned")},
                      key=lambda policy: (list(SOURCES).index(policy) if policy in SOURCES else len(SOURCES), policy))
    wanted = wanted_rows(cells, data)
    parts = [introduction(cells, data), "## Policies",
             table(["policy", "what and from where"],
                   [[policy, SOURCES.get(policy, "`simulation/policies/make_policy.cpp` has its source")]
                    for policy in policies]),
             "Weights that were found:", tuned_table(data), "## What was wanted",
             table(["what", "wanted", "found", "met"], [[*row[:3], verdict(row[3])] for row in wanted])]
    parts += ["## Why some are missed", study_reasons.of([row[0] for row in wanted if not row[3]]),
              f"Ours beside itself, {grid.middle} endpoints, load {grid.oracle_loads[-1]:g}: without the harm that a "
              "choice does to others, without the chance to miss an objective, with metrics 5 ms old at most, and with "
              "slots of 32,768 tokens for all (but two longer ones).",
              looks_table(data), "CV of busy time of ours over the load, with the share of the time that endpoints are "
              "busy:", busy_table(cells, data)]
    parts += [f"## The best instance\nShare of choices in % / mean regret in ms, {grid.middle} endpoints.",
              best_instance_table(cells)]
    parts += [workload_section(cells, workload, folder) for workload in workloads]
    path.write_text("\n\n".join(parts) + "\n")
