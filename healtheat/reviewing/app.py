"""The server: addresses of routes/, closed to strangers by auth.py; what goes wrong becomes a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from healtheat.core.conditions import told
from healtheat.core.errors import HealtheatError, InputError
from healtheat.reviewing.auth import HEADERS, TOKEN, Guard
from healtheat.reviewing.forms import NeverSaved, Refused
from healtheat.reviewing.pages import STATIC, Page, Pages
from healtheat.reviewing.routes import add_files, add_map, add_queues, add_verdicts
from healtheat.reviewing.routes.files import WriteCsv
from healtheat.reviewing.session import Review

Message = Callable[[Request, int, str, str], Response]
"""(request, status, title, text): one sentence as an answer, as JSON where a script of ours asks."""


def create_app(review: Review, guard: Guard, *, write_csv: WriteCsv | None = None) -> FastAPI:
    """The application. `write_csv` writes a table of findings for the download of a cleanup list."""
    app = FastAPI(title="healtheat review", docs_url=None, redoc_url=None, openapi_url=None)
    pages = Pages()
    page = _page_of(review, guard, pages)
    message = _message_of(page)
    app.state.guard = guard
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.middleware("http")
    async def closed(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        response = _let_in(request, guard, pages) or _moved(request, review, message) or await go_on(request)
        return _locked_down(response)

    _add_faults(app, message)
    add_queues(app, review, page)
    add_map(app, review, page)
    add_files(app, review, write_csv)
    add_verdicts(app, review, guard)
    return app


def _page_of(review: Review, guard: Guard, pages: Pages) -> Page:
    """Renders a template for a request, with what every page shows."""

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

    return page


def _message_of(page: Page) -> Message:
    def message(request: Request, status: int, title: str, text: str) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"saved": False, "error": text}, status)
        return page(request, "message.html", status, title=title, text=text)

    return message


def _moved(request: Request, review: Review, message: Message) -> Response | None:
    """An answer where the index was moved away or deleted under the server; None where it is there."""
    if not review.gone or request.url.path.startswith("/static/"):
        return None
    where = review.index.path.absolute()
    text = f"{where}: the index is not there any more. Move it back, or stop the server and start it again."
    return message(request, 503, "The index was moved", text)


def _locked_down(response: Response) -> Response:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _add_faults(app: FastAPI, message: Message) -> None:
    """What is answered instead of an exception."""

    @app.exception_handler(InputError)
    async def bad_input(request: Request, error: InputError) -> Response:
        status = 403 if isinstance(error, Refused) else error.status if isinstance(error, NeverSaved) else 400
        return message(request, status, "This cannot be done", str(error))

    @app.exception_handler(KeyError)
    @app.exception_handler(404)
    @app.exception_handler(RequestValidationError)
    async def not_found(request: Request, error: Exception) -> Response:
        return message(request, 404, "Not found", "There is no such page, finding or picture in this index.")

    @app.exception_handler(HealtheatError)
    @app.exception_handler(OSError)
    async def failed(request: Request, error: Exception) -> Response:
        text = told(error) if isinstance(error, OSError) else str(error)
        return message(request, 500, "Something failed", text)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        # Answered outside of `closed`, and raised again for the log of the server.
        text = f"A fault of healtheat: {type(error).__name__}. The terminal of the server says where."
        return _locked_down(JSONResponse({"saved": False, "error": text}, 500))


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
