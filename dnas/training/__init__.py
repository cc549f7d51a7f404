"""How networks are trained, below search: optimisers, schedules, and the epoch that search and retraining share."""

from dnas import modules_of

__getattr__ = modules_of(__name__)
