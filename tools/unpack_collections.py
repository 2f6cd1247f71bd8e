"""Unpack some collections from the wheel of the Python package `ansible`.

python tools/unpack_collections.py <wheel> <folder> <namespace.name>...
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def main(wheel: str, folder: str, names: list[str]) -> int:
    """Unpack; 1 when the wheel lacks one of them."""
    with zipfile.ZipFile(wheel) as archive:
        members = archive.namelist()
        for name in names:
            inside = f"ansible_collections/{name.replace('.', '/')}/"
            wanted = [member for member in members if member.startswith(inside)]
            if not wanted:
                print(f"unpack_collections: {Path(wheel).name} holds no collection {name}", file=sys.stderr)
                return 1
            archive.extractall(folder, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
