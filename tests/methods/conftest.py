"""What a between-epoch hook sees, made by hand."""

import numpy as np
import pytest

from dnas.search.method import View


@pytest.fixture
def view():
    def make(
        space,
        mix,
        *,
        phase=0,
        epoch=1,
        epochs=50,
        notes=(),
        mask=(),
        evaluate=None,
        hessian=None,
        knobs=None,
        score=None,
    ):
        return View(
            space=space,
            phase=phase,
            epoch=epoch,
            epochs=epochs,
            total=epoch,
            seed=0,
            alphas={},
            mix={kind: np.asarray(m, float) for kind, m in mix.items()},
            mask=mask,
            knobs=knobs or {},
            notes=list(notes),
            evaluate=evaluate,
            hessian=hessian,
            score=score,
        )

    return make
