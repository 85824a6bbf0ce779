"""Who may see the page: one secret in the printed address, changed into a cookie; everything else is refused.

A page of another site may make the browser send requests here. It cannot read the cookie (HttpOnly), cannot
have it sent (SameSite=Strict), cannot name this server by a name of its own (the Host header is checked
against a list: DNS rebinding), and cannot post (Origin and a token that only our pages hold).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
TOKEN = "token"
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # none at all would make the Origin of a posted form "null"
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Guard:
    """Secrets of one run of the server, and what it answers to. `hosts` are names without a port."""

    port: int
    hosts: frozenset[str] = frozenset(LOOPBACK)
    any_address: bool = False  # listens on every interface: any address in digits is one of ours
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def cookie(self) -> str:
        """The cookie's name: cookies are shared by all ports of a host."""
        return f"healtheat_{self.port}"

    @property
    def csrf(self) -> str:
        """The token that our own pages send along with every POST."""
        return hmac.new(self.session.encode(), b"csrf", hashlib.sha256).hexdigest()

    def right_token(self, given: str) -> bool:
        """Whether this is the secret of the printed address."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())

    def signed_in(self, cookies: Mapping[str, str]) -> bool:
        """Whether the browser was here with the right token."""
        given = cookies.get(self.cookie, "").encode("utf-8", "replace")
        return hmac.compare_digest(given, self.session.encode())

    def refuse(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Why a request is not ours to answer, from its headers alone; None if it is."""
        host = headers.get("host", "")
        if not self._our_host(host):
            return "unknown host name"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and (
            method != "GET" or headers.get("sec-fetch-mode") != "navigate"
        ):
            return "a request from another site"
        if method == "POST":
            if headers.get("origin") != f"http://{host}":
                return "a request from another origin"
        elif method not in ("GET", "HEAD"):
            return "method not allowed"
        return None

    def right_csrf(self, given: str) -> bool:
        """Whether a POST comes from one of our pages."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.csrf.encode())

    def _our_host(self, host: str) -> bool:
        try:
            found = urlsplit(f"http://{host}")
            name, port = found.hostname or "", found.port or 80
        except ValueError:
            return False
        plain = f"[{name}]" if ":" in name else name
        if port != self.port or host.lower() not in (f"{plain}:{port}", plain):
            return False
        if plain in self.hosts:
            return True
        return self.any_address and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
