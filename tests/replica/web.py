"""nginx: the built page, the API behind it, the status page; where it has its things is the installation's matter."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .paths import Paths
from .system import Account, clean_environment, give_to, replace_file, run, run_or_fail, wait_until

_CONF = """\
# Configuration of the replica's nginx.
{first}worker_processes 1;
pid {pid_file};
error_log {logs}/error.log notice;

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
    access_log {logs}/access.log combined;
    client_body_temp_path {temp}/body;
    proxy_temp_path {temp}/proxy;
    fastcgi_temp_path {temp}/fastcgi;
    uwsgi_temp_path {temp}/uwsgi;
    scgi_temp_path {temp}/scgi;
    server_tokens off;
    sendfile on;
    keepalive_timeout 30;

    server {{
        listen {address}:{port};
        listen {address}:{tls_port} ssl;
        server_name localhost;
        ssl_certificate {tls}/site.crt;
        ssl_certificate_key {tls}/site.key;
        root {build};
        index index.html;

        add_header X-Frame-Options SAMEORIGIN always;
        add_header X-Content-Type-Options nosniff always;
        add_header Referrer-Policy strict-origin-when-cross-origin always;

        location /api/ {{
            proxy_pass http://{upstream};
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
class Site:
    """What nginx of an installation serves and where it has its things. `first`: a line that the configuration begins with."""

    conf: Path
    pid_file: Path
    logs: Path
    temp: Path
    tls: Path
    build: Path
    address: str
    port: int
    tls_port: int
    upstream: str
    first: str = ""

    @property
    def error_log(self) -> Path:
        return self.logs / "error.log"

    @property
    def access_log(self) -> Path:
        return self.logs / "access.log"

    @property
    def certificate(self) -> Path:
        return self.tls / "site.crt"

    def facts(self) -> dict[str, Any]:
        """What inventory and faults need to know of it."""
        return {
            "conf": str(self.conf),
            "pid_file": str(self.pid_file),
            "error_log": str(self.error_log),
            "access_log": str(self.access_log),
            "certificate": str(self.certificate),
            "upstream": self.upstream,
        }

    def configure(self) -> bool:
        """Write configuration and certificate as delivered; True when something was not so."""
        for folder in (self.tls, self.logs, self.temp):
            folder.mkdir(parents=True, exist_ok=True)
        text = _CONF.format(**vars(self))
        changed = not self.conf.exists() or self.conf.read_text(encoding="utf-8") != text
        if changed:
            replace_file(self.conf, text)
        return self._ensure_certificate() or changed

    def _ensure_certificate(self) -> bool:
        """Make a self-signed certificate unless there is one that lasts for two more months."""
        long_enough = ["openssl", "x509", "-in", str(self.certificate), "-noout", "-checkend", str(_TWO_MONTHS_S)]
        if self.certificate.exists() and run(long_enough).rc == 0:
            return False
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(self.tls / "site.key")]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        run_or_fail("make a certificate", ["openssl", "req", "-x509", *key, "-out", str(self.certificate), "-days", "365", *names])
        return True

    def workers(self) -> set[str]:
        """Pids of the workers of the master that the pid file names, none when it does not live."""
        try:
            pid = self.pid_file.read_text(encoding="ascii").strip()
            return set(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
        except OSError:
            return set()

    def wait_for_new_workers(self, before: set[str]) -> None:
        wait_until(lambda: self.workers() - before, _RELOAD_S, "nginx has no new workers after a reload; see its error.log")


@dataclass(frozen=True)
class Web:
    """nginx of one local instance: it runs as the application's user, everything is in the instance's folders."""

    paths: Paths
    account: Account
    executable: Path
    ports: Mapping[str, int]

    @property
    def site(self) -> Site:
        p = self.paths
        return Site(
            conf=p.nginx_conf,
            pid_file=p.nginx / "nginx.pid",
            logs=p.nginx / "logs",
            temp=p.nginx / "temp",
            tls=p.tls,
            build=p.app / "frontend/build",
            address="127.0.0.1",
            port=self.ports["web"],
            tls_port=self.ports.get("web_tls", 0),
            upstream=f"127.0.0.1:{self.ports['backend']}",
        )

    def configure(self) -> bool:
        """Write configuration and certificate as delivered; True when something was not so."""
        changed = self.site.configure()
        give_to(self.account, self.paths.nginx, self.paths.app / "nginx")
        return changed

    def argv(self, *arguments: str) -> list[str]:
        """The command for this nginx; without arguments it starts."""
        site = self.site
        return [str(self.executable), "-p", f"{self.paths.nginx}/", "-e", str(site.error_log), "-c", str(site.conf), *arguments]

    def start(self) -> None:
        self.site.pid_file.unlink(missing_ok=True)
        self._run("start nginx")

    def reload(self) -> None:
        """Load the configuration; returns when new workers serve."""
        before = self.site.workers()
        self._run("reload nginx", "-s", "reload")
        self.site.wait_for_new_workers(before)

    def stop(self) -> None:
        if self.site.pid_file.exists():
            self._run("stop nginx", "-s", "quit")

    def _run(self, what: str, *arguments: str) -> None:
        run_or_fail(what, self.argv(*arguments), account=self.account, env=clean_environment(), cwd=self.paths.nginx)


def body_of(url: str, timeout: float = 2) -> str:
    """The answer's text, or "" when there is no good one."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=timeout) as answer:
            return answer.read().decode(errors="replace")
    except (urllib.error.URLError, OSError, ValueError):
        return ""
