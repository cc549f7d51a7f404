"""Every oracle: numbers of the original PyTorch codes, reproduced in float64 by scripts/parity.py."""

import importlib.util
from pathlib import Path

import jax
import pytest

spec = importlib.util.spec_from_file_location("parity", Path(__file__).parents[1] / "scripts" / "parity.py")
assert spec is not None and spec.loader is not None
parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parity)


@pytest.mark.parametrize("name", parity.ORACLES)
def test_oracle(name):
    folder = parity.SHARED / "oracles" / name
    if not (folder / "oracle.npz").is_file():
        pytest.skip(f"{name}: the numbers of the original code are not here (DNAS_SHARED)")
    with jax.enable_x64(True):
        checks, _ = parity.run(folder)
    assert len(checks) > 2
    over = [f"{c.key}: {c.error:.1e} > {c.tolerance:.0e}" for c in checks if not c.error <= c.tolerance]
    assert not over, over
