"""After state absent."""

from __future__ import annotations

import json


def test_neither_the_process_nor_the_saved_list_has_it(app):
    assert app.run("pgrep -f '/opt/probe/[s]erver.js'").stdout == ""
    saved = json.loads(app.file("/home/tankmail/.pm2/dump.pm2").content_string)
    assert sorted(entry["name"] for entry in saved) == ["backend", "worker"]
