"""Entry point that Pulumi runs. The pack's folder must not shadow modules; the repository's packages are next to it."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from policy.pack import serve  # noqa: E402 - found through the path above

serve()
