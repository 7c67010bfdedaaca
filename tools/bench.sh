#!/usr/bin/env bash
# Runs the micro benchmarks, or with `e2e` the comparison with llama-server, which is built from the same pinned source.
#   tools/bench.sh [GOOGLE_BENCHMARK_OPTION...]
#   tools/bench.sh e2e [--type Q4_0] [OPTION_OF_bench/e2e/run.py...]
#     --type  quantises the default model (Q4_1) to another type first
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ ${1:-} == e2e ]]; then
  shift
  peer=$(tools/build_llama.sh --variant tools)/bin
  model=$(tools/fetch_model.sh)
  if [[ ${1:-} == --type ]]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    "$peer/llama-quantize" --allow-requantize "$model" "$folder/model.gguf" "$2" > "$folder/log" 2>&1 ||
      { tail -n 5 "$folder/log" >&2; exit 1; }
    model=$folder/model.gguf
    shift 2
  fi
  python3 bench/e2e/run.py --llmd build/llmd --loadgen build/bench/llmd-loadgen --llama-server "$peer/llama-server" \
    --batched-bench "$peer/llama-batched-bench" --model "$model" "$@"
  exit
fi
for program in build/bench/bench_*; do
  echo "== $(basename "$program")"
  "$program" "$@"
done
