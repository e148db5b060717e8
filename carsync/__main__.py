"""`python -m carsync` is the `carsync` command."""

from carsync.cli import main

if __name__ == "__main__":
    main()
