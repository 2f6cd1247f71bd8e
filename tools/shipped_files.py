"""What Ansible sends to a host for each module of this collection: the files, and the size of the archive.

python tools/shipped_files.py [--write]     print the sizes; --write brings tests/packaging/shipped_files.yml up to date
"""

from __future__ import annotations

import base64
import io
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
COLLECTIONS = CHECKOUT / ".cache" / "collections"
FOLDER = COLLECTIONS / "ansible_collections/ops/remediation/plugins"
SNAPSHOT = CHECKOUT / "tests/packaging/shipped_files.yml"
OURS = "ansible_collections/ops/remediation/plugins/"
# The archive within the text that Ansible sends.
ARCHIVE = re.compile(rb"[A-Za-z0-9+/=]{2000,}")


@dataclass(frozen=True)
class Payload:
    """What is sent for one module: files below plugins/ of this collection, and bytes of the whole archive."""

    files: list[str]
    size: int


def payloads() -> dict[str, Payload]:
    """Return {module: payload} of every module that runs on a host, as ansible-core itself builds it."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([str(COLLECTIONS)])
    built = {path.stem: _built(path) for path in sorted((FOLDER / "modules").glob("*.py"))}
    return {name: payload for name, payload in built.items() if payload is not None}


def _built(path: Path) -> Payload | None:
    """Return what is sent for a module; None for one that only documents an action plugin."""
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

    answer = modify_module(
        module_name=f"ansible_collections.ops.remediation.plugins.modules.{path.stem}",
        module_path=str(path),
        module_args={},
        templar=Templar(DataLoader()),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
    )
    sent = answer.b_module_data if hasattr(answer, "b_module_data") else answer[0]
    found = max(ARCHIVE.findall(sent), key=len, default=b"")
    if not found:
        return None
    archive = base64.b64decode(found)
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    return Payload(sorted(name.removeprefix(OURS) for name in names if name.startswith(OURS)), len(archive))


def main(arguments: list[str]) -> int:
    """Print the sizes, and write the snapshot when told to."""
    made = payloads()
    for name, payload in made.items():
        print(f"{name:<20} {payload.size / 1024:5.0f} kB  {len(payload.files):3} files")
    if "--write" in arguments:
        head = "---\n# Made by `python tools/shipped_files.py --write`: what Ansible sends to a host for each module.\n"
        lists = ("\n".join([f"{name}:", *(f"  - {file}" for file in payload.files)]) for name, payload in made.items())
        SNAPSHOT.write_text(head + "\n".join(lists) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
