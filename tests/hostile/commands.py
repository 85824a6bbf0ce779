"""Every command as it is run on the items of the corpus: words, in which {…} are places."""

from __future__ import annotations

from collections.abc import Mapping

_INDEX = {
    "query": "query --index {index} --all --format json",
    "query table": "query --index {index}",
    "report": "report --index {index} --to report.html",
    "export csv": "export --index {index} --to out.csv --all",
    "export spreadsheet": "export --index {index} --to out.csv --spreadsheet",
    "export coco": "export --index {index} --to out.json --format coco --all",
    "export labelstudio": "export --index {index} --to tasks.json --format labelstudio --all",
    "export cvat": "export --index {index} --to cvat.xml --format cvat --all",
    "export yolo": "export --index {index} --to lists --format yolo --write",
    "export patch": "export --index {index} --to p.patch --format patch",
    "apply": "apply --index {index} --flagged",
    "apply copy": "apply --index {index} --flagged --to copy --max-share 1",
    "rollback": "rollback --index {index}",
    "diff": "diff {index} {index}",
    "diff data": "diff {index} {more}",
    "similar": "similar {image} --index {index} --box 0.5,0.5,0.3,0.3",
    "problems": "problems --index {index}",
    "flag": "flag --index {index} --fdr 0.1",
    "score": "score --index {index}",
    "trust": "trust --index {index}",
    "selftest": "selftest --index {index} --plantings 1 --crops 2",
    "verify": "verify --index {index}",
    "batches": "batches --index {index}",
    "remove": "remove more --from {index}",
    "add": "add {more} --to {index}",
    "add index": "add {index} --to {good}",
    "vet": "vet {more} --against {index} --to vetted",
    "prelabel": "prelabel {images} --against {index} --to vetted",
    "build": "build {data} --index {index} --encoder fake",
    "score missing": "score --index {index} --missing",
    "review": "review --index {index} --port 0",
    "review against": "review --index {good} --against {index} --port 0",
}
_SET = {
    "build": "build {set} --index new --encoder fake",
    "build outside": "build {set} --index new --encoder fake --outside",
    "contents": "contents {set} --rule (?P<code>[0-9]+)",
    "guard": "guard {set}",
    "guard against": "guard {set} --against {more}",
    "diff": "diff {set} {set}",
    "diff index": "diff {good} {set}",
    "add": "add {set} --to {good}",
    "vet": "vet {set} --against {good} --to vetted",
    "prelabel": "prelabel {set} --against {good} --to vetted",
}
_ENCODER = {
    "encoders": "encoders {encoder} --no-speed",
    "build": "build {more} --index new --encoder onnx-dir:{encoder}",
    "similar": "similar {image} --index {good} --encoder onnx-dir:{encoder}",
    "local-dir": "build {more} --index new --encoder local-dir:{encoder}",
}
_PREDICTIONS = {
    "score": "score --index {good} --predictions {predictions}",
    "build": "build {more} --index new --encoder fake --predictions {predictions}",
    "vet": "vet {images} --against {good} --predictions {predictions} --to vetted",
    "guard": "guard {predictions} --against {more}",
}
_LIST = {
    "classes": "contents {more} --rule aihub --classes {list}",
    "rule": "contents {more} --rule {list}",
    "score": "score --index {good} --contents-rule {list}",
    "score classes": "score --index {good} --classes {list}",
    "names": "build {more} --index new --encoder fake --names {list}",
    "guard": "guard {more} --rule {list}",
}
_PLAN = {
    "rollback": "rollback {plan}",
    "demo": "demo {plan} --images 12",
}
COMMANDS: Mapping[str, Mapping[str, str]] = {
    "index": _INDEX,
    "set": _SET,
    "encoder": _ENCODER,
    "predictions": _PREDICTIONS,
    "list": _LIST,
    "plan": _PLAN,
}
# Commands that say by exit code 1 that something is wrong: damage, a collapse.
TELLS_BY_1 = ("verify", "guard", "vet", "prelabel")


def codes(words: str) -> tuple[int, ...]:
    """How the command may end."""
    return (0, 1, 2) if words.split()[0] in TELLS_BY_1 else (0, 2)
