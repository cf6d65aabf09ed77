"""Mirrors the frames of a SAVANT annotation export: complete, verified, durable, once."""

__version__ = "0.1.0"
