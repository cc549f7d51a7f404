"""From data to a model in use: `run.run`, the command `dnas auto`. Its parts are imported when they are first used.

look: at data, with a check each file in `checks/`. recipes: what is tried for data of a task. baselines, learners: what
a found network has to beat. pace: how much fits into a time. stages, final: what is done, one after the other. journal:
what is done already. page: what people read.
"""

from dnas import modules_of

__getattr__ = modules_of(__name__)
