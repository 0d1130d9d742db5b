"""The OptimizerService: its RPCs, and the making of studies."""

from services.optimizer.servicer.collaborators import Backtests, Collaborators
from services.optimizer.servicer.rpcs import OptimizerServicer

__all__ = ["Backtests", "Collaborators", "OptimizerServicer"]
