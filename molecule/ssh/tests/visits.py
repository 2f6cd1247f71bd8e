"""What the hosts noted of the user who comes by SSH."""

from __future__ import annotations

LOGINS = "journalctl -u ssh --no-pager | grep -c 'Accepted publickey for ops'"
COMMANDS = "journalctl -t sudo --no-pager | grep -c 'ops : .*COMMAND='"


def visits(hosts):
    """Return how often the user has logged in to each host, and how many commands came through sudo."""
    return {name: [int(count) for count in host.run(f"{LOGINS}; {COMMANDS}").stdout.split()] for name, host in hosts.items()}
