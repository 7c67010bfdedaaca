# The commands of the repository. Each is quick when nothing changed. Variables: see `make help`.
.DEFAULT_GOAL := help
.PHONY: help install configure build serve test bench format check
LISTEN ?= 127.0.0.1:8080
ARGS ?=
JOBS ?= $(shell nproc)
CMAKE_ARGS ?=

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16
	@printf '%s\n' '' 'variables:' '  LISTEN=HOST:PORT      where make serve listens' \
	  '  ARGS=...              options of llmd up (serve), ctest (test), the benchmarks (bench)' \
	  '  CMAKE_ARGS=...        options for cmake, as -DLLMD_CUDA=ON; kept until build/ is removed' \
	  '  JOBS=N                compilers at a time (all cores)'

install:  ## install the Debian packages that are missing
	@tools/install.sh

configure: install
	@cmake --preset release --log-level=WARNING $(CMAKE_ARGS) > /dev/null

build: configure  ## build the binary: build/llmd
	@cmake --build build --parallel $(JOBS) --target llmd
	@echo "build/llmd is ready"

serve: build  ## build, fetch the default model and serve it (LISTEN=host:port, ARGS=...)
	@model=$$(tools/fetch_model.sh) && exec build/llmd up --model "$$model" --listen "$(LISTEN)" $(ARGS)

test: configure  ## every test that CI runs but its sanitizer and fuzzing stages
	@cmake --build build --parallel $(JOBS)
	@tools/fetch_model.sh > /dev/null && tools/python_env.sh > /dev/null && tools/kube_env.sh > /dev/null
	@ctest --preset release $(ARGS) < /dev/null

bench: configure  ## the micro benchmarks; ARGS=e2e compares with llama-server
	@cmake --build build --parallel $(JOBS)
	@tools/bench.sh $(ARGS)

format:  ## format the sources
	@git ls-files --cached --others --exclude-standard '*.cpp' '*.h' | xargs --no-run-if-empty clang-format-19 -i

check: configure  ## the tidy test and clang-tidy on the files that differ from the main branch
	@python3 tools/tidy.py
	@tools/lint.sh
