#!/usr/bin/env bash
# Make .venv with the locked dependencies and this project, editable. Uses uv when it is there, else pip.
set -euo pipefail
cd "$(dirname "$0")/.."

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if command -v uv >/dev/null; then
    recent .venv/bin/python || uv venv --quiet --clear --python '>=3.11' .venv
    uv pip install --quiet --python .venv/bin/python -r requirements.lock
    uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
    exit
fi

if ! recent .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=""
    for candidate in ${PYTHON:-python3 python3.12 python3.11 python3.13 python3.14 python}; do
        if recent "$candidate"; then python=$candidate && break; fi
    done
    if [ -z "$python" ]; then
        echo "dnas needs Python 3.11 or newer: ${PYTHON:-python3} is older or missing." \
            "Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2
        exit 1
    fi
    "$python" -m venv --clear .venv || {
        echo "$python cannot make a virtual environment (Debian: apt install python3-venv)." >&2
        exit 1
    }
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1
.venv/bin/python -m pip install --quiet -r requirements.lock
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
