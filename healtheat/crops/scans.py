"""How often a JPEG would be gone over: each of its scans touches all pixels, whatever few bytes it has."""

from __future__ import annotations

import re

MAX_SCANS = 100  # programs write up to about 20; libtiff takes as many

_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)  # no stuffed byte, no restart
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN, _NO_LENGTH = 0xD8, 0xD9, 0xDA, 0x01


def too_many_scans(data: bytes) -> bool:
    """Whether the (first) JPEG in `data` has more than MAX_SCANS scans; decodes nothing."""
    if data.count(b"\xff\xda") <= MAX_SCANS:
        return False
    # What lies in other segments or behind the end (thumbnails, a short film) has such bytes too.
    scans = at = 0
    while scans <= MAX_SCANS and (found := _MARKER.search(data, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return False
        if marker not in (_START_OF_IMAGE, _NO_LENGTH):
            at += int.from_bytes(data[at : at + 2], "big")
        scans += marker == _START_OF_SCAN
    return scans > MAX_SCANS
