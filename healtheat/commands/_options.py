"""Options that several commands share, and the index they speak of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from healtheat.commands._terminal import note
from healtheat.core.errors import InputError
from healtheat.core.issues import ISSUES
from healtheat.findings.query import STATUSES, VERDICTS, Filters, class_ids

if TYPE_CHECKING:
    from healtheat.findings.flag import FindingSettings
    from healtheat.index import Index

INDEX_ROOT = Path("index")
MANIFEST = "manifest.json"

IndexOption = Annotated[
    Path | None,
    typer.Option(
        "--index",
        metavar="DIR",
        envvar="HEALTHEAT_INDEX",
        help="The index to read. Default: the one built last under ./index.",
        show_default=False,
    ),
]
IssueOption = Annotated[
    list[str] | None,
    typer.Option("--issue", metavar="NAME", help=f"Only this issue: {', '.join(ISSUES)}. Repeatable."),
]
ClassOption = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="ID|NAME", help="Only boxes of this class, by id or exact name."),
]
SignalOption = Annotated[
    list[str] | None, typer.Option("--signal", metavar="NAME", help="Only what this signal found.")
]
SplitOption = Annotated[
    list[str] | None,
    typer.Option("--split", metavar="NAME", help="Only photos of this split, such as train."),
]
ImageOption = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="GLOB", help="Only photos whose path matches, such as '*/K-0019*'."),
]
MinScoreOption = Annotated[
    float | None, typer.Option("--min-score", metavar="X", help="Only scores of at least X, from 0 to 1.")
]
ContentsRuleOption = Annotated[
    str | None,
    typer.Option(
        "--contents-rule",
        metavar="auto|aihub|FILE.csv|REGEX",
        help="How a photo's name lists what is on it, as in `healtheat contents`. auto: AI Hub's names, if "
        "nearly all follow them and class ids can be told.",
    ),
]
ClassesOption = Annotated[
    Path | None,
    typer.Option(
        "--classes", metavar="CSV", help="class_id,drug_code,name: which class a code in a name stands for."
    ),
]
PredictionsOption = Annotated[
    str | None,
    typer.Option(
        "--predictions",
        metavar="DIR|none",
        help="What `yolo predict save_txt=True save_conf=True` wrote about these photos, with a model not "
        "trained on these labels: where it disagrees. none: without any, where some were given before.",
    ),
]
VerdictOption = Annotated[
    list[str] | None,
    typer.Option(
        "--verdict",
        metavar="NAME",
        help=f"Only what a person decided so: {', '.join(VERDICTS)} (none: not decided yet). Repeatable.",
    ),
]
StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="NAME",
        help=f"Only findings that have come to this: {', '.join(STATUSES)}. Repeatable.",
    ),
]
FdrOption = Annotated[
    float | None,
    typer.Option(
        "--fdr",
        metavar="X",
        help="Flag so that about this share of the flags of an issue is false, such as 0.1.",
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option("--budget", min=0, metavar="N", help="Flag at most the N most suspicious boxes or photos."),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Every judged box, one row for each issue, not only those flagged.")
]


def open_index(path: Path | None, *, verify: bool = True) -> Index:
    """The index at `path`, or the one built last under ./index. Raises InputError or BadIndex."""
    from healtheat.index import Index

    return Index.open(index_path(path), verify=verify)


def index_path(path: Path | None) -> Path:
    """`path`, or the index built last under ./index. Raises InputError if there is none."""
    path = path or latest_index(INDEX_ROOT)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; run `healtheat build DATA --index {path}` first")
    return path


def latest_index(root: Path) -> Path:
    """The folder below `root` with the youngest manifest; says which where there are several."""
    built = sorted(root.glob(f"*/{MANIFEST}"), key=lambda file: (file.stat().st_mtime_ns, file.name))
    if not built:
        raise InputError(f"no index under {root}; run `healtheat build DATA` first, or name one with --index")
    if len(built) > 1:
        note(f"reading {built[-1].parent}, the last built of {len(built)} (choose with --index)")
    return built[-1].parent


def predictions_folder(given: str | None) -> Path | None:
    """The folder that --predictions names; None for `none` and where it is not given."""
    return None if given is None or given.lower() == "none" else Path(given)


def make_filters(
    index: Index,
    *,
    issue: list[str] | None,
    class_: list[str] | None,
    signal: list[str] | None,
    split: list[str] | None,
    image: list[str] | None,
    min_score: float | None,
    verdict: list[str] | None,
    status: list[str] | None = None,
    all_: bool = False,
) -> Filters:
    """The filters that the shared options ask for."""
    return Filters(
        issues=tuple(issue or ()),
        classes=class_ids(index.names, class_ or ()),
        signals=tuple(signal or ()),
        splits=tuple(split or ()),
        images=tuple(image or ()),
        min_score=min_score,
        flagged_only=not all_,
        verdicts=tuple(verdict or ()),
        statuses=tuple(status or ()),
    )


def finding_settings(
    *, thresholds: dict[str, float] | None = None, fdr: float | None = None, budget: int | None = None
) -> FindingSettings:
    """How findings are to be flagged. Raises InputError for a rate that is none."""
    from healtheat.findings.flag import THRESHOLDS, FindingSettings

    if fdr is not None and not 0 < fdr < 1:
        raise InputError(f"--fdr {fdr}: give a share between 0 and 1, such as 0.1 for one false alarm in ten")
    return FindingSettings(thresholds=thresholds or dict(THRESHOLDS), fdr=fdr, budget=budget)
