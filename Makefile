# make           build everything (release, in build/)
# make run       install what is missing (packages.txt), build, make a short text from the bundled checkpoint on the WSE-2
# make test      install what is missing, build, run all tests
# make bench     build, run the benchmarks
# make asan      build with address and undefined-behaviour sanitizers, test;  make tsan: with the thread sanitizer
# make clang     build with the second compiler, warnings as errors, test
# make odr       link everything as a whole: names that two files define and not alike are errors
# make isa       the tests once more, without vector instructions and with AVX2 alone
# make format    rewrite the sources with clang-format;  make check-format: only look
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build setup configure run test isa bench asan tsan clang odr format check-format clean

CHECKPOINT ?= models/stories-tiny.gguf
DEVICE ?= wse2
PROMPT ?= Once upon a time
JOBS ?= $(shell nproc)
CTEST := ctest --output-on-failure --no-tests=error --timeout 300 -j $(JOBS)

build: configure
	@cmake --build build -j $(JOBS)

setup:
	@tools/install_packages.sh packages.txt

# The presets read CI (CI=true makes warnings errors), so with CI set the cache is always brought up to date.
configure:
	@if [[ -n "$${CI:-}" || ! -f build/build.ninja ]]; then cmake --preset release >&2; fi

# stdout carries the text alone; all else goes to stderr. The build is silent when the program was there before.
run: setup configure
	@if [[ -x build/waferllm ]]; then \
	  ninja -C build -j $(JOBS) --quiet waferllm | { grep -v '^ninja: no work to do' || true; } >&2; \
	else \
	  cmake --build build -j $(JOBS) --target waferllm >&2; \
	fi
	@build/waferllm run -m "$(CHECKPOINT)" --device "$(DEVICE)" -n 200 -p "$(PROMPT)"

test: setup build
	@$(CTEST) --test-dir build

# The kernels by themselves and what stands on them; the rest of the program does not know which instructions it runs on.
isa: setup build
	@for isa in scalar avx2; do \
	  if [[ $$isa == avx2 ]] && ! grep -qw avx2 /proc/cpuinfo; then echo "make isa: no AVX2 here, skipped" >&2; continue; fi; \
	  echo "WAFER_ISA=$$isa" >&2; WAFER_ISA=$$isa $(CTEST) --quiet --output-log build/isa-$$isa.log --test-dir build || { cat build/isa-$$isa.log; exit 1; }; \
	  grep 'tests passed' build/isa-$$isa.log >&2; \
	done

bench: setup build
	@shopt -s nullglob; for b in build/bench_*; do [[ -x $$b && ! -d $$b ]] && "$$b"; done; true

asan tsan clang: setup
	@[[ $@ != clang ]] || tools/install_packages.sh packages-ci.txt
	@preset=$@; preset=$${preset/asan/asan-ubsan}; \
	  cmake --preset $$preset >&2; cmake --build --preset $$preset -j $(JOBS); $(CTEST) --test-dir build-$@

odr: setup
	@cmake --preset odr >&2; cmake --build --preset odr -j $(JOBS)

format:
	@tools/check_format.sh --fix

check-odr: setup
	@cmake --preset odr >&2; cmake --build --preset odr -j $(JOBS)

format:
	@tools/check_format.sh

clean:
	@rm -rf build build-*
