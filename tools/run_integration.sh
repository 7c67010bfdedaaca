#!/usr/bin/env bash
# Runs integration tests against a binary: tools/run_integration.sh path/to/llmd FILE_OR_PYTEST_ARGUMENT...
# They find LLMD_BINARY, LLMD_MODEL and LLMD_SOURCE_DIR in their environment.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LLMD_BINARY=$(realpath "$1")
[[ -x $LLMD_BINARY ]] || { echo "error: $1 is not there; run make build" >&2; exit 1; }
shift
environment=$("$here/python_env.sh")
# Before the first test's time runs: it may take minutes.
case $* in *kube*) "$here/kube_env.sh" > /dev/null ;; esac
LLMD_MODEL=$("$here/fetch_model.sh")
LLMD_SOURCE_DIR=$(dirname "$here")
export LLMD_BINARY LLMD_MODEL LLMD_SOURCE_DIR PYTHONDONTWRITEBYTECODE=1
exec "$environment/bin/python" -m pytest -p no:cacheprovider --timeout "${LLMD_TEST_TIMEOUT_S:-120}" "$@" < /dev/null
