"""The commands, one file each: parse, call, print; no logic."""

from mirror.cli.app import main

__all__ = ["main"]
