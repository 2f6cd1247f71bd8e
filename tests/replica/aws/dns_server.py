"""A small authoritative DNS server for the replica's domain: messages by dnspython, over UDP and TCP."""

from __future__ import annotations

import socketserver
import struct
import threading
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from .account import DOMAIN, delivered_identities

Records = dict[tuple[str, str], list[str]]
_TTL = 5


def delivered_records(region: str) -> Records:
    """What the zone says when all is well."""
    (identity,) = delivered_identities().values()
    records: Records = {
        (DOMAIN, "TXT"): ['"site-verification=1"', '"v=spf1 include:amazonses.com -all"'],
        (f"_dmarc.{DOMAIN}", "TXT"): ['"v=DMARC1; p=quarantine"'],
        (identity.mail_from, "MX"): [f"10 feedback-smtp.{region}.amazonses.com."],
        (identity.mail_from, "TXT"): ['"v=spf1 include:amazonses.com -all"'],
    }
    for token in identity.tokens:
        records[f"{token}._domainkey.{DOMAIN}", "CNAME"] = [f"{token}.dkim.amazonses.com."]
    return records


class Zone:
    """The records, and what is wrong with the server: silent, refuse (SERVFAIL), truncate (UDP only)."""

    def __init__(self, region: str):
        self.region = region
        self.restore()

    def restore(self) -> None:
        self.records = delivered_records(self.region)
        self.mode = ""

    def answer(self, wire: bytes, *, over_udp: bool) -> bytes:
        """The answer to a message, empty for none."""
        if self.mode == "silent":
            return b""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return b""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if self.mode == "refuse":
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        if self.mode == "truncate" and over_udp:
            response.flags |= dns.flags.TC
            return response.to_wire()
        question = query.question[0]
        name = question.name.to_text().rstrip(".").lower()
        texts = self.records.get((name, dns.rdatatype.to_text(question.rdtype)))
        if texts:
            response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", question.rdtype, *texts))
        elif not any(known == name for known, _kind in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, connection = self.request
        answer = self.server.zone.answer(data, over_udp=True)  # type: ignore[attr-defined]
        if answer:
            connection.sendto(answer, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        length = self.rfile.read(2)
        if len(length) < 2:
            return
        answer = self.server.zone.answer(self.rfile.read(struct.unpack("!H", length)[0]), over_udp=False)  # type: ignore[attr-defined]
        if answer:
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


class _UdpServer(socketserver.ThreadingUDPServer):
    allow_reuse_address = True
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _both(port: int) -> list[Any]:
    """UDP and TCP on one port; of a port that is chosen freely, TCP may be in use, and then another one is tried."""
    for _try in range(20):
        udp = _UdpServer(("127.0.0.1", port), _Udp)
        try:
            return [udp, _TcpServer(udp.server_address, _Tcp)]
        except OSError:
            udp.server_close()
            if port:
                raise
    raise OSError("no port is free for both UDP and TCP")


def serve(zone: Zone, port: int) -> list[Any]:
    """Answer on a loopback port, UDP and TCP; returns the servers."""
    servers = _both(port)
    for server in servers:
        server.zone = zone
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return servers
