#!/usr/bin/env bash
# Prints the folder of a virtual environment with exactly the packages of a hash-pinned requirements file, made once and
# kept in the cache under the file's hash.   usage: tools/python_env.sh [REQUIREMENTS]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=${1:-$here/../tests/integration/requirements.txt}
fail() { echo "error: $*" >&2; exit 1; }
[[ -f $requirements ]] || fail "there is no requirements file $requirements"
command -v python3 > /dev/null || fail "python3 is missing; run tools/install.sh"
key=$({ python3 -VV; command -v python3; cat "$requirements"; } | sha256sum | cut -c1-16)
environment=${XDG_CACHE_HOME:-$HOME/.cache}/llmd/python-$key
if [[ -f $environment/complete ]]; then echo "$environment"; exit 0; fi

mkdir -p "$(dirname "$environment")"
exec 9> "$environment.lock"
flock --timeout 900 9 || fail "another installation holds $environment.lock for 15 minutes; end it and try again"
if [[ -f $environment/complete ]]; then echo "$environment"; exit 0; fi
echo "installing the Python test tools of $(basename "$(dirname "$requirements")")/$(basename "$requirements")" >&2
rm -rf "$environment"
python3 -m venv "$environment" >&2 < /dev/null || fail "python3 cannot make a virtual environment; run tools/install.sh (python3-venv)"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
  --requirement "$requirements" >&2 < /dev/null ||
  fail "pip cannot install $requirements (its reason is above); check the network and pip's index setting"
touch "$environment/complete"
echo "$environment"
