"""The server: pages, pictures, verdicts. Everything behind the guard of auth.py."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import IO, Annotated, Any
from urllib.parse import parse_qsl

import pyarrow as pa
import pyarrow.compute
from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from healtheat.core.errors import HealtheatError, InputError
from healtheat.findings.filters import class_ids
from healtheat.findings.query import query
from healtheat.reviewing.auth import CSRF_FIELD, CSRF_HEADER, HEADERS, TOKEN, Guard
from healtheat.reviewing.map_routes import add_map
from healtheat.reviewing.pages import STATIC, Pages
from healtheat.view.matrix import matrix
from healtheat.view.pictures import CROP_PX, Picture, Size
from healtheat.view.state import Review
from healtheat.view.views import EVERY, SORTS, STATES, View, whole_number

PAGE_SIZE = 48
MAX_BODY_BYTES = 16 << 10
_PICTURE_CACHE = "private, max-age=600"

WriteCsv = Callable[[pa.Table, IO[str]], None]


class _Refused(InputError):
    """A POST that none of our pages sent."""


class _Never(InputError):
    """A verdict that can never be saved, however often it is sent."""

    def __init__(self, text: str, status: int = 422) -> None:
        super().__init__(text)
        self.status = status


async def posted_form(request: Request) -> dict[str, str]:
    """The fields of a form that one of our pages sent. Raises InputError for any other POST."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise InputError("the request is too large")
    try:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise InputError("the request has too many fields") from None
    if not request.app.state.guard.right_csrf(request.headers.get(CSRF_HEADER) or form.get(CSRF_FIELD, "")):
        raise _Refused("this page is from an earlier run of the server; load it again")
    return form


Form = Annotated[dict[str, str], Depends(posted_form)]


def create_app(review: Review, guard: Guard, *, write_csv: WriteCsv | None = None) -> FastAPI:
    """The application. `write_csv` writes a table of findings for the download of a cleanup list."""
    app = FastAPI(title="healtheat review", docs_url=None, redoc_url=None, openapi_url=None)
    pages = Pages()
    app.state.guard = guard
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        shared = {
            "index_name": review.name,
            "who": review.who,
            "csrf": guard.csrf,
            "build": review.build,
            "names": review.names,
            "built_again": review.built_again,
            "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "section": "",
        }
        text = pages.render(template, {**shared, **context})
        return HTMLResponse(text, status, {"Cache-Control": "no-store"})

    def message(request: Request, status: int, title: str, text: str) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"saved": False, "error": text}, status)
        return page(request, "message.html", status, title=title, text=text)

    @app.middleware("http")
    async def closed(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        response = _let_in(request, guard, pages) or await go_on(request)
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    _add_errors(app, message)
    _add_pages(app, review, page)
    add_map(app, review, page)
    _add_pictures(app, review)

    @app.get("/session")
    def session() -> dict[str, str]:
        """For a page of an earlier run whose browser has signed in again: it holds verdicts to send."""
        return {"csrf": guard.csrf}

    _add_verdicts(app, review)

    @app.get("/cleanup.csv")
    def cleanup(request: Request) -> Response:
        if write_csv is None:
            raise KeyError("no export")
        view = View.read(request.query_params.get("queue") or EVERY, request.query_params)
        return _csv(review, view, write_csv)

    return app


def _add_errors(app: FastAPI, message: Callable[[Request, int, str, str], Response]) -> None:
    """What is answered where something goes wrong."""

    @app.exception_handler(InputError)
    async def bad_input(request: Request, error: InputError) -> Response:
        status = 403 if isinstance(error, _Refused) else error.status if isinstance(error, _Never) else 400
        return message(request, status, "That does not work", str(error))

    @app.exception_handler(KeyError)
    @app.exception_handler(404)
    @app.exception_handler(RequestValidationError)
    async def not_found(request: Request, error: Exception) -> Response:
        return message(request, 404, "Not found", "There is no such page, finding or picture in this index.")

    @app.exception_handler(HealtheatError)
    @app.exception_handler(OSError)
    async def fault(request: Request, error: Exception) -> Response:
        return message(request, 500, "Not done", f"{error}")


def _add_pages(app: FastAPI, review: Review, page: Callable[..., HTMLResponse]) -> None:
    """The pages besides the map."""

    @app.get("/")
    def overview(request: Request) -> Response:
        stats = review.stats()
        total = sum(s.total for s in stats.values())
        decided = sum(s.decided for s in stats.values())
        return page(
            request, "overview.html", section="queues", stats=stats, total=total, decided=decided,
            every=review.every, review=review,
        )  # fmt: skip

    @app.get("/queue/{queue}")
    def grid(request: Request, queue: str) -> Response:
        view = View.read(queue, request.query_params)
        review.work.refresh()
        if view.area and not review.map.ready():
            text = review.map.problem or "The map is being worked out; this page looks again by itself."
            return page(
                request, "message.html", 503, title="The area of the map", text=text,
                again=not review.map.problem,
            )  # fmt: skip
        total = review.work.total(view)
        last = max(1, -(-total // PAGE_SIZE))
        number = min(max(1, whole_number(request.query_params.get("page"))), last)
        ids = review.work.page(view, offset=(number - 1) * PAGE_SIZE, limit=PAGE_SIZE)
        return page(
            request, "grid.html", view=view, cards=review.samples.cards(ids), total=total, number=number,
            last=last, **_filters(review, view), section=queue,
        )  # fmt: skip

    @app.get("/queue/{queue}/start")
    def start(queue: str, request: Request) -> Response:
        view = View.read(queue, request.query_params)
        first = review.work.page(view, offset=0, limit=1)
        return RedirectResponse(view.address(first[0]) if first else view.address(), 303)

    @app.get("/queue/{queue}/{finding_id}")
    def sample(request: Request, queue: str, finding_id: int) -> Response:
        view = View.read(queue, request.query_params)
        around = review.work.around(view, finding_id)
        only_part = request.query_params.get("part") == "1"
        context: dict[str, Any] = {"view": view, "around": around, "sample": review.samples.get(finding_id)}
        if only_part:
            return page(request, "_sample.html", **context)
        return page(request, "sample.html", **context, **_filters(review, view), section=queue)

    @app.get("/classes")
    def classes(request: Request) -> Response:
        found = review.trust()
        ready = None if found is None or isinstance(found, str) else found
        return page(
            request, "classes.html", section="classes", waiting=found is None,
            why=found if isinstance(found, str) else "",
            matrix=matrix(ready) if ready else None, trust=ready,
        )  # fmt: skip


def _add_pictures(app: FastAPI, review: Review) -> None:
    """Crops and whole images."""

    @app.get("/crop/{box_id}/{size}")
    def crop(box_id: int, size: str) -> Response:
        return _picture(review.pictures.crop(box_id, _size(size)))

    @app.get("/photo/{image_id}/{size}")
    def photo(image_id: int, size: str) -> Response:
        return _picture(review.pictures.photo(image_id, _size(size)))


def _add_verdicts(app: FastAPI, review: Review) -> None:
    """Deciding and taking back."""

    @app.post("/verdict")
    async def verdict(request: Request, form: Form) -> Response:
        finding_id, wanted = whole_number(form.get("finding_id")), form.get("verdict", "")
        view = View.read(form.get("queue") or EVERY, {})

        def decide() -> dict[str, Any]:
            _same_build(review, form)
            relabel_to = None
            try:
                if wanted == "relabel":
                    relabel_to = _class_id(review, form.get("relabel_to", ""))
                again = form.get("again") == "1"
                entry = review.work.decide(finding_id, wanted, review.who, relabel_to, again=again)
            except InputError as error:
                raise _Never(str(error)) from None
            done, of = review.work.progress(view)
            name = "" if relabel_to is None else review.names[relabel_to]
            about = {"finding_id": finding_id, "verdict": wanted, "relabel_to": relabel_to, "name": name}
            counts = {"decided": done, "total": of, "of_queue": view.queue}
            return {"saved": True, "seq": entry.seq, **about, **counts}

        return _answer(request, form, await run_in_threadpool(decide))

    @app.post("/undo")
    async def undo(request: Request, form: Form) -> Response:
        def take_back() -> dict[str, Any]:
            _same_build(review, form)
            seq = whole_number(form["seq"]) if form.get("seq") else None
            try:
                decision, finding_id = review.work.undo(review.who, seq)
            except InputError as error:
                raise _Never(str(error)) from None
            queue = form.get("queue") or EVERY
            queue = queue if queue in (EVERY, decision.key[3]) else decision.key[3]
            done, of = review.work.progress(View.read(queue, {}))
            about = {"finding_id": finding_id, "queue": queue, "verdict": decision.verdict}
            counts = {"decided": done, "total": of, "of_queue": queue}
            return {"saved": True, "seq": decision.seq, **about, **counts}

        return _answer(request, form, await run_in_threadpool(take_back))


def _let_in(request: Request, guard: Guard, pages: Pages) -> Response | None:
    """An answer for who may not come in or just signed in; None for who may go on."""
    why = guard.refuse(request.method, request.headers)
    if why is not None:
        return Response(f"refused: {why}\n", 403, media_type="text/plain")
    token = request.query_params.get(TOKEN)
    if token is not None and request.method == "GET" and guard.right_token(token):
        rest = request.url.remove_query_params(TOKEN)
        to = rest.path + (f"?{rest.query}" if rest.query else "")
        # A page that goes on by itself, not a redirect: after a click on a link in another program's page the
        # redirected request would still count as that page's, and the strict cookie would not be sent.
        response = HTMLResponse(pages.render("signed_in.html", {"to": to}))
        response.set_cookie(guard.cookie, guard.session, path="/", httponly=True, samesite="strict")
        return response
    if not guard.signed_in(request.cookies):
        return HTMLResponse(pages.render("sign_in.html", {}), 401)
    return None


def _same_build(review: Review, form: dict[str, str]) -> None:
    """Raises _Never for a verdict that was given on a page of another build or another index."""
    if form.get("build", review.build) != review.build:
        raise _Never("the index is not the one it was given on; look at the sample again", 409)


def _answer(request: Request, form: dict[str, str], result: dict[str, Any]) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(result)
    to = form.get("next", "")
    return RedirectResponse(to if to.startswith("/queue/") else "/", 303)


def _filters(review: Review, view: View) -> dict[str, Any]:
    done, of = review.work.progress(view)
    return {"choices": review.work.choices(), "states": STATES, "sorts": SORTS, "done": done, "of": of}


def _class_id(review: Review, text: str) -> int:
    """The class a person typed: `12`, `12 name` as the list offers it, or a name. Raises InputError."""
    text = text.strip()
    head = text.split(" ", 1)[0]
    if head.isdecimal() and int(head) in review.names and text in (head, f"{head} {review.names[int(head)]}"):
        return int(head)
    found = class_ids(review.names, [text])
    if len(found) > 1:
        raise InputError(f"{len(found)} classes are called {text!r}: give the id ({found[0]}, {found[1]} …)")
    return found[0]


def _picture(picture: Picture) -> Response:
    cache = "no-store" if picture.problem else _PICTURE_CACHE
    return Response(picture.data, media_type=picture.media_type, headers={"Cache-Control": cache})


def _size(text: str) -> Size:
    if text not in CROP_PX:
        raise KeyError(text)
    return "large" if text == "large" else "small"


def _csv(review: Review, view: View, write_csv: WriteCsv) -> Response:
    """The findings of a view as the `export` command writes them."""
    review.index.judging.refresh()
    out = io.StringIO(newline="")
    found = query(review.index, view.filters(flagged_only=not review.every))
    if view.area:
        ids = review.work.page(view, offset=0, limit=review.work.total(view))
        found = found.filter(pa.compute.is_in(found["finding_id"], value_set=pa.array(ids, pa.int64())))
    write_csv(found, out)
    named = {"Content-Disposition": f'attachment; filename="cleanup-{view.queue}.csv"'}
    return Response(out.getvalue().encode("utf-8"), media_type="text/csv; charset=utf-8", headers=named)
