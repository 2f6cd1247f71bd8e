"""Faults of the served page: the React build, the way to the backend, headers, certificate."""

from __future__ import annotations

from collections.abc import Callable

from tests.replica.interface import Replica
from tests.replica.system import free_port

from ..breakage import Breakage
from ..nginx.make import end_other_program, listen_on, reload_with, restore, workers

_API_BLOCK_BEGINS = "        location /api/ {"


def _build(replica: Replica, name: str = "") -> str:
    return f"{replica.facts['build_dir']}/{name}".rstrip("/")


def _asset(replica: Replica, ending: str) -> str:
    """Path of the built script or style sheet, whose name has a hash."""
    return replica.must(["sh", "-c", 'ls "$1"/assets/*"$2"', "sh", _build(replica), ending]).split()[0]


def redeploy(replica: Replica) -> None:
    replica.deploy()


# The build


def empty_index(replica: Replica) -> None:
    replica.write(_build(replica, "index.html"), "")


def other_index(replica: Replica) -> None:
    replica.write(_build(replica, "index.html"), "<!doctype html><title>Welcome</title><h1>Welcome to nginx!</h1>\n")


def remove_index(replica: Replica) -> None:
    replica.remove(_build(replica, "index.html"))


def remove_build(replica: Replica) -> None:
    replica.remove(_build(replica))


def remove_script(replica: Replica) -> None:
    replica.remove(_asset(replica, ".js"))


def empty_script(replica: Replica) -> None:
    replica.write(_asset(replica, ".js"), "")


def close_index(replica: Replica) -> None:
    replica.chmod(_build(replica, "index.html"), 0)


def plant_secret(replica: Replica) -> None:
    """What a build does whose variables hold the server's .env."""
    path = _asset(replica, ".js")
    planted = 'const config={AWS_ACCESS_KEY:"AKIAIOSFODNN7EXAMPLE",ORACLE_PASS:"planted-tiger-1"};\n'
    replica.write(path, planted + replica.read(path))


# The configuration


def serve_scripts_as_bytes(replica: Replica) -> None:
    reload_with(replica, "application/javascript  js;", "application/octet-stream js;")


def deny(replica: Replica) -> None:
    reload_with(replica, "try_files $uri $uri/ /index.html;", "deny all;")


def forget_index(replica: Replica) -> None:
    reload_with(replica, "try_files $uri $uri/ /index.html;", "try_files $uri =404;")


def forget_api(replica: Replica) -> None:
    """The location of the API is misspelt: the page's fallback answers in its place, with 200."""
    reload_with(replica, _API_BLOCK_BEGINS, "        location /apis/ {")


def pass_to_nobody(replica: Replica) -> None:
    port = free_port(list(replica.facts["ports"].values()))
    reload_with(replica, f"proxy_pass http://{replica.facts['nginx']['upstream']};", f"proxy_pass http://127.0.0.1:{port};")


def pass_to_silence(replica: Replica) -> None:
    """nginx passes the API on to a program that takes connections and never answers."""
    port = free_port(list(replica.facts["ports"].values()))
    listen_on(replica, port, "")
    reload_with(replica, f"proxy_pass http://{replica.facts['nginx']['upstream']};", f"proxy_pass http://127.0.0.1:{port};")


def end_silence(replica: Replica) -> None:
    replica.restore_web()
    end_other_program(replica)


def drop_headers(replica: Replica) -> None:
    reload_with(
        replica, "        add_header X-Frame-Options SAMEORIGIN always;\n        add_header X-Content-Type-Options nosniff always;\n", ""
    )


def tell_version(replica: Replica) -> None:
    reload_with(replica, "server_tokens off;", "server_tokens on;")


def freeze_workers(replica: Replica) -> None:
    for pid in workers(replica):
        replica.signal(pid, "STOP")


def wake_workers(replica: Replica) -> None:
    for pid in workers(replica):
        replica.signal(pid, "CONT")


# The certificate


_SIGN = """
set -e
work=$(mktemp -d)
: >"$work/index"
printf '[ca]\\ndefault_ca=own\\n[own]\\ndatabase=%s/index\\nnew_certs_dir=%s\\nrand_serial=yes\\ndefault_md=sha256\\npolicy=any\\n' "$work" "$work" >"$work/ca.cnf"
printf 'x509_extensions=names\\n[any]\\ncommonName=supplied\\n[names]\\nsubjectAltName=DNS:localhost,IP:127.0.0.1\\n' >>"$work/ca.cnf"
openssl req -new -key "$1/site.key" -subj /CN=localhost -out "$work/request" 2>/dev/null
openssl ca -batch -selfsign -notext -config "$work/ca.cnf" -keyfile "$1/site.key" -in "$work/request" -out "$1/site.crt" \\
    -startdate "$(date -u -d "$2" +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d "$3" +%Y%m%d%H%M%SZ)" 2>/dev/null
rm -r "$work"
"""


def _present(begin: str, end: str) -> Callable[[Replica], None]:
    """A fault that presents a certificate with such times, signed with the site's own key."""

    def make(replica: Replica) -> None:
        folder = replica.facts["nginx"]["certificate"].rpartition("/")[0]
        replica.must(["sh", "-c", _SIGN, "sh", folder, begin, end])
        reload_with(replica, "", "")

    return make


def _web(
    code: str,
    description: str,
    make: Callable[[Replica], None],
    clear: Callable[[Replica], None] = redeploy,
    variant: str = "",
) -> Breakage:
    return Breakage(f"web.{code}", "web", description, "", make, clear, variant=variant)


BREAKAGES = (
    _web("no_answer", "nginx hangs: its workers are frozen (SIGSTOP)", freeze_workers, wake_workers),
    _web("blank", "index.html is empty", empty_index),
    _web("blank", "index.html is another page", other_index, variant="other"),
    _web("build_missing", "index.html is not there", remove_index),
    _web("build_missing", "the folder of the build is not there", remove_build, variant="folder"),
    _web("asset_missing", "the built script is not there", remove_script),
    _web("asset_missing", "scripts are served as bytes", serve_scripts_as_bytes, restore, "type"),
    _web("asset_empty", "the built script is empty", empty_script),
    _web("forbidden", "index.html may not be read", close_index),
    _web("forbidden", "a rule of nginx denies", deny, restore, "rule"),
    _web("not_found", "nginx looks for a file where there is a folder", forget_index, restore),
    _web("not_found", "the page's fallback answers for the API", forget_api, restore, "api"),
    _web("bad_gateway", "nginx passes the API on to a port where nobody listens", pass_to_nobody, restore),
    _web("gateway_timeout", "nginx passes the API on to a program that never answers", pass_to_silence, end_silence),
    _web("secret_in_build", "a key and a password are in the built script", plant_secret),
    _web("certificate_30", "the certificate ends in ten days", _present("1 day ago", "10 days"), restore),
    _web("certificate_expired", "the certificate ended yesterday", _present("90 days ago", "1 day ago"), restore),
    _web("headers_missing", "two headers are gone", drop_headers, restore),
    _web("headers_missing", "the answer names nginx's version", tell_version, restore, "version"),
)
