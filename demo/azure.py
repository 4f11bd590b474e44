"""`python -m demo.azure key|tags ENDPOINT`: what the story needs to know of the endpoint, by the public SDK."""

from __future__ import annotations

import json
import os
import sys

from contract.reader import read_outputs
from rollout.azure.cloud import cloud_from_environment


def main() -> int:
    what, endpoint = sys.argv[1:]
    client = cloud_from_environment().ml_client(read_outputs(os.environ["ROLLOUT_STACK"]))
    if what == "key":
        # For the load client's environment; the stage does not show this command's output.
        print(client.online_endpoints.get_keys(endpoint).primary_key)
    else:
        print(json.dumps(client.online_endpoints.get(endpoint).tags))
    return 0


if __name__ == "__main__":
    sys.exit(main())
