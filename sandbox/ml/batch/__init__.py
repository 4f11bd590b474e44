"""Batch endpoints: deployments that are checked, invocations that become jobs, and the driver that scores files."""
