# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Instant Client is found."""

from __future__ import annotations

from ansible_collections.ops.remediation.plugins.module_utils._core.children import Program
from ansible_collections.ops.remediation.plugins.module_utils._shared.oracle import client as _oracle_client


def test_instant_client(tmp_path, monkeypatch):
    folder = tmp_path / "instantclient_23_5"
    folder.mkdir()
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    cache = ["\tlibaio.so.1 (libc6,x86-64) => /lib/libaio.so.1"]
    monkeypatch.setattr(_oracle_client.children, "run", lambda argv, deadline: Program(0, "\n".join(cache), "", 1))
    empty = _oracle_client.instant_client(str(folder))
    assert (empty["holds_library"], str(folder) in empty["folders"], empty["libaio"]) == (False, False, True)
    (folder / "libclntsh.so.23.1").write_bytes(b"")
    unknown = _oracle_client.instant_client(str(folder))
    assert (unknown["holds_library"], unknown["ld_library_path"], unknown["known_to_the_loader"]) == (True, False, False)
    assert str(folder) in unknown["folders"]
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/x:{folder}")
    assert _oracle_client.instant_client(str(folder))["ld_library_path"] is True
    assert str(folder) in _oracle_client.instant_client()["folders"]
    cache.append(f"\tlibclntsh.so.23.1 (libc6,x86-64) => {folder}/libclntsh.so.23.1")
    assert _oracle_client.instant_client(str(folder))["known_to_the_loader"] is True
    monkeypatch.setattr(_oracle_client.children, "run", lambda argv, deadline: Program(None, "", "", 1))
    assert _oracle_client.instant_client(str(folder))["known_to_the_loader"] is None
