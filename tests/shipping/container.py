# SPDX-License-Identifier: Apache-2.0
"""What a container runtime makes of a container in a manifest, with this machine as its image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_MAKE: Final = """
place=$1 is_privileged=$2 root=$1/root
shift 2
mount -t tmpfs tmpfs "$place"
mkdir "$place/upper" "$place/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$root"
for folder in dev proc sys; do
  mount --rbind "/$folder" "$root/$folder"
done
while [ "$1" != -- ]; do
  # A link in the image leads to a place in the image.
  inside=$root$(chroot "$root" realpath -m -- "$2")
  if [ -d "$1" ]; then
    mkdir -p "$inside"
  else
    mkdir -p "${inside%/*}"
    touch "$inside"
  fi
  mount --bind "$1" "$inside"
  shift 2
done
shift
if [ "$is_privileged" = False ]; then
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
fi
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""
"""Takes pairs of a path outside and the path inside, ``--``, and the command to become."""


def in_container(
    place: Path, security: Mapping[str, Any], mounts: Mapping[str, str | Path]
) -> list[str]:
    """A command that becomes the one behind it, in a container that only this process has.

    Args:
        place: a folder for the container's file system, which nobody outside sees.
        security: the container's ``securityContext``.
        mounts: for each path inside, what it is outside.
    """
    place.mkdir(parents=True, exist_ok=True)
    is_privileged = security.get("privileged", False)
    pairs = [str(path) for inside, outside in mounts.items() for path in (outside, inside)]
    make = ["unshare", "--mount", "--propagation=private", "bash", "-euc", _MAKE, "container"]
    return [*make, str(place), str(is_privileged), *pairs, "--", *_rights(security)]


def in_running_container(process: int, security: Mapping[str, Any]) -> list[str]:
    """A command that becomes the one behind it, in the container of a process, with its rights."""
    enter = ["nsenter", f"--target={process}", "--mount", "--net", "--root", "--wd"]
    return [*enter, *_rights(security)]


def _rights(security: Mapping[str, Any]) -> Sequence[str]:
    return [] if security.get("privileged", False) else _dropping(security)


def _dropping(security: Mapping[str, Any]) -> Sequence[str]:
    """The command that leaves nothing but the capabilities that are granted."""
    assert security["capabilities"]["drop"] == ["ALL"]
    assert security["allowPrivilegeEscalation"] is False
    granted = [f"+{name.lower()}" for name in security["capabilities"]["add"]]
    bounding_set = ",".join(["--bounding-set=-all", *granted])
    return ["setpriv", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", bounding_set]
