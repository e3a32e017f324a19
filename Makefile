# Every target installs what it needs first: a clean clone needs python3 (3.11 or later) and make, nothing else.
.PHONY: install lint check test demo

install: .venv/.installed

.venv/.installed: pyproject.toml setup.py constraints.txt scripts/install src/refeed/kernels/kernels.c src/refeed/kernels/gram.h src/refeed/kernels/rows.h src/refeed/kernels/updates.h
	scripts/install

lint: install
	scripts/lint

check: lint
	scripts/test

test: check

demo: install
	scripts/demo
