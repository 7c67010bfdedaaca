"""What the end-to-end benchmarks share: their arguments, servers under test, and what a process costs."""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request


def parser(doc, seconds, what):
    """A parser with the arguments of every benchmark. Each `what` is bounded by `seconds`."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--llmd", default="build/llmd")
    made.add_argument("--seconds", type=int, default=seconds, help=f"no new request after it, {what}")
    made.add_argument("--out", help="JSON file for all rows")
    return made


def add_model_arguments(to, command):
    """Arguments of benchmarks that serve a model with `command` and with llama-server."""
    to.add_argument("--llama-server", help="path of the peer's binary; left out: only llmd is measured")
    to.add_argument("--model", required=True)
    to.add_argument("--model-name", default="default")
    to.add_argument("--threads", type=int, default=os.cpu_count())
    to.add_argument("--llmd-args", default="", help=f"further arguments of {command}")


def log_folder():
    return pathlib.Path(tempfile.mkdtemp(prefix="llmd-bench-"))


def save(args, rows):
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(rows, indent=1))


def finish(args, rows, log_dir):
    save(args, rows)
    print(f"logs: {log_dir}", file=sys.stderr)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(command, port, log, ready="/health"):
    """Runs one server until its ready path answers 200; stops it by its own pid at the end."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended with {process.returncode}; its log: {log.name}")
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=1) as answer:
                    if answer.status == 200:
                        break
            if time.monotonic() - begin > 120:
                raise SystemExit(f"{command[0]} was not ready within 120 s; its log: {log.name}")
            time.sleep(0.02)
        yield process, time.monotonic() - begin
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def processes(pid):
    """The /proc folders of a process and its children that still run, in the order in which they were started."""
    waiting = [pid]
    while waiting:
        folder = pathlib.Path(f"/proc/{waiting.pop(0)}")
        with contextlib.suppress(OSError):
            tasks = list((folder / "task").iterdir())
            yield folder
            for task in tasks:
                waiting += [int(child) for child in (task / "children").read_text().split()]


def tree_total(pid, read):
    """The sum of read(/proc folder) over a process and its children that still run."""
    total = 0.0
    for folder in processes(pid):
        with contextlib.suppress(OSError):
            total += read(folder)
    return total


def tree_cpu_seconds(pid):
    """User and system seconds of a process and its children that still run."""

    def read(folder):
        fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return tree_total(pid, read)


def idle_memory(pid):
    """Resident MiB of a server's processes, by name and role, in the order in which they were started."""
    found = []
    for folder in processes(pid):
        command = (folder / "cmdline").read_bytes().split(b"\0")
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        anonymous, resident = (int(fields[key].split()[0]) / 1024 for key in ("RssAnon", "VmRSS"))
        name = " ".join(part.decode() for part in command[:2] if not part.startswith((b"-", b"/dev")))
        found.append({"process": pathlib.Path(name).name, "resident_mib": resident, "anonymous_mib": anonymous})
    return found
