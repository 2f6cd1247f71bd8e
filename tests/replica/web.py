"""nginx of the instance: the built page, the API behind it, the status page; everything in the instance's folders."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .paths import Paths
from .system import Account, clean_environment, give_to, replace_file, run, run_or_fail, wait_until

_CONF = """\
# Configuration of the replica's nginx: run as the application's user, everything below {instance}.
worker_processes 1;
pid {prefix}/nginx.pid;
error_log {prefix}/logs/error.log notice;

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
        listen 127.0.0.1:{tls_port} ssl;
        server_name localhost;
        ssl_certificate {tls}/site.crt;
        ssl_certificate_key {tls}/site.key;
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
            proxy_read_timeout 3s;
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


_TWO_MONTHS_S = 60 * 86400
_RELOAD_S = 10


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

    @property
    def certificate(self) -> Path:
        return self.paths.tls / "site.crt"

    def configure(self, ports: Mapping[str, int]) -> bool:
        """Write configuration and certificate as delivered; True when something was not so."""
        p = self.paths
        values = {"web_port": ports["web"], "tls_port": ports["web_tls"], "backend_port": ports["backend"]}
        text = _CONF.format(instance=p.instance, prefix=p.nginx, app=p.app, tls=p.tls, **values)
        p.tls.mkdir(parents=True, exist_ok=True)
        for folder in ("logs", "temp"):
            (p.nginx / folder).mkdir(parents=True, exist_ok=True)
        changed = not p.nginx_conf.exists() or p.nginx_conf.read_text(encoding="utf-8") != text
        if changed:
            replace_file(p.nginx_conf, text)
        changed = self._ensure_certificate() or changed
        give_to(self.account, p.nginx, p.app / "nginx")
        return changed

    def _ensure_certificate(self) -> bool:
        """Make a self-signed certificate unless there is one that lasts for two more months."""
        long_enough = ["openssl", "x509", "-in", str(self.certificate), "-noout", "-checkend", str(_TWO_MONTHS_S)]
        if self.certificate.exists() and run(long_enough).rc == 0:
            return False
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(self.paths.tls / "site.key")]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        run_or_fail("make a certificate", ["openssl", "req", "-x509", *key, "-out", str(self.certificate), "-days", "365", *names])
        return True

    def start(self) -> None:
        self.pid_file.unlink(missing_ok=True)
        self._nginx("start nginx")

    def serving(self) -> bool:
        """True while the master of the pid file lives."""
        return bool(self._workers())

    def reload(self) -> None:
        """Load the configuration; returns when new workers serve."""
        before = self._workers()
        self._nginx("reload nginx", "-s", "reload")
        wait_until(lambda: self._workers() - before, _RELOAD_S, "nginx has no new workers after a reload; see its error.log")

    def _workers(self) -> set[str]:
        try:
            pid = self.pid_file.read_text(encoding="ascii").strip()
            return set(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
        except OSError:
            return set()

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
