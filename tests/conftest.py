"""Settings of all tests: programs are compiled fast rather than well."""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
