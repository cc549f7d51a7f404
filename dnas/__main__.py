"""`python -m dnas` is the command `dnas`."""

import sys

from dnas.cli import main

if __name__ == "__main__":
    sys.exit(main())
