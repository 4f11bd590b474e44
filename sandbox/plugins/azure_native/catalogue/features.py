"""Azure Managed Redis and Azure Load Testing."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row

_REDIS = "Microsoft.Cache/redisEnterprise/{clusterName}"
_DATABASE = f"{_REDIS}/databases/{{databaseName}}"
ROWS = (
    row("redisenterprise:RedisEnterprise", _REDIS, immutable=("location",)),
    row("redisenterprise:Database", _DATABASE),
    row("redisenterprise:AccessPolicyAssignment", f"{_DATABASE}/accessPolicyAssignments/{{accessPolicyAssignmentName}}"),
    row("loadtestservice:LoadTest", "Microsoft.LoadTestService/loadTests/{loadTestName}", immutable=("location",)),
)  # fmt: skip
ACTIONS = {"redisenterprise:listDatabaseKeys": ("redisenterprise:Database", "listKeys")}
