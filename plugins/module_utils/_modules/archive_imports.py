# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import from the archive that Ansible sends without compiling each file twice.

Python's zipimport compiles a source to find its file name, and again to run it. A run of many areas imports 160 files: this takes a
quarter of the module's processor time.
"""

from __future__ import annotations

import sys
import zipimport
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

OURS = __name__.rpartition("._modules.")[0]  # module_utils of this collection


class ArchiveFinder:
    """Finds modules below OURS in a zip archive. For others, and where the sources are plain files, Python's own finder goes on."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: Any = None) -> ModuleSpec | None:
        """Return where a module is, as Python's import system asks for it; None when it is not in an archive."""
        if not name.startswith(OURS):
            return None
        for folder in path or ():
            archive = sys.path_importer_cache.get(folder)
            if isinstance(archive, zipimport.zipimporter):
                spec = _spec(name, folder, archive)
                if spec is not None:
                    return spec
        return None


def _spec(name: str, folder: str, archive: zipimport.zipimporter) -> ModuleSpec | None:
    try:
        package = archive.is_package(name)
    except zipimport.ZipImportError:
        return None
    place = f"{folder}/{name.rpartition('.')[2]}"
    loader: Any = archive  # typeshed does not know it as a loader
    spec = ModuleSpec(name, loader, origin=f"{place}/__init__.py" if package else f"{place}.py", is_package=package)
    spec.has_location = True
    if package:
        spec.submodule_search_locations = [place]
    return spec


def compile_once() -> None:
    """Let what is imported from now on be compiled once."""
    if ArchiveFinder not in sys.meta_path:
        sys.meta_path.insert(0, ArchiveFinder)
