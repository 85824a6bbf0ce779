"""How the encoder of an index was chosen, by its data or by its user: figures for the manifest."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from healtheat.core.text import counted

Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]


class EncoderFigure(BaseModel):
    """One encoder on the sample. `agreement`: share of a box's nearest five that have its class.

    `fingerprint` is that of encoder and crop policy together, as in the manifest. `low` and `high`: 95 %
    interval of how much its agreement is above that of the default; 0 and 0 for the default itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    fingerprint: str
    agreement: Share
    low: Difference
    high: Difference


class EncoderChoice(BaseModel):
    """Which encoder an index got. `figures` is empty where no sample was asked.

    `why`: "better": above the default by the interval of its figure, or the default above all others by
    theirs; "default": no such difference, so the default stays; "few": too few boxes of classes with several
    sources; "named" by the user. `boxes` and `sources` are those of the sample.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    chosen: str
    why: Literal["better", "default", "few", "named"]
    boxes: Annotated[int, Field(ge=0)]
    sources: Annotated[int, Field(ge=0)]
    figures: list[EncoderFigure]

    @classmethod
    def unasked(cls, chosen: str, why: Literal["few", "named"]) -> EncoderChoice:
        """Without a sample."""
        return cls(chosen=chosen, why=why, boxes=0, sources=0, figures=[])

    def __str__(self) -> str:
        """One line for people."""
        if self.why == "named":
            return f"encoder {self.chosen}: named by the user (--encoder auto would compare)"
        if self.why == "few":
            return f"encoder {self.chosen}: the default, as too few boxes can be compared to choose one"
        first, *others = sorted(self.figures, key=lambda figure: figure.name != self.chosen)
        line = (
            f"encoder {first.name}: {first.agreement:.1%} of the nearest five have the same class, "
            f"in a sample of {counted(self.boxes, 'box')}"
        )
        line += "".join(f", with {other.name} {other.agreement:.1%}" for other in others)
        best = max(figure.agreement for figure in self.figures)
        undecided = self.why == "default" and best > first.agreement
        return line + ("; too little apart to leave the default" if undecided else "")
