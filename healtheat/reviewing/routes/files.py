"""Addresses of what a page shows or gives away: crops, images, and the cleanup list as CSV."""

from __future__ import annotations

import io
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.compute
from fastapi import FastAPI, Request
from fastapi.responses import Response

from healtheat.findings.filters import VERDICTS, Filters
from healtheat.findings.query import query
from healtheat.reviewing.forms import Id
from healtheat.reviewing.session import Review
from healtheat.view.pictures import Picture
from healtheat.view.views import EVERY, View


class WriteCsv(Protocol):
    """Writes a table, with cells that no spreadsheet runs; see `healtheat.core.table.write_csv`."""

    def __call__(self, table: pa.Table, out: IO[str], *, spreadsheet: bool) -> None: ...


CROP_PX = {"small": 192, "large": 640}  # the longer side; another size is no such page
IMAGE_PX = {"small": 320, "large": 1400}
_PICTURE_CACHE = "private, max-age=600"


def add_files(app: FastAPI, review: Review, write_csv: WriteCsv | None) -> None:
    """Add the routes to the application."""

    @app.get("/crop/{box_id}/{size}")
    def crop(box_id: Id, size: str) -> Response:
        return _picture(review.pictures.crop(box_id, CROP_PX[size]))

    @app.get("/trusted/{box_id}/{size}")
    def trusted(box_id: int, size: str) -> Response:
        if review.trusted_pictures is None:
            raise KeyError("no trusted index was given")
        return _picture(review.trusted_pictures.crop(box_id, CROP_PX[size]))

    @app.get("/image/{image_id}/{size}")
    def image(image_id: Id, size: str) -> Response:
        return _picture(review.pictures.image(image_id, IMAGE_PX[size]))

    @app.get("/cleanup.csv")
    def cleanup(request: Request) -> Response:
        if write_csv is None:
            raise KeyError("no export")
        view = View.read(request.query_params.get("queue") or EVERY, request.query_params)
        return _csv(review, view, write_csv)


def _picture(picture: Picture) -> Response:
    cache = "no-store" if picture.problem else _PICTURE_CACHE
    return Response(picture.data, media_type=picture.media_type, headers={"Cache-Control": cache})


def _csv(review: Review, view: View, write_csv: WriteCsv) -> Response:
    """The places of a view as `export --spreadsheet` writes them: each box and copy once. People open it."""
    review.work.refresh()
    out = io.StringIO(newline="")
    all_of_them = Filters(flagged_only=not review.every, verdicts=VERDICTS)
    found = query(review.index, all_of_them, sort=view.order)
    ids = review.work.members(view)
    chosen = found.filter(pa.compute.is_in(found["finding_id"], value_set=pa.array(ids, pa.int64())))
    write_csv(chosen, out, spreadsheet=True)
    named = {"Content-Disposition": f'attachment; filename="cleanup-{view.queue}.csv"'}
    return Response(out.getvalue().encode("utf-8"), media_type="text/csv; charset=utf-8", headers=named)
