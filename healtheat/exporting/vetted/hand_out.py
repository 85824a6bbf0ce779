"""What `vet` writes for training and for the annotation tool, beside the batch's index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from healtheat.core.errors import Argument, InputError
from healtheat.exporting.formats import Format, format_of
from healtheat.exporting.run import export
from healtheat.index import Index
from healtheat.index.target import Places
from healtheat.vetting.report import JUDGED, VetReport

WORDS = ("yolo", "coco")


@dataclass(frozen=True, slots=True)
class HandOut:
    """Files of a format, to be written to the folder `out` once the batch was judged."""

    format: Format
    out: Path
    overwrite: bool

    def of(self, report: VetReport) -> VetReport:
        """Write the files of a batch that was judged; the report with their names. InputError."""
        if report.verdict != JUDGED:
            return report
        with Index.open(report.batch) as batch:
            done = export(batch, self.out, self.format.name, overwrite=self.overwrite)
        return replace(report, files=done.files)


def choose_hand_out(
    format: str | None, out: Path | None, against: Path, *, overwrite: bool = False
) -> HandOut | None:
    """What is to be written, looked at before anything is embedded; None where nothing is asked for.

    Raises InputError for a format that is none of WORDS, one without the other, or a folder that cannot be
    taken.
    """
    if format is None and out is None:
        if overwrite:
            raise InputError(Argument("overwrite", True), " is for ", Argument("out"), "; leave it out")
        return None
    if format not in WORDS:
        words = Argument("format", WORDS[0]), " or ", Argument("format", WORDS[1])
        given = Argument("out") if format is None else Argument("format", format)
        raise InputError(given, ": files are written with ", *words)
    if out is None:
        raise InputError(Argument("format", format), " writes a folder; add ", Argument("out", "DIR"))
    chosen = format_of(out, f"vetted-{format}")
    with Index.open(against) as index:
        places = Places.of(index)
    if chosen.writes_folder:
        from healtheat.exporting.vetted.yolo import check_vetted_folder

        check_vetted_folder(places, out, overwrite=overwrite)
    else:
        for file in chosen.files(out):
            places.check_file(file, overwrite=overwrite)
    return HandOut(chosen, out, overwrite)
