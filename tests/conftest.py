"""Settings of all tests: programs are compiled fast rather than well, and are not kept for ever."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("DNAS_PROGRAMS", "0")  # test_programs.py switches it on, in a folder of its own
