#!/usr/bin/env bash
# Runs a libFuzzer program from its corpus for LLMD_FUZZ_S seconds (20) and prints the edges that it covered.
#   tools/run_fuzzer.sh path/to/fuzz_<name> fuzz/corpus/<name>
# New inputs and crashes stay beside the program; the corpus in the repository is only read.
set -euo pipefail
program=$(realpath "$1")
corpus=$2
seconds=${LLMD_FUZZ_S:-20}
name=$(basename "$program")
found=$program.found
mkdir -p "$found"
if [[ ! -d $corpus ]] || [[ -z $(ls -A "$corpus") ]]; then
  echo "error: $name has no corpus; put a few small valid inputs into $corpus" >&2
  exit 1
fi
status=0
"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$program.crash-" \
  "$found" "$corpus" > "$program.log" 2>&1 < /dev/null || status=$?
edges=$(sed -n 's/^#.* cov: \([0-9]*\) .*/\1/p' "$program.log" | tail -n 1)
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$program.log")
if ((status != 0)); then
  tail -n 60 "$program.log"
  echo "error: $name ended with $status after ${runs:-?} runs; the input is beside it ($program.crash-*); replay: $name FILE" >&2
  exit 1
fi
if [[ -z $edges ]] || ((edges < 10)); then
  echo "error: $name covers ${edges:-no} edges: it does not reach the code under test, or that is built without coverage" >&2
  exit 1
fi
echo "$name: $edges edges covered in $runs runs, ${seconds} s" | tee "$program.summary"
