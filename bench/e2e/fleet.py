#!/usr/bin/env python3
"""A large fleet, live: what scraping and deciding cost a gateway, and what becomes of requests when endpoints fail.

Many endpoints of `llmd worker --engine sim` in a few processes, one gateway that looks at each every second. First
nobody asks (what the CPU goes into then is scraping), then requests come at a stated rate, then one process is killed
(SIGKILL), one paused (SIGSTOP, then SIGCONT) and endpoints of a third are slowed down, under the same load. Every
request is accounted for. The figures that matter: CPU of scraping and of a request, the time of a decision, how long
after the kill a dead endpoint was still chosen, and that nothing is lost which had not begun to stream. Loopback only,
bounded in requests and time.

  bench/e2e/fleet.py                                   # 1,000 endpoints in 4 processes
  bench/e2e/fleet.py --endpoints 20 --seconds 5        # what the integration test runs
"""

import asyncio
import collections
import contextlib
import dataclasses
import json
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import common

DEADLINE_S = 60  # of one request
PAUSE_S = 3
SLOW_FACTOR = 20
WORDS = ("river", "music", "winter", "engine")


@dataclasses.dataclass
class Asked:
    """One request and what became of it. Times are of time.monotonic()."""

    id: str
    sent: float
    status: int = 0
    first_token: float = 0.0
    ended: float = 0.0
    done: bool = False  # the stream came to its end
    error: str = ""
    why: dict | None = None  # of the explanation: the endpoint that was chosen, and how often another was tried

    def outcome(self):
        """done; cut: an error event after its first token, which is allowed; else why it was lost or refused."""
        if self.done:
            return "done"
        if self.first_token:
            return "cut after its first token"
        return f"status {self.status}: {self.error or 'no answer'}" if self.status else self.error or "no answer"


def body_of(rng, args):
    """A prompt that shares its first third with one in eight others."""
    words = lambda seed, size: " ".join(random.Random(seed).choices(WORDS, k=size // 6))
    text = words(rng.randrange(8), args.prompt_bytes // 3) + words(rng.random(), args.prompt_bytes * 2 // 3)
    return json.dumps({"prompt": text, "max_tokens": args.tokens, "stream": True}).encode()


async def ask(port, asked, body):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        head = (f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
                f"x-request-id: {asked.id}\r\nContent-Length: {len(body)}\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        asked.status = int((await reader.readline()).split()[1])
        while True:
            line = await reader.readline()
            if not line:
                break
            if line.startswith(b"data: [DONE]"):
                asked.done = True
                break
            if b'"error"' in line:
                asked.error = (re.findall(rb'"code": *"([^"]*)"', line) or [line[:200]])[0].decode(errors="replace")
            elif line.startswith(b"data: ") and not asked.first_token:
                asked.first_token = time.monotonic()
    finally:
        writer.close()


async def ask_in_time(port, asked, body, admin):
    try:
        async with asyncio.timeout(DEADLINE_S):
            await ask(port, asked, body)
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError) as error:
        asked.error = asked.error or type(error).__name__
    asked.ended = time.monotonic()
    if admin is not None:  # at once: a gateway of many endpoints keeps its explanations for seconds
        for _ in range(3):  # the outcome is noted just after the client has its last byte
            record = await asyncio.get_running_loop().run_in_executor(None, admin.get, f"/explanations/{asked.id}")
            if record and record.get("outcome"):
                asked.why = {"chosen": record["chosen"], "retries": record["outcome"]["retries"]}
                break
            await asyncio.sleep(0.05)


async def load(args, port, name, rng, seconds=None, admin=None):
    """Requests at random times with the stated mean rate for --seconds. Returns when all have ended."""
    tasks, all_asked = [], []
    began = at = time.monotonic()
    while (at := at + rng.expovariate(args.rate)) < began + (seconds or args.seconds):
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        all_asked.append(Asked(f"{name}-{len(all_asked)}", time.monotonic()))
        tasks.append(asyncio.create_task(ask_in_time(port, all_asked[-1], body_of(rng, args), admin)))
    await asyncio.gather(*tasks)
    return all_asked


def free_ports(count):
    """The first of so many ports that were free a moment ago, outside the range from which clients get theirs."""
    for first in range(20_000, 32_000 - count, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise SystemExit(f"no {count} free ports in a row")


@contextlib.contextmanager
def process(command, log):
    """One process that ends with the block, by its own pid."""
    with log.open("w") as out:
        started = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, start_new_session=True)
    try:
        yield started
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGCONT)
            started.terminate()
            try:
                started.wait(15)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def get(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def wait_for(condition, what, deadline_s):
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {deadline_s} s")
        time.sleep(0.1)


class Admin:
    """The gateway's control socket."""

    def __init__(self, path):
        self.path = path

    def get(self, target):
        """The JSON, or None."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.path)
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while piece := sock.recv(1 << 16):
                data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        if head.split()[1] != b"200":
            return None
        if b"chunked" in head.lower():
            text = b""
            while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
                start = rest.index(b"\r\n") + 2
                text, rest = text + rest[start:start + size], rest[start + size + 2:]
            rest = text
        return json.loads(rest)


def series(page, name):
    """The sum over a metric's series."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? ([0-9.e+-]+)$", page, re.MULTILINE))


def buckets(page, name):
    found = re.findall(rf'^{name}_bucket{{[^}}]*le="([^"]+)"[^}}]*}} ([0-9.e+-]+)$', page, re.MULTILINE)
    return [(float(edge.replace("+Inf", "inf")), float(count)) for edge, count in found]


def histogram(before, after, name):
    """Mean, and the upper edges of the buckets of p50 and p99, of what came between two pages; microseconds."""
    count = series(after, f"{name}_count") - series(before, f"{name}_count")
    total = series(after, f"{name}_sum") - series(before, f"{name}_sum")
    counts = [(edge, a - b) for (edge, a), (_, b) in zip(buckets(after, name), buckets(before, name))]
    edge = lambda share: next((e for e, below in counts if below >= share * count), 0.0) * 1e6
    return {"mean_us": total / max(1, count) * 1e6, "p50_us": edge(0.5), "p99_us": edge(0.99)}


@dataclasses.dataclass
class Fleet:
    workers: list  # processes
    names: list  # of the endpoints of each
    ports: list
    gateway: subprocess.Popen
    port: int
    admin: Admin

    def page(self):
        return get(f"http://127.0.0.1:{self.port}/metrics")


@contextlib.contextmanager
def fleet(args, logs):
    with contextlib.ExitStack() as stack:
        workers, names, ports, listed = [], [], [], ["endpoints:"]
        each = args.endpoints // args.processes
        for place in range(args.processes):
            first = free_ports(each)
            command = [args.llmd, "worker", "--engine", "sim", "--profile", args.profile, "--listen",
                       f"127.0.0.1:{first}", "--sim-endpoints", each, "--log-level", "warn"]
            workers.append(stack.enter_context(process(command, logs / f"worker-{place}.log")))
            wait_for(lambda: ready(workers[-1], first + each - 1), f"worker {place}", 60)
            ports.append(range(first, first + each))
            names.append({f"default/w{place}-{i}" for i in range(each)})
            listed += [f'- {{name: w{place}-{i}, address: 127.0.0.1, port: "{first + i}"}}' for i in range(each)]
        (logs / "endpoints.yaml").write_text("\n".join(listed) + "\n")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="llmd-fleet-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder)
        port = common.free_port()
        command = [args.llmd, "gateway", "--listen", f"127.0.0.1:{port}", "--endpoints", logs / "endpoints.yaml",
                   "--probe-interval", args.probe_interval, "--admin", f"unix:{folder}/admin.sock", "--log-level",
                   "warn", *args.gateway_args.split()]
        gateway = stack.enter_context(process(command, logs / "gateway.log"))
        made = Fleet(workers, names, ports, gateway, port, Admin(f"{folder}/admin.sock"))
        wait_for(lambda: ready(gateway, port), "the gateway", 60)
        known = lambda: series(made.page(), "llmd_gateway_endpoints_ready")
        wait_for(lambda: known() == each * args.processes, "all endpoints", 60)
        yield made


def ready(started, port):
    if started.poll() is not None:
        raise SystemExit(f"{started.args[:2]} ended with {started.returncode}")
    with contextlib.suppress(OSError):
        return bool(get(f"http://127.0.0.1:{port}/ready", 2))
    return False


class Watch:
    """CPU of a process and what its counters did between two moments."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.page, self.cpu_s, self.at = fleet.page(), common.tree_cpu_seconds(fleet.gateway.pid), time.monotonic()

    def stop(self):
        page = self.fleet.page()
        found = {"seconds": time.monotonic() - self.at,
                 "cpu_s": common.tree_cpu_seconds(self.fleet.gateway.pid) - self.cpu_s,
                 "probes": series(page, "llmd_pool_probes_total") - series(self.page, "llmd_pool_probes_total")}
        found["decisions"] = histogram(self.page, page, "llmd_gateway_decision_seconds")
        return found


def put_busiest_first(fleet):
    """Faults hit the processes in their order: those with the most requests come first."""
    load = {each["name"]: each["inflight_requests"] for each in fleet.admin.get("/endpoints")["endpoints"]}
    order = sorted(range(len(fleet.workers)), key=lambda i: -sum(load.get(name, 0) for name in fleet.names[i]))
    for field in ("workers", "names", "ports"):
        setattr(fleet, field, [getattr(fleet, field)[i] for i in order])


async def faults(fleet):
    """Kills the first process, slows some endpoints of the third, and pauses the second for a while."""
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, put_busiest_first, fleet)
    for port in list(fleet.ports[2])[: max(1, len(fleet.ports[2]) // 5)]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/sim/speed", b'{"factor": %d}' % SLOW_FACTOR,
                                         {"Content-Type": "application/json"})
        await loop.run_in_executor(None, lambda: urllib.request.urlopen(request, timeout=5).read())
    fleet.workers[0].kill()
    killed = time.monotonic()
    known = await loop.run_in_executor(None, when_known, fleet, killed)
    await asyncio.sleep(max(0.0, killed + 2 - time.monotonic()))
    fleet.workers[1].send_signal(signal.SIGSTOP)
    await asyncio.sleep(PAUSE_S)
    fleet.workers[1].send_signal(signal.SIGCONT)
    return killed, known


def when_known(fleet, killed):
    """Seconds from the kill until the gateway counts no dead endpoint as ready; looked at each 20 ms, for 5 s."""
    alive = sum(len(names) for names in fleet.names[1:])
    while time.monotonic() < killed + 5:
        if series(fleet.page(), "llmd_gateway_endpoints_ready") <= alive:
            break
        time.sleep(0.02)
    return time.monotonic() - killed


async def load_with_faults(args, fleet, rng):
    return await asyncio.gather(load(args, fleet.port, "faults", rng, admin=fleet.admin), faults(fleet))


def failover(fleet, all_asked, killed):
    """What the explanations say of requests that were sent after the kill, or were under way then."""
    dead, choices, waits, unknown = fleet.names[0], [], [], 0
    for asked in sorted((a for a in all_asked if a.ended >= killed), key=lambda a: a.sent):
        if asked.why is None:
            unknown += 1
        elif asked.why["chosen"] in dead:
            if asked.sent >= killed:
                choices.append((asked.sent - killed, asked.why["chosen"]))
            if asked.why["retries"] and asked.first_token:
                waits.append(asked.first_token - max(killed, asked.sent))
    of_one = collections.Counter(name for _, name in choices)
    return {"dead_choices": len(choices), "dead_choices_of_one": max(of_one.values(), default=0),
            "failover_ms": max((at for at, _ in choices), default=0.0) * 1e3, "unexplained": unknown,
            "retried": len(waits), "retried_ttft_max_ms": max(waits, default=0.0) * 1e3}


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def measure(args, fleet):
    rng = random.Random(args.seed)
    cores = lambda watched: watched["cpu_s"] / watched["seconds"]
    asyncio.run(load(args, fleet.port, "warm", rng, seconds=2))
    idle = Watch(fleet)
    time.sleep(args.seconds)
    idle = idle.stop()
    busy = Watch(fleet)
    asked = asyncio.run(load(args, fleet.port, "load", rng))
    busy = busy.stop()
    resident = common.idle_memory(fleet.gateway.pid)[0]["resident_mib"]
    faulty, (killed, known) = asyncio.run(load_with_faults(args, fleet, rng))
    found = failover(fleet, faulty, killed)
    outcomes = collections.Counter(one.outcome() for one in [*asked, *faulty])
    page = fleet.page()
    of_requests_s = busy["cpu_s"] - cores(idle) * busy["seconds"]
    return {
        "endpoints": args.endpoints, "processes": args.processes, "rate": args.rate, "loops": args.gateway_args,
        "requests": len(asked) + len(faulty), "outcomes": dict(outcomes),
        "lost": sum(count for what, count in outcomes.items() if what not in ("done", "cut after its first token")),
        "killed_endpoints": len(fleet.names[0]), "known_dead_ms": known * 1e3, **found,
        "scraping_cores": cores(idle), "probes_per_s": idle["probes"] / idle["seconds"],
        "probe_cpu_us": idle["cpu_s"] / max(1, idle["probes"]) * 1e6,
        "request_cpu_us": of_requests_s / max(1, len(asked)) * 1e6, "busy_cores": cores(busy),
        **{f"decision_{key}": value for key, value in busy["decisions"].items()}, "resident_mib": resident,
        "ttft_p50_ms": quantile([one.first_token - one.sent for one in asked if one.first_token], 0.5) * 1e3,
        "ttft_p99_ms": quantile([one.first_token - one.sent for one in asked if one.first_token], 0.99) * 1e3,
        "retries_total": series(page, "llmd_gateway_retries_total"),
    }


def show(row):
    print("""{endpoints} endpoints in {processes} processes, {rate:g} requests/s: {requests} requests; {lost} lost
outcomes: {outcomes}
scraping: {scraping_cores:.3f} of a core at {probes_per_s:.0f} probes/s ({probe_cpu_us:.0f} us each)
requests: {request_cpu_us:.0f} us of CPU each; TTFT p50 {ttft_p50_ms:.0f}, p99 {ttft_p99_ms:.0f} ms
decisions: mean {decision_mean_us:.0f} us, p50 and p99 at most {decision_p50_us:.0f} and {decision_p99_us:.0f} us
memory: {resident_mib:.0f} MiB resident
kill of {killed_endpoints} endpoints: all known to be gone after {known_dead_ms:.0f} ms; chosen {dead_choices} times, \
the last after {failover_ms:.0f} ms; none more than {dead_choices_of_one} times
tried again: {retried} requests, first token at most {retried_ttft_max_ms:.0f} ms after the kill or their arrival
without an explanation: {unexplained} requests""".format(**row))


def main():
    parser = common.parser(__doc__, 15, "in each of three parts")
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4, help="at least 3, one for each fault")
    parser.add_argument("--rate", type=float, default=60, help="requests a second")
    parser.add_argument("--tokens", type=int, default=64, help="of an answer")
    parser.add_argument("--prompt-bytes", type=int, default=12_000, help="four are a token")
    parser.add_argument("--profile", default="gpu")
    parser.add_argument("--probe-interval", type=int, default=1000, help="milliseconds")
    parser.add_argument("--gateway-args", default="", help="further arguments of llmd gateway")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logs = common.log_folder()
    with fleet(args, logs) as made:
        row = measure(args, made)
    show(row)
    common.finish(args, row, logs)
    return 1 if row["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
