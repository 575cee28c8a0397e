"""Which addresses the server may speak to when somebody else typed the address. Pure.

The standard library's `is_global` is no filter: it calls NAT64, 6to4, IPv4-compatible addresses, `fec0::/10` and the
host address of Azure global, and its tables change between patch releases. So the list is ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DENIED = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a carrier (and a cloud's metadata)",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's host address",
    "169.254.0.0/16": "link-local (a cloud's metadata)",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "for protocols",
    "192.0.2.0/24": "for documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/96": "IPv4-compatible, unspecified or loopback",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "local NAT64",
    "100::/64": "discard-only",
    "2001::/23": "for protocols, Teredo among them",
    "2001:db8::/32": "for documentation",
    "2002::/16": "6to4",
    "3fff::/20": "for documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local (a cloud's metadata)",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
DENIED: tuple[tuple[Network, str], ...] = tuple((ipaddress.ip_network(net), why) for net, why in _DENIED.items())
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
PORTS = (80, 443, 8443)
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?\.?|[0-9a-f:.]*:[0-9a-f:.]*")


class Refused(Exception):
    """Policy forbids the request. The text names the address and the remedy, and holds nothing of path or query."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address: where to connect, and what to ask there. `host` is lower case, without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows beyond the public internet: networks, and host names (lower case). Those may use any
    port; everything else only `ports`."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    ports: tuple[int, ...] = PORTS

    def is_allowed(self, target: Target, address: Address | None = None) -> bool:
        if target.host.rstrip(".") in self.hosts:
            return True
        return address is not None and any(address in network for network in self.networks)


def rules(allowed: Iterable[str], ports: Iterable[int] = PORTS) -> Rules:
    """From CIDR blocks, single addresses and host names; ValueError for what is none of them."""
    networks: list[Network] = []
    hosts: set[str] = set()
    for text in filter(None, (entry.strip().lower() for entry in allowed)):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError:
            if "/" in text or not _HOST.fullmatch(text) or text.replace(".", "").isdigit():
                raise ValueError(f"{text!r} is neither a network such as 10.1.0.0/16 nor a host name") from None
            hosts.add(text.rstrip("."))
    return Rules(tuple(networks), frozenset(hosts), tuple(ports))


def target(url: str) -> Target:
    """Takes an address apart; Refused for anything but http(s) without user, password and odd characters."""
    if any(ord(character) <= 32 or ord(character) == 127 for character in url) or "\\" in url:
        raise Refused("The address holds a blank, a control character or a backslash. Take it out.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused("The address cannot be read. It looks like https://host/path.") from error
    if parts.scheme not in ("http", "https"):
        raise Refused("The address does not begin with https:// or http://.")
    if "@" in parts.netloc:
        raise Refused("The address holds a user name or password. Take them out.")
    host = _host(parts.hostname or "")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    return Target(
        parts.scheme, host, port if port is not None else {"http": 80, "https": 443}[parts.scheme], path + query
    )


def _host(name: str) -> str:
    try:
        host = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError as error:
        raise Refused("The host name of the address cannot be read.") from error
    host = host.lower()
    if not _HOST.fullmatch(host):
        raise Refused("The address has no host name, or one with odd characters.")
    return host


def check_target(asked: Target, allowed: Rules) -> None:
    """What can be said before the name is resolved; Refused with the reason."""
    name = asked.host.rstrip(".")
    if allowed.is_allowed(asked):
        return
    if name in METADATA_NAMES:
        raise Refused(f"{name} is a cloud's metadata service, which is never called.")
    if asked.port not in allowed.ports and not allowed.networks:
        raise _bad_port(asked, allowed)


def checked(asked: Target, found: Iterable[str], allowed: Rules) -> tuple[str, ...]:
    """The addresses that a name resolved to, in their order, when *every* one may be called; Refused otherwise."""
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    is_inside = all(allowed.is_allowed(asked, unmapped(address)) for address in addresses)
    if asked.port not in allowed.ports and not is_inside:
        raise _bad_port(asked, allowed)
    for address in addresses:
        plain = unmapped(address)
        why = denied(plain)
        if why is not None and not allowed.is_allowed(asked, plain):
            raise Refused(
                f"{asked.host} leads to {address}, which is not public: {why}. The operator can allow it with "
                "STANCHION_OUTBOUND_ALLOW."
            )
    return tuple(str(address) for address in addresses)


def _bad_port(asked: Target, allowed: Rules) -> Refused:
    ports = ", ".join(map(str, allowed.ports))
    return Refused(f"Port {asked.port} is not among {ports}. The operator can allow the host.")


def denied(address: Address) -> str | None:
    """Why an address may not be called; None when it may."""
    plain = unmapped(address)
    for network, why in DENIED:
        if plain in network:
            return why
    if plain.version == 6 and plain not in _GLOBAL_UNICAST:
        return "not global unicast"
    return None


def unmapped(address: Address) -> Address:
    """An IPv4 address in IPv6 clothes (::ffff:…) as what it is."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def literal(name: str) -> Address | None:
    try:
        return unmapped(ipaddress.ip_address(name))
    except ValueError:
        return None
