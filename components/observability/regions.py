"""Where Azure's availability tests call from: the ids of its locations."""

from __future__ import annotations

TEST_LOCATIONS = (
    "us-va-ash-azr", "us-il-ch1-azr", "us-ca-sjc-azr", "us-tx-sn1-azr", "us-fl-mia-edge", "emea-nl-ams-azr",
    "emea-gb-db3-azr", "emea-se-sto-edge", "emea-fr-pra-edge", "emea-ru-msa-edge", "emea-ch-zrh-edge",
    "emea-au-syd-edge", "apac-sg-sin-azr", "apac-hk-hkn-azr", "apac-jp-kaw-edge", "latam-br-gru-edge",
)  # fmt: skip
