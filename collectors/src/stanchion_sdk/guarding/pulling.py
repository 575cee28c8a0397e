"""One named policy, pulled from the server, kept on disk, and still there when the server is not."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import safety
from ..settings import Settings
from .bundles import Entry, read

POLL_S = 10.0
TIMEOUT_S = 10.0
FIRST_TIMEOUT_S = 2.0
"""While a check waits for the policy's first copy."""

MAX_BUNDLE_BYTES = 16 * 1024 * 1024
"""Two policies with three versions each, of the longest that the server takes."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to wherever it leads."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class Pulled:
    """`entries()` is None, and `reason` says why, while no bundle was ever seen."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._url = f"{settings.endpoint}/api/v1/policies/{quote(name, safe='')}/bundle"
        self._hash_key = hashlib.sha256(b"stanchion guard\0" + settings.api_key.encode()).digest()
        self._etag = ""
        self._entries: tuple[Entry, ...] | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self.reason = "the policy was not fetched yet"

    def entries(self) -> tuple[Entry, ...] | None:
        if self._pid != os.getpid():
            self._begin()
        return self._entries

    def refresh(self, timeout_s: float = TIMEOUT_S) -> bool:
        """Asks the server now; whether it answered with a usable bundle, or that ours is still the newest."""
        try:
            body, etag = self._ask(timeout_s)
            if body:
                self._entries, self._etag = read(body, self._hash_key), etag
                self._keep(body)
            return True
        except Exception as error:
            code = error.code if isinstance(error, urllib.error.HTTPError) else type(error).__name__
            self.reason = f"the policy could not be fetched ({code})"
            safety.say_rarely(f"bundle-{code}", "stanchion: the policy could not be fetched (%s)", code, every_s=300.0)
            return False

    def _begin(self) -> None:
        """In every process: the copy on disk, else the server's; then the poll. A fork may have left the lock taken."""
        if self._pid:
            self._lock = threading.Lock()
        with self._lock:
            if self._pid == os.getpid():
                return
            if self._entries is None:
                self._load()
            if self._entries is None:
                self.refresh(FIRST_TIMEOUT_S)
            self._pid = os.getpid()
            threading.Thread(target=self._poll, name="stanchion-guard-policy", daemon=True).start()

    def _poll(self) -> None:
        # Of our own, for an application that seeds the module's generator expects its numbers in order.
        spread = random.Random()  # noqa: S311 - no secret
        while True:
            self.refresh()
            time.sleep(spread.uniform(POLL_S / 2, POLL_S))

    def _ask(self, timeout_s: float) -> tuple[bytes, str]:
        if not self._url.startswith(("http://", "https://")):
            raise ValueError("no address")
        headers = {"Authorization": f"Bearer {self._settings.api_key}"}
        if self._etag:
            headers["If-None-Match"] = self._etag
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - the scheme was looked at
        try:
            with _OPENER.open(request, timeout=timeout_s) as answer:
                body = answer.read(MAX_BUNDLE_BYTES + 1)
                if len(body) > MAX_BUNDLE_BYTES:
                    raise ValueError("the bundle is too long")
                return body, answer.headers.get("ETag") or ""
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return b"", self._etag
                raise

    def _file(self) -> Path | None:
        root = self._settings.spool_dir
        digest = hashlib.sha256(f"{self._url}\0{self._settings.api_key}".encode()).hexdigest()[:24]
        return root / "policies" / f"{digest}.json" if root is not None else None

    def _load(self) -> None:
        file = self._file()
        with suppress(Exception):
            if file is not None and _is_safe(file.parent) and stat.S_ISREG(file.lstat().st_mode):
                self._entries = read(file.read_bytes(), self._hash_key)

    def _keep(self, body: bytes) -> None:
        file = self._file()
        if file is None:
            return
        beside = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}.tmp")
        with suppress(OSError):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_safe(file.parent):
                return
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(body)
            beside.replace(file)


def _is_safe(folder: Path) -> bool:
    """Whether nobody else can put anything there: the usual folder lies in a place where everybody may write."""
    return all(_is_own(each) for each in (folder, folder.parent))


def _is_own(folder: Path) -> bool:
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return stat.S_ISDIR(found.st_mode) and mine
