"""What can be wrong with data, a check each file, found by its name: `check(evidence)` yields its findings. What a
check sees, and what a finding is, `protocol.py` says."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
