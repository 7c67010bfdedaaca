"""What llama.cpp itself gives for a mix, without a server: llama-batched-bench, one KV stream a sequence.

Its `clients` prompts of equal length are computed in one batch and then decoded side by side: no arrivals, no sampling,
no text, no HTTP. So this is the limit of the engine's library on this machine, not of a service.
"""

import json
import subprocess


def measure_limit(binary, model, threads, clients, prompt_tokens, output_tokens):
    """One row: output tokens a second from the first prompt token to the last output token."""
    context = max(clients * (prompt_tokens + output_tokens), 512)
    done = subprocess.run(
        [
            binary,
            *("-m", model, "-t", str(threads), "-c", str(context), "-b", "2048", "-ub", "512"),
            *("-npp", str(prompt_tokens), "-ntg", str(output_tokens), "-npl", str(clients)),
            *("--output-format", "jsonl"),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        raise SystemExit(f"{binary} failed: {done.stderr[-400:]}")
    row = json.loads(lines[-1])
    seconds = row["t_pp"] + row["t_tg"]
    return {"seconds": seconds, "output_tokens_per_second": clients * output_tokens / seconds, "raw": row}
