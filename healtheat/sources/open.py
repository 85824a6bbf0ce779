"""Telling sources apart by what the user gave."""

from __future__ import annotations

import difflib
import re
from itertools import islice
from pathlib import Path

from healtheat.core.errors import Argument, InputError
from healtheat.core.files import open_regular
from healtheat.core.paths import is_any_image, is_file, is_folder, relative
from healtheat.core.text import shown
from healtheat.sources.base import LabelFormat, Source, SourceOptions
from healtheat.sources.coco.source import COCO
from healtheat.sources.cvat.source import CVAT
from healtheat.sources.darknet.source import DARKNET
from healtheat.sources.detector.settings import DetectorSettings
from healtheat.sources.detector.source import DETECTOR
from healtheat.sources.files import first_files
from healtheat.sources.labelme.source import LABELME
from healtheat.sources.labelstudio.source import LABELSTUDIO
from healtheat.sources.peek import fault_of_xml, root_of_xml
from healtheat.sources.voc.source import VOC
from healtheat.sources.yolo.source import YOLO

_SPLIT = re.compile(rb"^(?:train|val|validation|test|names)\s*:", re.MULTILINE)  # keys of a data.yaml

# Every format there is; one that needs no option is recognised in this order.
FORMATS = (
    YOLO,
    DARKNET,
    LABELME,
    LABELSTUDIO,
    CVAT,
    VOC,
    COCO,
    DETECTOR,
)


def open_source(
    data: Path | str,
    *,
    kind: str = "auto",
    images: Path | str | None = None,
    weights: Path | str | None = None,
    detector: DetectorSettings | None = None,
    scratch: Path | None = None,
    task: str | None = None,
    names: Path | str | None = None,
    labels_only: bool = False,
) -> Source:
    """The source that `data` is: of one of `FORMATS`, or images to detect on.

    `kind` forces a format by its name in `FORMATS`. `images` is the folder of images that do not lie beside
    their labels. `names` is a file with the class names in order of their ids (one a line, or a data.yaml),
    for formats that know classes by name. `weights` are those of a YOLO detector, whose boxes become the
    labels of the folder `data` (**a `.pt` file runs code when it is loaded**, see DetectorSource); `detector`
    says how it is run and `scratch` where it may write. `task` is what a YOLO data set is labelled for
    (detect, segment, pose, obb), where its files do not tell it. With `labels_only` formats of other tools do
    without their images: boxes are read, not cut. Raises InputError, which says what to give instead, if it
    is none of these.
    """
    data = Path(data)
    kinds = ("auto", *(known.kind for known in FORMATS))
    if kind not in kinds:
        raise InputError(f"kind {kind!r} is unknown; choose one of {', '.join(kinds)}")
    options = SourceOptions(
        images=None if images is None else Path(images),
        weights=None if weights is None else Path(weights),
        detector=detector,
        scratch=scratch,
        task=task,
        names=None if names is None else Path(names),
        labels_only=labels_only,
    )
    told = frozenset(
        name for name in ("images", "weights", "task", "names") if getattr(options, name) is not None
    )
    if kind == "auto":
        _check_there(data)
        chosen = _recognised(data, told)
        _check_options(chosen, data, told)
    else:
        chosen = next(known for known in FORMATS if known.kind == kind)
        _check_options(chosen, data, told)
        _check_there(data)
    return chosen.open(data, options)


def format_of(data: Path) -> LabelFormat:
    """The format of labels in `data`, by what it holds. Raises InputError for none."""
    return _recognised(data, frozenset())


def _recognised(data: Path, told: frozenset[str]) -> LabelFormat:
    """The format of `data`; one that cannot do without an option that was given comes first."""
    wanted = [known for known in FORMATS if known.needs and known.needs <= told]
    for known in wanted or [known for known in FORMATS if not known.needs]:
        if known.recognises(data) and not (known is YOLO and _only_other_yaml(data)):
            return known
    raise InputError(f"{data}: {_what_it_is(data, [known.given for known in wanted])}")


def _only_other_yaml(data: Path) -> bool:
    """Whether the YAML files of a folder are none of YOLO (dvc.yaml, …), and there are labels of a tool."""
    if not is_folder(data) or (is_folder(data / "images") and is_folder(data / "labels")):
        return False
    yamls = [path for path in data.iterdir() if path.suffix.lower() in (".yaml", ".yml")]
    if any(path.stem.lower() == "data" or _SPLIT.search(_start_of(path)) for path in yamls):
        return False
    return any(known.recognises(data) for known in FORMATS if known is not YOLO and not known.needs)


def _start_of(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(2**20)
    except OSError:
        return b""


def _check_options(chosen: LabelFormat, data: Path, told: frozenset[str]) -> None:
    for name in sorted(chosen.needs - told):
        raise InputError(f"{data}: the kind {chosen.kind} needs ", Argument(name), f": give {chosen.given}")
    for name in sorted(told - chosen.takes):
        kinds = " or ".join(known.kind for known in FORMATS if name in known.takes)
        raise InputError(
            f"{data}: ", Argument(name), f" is only for the kind {kinds}, not for {chosen.kind}; leave it out"
        )


def _check_there(data: Path) -> None:
    if not is_file(data) and not is_folder(data):
        raise InputError(f"{data}: not found{_did_you_mean(data)}; {_give()}")


def _what_it_is(data: Path, wanted: list[str]) -> str:
    """Why `data` is none of the formats, and what to do."""
    if wanted:
        return f"not what the options ask for; give {', or '.join(wanted)}"
    files = first_files(data) if is_folder(data) else [data]
    images, texts = any(is_any_image(f.name) for f in files), any(f.suffix.lower() == ".txt" for f in files)
    if (xml := [f for f in files if f.suffix.lower() == ".xml" and is_file(f)]) and not texts:
        return _what_xml_is(data, xml)
    if not is_folder(data):
        return f"a {data.suffix.lower() or 'nameless'} file is no data set; {_give()}"
    if images and texts:
        return f"images and text files, but neither data.yaml nor folders images/ and labels/; {_give()}"
    if images:
        return f"images without labels; label them with a detector by giving its weights; {_give()}"
    if texts:
        return f"label files without images; 'healtheat contents' reads label files alone; {_give()}"
    return f"neither images nor labels in this folder; {_give()}"


def _what_xml_is(data: Path, files: list[Path]) -> str:
    """Why XML files are labels of no format here; they would be Pascal VOC or CVAT for images."""
    first = "" if files[0] == data else f"{relative(files[0], data)}: "
    of = "" if len(files) == 1 else f", as all {len(files)} XML files here"
    if fault := fault_of_xml(files[0]):
        return f"{first}XML labels (Pascal VOC or CVAT) that cannot be read{of}: {fault}; export them again"
    root = shown(root_of_xml(files[0]))
    return (
        f"{first}the root <{root}> is neither that of Pascal VOC (<annotation>) nor that of CVAT for images "
        f"(<annotations>){of}; {_give()}"
    )


def _give() -> str:
    return "give " + ", or ".join(known.given for known in FORMATS)


def _did_you_mean(data: Path) -> str:
    """The entry of the folder that is spelled most alike."""
    if not is_folder(data.parent):
        return ""
    try:
        close = difflib.get_close_matches(data.name, [p.name for p in islice(data.parent.iterdir(), 1000)], 1)
    except OSError:
        return ""
    return f"; did you mean {data.parent / close[0]}?" if close else ""
