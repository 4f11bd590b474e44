"""Azure regions that offer Azure Machine Learning with managed online endpoints."""

from __future__ import annotations

REGIONS: tuple[str, ...] = tuple(
    sorted(
        """australiaeast australiasoutheast brazilsouth canadacentral canadaeast centralindia centralus eastasia eastus
        eastus2 francecentral germanywestcentral italynorth japaneast japanwest koreacentral northcentralus northeurope
        norwayeast polandcentral qatarcentral southafricanorth southcentralus southeastasia southindia spaincentral
        swedencentral switzerlandnorth switzerlandwest uaenorth uksouth ukwest westcentralus westeurope westus westus2
        westus3""".split()  # noqa: SIM905 - reads better than 37 quoted words
    )
)
