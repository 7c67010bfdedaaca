#!/usr/bin/env python3
"""Numerics benchmark: does an answer depend on what else the server does? llmd beside llama-server, in one run.

Question: of 50 greedy answers, how many change when the prompts come 8 at a time, in another order, instead of one by
one? Where a text changes, how far apart were its two best tokens? The numbers that matter: the share of changed texts,
the largest gap between the logprobs of the first and second token at the first difference, and, on what two answers
have in common, the largest difference of the first token's logprob. `llmd worker --numerics exact` promises 0 for all.

  bench/e2e/numerics.py --llmd build/llmd --llama-server PATH --model "$(tools/fetch_model.sh)" --out numerics.json

Three runs a contender: `alone` (a fresh server, one request at a time), `warm` (the same server, its cache full of
`alone`, 8 at a time, other order) and `cold` (a fresh server, otherwise as `warm`: here prompts share batches). `warm`
and `cold` are each compared with `alone`. Caches are as by default. Exit status 1: exact broke its promise.
"""

import concurrent.futures
import functools
import json
import pathlib
import random
import signal
import statistics
import sys
import time
import urllib.error
import urllib.request

import common
from common import free_port, server, tree_cpu_seconds

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "integration"))
from pd_prompts import all_prompts  # noqa: E402

# Tokens of one llama-server slot: the longest prompt and its output fit.
SLOT_TOKENS = 2048


def steps_of(choice):
    """A choice's tokens as (name, logprob, logprob of the second best); named by id where the server gives it.

    llama-server gives no entry for a token that ends inside a UTF-8 character, so such a token is not compared.
    llmd's top_logprobs is an object: two parts of characters may share a key in it, and the worse one is what is left.
    """
    logprobs = choice["logprobs"]
    if logprobs is None:
        return []
    if "content" in logprobs:
        return [(step["id"], *(top["logprob"] for top in step["top_logprobs"])) for step in logprobs["content"]]
    columns = (logprobs[key] for key in ("tokens", "token_logprobs", "top_logprobs"))
    return [(token, logprob, min(top.values())) for token, logprob, top in zip(*columns, strict=True)]


def ask(args, port, prompt, deadline):
    left = deadline - time.monotonic()
    if left <= 0:
        return None
    body = {"model": args.model_name, "prompt": prompt, "max_tokens": args.output_tokens, "logprobs": 2}
    body |= {"temperature": 0, "seed": 1}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=left + 30) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"POST /v1/completions: {error.code} {error.read(500).decode(errors='replace')}") from error
    choice, usage = answer["choices"][0], answer["usage"]
    return {
        "text": choice["text"],
        "steps": steps_of(choice),
        "prompt_tokens": usage["prompt_tokens"],
        "output_tokens": usage["completion_tokens"],
        "cached_tokens": (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
    }


def send(args, port, prompts, order, clients):
    """Answers by prompt (None: the time was over before it was sent), and what the run took."""
    answers = [None] * len(prompts)
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        futures = {i: pool.submit(ask, args, port, prompts[i], begin + args.seconds) for i in order}
        try:
            for i, future in futures.items():
                answers[i] = future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    wall_s = time.monotonic() - begin
    done = [answer for answer in answers if answer]
    totals = {key: sum(answer[key] for answer in done) for key in ("prompt_tokens", "output_tokens", "cached_tokens")}
    return answers, {"clients": clients, "wall_s": wall_s, "answered": len(done), **totals}


def compare(alone, other):
    """What changed between two runs: gaps are those of `alone` at the first token that differs."""
    pairs = [(i, a, b) for i, (a, b) in enumerate(zip(alone, other, strict=True)) if a and b]
    changed, deltas, common = [], [0.0], 0
    for i, a, b in pairs:
        ids_a, ids_b = ([step[0] for step in answer["steps"]] for answer in (a, b))
        same = next((n for n, (x, y) in enumerate(zip(ids_a, ids_b)) if x != y), min(len(ids_a), len(ids_b)))
        common += same
        deltas += [abs(x[1] - y[1]) for x, y in zip(a["steps"][:same], b["steps"][:same])]
        if a["text"] != b["text"] or ids_a != ids_b:
            # The end of a text is no entry: where only one run goes on, the gap is that run's.
            longer = a if same < len(ids_a) else b
            gap = longer["steps"][same][1] - longer["steps"][same][2] if same < len(longer["steps"]) else None
            changed.append({"prompt": i, "at_token": same, "gap": gap})
    gaps = [change["gap"] for change in changed if change["gap"] is not None]
    return {
        "compared": len(pairs),
        "changed": len(changed),
        "gap_max": max(gaps, default=None),
        "gap_median": statistics.median(gaps) if gaps else None,
        "logprob_difference_max": max(deltas),
        "logprobs_that_differ": sum(delta > 0 for delta in deltas),
        "common_tokens": common,
        "changes": changed,
    }


def contenders(args, port):
    """Name, command, and the path that answers 200 once the model is loaded."""
    threads = str(args.threads)
    for numerics in ("exact", "fast"):
        # The worker itself: what stands in front of it does not touch the numbers.
        command = [args.llmd, "worker", "--model", args.model, "--listen", f"127.0.0.1:{port}", "--threads", threads]
        yield f"llmd {numerics}", command + ["--numerics", numerics, *args.llmd_args.split()], "/ready"
    if args.llama_server:
        base = [args.llama_server, "-m", args.model, "--port", str(port), "-t", threads, "--no-webui"]
        for slots in (1, 8):
            yield f"llama-server -np {slots}", base + ["-np", str(slots), "-c", str(slots * SLOT_TOKENS)], "/health"


def number(value):
    return f"{value:.6f}" if value is not None else "-"


def print_row(row):
    print(
        f"{row['server']:20} {row['run']:6} {row['clients']} clients  {row['wall_s']:6.1f} s, "
        f"CPU {row['cpu_s']:6.1f} s  {row['output_tokens'] / row['wall_s']:6.1f} tok/s out  "
        f"{row['cached_tokens']:6} of {row['prompt_tokens']} cached",
        end="",
    )
    if "compared" in row:
        print(
            f"  changed {row['changed']:2}/{row['compared']} ({100 * row['changed'] / max(1, row['compared']):.0f} %)  "
            f"gap max {number(row['gap_max'])} median {number(row['gap_median'])}  "
            f"logprob differs by {number(row['logprob_difference_max'])} "
            f"({row['logprobs_that_differ']} of {row['common_tokens']} tokens)",
            end="",
        )
    print(flush=True)


def measure(args, name, port, start):
    prompts = all_prompts()
    # Evenly from the list, which goes from short to long.
    prompts = [prompts[i * len(prompts) // args.prompts] for i in range(args.prompts)]
    straight = list(range(len(prompts)))
    mixed = random.Random(args.seed).sample(straight, len(straight))
    rows = []

    def run(process, label, order, clients, alone):
        before = tree_cpu_seconds(process.pid)
        answers, row = send(args, port, prompts, order, clients)
        row |= {"server": name, "run": label, "cpu_s": tree_cpu_seconds(process.pid) - before}
        rows.append(row | (compare(alone, answers) if alone else {}))
        print_row(rows[-1])
        return answers

    with start() as (process, _):
        alone = run(process, "alone", straight, 1, None)
        run(process, "warm", mixed, args.clients, alone)
    with start() as (process, _):
        run(process, "cold", mixed, args.clients, alone)
    return rows


def main():
    parser = common.parser(__doc__, seconds=240, what="a run")
    common.add_model_arguments(parser, "llmd worker")
    parser.add_argument("--prompts", type=int, choices=range(1, 51), default=50, metavar="1..50")
    parser.add_argument("--output-tokens", type=int, default=48)
    parser.add_argument("--clients", type=int, default=8, help="requests at a time in the second and third run")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the second and third run")
    parser.add_argument("--only", nargs="*", help="contenders whose name contains one of these words")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that no server is left behind
    log_dir = common.log_folder()
    rows, port = [], free_port()
    for name, command, ready in contenders(args, port):
        if args.only and not any(word in name for word in args.only):
            continue
        with open(log_dir / f"{name.replace(' ', '_')}.log", "wb") as log:
            rows += measure(args, name, port, functools.partial(server, command, port, log, ready))
        common.save(args, rows)
    common.finish(args, rows, log_dir)
    exact = [row for row in rows if row["server"] == "llmd exact" and "compared" in row]
    if any(row["changed"] or row["logprob_difference_max"] for row in exact):
        raise SystemExit("llmd worker --numerics exact: expected equal texts and logprobs in every run; see the rows")


if __name__ == "__main__":
    main()
