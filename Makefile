# For people. Everything here is a thin call of scripts/, CMakePresets.json and the program.
.PHONY: help program demo test build bench screenshots lint format clean
.DEFAULT_GOAL := help
assay := build/release/bin/assay

help:
	@echo 'make demo    set up, build, audit and train five small models seed by seed until the verdict, write runs/demo/report.html'
	@echo 'make test    set up, build, and run every test: units, sanitizers, fuzzing, the installed package, the format'
	@echo 'make build   set up and build everything into build/release'
	@echo 'make bench   throughput of the models here, beside the same models in PyTorch eager'
	@echo 'make screenshots  pictures of a report in four forms, in build/screenshots'
	@echo 'make lint    clang-format and clang-tidy'
	@echo 'make format  rewrite the sources to the format'
	@echo 'make clean   remove build/ (runs/ stays)'

program:
	@scripts/setup
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target assay_program

demo: program
	$(assay) campaign recipes/demo.toml
	@echo
	@$(assay) report runs/demo

build:
	@scripts/setup
	@cmake --preset release >/dev/null
	@cmake --build --preset release

test:
	@scripts/setup --test
	@cmake --preset release >/dev/null
	@cmake --build --preset release
	@ctest --preset release

bench: program
	benchmarks/compare_cpu.sh

screenshots: build
	scripts/screenshots

lint:
	@scripts/setup --test
	@scripts/lint

format:
	@scripts/setup --test
	@scripts/lint --fix

clean:
	rm -rf build
