# make demo: search on handwritten digits and compare; make test, test-slow, lint, types, docs: what CI runs (docs
# builds site/); make lock: new versions. Each makes .venv first, where it is missing or older than the lock.

INSTALLED := .venv/.installed
BIN := .venv/bin

.PHONY: help demo test test-slow lint types docs lock
help:
	@sed -n '1,3s/^# //p' Makefile

demo: $(INSTALLED)
	$(BIN)/python scripts/demo.py

test: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist worksteal -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(INSTALLED)
	$(BIN)/mypy

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock:
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	uv pip compile pyproject.toml --universal --extra dev --python-version 3.11 -o requirements.lock -q --no-header

$(INSTALLED): requirements.lock pyproject.toml scripts/install.sh
	scripts/install.sh
	@touch $@
