"""What a page of ours sends: the fields of a form, and why a POST is refused."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Path, Request

from healtheat.core.errors import InputError
from healtheat.reviewing.auth import CSRF_FIELD, CSRF_HEADER

MAX_BODY_BYTES = 16 << 10
MAX_BODY_S = 20.0  # a form of ours comes at once

Id = Annotated[int, Path(ge=0, le=2**63 - 1)]
"""A number in an address; what is none, or none that an index can hold, is no such page."""


class Refused(InputError):
    """A POST that none of our pages sent."""


class NeverSaved(InputError):
    """A verdict that can never be saved, however often it is sent; `status` is that of the answer."""

    def __init__(self, text: str, status: int = 422) -> None:
        super().__init__(text)
        self.status = status


async def posted_form(request: Request) -> dict[str, str]:
    """The fields of a form that one of our pages sent. Raises InputError for any other POST."""
    body = b""
    try:
        async with asyncio.timeout(MAX_BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise InputError("the request is too large")
    except TimeoutError:
        raise InputError("the request never came to its end") from None
    try:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise InputError("the request has too many fields") from None
    if not request.app.state.guard.right_csrf(request.headers.get(CSRF_HEADER) or form.get(CSRF_FIELD, "")):
        raise Refused("this page is from an earlier run of the server; load it again")
    return form


Form = Annotated[dict[str, str], Depends(posted_form)]
