"""Where Azure's availability tests call from: the ids of its locations."""

from __future__ import annotations

#: Id of a location to the country of the Azure region that it stands for; ids of moved locations name the old place.
TEST_LOCATIONS = {
    "us-va-ash-azr": "US", "us-il-ch1-azr": "US", "us-ca-sjc-azr": "US", "us-tx-sn1-azr": "US", "us-fl-mia-edge": "US",
    "emea-nl-ams-azr": "NL", "emea-gb-db3-azr": "IE", "emea-se-sto-edge": "GB", "emea-fr-pra-edge": "FR",
    "emea-ru-msa-edge": "GB", "emea-ch-zrh-edge": "FR", "emea-au-syd-edge": "AU", "apac-sg-sin-azr": "SG",
    "apac-hk-hkn-azr": "HK", "apac-jp-kaw-edge": "JP", "latam-br-gru-edge": "BR",
}  # fmt: skip
