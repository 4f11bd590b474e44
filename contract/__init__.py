"""What crosses from Pulumi to `rollout`: the stack's outputs, typed and versioned.

Light on purpose: imports neither the Pulumi SDK nor any Azure SDK.
"""

from contract.outputs import SCHEMA_VERSION, StackOutputs
from contract.policy import Gates, RolloutPolicy

__all__ = ["SCHEMA_VERSION", "Gates", "RolloutPolicy", "StackOutputs"]
