"""DARTS+: when it stops."""

import numpy as np

from dnas.methods.darts_plus import method
from dnas.spaces import darts

SPACE = darts.space(nodes=2, operations="none+skip_connect+sep_conv_3x3+dil_conv_3x3")


def mix(*skips, conv=2):
    """Both kinds of cells; the edges named prefer the skip connection, the others one of the convolutions."""
    rows = np.full((5, 4), 0.1)
    rows[:, conv] = 0.5
    rows[list(skips), 1] = 0.6
    return {"normal": rows, "reduce": np.roll(rows, 1, axis=0) if skips else rows}


def test_two_skip_connections_in_the_normal_cell_end_the_search(view):
    look = method().between_epochs
    assert look(view(SPACE, mix(0), epoch=7)).stop is None
    outcome = look(view(SPACE, mix(0, 3), epoch=7))
    assert outcome.stop == 7 and outcome.notes["skips"] == 2
    assert method(skips=3).between_epochs(view(SPACE, mix(0, 3))).stop is None
    assert method(skips=0).between_epochs(view(SPACE, mix(0, 1, 2, 3))).stop is None


def test_skips_in_the_reduction_cell_do_not_count(view):
    one, two = mix(0), mix(0, 3)
    assert method().between_epochs(view(SPACE, {"normal": one["normal"], "reduce": two["normal"]})).stop is None


def followed(view, mixes, **settings):
    look, notes = method(**settings).between_epochs, []
    for epoch, one in enumerate(mixes, 1):
        outcome = look(view(SPACE, one, epoch=epoch, notes=notes))
        notes.append(outcome.notes)
        if outcome.stop is not None:
            return outcome.stop
    return None


def test_a_ranking_that_stands_still_ends_the_search(view):
    assert followed(view, [mix()] * 20) == 11  # the same after 10 more epochs
    assert followed(view, [mix()] * 5 + [mix(conv=3)] * 20) == 16
    assert followed(view, [mix(conv=2 + i % 2) for i in range(20)]) is None
    assert followed(view, [mix(i % 5) for i in range(20)]) == 11  # only operations with weights are ranked
    assert followed(view, [mix()] * 20, still=0) is None
