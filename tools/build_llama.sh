#!/usr/bin/env bash
# Builds llama.cpp once from the pinned source package and prints the install folder (include, lib or bin) in the cache.
# The folder's name is a key over everything that changes the result, so builds, presets and clones share it.
#
#   tools/build_llama.sh [--variant native|avx2|portable|cuda|tools] [--jobs N]
#     native    static libraries tuned to this machine (the default)
#     avx2      the same for a CPU with AVX2 and no more: what such a CPU computes is tested on one with AVX-512
#     portable  shared libraries, every CPU variant of ggml, chosen at run time
#     cuda      shared libraries with the CUDA backend
#     tools     llama-server, llama-bench, llama-batched-bench, llama-quantize with upstream's defaults, to compare with
#
# LLMD_LLAMA_CC and LLMD_LLAMA_CXX name the compiler (gcc and g++, whatever compiles llmd: sanitizer builds link these
# same release libraries). OpenMP is off in every library variant: ThreadSanitizer does not understand it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
variant=native
jobs=$(nproc)
while (($#)); do
  case $1 in
    --variant) variant=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    *)
      echo "error: unknown argument $1; usage: build_llama.sh [--variant native|avx2|portable|cuda|tools] [--jobs N]" >&2
      exit 2
      ;;
  esac
done
fail() { echo "error: $*" >&2; exit 1; }

cc=${LLMD_LLAMA_CC:-$(command -v gcc || command -v cc || true)}
cxx=${LLMD_LLAMA_CXX:-$(command -v g++ || command -v c++ || true)}
[[ -n $cc && -n $cxx ]] || fail "no C++ compiler found to build llama.cpp; run tools/install.sh"

flags=(-DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
  -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_SUBPROCESS=OFF -DGGML_CCACHE=OFF)
library=(-DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF -DGGML_OPENMP=OFF -DGGML_LLAMAFILE=OFF)
# Shared libraries find each other, and ggml its backends, in the folder that they are copied to.
shared=(-DBUILD_SHARED_LIBS=ON -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON '-DCMAKE_INSTALL_RPATH=$ORIGIN')
targets=(llama llama-common)
case $variant in
  native) flags+=("${library[@]}" -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON) ;;
  avx2) flags+=("${library[@]}" -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON
    -DGGML_BMI2=ON) ;;
  portable) flags+=("${library[@]}" "${shared[@]}" -DGGML_NATIVE=OFF -DGGML_BACKEND_DL=ON -DGGML_CPU_ALL_VARIANTS=ON) ;;
  cuda) flags+=("${library[@]}" "${shared[@]}" -DGGML_NATIVE=ON -DGGML_CUDA=ON) ;;
  tools)
    flags+=(-DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=ON -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF
      -DLLAMA_USE_PREBUILT_UI=OFF)
    targets=(llama-server llama-bench llama-batched-bench llama-quantize)
    ;;
  *) fail "unknown variant $variant; expected native, avx2, portable, cuda or tools" ;;
esac

# The compiler's macros under -march=native name the instruction set, for any compiler and architecture.
machine=generic
if [[ $variant != portable ]]; then
  machine=$("$cxx" -march=native -dM -E -x c++ /dev/null 2> /dev/null | LC_ALL=C sort | sha256sum | cut -c1-16)
fi
# What we compare with stays as upstream made it, but for what would crash.
changes=("$here"/../third_party/patches/llama-*-crash.patch)
kernels=()
if [[ $variant != tools ]]; then
  changes=("$here"/../third_party/patches/llama-*.patch)
  kernels=("$here"/../third_party/kernels/*)
fi
version=$("$here/fetch_artifact.py" llama-cpp-python --field version)
source_sha=$("$here/fetch_artifact.py" llama-cpp-python --field sha256)
key=$(printf '%s\n' "$version" "$source_sha" "$variant" "${flags[*]}" "$machine" "$(uname -m)" \
  "$("$cc" --version | head -1)" "$("$cxx" --version | head -1)" "$(sha256sum < "${BASH_SOURCE[0]}")" \
  "$(cat "${changes[@]}" "${kernels[@]}" | sha256sum)" | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/llmd
target=$cache/llama-$version-$key
if [[ -f $target/complete ]]; then echo "$target"; exit 0; fi

mkdir -p "$cache"
exec 9> "$target.lock"
if ! flock --nonblock 9; then
  echo "waiting for another build of llama.cpp $version ($variant)" >&2
  flock --timeout 3600 9 || fail "another build holds $target.lock for more than an hour; end it and try again"
fi
if [[ -f $target/complete ]]; then echo "$target"; exit 0; fi

# Same paths each time, so that ccache recognises the sources; the lock guards them.
work=$target.work
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
rm -rf "$work" "$target"
mkdir -p "$work/install"
sdist=$("$here/fetch_artifact.py" llama-cpp-python)
echo "building llama.cpp from $(basename "$sdist") ($variant); about 7 CPU-minutes, once for this machine" >&2
tar -xzf "$sdist" -C "$work" --strip-components=2 --wildcards '*/vendor/llama.cpp/*'
source=$work/llama.cpp
[[ -f $source/CMakeLists.txt ]] || fail "$(basename "$sdist") holds no vendor/llama.cpp"
if ((${#kernels[@]})); then cp "${kernels[@]}" "$source/ggml/src/ggml-cpu/"; fi
for change in "${changes[@]}"; do
  patch --silent --directory="$source" --strip=1 < "$change" || fail "$(basename "$change") does not apply to llama.cpp $version"
done

launcher=()
if command -v ccache > /dev/null; then
  export CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1
  launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
generator=()
command -v ninja > /dev/null && generator=(-G Ninja)
log=$work/build.log
run() {
  "$@" >> "$log" 2>&1 < /dev/null && return
  tail -n 30 "$log" >&2
  fail "llama.cpp $version ($variant) does not build; its last lines are above"
}
# The source package has no history, and a repository around the cache must not lend it one.
export GIT_CEILING_DIRECTORIES=$work GIT_DIR=$work/none
run cmake "${generator[@]}" -S "$source" -B "$work/build" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
  "${flags[@]}" "${launcher[@]}"
run cmake --build "$work/build" --parallel "$jobs" --target "${targets[@]}"

copy_headers() {
  local from=$1 to=$2
  mkdir -p "$to"
  (cd "$from" && find . \( -name '*.h' -o -name '*.hpp' \) -exec cp --parents -t "$to" {} +)
}
install=$work/install
if [[ $variant == tools ]]; then
  mkdir -p "$install/bin"
  for name in "${targets[@]}"; do cp "$work/build/bin/$name" "$install/bin/"; done
else
  copy_headers "$source/include" "$install/include"
  copy_headers "$source/ggml/include" "$install/include"
  copy_headers "$source/common" "$install/include/common"
  copy_headers "$source/src" "$install/include/llama-src"
  mkdir -p "$install/lib"
  find "$work/build" \( -name 'lib*.a' -o -name 'lib*.so*' \) -exec cp -P -t "$install/lib" {} +
fi
cp "$source/LICENSE" "$install/"
printf '%s\n' "llama-cpp-python $version, variant $variant" "${flags[@]}" > "$install/complete"
mv -T "$install" "$target"
echo "$target"
