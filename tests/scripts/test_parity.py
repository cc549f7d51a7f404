"""Numbers of the original PyTorch codes, compared by `scripts/parity.py` in float64.

Of what is alike (published cells, variants of one trace) every third; the script itself compares all.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "scripts" / "parity.py"
spec = importlib.util.spec_from_file_location("parity", PATH)
assert spec is not None and spec.loader is not None
parity = sys.modules["parity"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parity)


@pytest.mark.slow
@pytest.mark.parametrize("name", parity.ORACLES)
def test_oracle(name):
    folder = parity.SHARED / "oracles" / name
    if not (folder / "oracle.npz").is_file():
        pytest.skip(f"there is no oracle in {folder}: set DNAS_SHARED to the folder that holds oracles/{name}")
    checks, _ = parity.run(folder, every=3)
    assert checks
    over = [f"{c.key}: {c.error:.1e} > {c.tolerance:.0e}" for c in checks if not c.error <= c.tolerance]
    assert not over, over


def test_errors_are_relative_to_the_largest_entry():
    assert parity.error([1.0, 4.0], [1.0, 2.0]) == 1.0
    assert parity.error([1, 2, 3], [1, 5, 6]) == 2
    assert parity.error("a", "b") == 1
    assert parity.error([1.0], [1.0, 2.0]) == float("inf")
    assert not parity.error([float("nan")], [1.0]) <= 1
