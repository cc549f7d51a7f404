"""What a run is computed with, for the record: versions, devices, the commit of the working folder."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import jax

from dnas import __version__

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def described(command: str) -> dict[str, Any]:
    """The environment of this process, and the command that started it."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "versions": {"dnas": __version__} | {name: version(name) for name in PACKAGES},
    }


def _commit() -> str | None:
    """The commit of the working directory, `+changes` if files differ from it; None outside a repository."""
    try:
        head, changes = (
            subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10)
            for arguments in (("rev-parse", "--verify", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + "+changes" * bool(changes.stdout) if head.returncode == 0 else None
