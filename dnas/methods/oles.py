"""OLES: DARTS (arXiv:1806.09055) whose operations stop training when their gradients disagree.

    agreement = mean over `window` steps of cos(dL_valid/dw_op, dL_train/dw_op);  below `threshold`: freeze w_op

Jiang, Ji, Zhu, Yuan and Huang, "Operation-Level Early Stopping for Robustifying Differentiable NAS", NeurIPS 2023
(algorithm 1). Reference code: PasaLab/oles, which has both settings as constants, divides 21 cosines by 20, and picks
its best epoch by one batch; here a window is as many as are summed, and the last epoch counts. What is frozen has a
gradient of zero: its momentum runs out, and its weight decay goes on as in PyTorch.
"""

from dnas.search.gates import freeze_disagreeing
from dnas.search.method import Method


def method(*, threshold: float = 0.4, window: int = 20) -> Method:
    """Below which mean cosine, over how many steps, an operation is frozen."""
    return Method(gate=freeze_disagreeing(threshold, window))
