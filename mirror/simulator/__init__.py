"""The embedded API and object store, with their fault plan. Imports nothing of the other rooms."""

from mirror.simulator.api import Account
from mirror.simulator.dataset import Dataset, DatasetSpec
from mirror.simulator.host import PortInUseError
from mirror.simulator.journal import RecordedRequest
from mirror.simulator.plan import Fault, FaultPlan, PlanError
from mirror.simulator.server import Behaviour, Simulator

__all__ = [
    "Account",
    "Behaviour",
    "Dataset",
    "DatasetSpec",
    "Fault",
    "FaultPlan",
    "PlanError",
    "PortInUseError",
    "RecordedRequest",
    "Simulator",
]
