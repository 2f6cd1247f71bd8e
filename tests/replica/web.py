"""nginx of the instance: the built page, the API behind it, the status page; everything in the instance's folders."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from .paths import Paths
from .system import Account, clean_environment, give_to, replace_file, run_or_fail

_CONF = """\
# Configuration of the replica's nginx: run as the application's user, everything below {instance}.
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/logs/error.log warn;

events {{
    worker_connections 128;
}}

http {{
    types {{
        text/html               html;
        text/css                css;
        application/javascript  js;
        application/json        json map;
        image/svg+xml           svg;
        image/png               png;
        image/x-icon            ico;
        font/woff2              woff2;
    }}
    default_type application/octet-stream;
    access_log {prefix}/logs/access.log combined;
    client_body_temp_path {prefix}/temp/body;
    proxy_temp_path {prefix}/temp/proxy;
    fastcgi_temp_path {prefix}/temp/fastcgi;
    uwsgi_temp_path {prefix}/temp/uwsgi;
    scgi_temp_path {prefix}/temp/scgi;
    server_tokens off;
    sendfile on;
    keepalive_timeout 30;

    server {{
        listen 127.0.0.1:{web_port};
        server_name localhost;
        root {app}/frontend/build;
        index index.html;

        add_header X-Frame-Options SAMEORIGIN always;
        add_header X-Content-Type-Options nosniff always;
        add_header Referrer-Policy strict-origin-when-cross-origin always;

        location /api/ {{
            proxy_pass http://127.0.0.1:{backend_port};
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_connect_timeout 3s;
            proxy_read_timeout 30s;
        }}

        location = /nginx_status {{
            stub_status;
            access_log off;
            allow 127.0.0.1;
            deny all;
        }}

        location / {{
            try_files $uri $uri/ /index.html;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Web:
    """nginx of one instance."""

    paths: Paths
    account: Account
    executable: Path

    @property
    def pid_file(self) -> Path:
        return self.paths.nginx / "nginx.pid"

    @property
    def error_log(self) -> Path:
        return self.paths.nginx / "logs" / "error.log"

    @property
    def access_log(self) -> Path:
        return self.paths.nginx / "logs" / "access.log"

    def configure(self, web_port: int, backend_port: int) -> None:
        p = self.paths
        text = _CONF.format(instance=p.instance, prefix=p.nginx, app=p.app, web_port=web_port, backend_port=backend_port)
        p.nginx_conf.parent.mkdir(parents=True, exist_ok=True)
        for folder in ("logs", "temp"):
            (p.nginx / folder).mkdir(parents=True, exist_ok=True)
        replace_file(p.nginx_conf, text)
        give_to(self.account, p.nginx, p.app / "nginx")

    def start(self) -> None:
        self.pid_file.unlink(missing_ok=True)
        self._nginx("start nginx")

    def stop(self) -> None:
        if self.pid_file.exists():
            self._nginx("stop nginx", "-s", "quit")

    def _nginx(self, what: str, *arguments: str) -> None:
        argv = [str(self.executable), "-p", f"{self.paths.nginx}/", "-e", str(self.error_log), "-c", str(self.paths.nginx_conf), *arguments]
        run_or_fail(what, argv, account=self.account, env=clean_environment(), cwd=self.paths.nginx)


def body_of(url: str, timeout: float = 2) -> str:
    """The answer's text, or "" when there is no good one."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=timeout) as answer:
            return answer.read().decode(errors="replace")
    except (urllib.error.URLError, OSError, ValueError):
        return ""
