"""Front Door, its firewall, and API Management."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row

_PROFILE = "Microsoft.Cdn/profiles/{profileName}"
_SERVICE = "Microsoft.ApiManagement/service/{serviceName}"
ROWS = (
    row("cdn:Profile", _PROFILE, immutable=("location",)),
    row("cdn:AFDEndpoint", f"{_PROFILE}/afdEndpoints/{{endpointName}}", immutable=("location",)),
    row("cdn:AFDCustomDomain", f"{_PROFILE}/customDomains/{{customDomainName}}", immutable=("hostName",)),
    row("cdn:AFDOriginGroup", f"{_PROFILE}/originGroups/{{originGroupName}}"),
    row("cdn:AFDOrigin", f"{_PROFILE}/originGroups/{{originGroupName}}/origins/{{originName}}"),
    row("cdn:Route", f"{_PROFILE}/afdEndpoints/{{endpointName}}/routes/{{routeName}}"),
    row("cdn:SecurityPolicy", f"{_PROFILE}/securityPolicies/{{securityPolicyName}}"),
    row(
        "frontdoor:Policy",
        "Microsoft.Network/frontdoorWebApplicationFirewallPolicies/{policyName}",
        immutable=("location",),
    ),
    row(
        "apimanagement:ApiManagementService",
        _SERVICE,
        immutable=("location",),
        # Front Door's connection appears here by itself
        keep_unset=("privateEndpointConnections",),
    ),
    row("apimanagement:Api", f"{_SERVICE}/apis/{{apiId}}"),
    row("apimanagement:ApiPolicy", f"{_SERVICE}/apis/{{apiId}}/policies/{{policyId}}"),
    row(
        "apimanagement:ApiOperationPolicy",
        f"{_SERVICE}/apis/{{apiId}}/operations/{{operationId}}/policies/{{policyId}}",
    ),
    row("apimanagement:Backend", f"{_SERVICE}/backends/{{backendId}}", laid_out=True),
    row("apimanagement:Diagnostic", f"{_SERVICE}/diagnostics/{{diagnosticId}}"),
    row("apimanagement:Logger", f"{_SERVICE}/loggers/{{loggerId}}"),
    row("apimanagement:NamedValue", f"{_SERVICE}/namedValues/{{namedValueId}}", inner=("tags",)),
    row("apimanagement:Product", f"{_SERVICE}/products/{{productId}}"),
    row("apimanagement:ProductApi", f"{_SERVICE}/products/{{productId}}/apis/{{apiId}}"),
    row("apimanagement:Subscription", f"{_SERVICE}/subscriptions/{{sid}}"),
)
ACTIONS = {
    "apimanagement:listNamedValue": ("apimanagement:NamedValue", "listValue"),
    "apimanagement:listSubscriptionSecrets": ("apimanagement:Subscription", "listSecrets"),
}
