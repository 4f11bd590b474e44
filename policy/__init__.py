"""The policy pack: `pulumi preview --policy-pack policy`. Rules are pure; `pack` hands them to Pulumi."""
