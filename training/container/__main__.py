"""The image's entry: `python -m training.container`. Settings come from the environment: PORT, HOST, WORKER_COUNT."""

from __future__ import annotations

import os

import uvicorn

PORT = 8080


def main() -> None:
    uvicorn.run(
        "training.container.app:create_app",
        factory=True,
        # a container has a network of its own, and Azure's probes come from outside it
        host=os.environ.get("HOST", "0.0.0.0"),  # nosec B104
        port=int(os.environ.get("PORT", PORT)),
        workers=int(os.environ.get("WORKER_COUNT", "1")),
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        # longer than Azure's front end keeps idle connections, so that it always closes first
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
