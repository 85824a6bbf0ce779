"""open_clip names → local files, checked before open_clip touches them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from healtheat.core.errors import EncoderError
from healtheat.core.files import Unreadable, open_regular, read_small
from healtheat.embedding.files import MAX_TEXT_BYTES
from healtheat.embedding.hub import CONFIG, WEIGHTS, cached_repos, hub_file, one_line

_SUFFIXES = (".safetensors", ".bin", ".pth")  # what open_clip looks for in a folder


@dataclass(frozen=True, slots=True)
class ModelSource:
    """What open_clip.create_model is asked for; every file is local by now."""

    model_name: str
    pretrained: str | None
    preprocess: dict[str, Any] | None
    origin: str


def resolve(name: str) -> ModelSource:
    """Resolve `name` to local files. Only names that ask for a download may use the network."""
    if name.startswith("local-dir:"):
        folder = Path(name.removeprefix("local-dir:")).expanduser()
        _check_folder(folder, name)
        return ModelSource(f"local-dir:{folder}", None, None, name)
    if name.startswith("hf-hub:"):
        repo = name.removeprefix("hf-hub:")
        config, weights = hub_file(repo, [CONFIG]), hub_file(repo, WEIGHTS)
        if config.parent != weights.parent:
            raise EncoderError(
                f"{name}: cached config and weights are of different revisions; clear the cache"
            )
        return ModelSource(f"local-dir:{config.parent}", None, None, name)
    return _tagged(name)


def _tagged(name: str) -> ModelSource:
    """ "MODEL/PRETRAINED": one of open_clip's own pairs."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    model_name, _, tag = name.partition("/")
    if model_name not in open_clip.list_models():
        raise EncoderError(f"unknown encoder {name!r}: open_clip has no model {model_name!r}")
    config = get_pretrained_cfg(model_name, tag)
    if not config:
        known = ", ".join(list_pretrained_tags_by_model(model_name)) or "none; give hf-hub: or local-dir:"
        raise EncoderError(f"unknown encoder {name!r}: weights of {model_name} are {known}")
    model_gelu = bool(open_clip.get_model_config(model_name).get("quick_gelu", False))
    if model_gelu != bool(config.get("quick_gelu", False)):
        other = model_name.removesuffix("-quickgelu") if model_gelu else f"{model_name}-quickgelu"
        raise EncoderError(
            f"encoder {name}: QuickGELU mismatch, every vector would be silently wrong; use {other}/{tag}"
        )
    if not config.get("hf_hub"):
        raise EncoderError(
            f"encoder {name}: its weights are not on the hub; download them and use local-dir:"
        )
    repo, wanted = _hub_place(config)
    keys = ("mean", "std", "interpolation", "resize_mode")
    preprocess = {key: config[key] for key in keys if config.get(key) is not None}
    return ModelSource(model_name, str(hub_file(repo, wanted)), preprocess, name)


def _hub_place(config: dict[str, Any]) -> tuple[str, Sequence[str]]:
    """Repository and file names, the safest format first, of one of open_clip's own pairs."""
    repo, _, filename = config["hf_hub"].rpartition("/")
    if not filename:
        return repo, WEIGHTS
    path = PurePosixPath(filename)
    return repo, [path.stem + ".safetensors", filename] if path.suffix in (".bin", ".pth") else [filename]


def cached_names() -> list[tuple[str, int]]:
    """(encoder name, bytes of its weights) of what the hub's cache holds."""
    repos = cached_repos()
    names = [(f"hf-hub:{repo}", size) for repo, (size, has_config) in repos.items() if has_config]
    bare = {repo: size for repo, (size, has_config) in repos.items() if not has_config}
    if bare:
        from open_clip.pretrained import (
            get_pretrained_cfg,
            list_pretrained,
        )  # takes seconds, so only if need be

        for model_name, tag in list_pretrained():
            config = get_pretrained_cfg(model_name, tag)
            repo = _hub_place(config)[0] if config.get("hf_hub") else ""
            if repo in bare:
                names.append((f"{model_name}/{tag}", bare[repo]))
    return names


def _check_folder(folder: Path, name: str) -> None:
    """A stranger's folder: weights must be there and clear, and its config must not reach for other
    places.
    """
    if not folder.is_dir():
        raise EncoderError(f"encoder {name}: no such folder")
    try:
        config = json.loads(read_small(folder / CONFIG, MAX_TEXT_BYTES, within=folder).data)
        model = config["model_cfg"]
        towers = [model["vision_cfg"], model["text_cfg"]]
        asked = [
            str(tower.get(key) or "") for tower in towers for key in ("hf_model_name", "timm_model_name")
        ]
    except (Unreadable, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EncoderError(
            f"encoder {name}: {CONFIG} is not what open_clip writes "
            f"({type(error).__name__}: {one_line(error)})"
        ) from None
    if towers[1].get("hf_model_name") or any(":" in value or "/" in value for value in asked):
        raise EncoderError(
            f"encoder {name}: {CONFIG} builds on another repository; only whole models are loaded"
        )
    weights = sorted(path.name for path in folder.iterdir() if path.suffix in _SUFFIXES)
    for file in weights:
        try:
            open_regular(folder / file, within=folder).close()
        except OSError as error:
            raise EncoderError(f"encoder {name}: {file}: {error.strerror}") from None
    if not weights:
        raise EncoderError(f"encoder {name}: no weights in the folder (expected {WEIGHTS[0]})")
    if len(weights) > 1 and not set(weights) & set(WEIGHTS):
        raise EncoderError(
            f"encoder {name}: several weights ({', '.join(weights)}); name the right one {WEIGHTS[0]}"
        )
