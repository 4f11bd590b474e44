"""Functions apps, run for real: `state` supervises, `worker` holds a process, `host` is what runs in it."""

#: The variable that tells a host its key.
KEY_VARIABLE = "ROLLOUT_SANDBOX_HOST_KEY"
