"""Addresses to decide: a verdict, taking one back, and the session that a page needs to send them."""

from __future__ import annotations

from typing import Any

import duckdb
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response

from healtheat.core.errors import InputError
from healtheat.core.text import whole_number
from healtheat.core.verdicts import PLACES, Place, drawn_place
from healtheat.findings.filters import class_ids
from healtheat.reviewing.auth import Guard
from healtheat.reviewing.forms import Form, NeverSaved
from healtheat.reviewing.session import Review
from healtheat.view.views import EVERY, View


def add_verdicts(app: FastAPI, review: Review, guard: Guard) -> None:
    """Add the routes to the application."""

    @app.get("/session")
    def session() -> dict[str, str]:
        """For a page of an earlier run whose browser has signed in again: it holds verdicts to send."""
        return {"csrf": guard.csrf}

    @app.post("/verdict")
    async def verdict(request: Request, form: Form) -> Response:
        return _answer(request, form, await run_in_threadpool(_decide, review, form))

    @app.post("/draw")
    async def draw(request: Request, form: Form) -> Response:
        return _answer(request, form, await run_in_threadpool(_draw, review, form))

    @app.post("/undo")
    async def undo(request: Request, form: Form) -> Response:
        return _answer(request, form, await run_in_threadpool(_take_back, review, form))


def _decide(review: Review, form: dict[str, str]) -> dict[str, Any]:
    _same_build(review, form)
    finding_id, wanted = whole_number(form.get("finding_id")), form.get("verdict", "")
    view = View.read(form.get("queue") or EVERY, {})
    relabel_to, box = None, None
    try:
        if wanted in ("relabel", "added"):
            relabel_to = _class_id(review, form.get("relabel_to", ""))
        if wanted in PLACES:
            box = _place(form)
        again = form.get("again") == "1"
        whole = form.get("only") != "1"
        entry = review.work.decide(
            finding_id, wanted, review.who, relabel_to, box=box, whole=whole, again=again
        )
    except InputError as error:
        raise NeverSaved(str(error)) from None
    name = "" if relabel_to is None else review.names[relabel_to]
    about = {"finding_id": finding_id, "verdict": wanted, "relabel_to": relabel_to, "name": name}
    return {"saved": True, "seq": entry.seq, **about, **_figures(review, view, finding_id)}


def _draw(review: Review, form: dict[str, str]) -> dict[str, Any]:
    _same_build(review, form)
    try:
        class_id, box = _class_id(review, form.get("relabel_to", "")), _place(form)
        image_id, again = whole_number(form.get("image_id")), form.get("again") == "1"
        entry = review.work.draw(image_id, box, class_id, review.who, again=again)
    except InputError as error:
        raise NeverSaved(str(error)) from None
    finding_id = whole_number(form.get("finding_id"))
    about = {
        "finding_id": finding_id,
        "verdict": "added",
        "relabel_to": class_id,
        "name": review.names[class_id],
    }
    figures = _figures(review, View.read(form.get("queue") or EVERY, {}), finding_id)
    return {"saved": True, "seq": entry.seq, **about, **figures}


def _place(form: dict[str, str]) -> Place:
    """The place that a page sends. Raises InputError for none."""
    try:
        return drawn_place([float(form.get(name, "")) for name in ("cx", "cy", "w", "h")])
    except ValueError:
        raise InputError("a box is four numbers: centre x, centre y, width and height") from None


def _take_back(review: Review, form: dict[str, str]) -> dict[str, Any]:
    _same_build(review, form)
    seq = whole_number(form["seq"]) if form.get("seq") else None
    try:
        decision, finding_id = review.work.undo(review.who, seq)
    except InputError as error:
        raise NeverSaved(str(error)) from None
    queue = form.get("queue") or EVERY
    queue = queue if queue in (EVERY, decision.issue) else decision.issue
    about = {"finding_id": finding_id, "queue": queue, "verdict": decision.verdict}
    figures = _figures(review, View.read(queue, {}), finding_id)
    return {"saved": True, "seq": decision.seq, **about, **figures}


def _figures(review: Review, view: View, finding_id: int) -> dict[str, Any]:
    """How far the queue is, and what is left of the place; those of no queue where they cannot be had.

    The verdict is saved by then, and nothing may make the answer say otherwise.
    """
    try:
        done, of = review.work.progress(view)
        left = review.work.open_left(finding_id)
    except (duckdb.Error, MemoryError):
        return {"left": None, "decided": 0, "total": 0, "of_queue": ""}
    return {"left": left, "decided": done, "total": of, "of_queue": view.queue}


def _same_build(review: Review, form: dict[str, str]) -> None:
    """Raises NeverSaved for a verdict that was given on a page of another build or another index."""
    if form.get("build", review.build) != review.build:
        raise NeverSaved("the index is not the one it was given on; look at the sample again", 409)


def _answer(request: Request, form: dict[str, str], result: dict[str, Any]) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(result)
    to = form.get("next", "")
    return RedirectResponse(to if to.startswith("/queue/") else "/", 303)


def _class_id(review: Review, text: str) -> int:
    """The class a person typed: `12`, `12 name` as the list offers it, or a name. Raises InputError."""
    text = text.strip()
    head = text.split(" ", 1)[0]
    class_id = whole_number(head)
    if class_id in review.names and text in (head, f"{head} {review.names[class_id]}"):
        return class_id
    found = class_ids(review.names, [text])
    if len(found) > 1:
        raise InputError(f"{len(found)} classes are called {text!r}: give the id ({found[0]}, {found[1]} …)")
    return found[0]
