"""Checks the configuration step by step, and says what to do about each failure."""

from mirror.doctor.check import Check, Result
from mirror.doctor.examination import STEPS, examine, misconfigured

__all__ = ["STEPS", "Check", "Result", "examine", "misconfigured"]
