# Copyright: the ops.remediation maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration in a folder."""

from __future__ import annotations

import socket

import pytest

CONF = """\
pid {place}/run/nginx.pid;
error_log {place}/logs/error.log notice;
events {{ }}
http {{
    access_log {place}/logs/access.log;
    proxy_cache_path {place}/cache keys_zone=a:1m;
    include sites/*.conf;
    server {{
        listen 127.0.0.1:{port} default_server reuseport;
        listen [::1]:{port} ipv6only=on;
        listen unix:{place}/site.sock;
        location / {{ proxy_pass http://127.0.0.1:1; }}
    }}
}}
"""


@pytest.fixture
def place(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "sites").mkdir()
    (tmp_path / "nginx.conf").write_text(CONF.format(place=tmp_path, port=port))
    (tmp_path / "sites" / "a.conf").write_text(f"server {{\n    listen 127.0.0.1:{port};\n    server_name a;\n}}\n")
    return tmp_path, port
