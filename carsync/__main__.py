"""`python -m carsync` is the `carsync` command."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder, from which nothing is imported

from carsync.cli import main

if __name__ == "__main__":
    main()
