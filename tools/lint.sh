#!/usr/bin/env bash
# Runs clang-tidy on the sources that differ from the main branch (or on the files given), with the release build's flags.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
database=build/compile_commands.json
if [[ ! -f $database ]]; then echo "error: $database is missing; run make build first" >&2; exit 1; fi
if (($#)); then
  files=("$@")
else
  base=$(git merge-base HEAD origin/main 2> /dev/null || git merge-base HEAD main 2> /dev/null || git rev-list --max-parents=0 HEAD | tail -1)
  mapfile -t files < <({ git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp'; git ls-files --others --exclude-standard -- 'src/*.cpp'; } | sort -u)
fi
if ((${#files[@]} == 0)); then echo "no source differs from the main branch"; exit 0; fi
# GCC's own switches in the database mean nothing to clang-tidy, and it must not read GCC's precompiled header.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$database" "$work/compile_commands.json" <<'PY'
import json, re, sys
entries = json.load(open(sys.argv[1]))
for entry in entries:
    command = re.sub(r"-Winvalid-pch|-fpch-preprocess|-include \S+cmake_pch\.hxx|-Werror", "", entry["command"])
    entry["command"] = re.sub(r"-Wno-(restrict|maybe-uninitialized|mismatched-new-delete)\b", "", command)
json.dump(entries, open(sys.argv[2], "w"))
PY
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" clang-tidy-19 --quiet -p "$work"
