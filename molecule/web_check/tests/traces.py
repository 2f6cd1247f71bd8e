"""What asking could change on nginx's host."""

from __future__ import annotations

PLACES = "/etc/nginx /opt/tank-mail-app/frontend/build"
STATE = "/var/lib/ops-remediation"


def traces(web):
    """Return nginx's processes (a reload brings other workers), and every file of its configuration, of the build and of what is kept."""
    processes = sorted(web.check_output("ps -C nginx -o pid=,args=").splitlines())
    files = sorted(web.run(f"find {PLACES} {STATE} -printf '%p %y %m %s %T@\n'").stdout.splitlines())
    assert len(processes) >= 2
    assert all(any(line.startswith(f"{place} ") for line in files) for place in PLACES.split())
    return {"processes": processes, "files": files}
