"""The server: addresses of routes/, closed to strangers by auth.py; what goes wrong becomes a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from healtheat.core.errors import HealtheatError, InputError
from healtheat.reviewing.auth import HEADERS, TOKEN, Guard
from healtheat.reviewing.forms import NeverSaved, Refused
from healtheat.reviewing.pages import STATIC, Page, Pages
from healtheat.reviewing.routes import add_files, add_map, add_queues, add_verdicts
from healtheat.reviewing.routes.files import WriteCsv
from healtheat.reviewing.session import Review


def create_app(review: Review, guard: Guard, *, write_csv: WriteCsv | None = None) -> FastAPI:
    """The application. `write_csv` writes a table of findings for the download of a cleanup list."""
    app = FastAPI(title="healtheat review", docs_url=None, redoc_url=None, openapi_url=None)
    pages = Pages()
    page = _page_of(review, guard, pages)
    app.state.guard = guard
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.middleware("http")
    async def closed(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        response = _let_in(request, guard, pages) or await go_on(request)
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    _add_faults(app, page)
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


def _add_faults(app: FastAPI, page: Page) -> None:
    """What is answered instead of an exception."""

    def message(request: Request, status: int, title: str, text: str) -> Response:
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"saved": False, "error": text}, status)
        return page(request, "message.html", status, title=title, text=text)

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
    async def fault(request: Request, error: Exception) -> Response:
        return message(request, 500, "Something failed", f"{error}")


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
