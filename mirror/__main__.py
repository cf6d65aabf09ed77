"""`python -m mirror` is the command `mirror`."""

from mirror.cli.app import main

if __name__ == "__main__":
    main()
