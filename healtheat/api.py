"""The public functions: one per command, of the same word, with the command's own defaults.

Paths are given as text or `os.PathLike`. Where an index is expected, an opened `Index` is fine too, and None
is the index built last under ./index, as on the command line. Names that Python itself uses end with an
underscore: `class_`, `all_`. Results are plain: Arrow tables with typed columns, or frozen dataclasses of
figures. Nothing is printed; `progress` is called back as `(stage, done, total)`. Whatever cannot be used
raises a `HealtheatError` whose message names the file or the word and says what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from healtheat.core import arguments
from healtheat.core.arguments import PathLike, needed_path, path_or_none
from healtheat.core.drop import Drop
from healtheat.core.progress import Progress, silent

if TYPE_CHECKING:
    import pyarrow as pa

    from healtheat.building.append import AddReport
    from healtheat.building.build import BuildReport
    from healtheat.building.removal import RemoveReport
    from healtheat.cleanup import Applied
    from healtheat.cleanup.rollback import RolledBack
    from healtheat.comparing.run import DiffReport
    from healtheat.drawing.run import DemoReport
    from healtheat.embedding import Encoder
    from healtheat.exporting.run import Exported
    from healtheat.findings.filters import ClassWords, Filters, Words
    from healtheat.findings.score import ScoreReport
    from healtheat.guarding import Guarded
    from healtheat.index import Index
    from healtheat.index.again import Again
    from healtheat.index.locate import IndexLike
    from healtheat.index.verify import VerifyReport
    from healtheat.listing import ContentsReport
    from healtheat.planting import SelftestReport
    from healtheat.reporting.page import Written
    from healtheat.reviewing.run import Reviewed
    from healtheat.signals.evidence.trust import TrustReport
    from healtheat.vetting.report import VetReport

Classes = Literal["auto", "by-id", "by-name"]
Sort = Literal["suspicion", "score", "image", "class", "issue", "box"]


def build(
    data: PathLike,
    *,
    index: PathLike | None = None,
    encoder: str | Encoder = "auto",
    weights: PathLike | None = None,
    conf: float | None = None,
    images: PathLike | None = None,
    task: str | None = None,
    names: PathLike | None = None,
    views: str | Sequence[float] | None = None,
    padding: float | None = None,
    cut: str = "box",
    group_by: str = "auto",
    contents_rule: str | None = "auto",
    classes: PathLike | None = None,
    predictions: PathLike | None = None,
    missing: bool = False,
    proposals: PathLike | None = None,
    fdr: float | None = None,
    budget: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    outside: bool = False,
    strict: bool = False,
    drop_batches: bool = False,
    progress: Progress = silent,
) -> BuildReport:
    """Read, crop, embed, index and score the data set `data`; what did not change is not embedded again.

    The index goes to ./index/NAME unless `index` is given. `encoder` is a name (see `encoders`), a loaded
    encoder, or "auto": the embedded one that suits a sample of the boxes best. `views` are rotations in
    degrees, `padding` a share of the box's side. `cut` "object" turns oriented boxes upright and cuts
    polygons along their outline. `task` is detect, segment, pose or obb, `names` a file with the class names
    in order of their ids, where the labels do not tell them. `missing`: search for objects without a box and
    for loose boxes (docs/missing.md), also where the Segment Anything model in the file `proposals` finds a
    mask. With `outside`, a data.yaml and its lists may name places outside of its folder; only with
    `drop_batches` is an index with batches built over. InputError, EncoderError, IndexBusy or BadIndex.
    """
    from healtheat.building.auto import encoder_of_word, known_cut
    from healtheat.building.build import build as run
    from healtheat.building.open_data import open_data
    from healtheat.embedding import parse_views
    from healtheat.findings.choose import choose_inputs, finding_settings
    from healtheat.sources.outside import outside_allowed

    arguments.text(group_by=group_by, device=device, cut=cut)
    arguments.text(contents_rule=contents_rule, task=task, optional=True)
    arguments.path(predictions=predictions, proposals=proposals, optional=True)
    arguments.whole(threads=threads, least=1, optional=True)
    arguments.whole(budget=budget, optional=True)
    arguments.number(conf=conf, padding=padding, fdr=fdr, optional=True)
    arguments.switch(strict=strict, drop_batches=drop_batches, outside=outside, missing=missing)
    data, own = needed_path(data=data), path_or_none(classes=classes)
    inputs = choose_inputs(contents_rule, own, predictions, data, missing, proposals)
    findings = finding_settings(fdr=fdr, budget=budget)
    with outside_allowed(outside):
        source, folder = open_data(
            data,
            index=path_or_none(index=index),
            images=path_or_none(images=images),
            weights=path_or_none(weights=weights),
            conf=conf,
            task=task,
            names=path_or_none(names=names),
        )
    return run(
        source,
        folder,
        encoder=encoder_of_word(encoder, views=parse_views(views), device=device),
        padding=padding,
        cut=known_cut(cut),
        group_rule=group_by,
        inputs=inputs,
        findings=findings,
        strict=strict,
        drop_batches=drop_batches,
        threads=threads,
        progress=progress,
    )


def add(
    new: PathLike,
    *,
    to: IndexLike = None,
    name: str | None = None,
    accepted_only: bool = False,
    dry_run: bool = False,
    weights: PathLike | None = None,
    conf: float | None = None,
    images: PathLike | None = None,
    task: str | None = None,
    names: PathLike | None = None,
    encoder: str | None = None,
    group_by: str | None = None,
    contents_rule: str | None = None,
    classes: PathLike | None = None,
    predictions: PathLike | None = None,
    proposals: PathLike | None = None,
    threads: int | None = None,
    outside: bool = False,
    progress: Progress = silent,
) -> AddReport:
    """Take the data set `new` into the index `to` as a batch; only its crops are embedded.

    `new` is anything that `build` reads, `weights`, `conf`, `images`, `task`, `names` and `outside` as
    there, or an index, whose vectors are taken over where the same encoder made them; of a vetted one
    `accepted_only` takes the boxes that were accepted, on images that have one. `name` is that of the
    batch, by default after `new`. An image that the index holds already is not added twice; one that it
    holds with other labels is left out and told in `problems`. `dry_run` only counts. `encoder`,
    `group_by`, `contents_rule`, `classes`, `predictions` and `proposals` are needed where the index was built
    or scored with an encoder that is not embedded, an expression or files: nothing that an index names is run
    or opened unless it is given again ("auto" and "none" do without). Raises InputError where a class has
    another name, the batch's name is taken or there is nothing to add; EncoderError, IndexBusy or BadIndex.
    """
    from healtheat.building.take import take
    from healtheat.index.locate import index_folder
    from healtheat.sources.outside import outside_allowed

    arguments.text(name=name, task=task, encoder=encoder, group_by=group_by, optional=True)
    arguments.whole(threads=threads, least=1, optional=True)
    arguments.number(conf=conf, optional=True)
    arguments.switch(accepted_only=accepted_only, dry_run=dry_run, outside=outside)
    with outside_allowed(outside):
        return take(
            needed_path(new=new),
            index_folder(to),
            name=name,
            accepted_only=accepted_only,
            weights=path_or_none(weights=weights),
            conf=conf,
            images=path_or_none(images=images),
            task=task,
            names=path_or_none(names=names),
            again=_again(contents_rule, classes, predictions, proposals, encoder=encoder, group_by=group_by),
            dry_run=dry_run,
            threads=threads,
            progress=progress,
        )


def _again(
    contents_rule: str | None,
    classes: PathLike | None,
    predictions: PathLike | None,
    proposals: PathLike | None,
    *,
    encoder: str | None = None,
    group_by: str | None = None,
) -> Again:
    """What was given again, checked. Raises UsageError."""
    from healtheat.index.again import Again

    arguments.text(contents_rule=contents_rule, optional=True)
    arguments.path(predictions=predictions, proposals=proposals, optional=True)
    folder, model = (None if path is None else os.fspath(path) for path in (predictions, proposals))
    own = path_or_none(classes=classes)
    return Again(encoder, group_by, contents_rule, own, folder, proposals=model)


def remove(
    name: str,
    *,
    from_: IndexLike = None,
    contents_rule: str | None = None,
    classes: PathLike | None = None,
    predictions: PathLike | None = None,
    proposals: PathLike | None = None,
    encoder: str | None = None,
    progress: Progress = silent,
) -> RemoveReport:
    """Take the batch `name` out of the index `from_`, which is then as if it had never been added.

    The images and label files of the batch are not touched, and verdicts stay in the log: they speak again if
    it is added again. `contents_rule`, `classes`, `predictions` and `proposals` as in `add`; `encoder`
    as in `score`. Raises InputError for no such batch, EncoderError, IndexBusy or BadIndex.
    """
    from healtheat.building.removal import remove as run
    from healtheat.index.locate import index_folder

    arguments.text(name=name)
    arguments.text(encoder=encoder, optional=True)
    again = _again(contents_rule, classes, predictions, proposals, encoder=encoder)
    return run(name, index_folder(from_), again=again, progress=progress)


def batches(index: IndexLike = None) -> pa.Table:
    """The batches that were added to an index, in that order: batch_id, name, added_at, kind, edits, root,
    data, images, boxes, left_out (boxes of its label files that the index does not hold).
    """
    from healtheat.index.batches import batch_rows
    from healtheat.index.locate import opened

    with opened(index) as own:
        return batch_rows(own)


def query(
    index: IndexLike = None,
    filters: Filters | None = None,
    *,
    issue: Words = None,
    class_: ClassWords = None,
    split: Words = None,
    image: Words = None,
    signal: Words = None,
    min_score: float | None = None,
    verdict: Words = None,
    status: Words = None,
    all_: bool = False,
    sort: Sort | None = None,
    limit: int | None = None,
) -> pa.Table:
    """Suspicious places, most suspicious first: the columns of `healtheat query --format csv`, typed.

    One row a place, led by its strongest reason; with `issue` or `all_` one row for each box and issue.
    Either `filters` or the words of the command say which; `all_` lists every judged box. The metadata of the
    table's schema holds how many findings pass without `limit`, see `findings.counts.QueryCounts`. Raises
    InputError for a value that the index does not have, or BadIndex.
    """
    from healtheat.findings.counts import QueryCounts
    from healtheat.findings.query import query as run
    from healtheat.findings.query import unit_of
    from healtheat.findings.words import FilterWords
    from healtheat.index.locate import opened

    arguments.whole(limit=limit, least=0, optional=True)
    arguments.text(sort=sort, optional=True)
    asked = FilterWords(
        issue=issue,
        class_=class_,
        split=split,
        image=image,
        signal=signal,
        min_score=min_score,
        verdict=verdict,
        status=status,
        all_=all_,
    )
    with opened(index) as own:
        chosen = asked.filters(own, filters)
        each = unit_of(chosen, "place")
        rows = run(own, chosen, sort=sort, limit=limit, each=each)
        return QueryCounts.of(own, chosen, each=each).added_to(rows)


def review(
    index: IndexLike = None,
    *,
    against: IndexLike = None,
    name: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    all_: bool = False,
    open_: bool = False,
    ready: Callable[[str], None] = lambda address: None,
) -> Reviewed:
    """Serve the review page of an index until Ctrl-C; verdicts are kept in the index.

    `against` is the trusted index that a vetted batch was judged by: its crops are shown beside the batch's.
    `ready` is called with the address to open, which holds a secret, as soon as the page can be opened.
    `all_` shows every judged box, `open_` opens the browser. Raises InputError or BadIndex.
    """
    from healtheat.reviewing.run import review as run

    arguments.text(host=host)
    arguments.text(name=name, optional=True)
    arguments.whole(port=port, least=0)
    arguments.switch(all_=all_, open_=open_)
    return run(
        index,
        against=against,
        name=name,
        host=host,
        port=port,
        every=all_,
        open_browser=open_,
        ready=ready,
    )


def report(
    index: IndexLike = None,
    *,
    out: PathLike = "report.html",
    title: str | None = None,
    per_issue: int = 12,
    max_mb: float = 10,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Written:
    """Write one HTML file `out` for a colleague, at most `max_mb` MiB long.

    `title` is the index's name unless given. The index and the data set are only read. Raises InputError
    where `out` cannot be written, or BadIndex.
    """
    from healtheat.index.locate import opened
    from healtheat.reporting import write_report

    arguments.text(title=title, optional=True)
    arguments.whole(per_issue=per_issue, least=0)
    arguments.number(max_mb=max_mb, least=0)
    arguments.switch(overwrite=overwrite)
    with opened(index) as own:
        return write_report(
            own,
            needed_path(out=out),
            title=title or own.path.resolve().name,
            limit_bytes=int(max_mb * (1 << 20)),
            per_issue=per_issue,
            overwrite=overwrite,
            progress=progress,
        )


def export(
    to: PathLike,
    *,
    format: str | None = None,
    index: IndexLike = None,
    filters: Filters | None = None,
    issue: Words = None,
    class_: ClassWords = None,
    split: Words = None,
    image: Words = None,
    signal: Words = None,
    min_score: float | None = None,
    verdict: Words = None,
    status: Words = None,
    all_: bool = False,
    drop: Drop | None = None,
    max_share: float | None = None,
    write: bool = False,
    spreadsheet: bool = False,
    crops: bool = False,
    overwrite: bool = False,
    force: bool = False,
    outside: bool = False,
    progress: Progress = silent,
) -> Exported:
    """Write findings to the file or folder `to`, in `format` or the one that its suffix means.

    Which findings: as for `query`. "yolo" writes lists to train on and is a dry run unless `write`; what the
    other options are for (`outside` as in `build`) stands in `healtheat export --help`. The data set and the
    index are never touched. Raises InputError for what cannot be written or an option that means nothing for
    the format; BadIndex.
    """
    from healtheat.exporting.formats import format_of
    from healtheat.exporting.run import export as run
    from healtheat.findings.words import FilterWords
    from healtheat.index.locate import opened
    from healtheat.sources.outside import outside_allowed

    arguments.path(to=to)
    arguments.text(format=format, optional=True)
    arguments.switch(write=write, spreadsheet=spreadsheet, crops=crops, overwrite=overwrite, force=force)
    arguments.switch(outside=outside)
    format_of(Path(to), format)  # said before an index is opened, which takes a while
    asked = FilterWords(
        issue=issue,
        class_=class_,
        split=split,
        image=image,
        signal=signal,
        min_score=min_score,
        verdict=verdict,
        status=status,
        all_=all_,
    )
    with opened(index) as own, outside_allowed(outside):
        return run(
            own,
            to,
            format,
            filters=asked.filters(own, filters),
            drop=drop,
            max_share=max_share,
            write=write,
            spreadsheet=spreadsheet,
            crops=crops,
            overwrite=overwrite,
            force=force,
            progress=progress,
        )


def apply(
    index: IndexLike = None,
    filters: Filters | None = None,
    *,
    to: PathLike | None = None,
    in_place: bool = False,
    flagged: bool = False,
    drop: Drop | None = None,
    max_share: float | None = None,
    issue: Words = None,
    class_: ClassWords = None,
    split: Words = None,
    image: Words = None,
    signal: Words = None,
    min_score: float | None = None,
    outside: bool = False,
    progress: Progress = silent,
) -> Applied:
    """Take out of the labels what people decided to drop; a dry run unless `to` or `in_place` says where.

    `to` is a new folder for a cleaned copy; `in_place` changes the data set itself, and `rollback` undoes it.
    `flagged` also takes out what is only flagged, `drop="images"` the whole image of a box, `drop="mask"` its
    pixels in the copy too. Class ids are never changed. `outside` as in `build`. Raises InputError
    where something changed since the build, or where more than `max_share` (0.1) of the boxes or images would
    go; BadIndex.
    """
    from healtheat.cleanup import apply as run
    from healtheat.findings.words import FilterWords
    from healtheat.index.locate import opened
    from healtheat.sources.outside import outside_allowed

    arguments.path(to=to, optional=True)
    arguments.switch(in_place=in_place, flagged=flagged, outside=outside)
    asked = FilterWords(
        issue=issue, class_=class_, split=split, image=image, signal=signal, min_score=min_score
    )
    with opened(index) as own, outside_allowed(outside):
        return run(
            own,
            to,
            in_place=in_place,
            flagged=flagged,
            drop=drop,
            max_share=max_share,
            filters=asked.filters(own, filters),
            progress=progress,
        )


def rollback(
    folder: PathLike | None = None,
    *,
    index: IndexLike = None,
    keep_edited: bool = False,
    progress: Progress = silent,
) -> RolledBack:
    """Undo the last `apply` in place of the data set in `folder`, by default the one of `index`.

    Every file is as it was, byte for byte. Files that were edited since are never overwritten: InputError
    names them, or with `keep_edited` they are left alone.
    """
    from healtheat.cleanup import rollback as run
    from healtheat.index.locate import opened

    arguments.path(folder=folder, optional=True)
    arguments.switch(keep_edited=keep_edited)
    if folder is None:
        with opened(index) as own:
            folder = own.manifest.source.root
    return run(Path(folder).absolute(), keep_edited=keep_edited, progress=progress)


def similar(
    image: PathLike,
    index: IndexLike = None,
    *,
    box: Sequence[float] | None = None,
    line: int | None = None,
    class_: ClassWords = None,
    limit: int = 10,
    encoder: str | Encoder | None = None,
) -> pa.Table:
    """The boxes of an index most similar to a crop of any image: `healtheat.view.similar.SIMILAR_SCHEMA`.

    The crop is `box` (cx, cy, w, h as shares of the image), the box on `line` (from 0) of the image's labels,
    or the whole image. Where the index holds this very file, boxes of the same source are left out. `encoder`
    is the index's own, needed where it is not embedded. Raises InputError, BadIndex, or EncoderError where
    that cannot be loaded.
    """
    from healtheat.index.locate import opened
    from healtheat.view.similar import similar as run

    arguments.whole(line=line, least=0, optional=True)
    arguments.whole(limit=limit, least=0)
    with opened(index) as own:
        return run(
            own,
            needed_path(image=image),
            box=box,
            line=line,
            classes=class_,
            limit=limit,
            encoder=encoder,
        )


def problems(index: IndexLike = None) -> pa.Table:
    """Lines and files that could not be read, in the order they were met: file, line, reason, image, code.

    Lines are counted from 0, null for a whole file.
    """
    from healtheat.index.locate import opened
    from healtheat.index.problems import problem_rows

    with opened(index) as own:
        return problem_rows(own)


def flag(
    index: IndexLike = None,
    *,
    threshold: Mapping[str, float] | Iterable[str] | None = None,
    fdr: float | None = None,
    budget: int | None = None,
) -> ScoreReport:
    """Flag findings by other thresholds; scores stay, no signal runs again.

    `threshold` is {"mislabel": 0.8}, or texts such as "mislabel=0.8"; issues without one take their default.
    Raises InputError, BadIndex or IndexBusy.
    """
    from healtheat.findings.choose import finding_settings
    from healtheat.findings.score import update_findings
    from healtheat.index.locate import index_folder

    arguments.number(fdr=fdr, optional=True)
    arguments.whole(budget=budget, optional=True)
    settings = finding_settings(threshold, fdr, budget)
    return update_findings(index_folder(index), settings)


def score(
    index: IndexLike = None,
    *,
    contents_rule: str | None = None,
    classes: PathLike | None = None,
    predictions: PathLike | None = None,
    missing: bool | None = None,
    proposals: PathLike | None = None,
    encoder: str | None = None,
    progress: Progress = silent,
) -> ScoreReport:
    """Run the signals again over an index; what is not given stays as at the last scoring.

    An expression or files of the last scoring must be given again, or left out by "auto" and "none".
    `missing` needs `encoder`, the one of the build, where that is not embedded; `proposals` as in `build`.
    Raises InputError, EncoderError, BadIndex or IndexBusy.
    """
    from healtheat.findings.choose import score_again
    from healtheat.index.locate import index_folder

    arguments.text(contents_rule=contents_rule, encoder=encoder, optional=True)
    arguments.path(predictions=predictions, proposals=proposals, optional=True)
    return score_again(
        index_folder(index),
        contents_rule=contents_rule,
        classes=path_or_none(classes=classes),
        predictions=predictions,
        missing=missing,
        proposals=proposals,
        encoder=encoder,
        progress=progress,
    )


def contents(
    data: PathLike, *, rule: str = "aihub", classes: PathLike | None = None, outside: bool = False
) -> ContentsReport:
    """Compare labels with what the names of the images list; no image is read and no index is needed.

    The report's `table` has one row per missing, superfluous or unexpected box; `outside` as in `build`.
    Raises InputError.
    """
    from healtheat.listing import contents as run
    from healtheat.sources.outside import outside_allowed

    arguments.text(rule=rule)
    arguments.switch(outside=outside)
    with outside_allowed(outside):
        return run(needed_path(data=data), rule=rule, classes=path_or_none(classes=classes))


def guard(
    proposed: PathLike,
    *,
    against: PathLike | None = None,
    rule: str = "auto",
    classes: PathLike | None = None,
    names: PathLike | None = None,
    outside: bool = False,
) -> Guarded:
    """Say whether the proposed labels collapse classes; `collapse` of the result is the answer.

    `names` gives class ids where labels know classes by name, and `outside` as in `build`.
    Raises InputError where something cannot be read or there is nothing to judge.
    """
    from healtheat.guarding import guard as run
    from healtheat.sources.outside import outside_allowed

    arguments.text(rule=rule)
    arguments.switch(outside=outside)
    with outside_allowed(outside):
        return run(
            needed_path(proposed=proposed),
            path_or_none(against=against),
            rule=rule,
            classes=path_or_none(classes=classes),
            names=path_or_none(names=names),
        )


def diff(
    old: Index | PathLike,
    new: Index | PathLike,
    *,
    classes: Classes = "auto",
    tolerance: float = 0.001,
    names: PathLike | None = None,
    outside: bool = False,
) -> DiffReport:
    """Compare two versions of labels: data sets, labels alone, or indexes. Nothing is written.

    Of an index as `old`, the report says which findings the new version settles and which are open.
    `classes` says whether the tool kept ids or names; "auto" takes what both agree on. `tolerance` is a share
    of the image: a place that differs by less is the same, rounded. `names` gives class ids where labels know
    classes by name, and `outside` as in `build`. Raises InputError or BadIndex.
    """
    from healtheat.comparing.run import diff as run
    from healtheat.sources.outside import outside_allowed

    arguments.text(classes=classes)
    arguments.number(tolerance=tolerance)
    arguments.switch(outside=outside)
    with outside_allowed(outside):
        return run(old, new, classes=classes, tolerance=tolerance, names=path_or_none(names=names))


def vet(
    new: PathLike,
    against: PathLike,
    *,
    to: PathLike | None = None,
    max_wrong: float = 0.02,
    weights: PathLike | None = None,
    conf: float | None = None,
    predictions: PathLike | None = None,
    images: PathLike | None = None,
    task: str | None = None,
    names: PathLike | None = None,
    contents_rule: str | None = "auto",
    classes: PathLike | None = None,
    encoder: str | None = None,
    group_by: str | None = None,
    no_guard: bool = False,
    strict: bool = False,
    threads: int | None = None,
    outside: bool = False,
    format: Literal["yolo", "coco"] | None = None,
    out: PathLike | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> VetReport:
    """Judge new labels box by box by the index `against`, whose labels are trusted: accept or hold.

    `new` is anything `build` reads; with `weights` or `predictions` (YOLO text files) it is a folder of
    images. Of the boxes accepted at most `max_wrong` are wrong, on average over batches. The batch becomes an
    index of its own in the folder `to` (./vetted/NAME by default), whose flagged findings are the boxes held;
    class ids go through as they came. A batch that looks collapsed is refused as a whole unless `no_guard`.
    What is learned of `against` is kept in it. `format` writes the accepted and the held boxes to the folder
    `out` as well (see docs/vet.md); `overwrite` replaces what an earlier vet wrote there. `encoder` and
    `group_by` as in `add`, `outside` as in `build`. Raises InputError, EncoderError, IndexBusy or BadIndex.
    """
    from healtheat.exporting.vetted.hand_out import choose_hand_out
    from healtheat.index.again import Again
    from healtheat.listing import ChosenRule
    from healtheat.sources.outside import outside_allowed
    from healtheat.vetting.open_batch import batch_folder, open_batch
    from healtheat.vetting.run import VetSettings, check_max_wrong, refused
    from healtheat.vetting.run import vet as run

    arguments.number(max_wrong=max_wrong)
    arguments.number(conf=conf, optional=True)
    check_max_wrong(max_wrong)
    arguments.text(contents_rule=contents_rule, task=task, format=format, optional=True)
    arguments.text(encoder=encoder, group_by=group_by, optional=True)
    arguments.switch(no_guard=no_guard, strict=strict, overwrite=overwrite, outside=outside)
    arguments.whole(threads=threads, least=1, optional=True)
    judge = needed_path(against=against)
    hand_out = choose_hand_out(format, path_or_none(out=out), judge, overwrite=overwrite)
    settings = VetSettings(
        max_wrong=max_wrong,
        contents=ChosenRule(contents_rule or "auto", path_or_none(classes=classes)),
        guard=not no_guard,
        strict=strict,
        threads=threads,
    )
    data, folder = needed_path(new=new), batch_folder(needed_path(new=new), path_or_none(to=to))
    with outside_allowed(outside):
        if weights is None and predictions is None:
            collapsed = refused(data, judge, folder, settings)
            if collapsed is not None:
                return collapsed
        source, folder = open_batch(
            data,
            judge,
            to=path_or_none(to=to),
            weights=path_or_none(weights=weights),
            conf=conf,
            predictions=path_or_none(predictions=predictions),
            images=path_or_none(images=images),
            task=task,
            names=path_or_none(names=names),
        )
    report = run(source, judge, folder, settings, progress, again=Again(encoder, group_by))
    return report if hand_out is None else hand_out.of(report)


def prelabel(
    images: PathLike | None = None,
    *,
    against: PathLike,
    to: PathLike | None = None,
    conf: float = 0.25,
    proposals: PathLike | None = None,
    max_wrong: float = 0.02,
    contents_rule: str | None = "auto",
    classes: PathLike | None = None,
    encoder: str | None = None,
    group_by: str | None = None,
    no_guard: bool = False,
    threads: int | None = None,
    format: Literal["yolo", "coco"] | None = None,
    out: PathLike | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> VetReport:
    """Propose boxes with classes for the images below the folder `images`, by the index `against` alone.

    Without `images`: for those of the index's own data set that have no label file. A box is proposed where
    the chance of an object is at least `conf`, with the likeliest class, and then accepted or held as in
    `vet`, with the same promise (`max_wrong`) and the same results; no label file is written or changed. The
    index needs 30 boxes on 10 images to learn from. `proposals` as in `build`. Raises InputError,
    EncoderError, IndexBusy or BadIndex.
    """
    from healtheat.exporting.vetted.hand_out import choose_hand_out
    from healtheat.findings.choose import choose_proposals
    from healtheat.index.again import Again
    from healtheat.listing import ChosenRule
    from healtheat.vetting.prelabel import prelabel as run
    from healtheat.vetting.run import VetSettings, check_max_wrong

    arguments.number(max_wrong=max_wrong, conf=conf)
    check_max_wrong(max_wrong)
    arguments.text(contents_rule=contents_rule, format=format, optional=True)
    arguments.text(encoder=encoder, group_by=group_by, optional=True)
    arguments.path(proposals=proposals, optional=True)
    arguments.switch(no_guard=no_guard, overwrite=overwrite)
    arguments.whole(threads=threads, least=1, optional=True)
    judge = needed_path(against=against)
    hand_out = choose_hand_out(format, path_or_none(out=out), judge, overwrite=overwrite)
    settings = VetSettings(
        max_wrong=max_wrong,
        contents=ChosenRule(contents_rule or "auto", path_or_none(classes=classes)),
        guard=not no_guard,
        threads=threads,
    )
    report = run(
        path_or_none(images=images),
        judge,
        to=path_or_none(to=to),
        conf=conf,
        proposals=choose_proposals(proposals),
        settings=settings,
        progress=progress,
        again=Again(encoder, group_by),
    )
    return report if hand_out is None else hand_out.of(report)


def trust(index: IndexLike = None) -> TrustReport:
    """Which classes the encoder of an index can tell apart on its data, and which look alike to it."""
    from healtheat.index.locate import opened
    from healtheat.signals import samples_from
    from healtheat.signals.evidence.trust import TrustReport
    from healtheat.signals.evidence.trust import trust as measure

    with opened(index) as own:
        return TrustReport.of(measure(samples_from(own)), own.names, own.silences())


def selftest(
    index: IndexLike = None,
    *,
    kind: Words = None,
    rate: float = 0.05,
    plantings: int = 3,
    budget: int | None = None,
    crops: int = 200,
    seed: int = 0,
    encoder: str | None = None,
    progress: Progress = silent,
) -> SelftestReport:
    """Plant errors in a copy of the data, in memory, and measure how many are found.

    `encoder` is the index's own, needed for new crops where it is not embedded.
    Raises InputError, BadIndex, or EncoderError where new crops are wanted and the encoder cannot be had.
    """
    from healtheat.findings.filters import words
    from healtheat.index.locate import opened
    from healtheat.planting import selftest_index

    arguments.number(rate=rate)
    arguments.text(encoder=encoder, optional=True)
    arguments.whole(plantings=plantings, least=1)
    arguments.whole(budget=budget, least=1, optional=True)
    arguments.whole(crops=crops, seed=seed, least=0)
    with opened(index) as own:
        return selftest_index(
            own,
            kinds=words(kind),
            rate=rate,
            plantings=plantings,
            budget=budget,
            crops=crops,
            seed=seed,
            encoder=encoder,
            progress=progress,
        )


def verify(index: IndexLike = None) -> VerifyReport:
    """Check every file of an index against its hash; damage is in the report, not raised.

    Raises InputError where there is no such folder.
    """
    from healtheat.index.locate import index_folder, verify_folder

    return verify_folder(index_folder(index))


def encoders(
    folders: PathLike | Sequence[PathLike] | None = None,
    *,
    no_speed: bool = False,
    threads: int | None = None,
    progress: Progress = silent,
) -> pa.Table:
    """The encoders that work here without a network: name, kind, dim, resolution_px, size_bytes, note,
    usable, crops_per_s. Speed is measured, some seconds each, unless `no_speed`. Raises EncoderError.
    """
    from healtheat.embedding import encoder_table, list_encoders

    arguments.whole(threads=threads, least=1, optional=True)
    arguments.switch(no_speed=no_speed)
    if isinstance(folders, str | os.PathLike):
        folders = [folders]
    paths = [needed_path(folders=folder) for folder in folders or ()]
    found = list_encoders(folders=paths, measure=not no_speed, threads=threads, progress=progress)
    return encoder_table(found)


def demo(
    *,
    out: PathLike = "data/demo",
    index: PathLike = "index/demo",
    lists: PathLike = "data/demo-lists",
    images: int = 300,
    seed: int = 0,
    encoder: str | Encoder = "auto",
    progress: Progress = silent,
) -> DemoReport:
    """Do the whole job on generated images with known errors, and compare what was found with them.

    Raises InputError where one of the folders holds something else.
    """
    from healtheat.building.auto import encoder_of_word
    from healtheat.drawing.run import demo as run

    arguments.whole(images=images)
    arguments.whole(seed=seed, least=0)
    return run(
        needed_path(out=out),
        needed_path(index=index),
        needed_path(lists=lists),
        encoder=encoder_of_word(encoder),
        images=images,
        seed=seed,
        progress=progress,
    )
