"""Rules on who can reach what: network, TLS, keys, public blobs, SSH."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policy.model import UNKNOWN, ResourceRule, at, known_and_not, listed

_PUBLIC_ACCESS = {
    "storage:StorageAccount": "publicNetworkAccess",
    "keyvault:Vault": "properties.publicNetworkAccess",
    "containerregistry:Registry": "publicNetworkAccess",
    "machinelearningservices:Workspace": "publicNetworkAccess",
    "redisenterprise:RedisEnterprise": "publicNetworkAccess",
}
_MINIMUM_TLS = {
    "storage:StorageAccount": ("minimumTlsVersion", ("TLS1_2", "TLS1_3")),
    "eventgrid:Topic": ("minimumTlsVersionAllowed", ("1.2", "1.3", None)),  # Azure's own default is 1.2
    "redis:Redis": ("minimumTlsVersion", ("1.2", "1.3")),
    "redisenterprise:RedisEnterprise": ("minimumTlsVersion", ("1.2", "1.3", None)),  # likewise
    "web:WebApp": ("siteConfig.minTlsVersion", ("1.2", "1.3", None)),  # likewise
}
#: Where keys or passwords must be off: path and the value that says so.
_LOCAL_AUTH = {
    "eventgrid:Topic": ("disableLocalAuth", (True,)),
    "containerregistry:Registry": ("adminUserEnabled", (False, None)),
    "machinelearningservices:Compute": ("properties.disableLocalAuth", (True,)),
    "containerservice:ManagedCluster": ("disableLocalAccounts", (True,)),
    "automation:AutomationAccount": ("disableLocalAuth", (True,)),
}
_APIM_SECURITY = "Microsoft.WindowsAzure.ApiManagement.Gateway.Security"
#: What a classic tier has to switch off by name. The v2 tiers don't have these protocols.
_OLD_PROTOCOLS = tuple(
    f"{_APIM_SECURITY}{side}.Protocols.{each}" for side in ("", ".Backend") for each in ("Ssl30", "Tls10", "Tls11")
)
_ANYWHERE = ("*", "0.0.0.0/0", "Internet", "::/0")
_ADMIN_PORTS = ("*", "22", "3389")


def public_access(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """The internet must not reach it."""
    path = _PUBLIC_ACCESS.get(type_)
    if path and known_and_not(at(props, path), "Disabled", "disabled"):
        yield f"{path} is {at(props, path)!r}; set it to 'Disabled' and use a private endpoint"


def public_endpoint(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Scoring inside the network only."""
    access = at(props, "properties.publicNetworkAccess")
    if type_ == "machinelearningservices:OnlineEndpoint" and known_and_not(access, "Disabled"):
        yield f"publicNetworkAccess is {access!r}; set `endpoints.*.publicNetworkAccess: false` if all clients are inside"


def tls(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Nothing older than TLS 1.2, and no plain HTTP."""
    if type_ in _MINIMUM_TLS:
        path, allowed = _MINIMUM_TLS[type_]
        if known_and_not(at(props, path), *allowed):
            yield f"{path} is {at(props, path)!r}; 1.2 or newer is allowed"
    https = {"storage:StorageAccount": "enableHttpsTrafficOnly", "web:WebApp": "httpsOnly"}.get(type_)
    if https and known_and_not(at(props, https), True):
        yield f"{https} is {at(props, https)!r}; set it to true"


def gateway_tls(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Front Door takes https of 1.2 or newer and no http; API Management has older protocols switched off."""
    if type_ == "cdn:AFDCustomDomain":
        version = at(props, "tlsSettings.minimumTlsVersion")
        if known_and_not(version, "TLS12", "TLS13"):
            yield f"tlsSettings.minimumTlsVersion is {version!r}; TLS12 or TLS13 is allowed"
    if type_ == "cdn:Route":
        if at(props, "forwardingProtocol") is not UNKNOWN and at(props, "forwardingProtocol") != "HttpsOnly":
            yield f"forwardingProtocol is {at(props, 'forwardingProtocol')!r}; set it to 'HttpsOnly'"
        if "Http" in listed(at(props, "supportedProtocols")):
            yield "supportedProtocols has 'Http'; leave 'Https' alone"
    if type_ == "apimanagement:ApiManagementService" and not str(at(props, "sku.name")).endswith("V2"):
        given = at(props, "customProperties")
        on = [each for each in _OLD_PROTOCOLS if _not_off(given, each)]
        if given is not UNKNOWN and on:
            yield f"old protocols are on: {', '.join(each.removeprefix(_APIM_SECURITY) for each in on)}; set them to 'False'"


def _not_off(given: Any, name: str) -> bool:
    value = given.get(name) if isinstance(given, Mapping) else None
    return value is not UNKNOWN and str(value).lower() != "false"


def firewall(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """A firewall that only watches stops nobody."""
    if type_ != "frontdoor:Policy":
        return
    for path, wanted in (("policySettings.enabledState", "Enabled"), ("policySettings.mode", "Prevention")):
        if known_and_not(at(props, path), wanted):
            yield f"{path} is {at(props, path)!r}; set it to {wanted!r}"
    sets = at(props, "managedRules.managedRuleSets")
    kinds = {at(each, "ruleSetType") for each in listed(sets)}
    if sets is not UNKNOWN and UNKNOWN not in kinds and "Microsoft_DefaultRuleSet" not in kinds:
        yield "managedRules has no Microsoft_DefaultRuleSet; add it"


def local_auth(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Entra identities only."""
    if type_ in _LOCAL_AUTH:
        path, allowed = _LOCAL_AUTH[type_]
        if known_and_not(at(props, path), *allowed):
            yield f"{path} is {at(props, path)!r}; set it to {str(allowed[0]).lower()}: Entra identities only"


def publishing(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Code comes from those who sign in, over TLS."""
    if type_ == "web:WebApp" and known_and_not(at(props, "siteConfig.ftpsState"), "Disabled"):
        yield f"siteConfig.ftpsState is {at(props, 'siteConfig.ftpsState')!r}; set it to 'Disabled'"
    if type_ in ("web:WebAppScmAllowed", "web:WebAppFtpAllowed") and known_and_not(at(props, "allow"), False):
        yield "allow is on: a password may publish code; set it to false"


def account_keys(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Storage by identity, not by account key."""
    if type_ == "storage:StorageAccount" and known_and_not(at(props, "allowSharedKeyAccess"), False):
        yield "allowSharedKeyAccess is on; set `storage.allowSharedKeyAccess: false` in the stack file"


def public_blobs(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """No anonymous reading of blobs."""
    if type_ == "storage:StorageAccount" and known_and_not(at(props, "allowBlobPublicAccess"), False):
        yield f"allowBlobPublicAccess is {at(props, 'allowBlobPublicAccess')!r}; set it to false"
    if type_ == "storage:BlobContainer" and known_and_not(at(props, "publicAccess"), "None", None):
        yield f"publicAccess is {at(props, 'publicAccess')!r}; set it to 'None'"


def anonymous_pull(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Images only for those who are known."""
    if type_ == "containerregistry:Registry" and at(props, "anonymousPullEnabled") is True:
        yield "anonymousPullEnabled is true; set it to false"


def cluster_ssh(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """No SSH port on training clusters."""
    if type_ != "machinelearningservices:Compute" or at(props, "properties.computeType") != "AmlCompute":
        return
    port = at(props, "properties.properties.remoteLoginPortPublicAccess")
    if known_and_not(port, "Disabled"):
        yield f"remoteLoginPortPublicAccess is {port!r}; set it to 'Disabled'"
    if known_and_not(at(props, "properties.properties.userAccountCredentials"), None):
        yield "userAccountCredentials are set; leave them out"


def redis_tls(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """No plain text to Redis."""
    if type_ == "redisenterprise:Database" and known_and_not(at(props, "clientProtocol"), "Encrypted", None):
        yield f"clientProtocol is {at(props, 'clientProtocol')!r}; set it to 'Encrypted'"
    if type_ == "redis:Redis" and known_and_not(at(props, "enableNonSslPort"), False, None):
        yield "enableNonSslPort is on; set it to false"


def redis_keys(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """Redis by Entra token, not by key."""
    # left out, keys are off for Managed Redis and on for its predecessor
    if type_ == "redisenterprise:Database" and known_and_not(at(props, "accessKeysAuthentication"), "Disabled", None):
        yield "access keys work; set `featureStore.redis.accessKeys: false` if your own jobs write the features"
    if type_ == "redis:Redis" and known_and_not(at(props, "disableAccessKeyAuthentication"), True):
        yield "access keys work; set disableAccessKeyAuthentication"


def open_ports(type_: str, props: Mapping[str, Any], environment: str) -> Iterator[str]:
    """No network security group lets the internet in for administration."""
    rules = {
        "network:NetworkSecurityGroup": listed(at(props, "securityRules")),
        "network:SecurityRule": [props],
    }.get(type_, [])
    for rule in rules:
        if at(rule, "access") != "Allow" or at(rule, "direction") != "Inbound":
            continue
        sources = {at(rule, "sourceAddressPrefix"), *listed(at(rule, "sourceAddressPrefixes"))}
        ports = {at(rule, "destinationPortRange"), *listed(at(rule, "destinationPortRanges"))}
        if sources & set(_ANYWHERE) and ports & set(_ADMIN_PORTS):
            yield f"rule {at(rule, 'name')!r} lets the internet in on port {', '.join(sorted(ports & set(_ADMIN_PORTS)))}"


RULES = (
    ResourceRule(name="no-public-access", description="Not reachable from the internet.", check=public_access),
    ResourceRule(
        name="no-public-endpoint",
        description="Scoring inside the network only.",
        check=public_endpoint,
        advisory_because="who the clients are is the use case's business; a public endpoint asks for a key or token",
    ),
    ResourceRule(name="tls-1-2", description="TLS 1.2 or newer, https only.", check=tls),
    ResourceRule(name="gateway-tls", description="The gateway speaks TLS 1.2 or newer only.", check=gateway_tls),
    ResourceRule(name="firewall-prevents", description="Prod's firewall blocks.", check=firewall, prod_only=True),
    ResourceRule(name="no-local-auth", description="No keys or passwords of the resource's own.", check=local_auth),
    ResourceRule(
        name="no-account-keys",
        description="Storage by identity, not by account key.",
        check=account_keys,
        advisory_because="Azure ML's own datastores go by account key unless the stack chooses identities",
    ),
    ResourceRule(
        name="no-password-publishing", description="Code of apps comes by Entra identity only.", check=publishing
    ),
    ResourceRule(name="no-public-blobs", description="No anonymous reading of blobs.", check=public_blobs),
    ResourceRule(name="no-anonymous-pull", description="No anonymous pulling of images.", check=anonymous_pull),
    ResourceRule(name="cluster-no-ssh", description="Training clusters have no SSH.", check=cluster_ssh),
    ResourceRule(name="redis-encrypted", description="Redis over TLS only.", check=redis_tls),
    ResourceRule(
        name="redis-by-identity",
        description="Redis by Entra token, not by key.",
        check=redis_keys,
        advisory_because="Azure ML's materialization has no other way in (docs/adr/0013-feature-store.md)",
    ),
    ResourceRule(name="no-open-admin-ports", description="No administration from the internet.", check=open_ports),
)
