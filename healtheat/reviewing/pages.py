"""Templates and the words and numbers in them. Every value is escaped; no template switches that off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from healtheat.core.text import counted, on_page
from healtheat.view.stats import FEWEST_WINDOW
from healtheat.view.words import IMAGE_WORDS, ISSUE_WORDS, KEYS, VERDICT_WORDS

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"

Page = Callable[..., HTMLResponse]
"""(request, template, status=200, **context): a template as the answer to a request."""


def _percent(value: float) -> str:
    return f"{100 * value:.0f}\u00a0%"  # never a line end between them


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _count(value: int) -> str:
    return f"{value:,}"


class Pages:
    """Renders templates of this package. `asset_version` changes with the content of the static files."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=on_page,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            percent=_percent, score=_score, count=_count, counted=partial(counted, spec=",")
        )
        self._environment.globals.update(
            issue_words=ISSUE_WORDS,
            verdict_words=VERDICT_WORDS,
            image_words=IMAGE_WORDS,
            keys=KEYS,
            fewest_window=FEWEST_WINDOW,
        )

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """HTML text."""
        return self._environment.get_template(template).render(context)
