"""Files of a Hugging Face repository: from the local cache, else from the network, else a clear error,
fast.
"""

from __future__ import annotations

import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from healtheat.core.errors import EncoderError

REACH_TIMEOUT_S = 5.0
CONFIG = "open_clip_config.json"
WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)


def cached_file(repo: str, filenames: Sequence[str]) -> Path | None:
    """The first of `filenames` that is in the local cache; asks no network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for filename in filenames:
        try:
            found = try_to_load_from_cache(repo, filename)
        except HFValidationError as error:
            raise EncoderError(f"hf-hub:{repo}: {' '.join(str(error).split())[:200]}") from None
        if isinstance(found, str) and Path(found).is_file():
            return Path(found)
    return None


def hub_file(repo: str, filenames: Sequence[str]) -> Path:
    """The first of `filenames` that the repository has, downloaded where it is not cached yet.

    Raises EncoderError: without a network after REACH_TIMEOUT_S, not after the hub's own minute of retries.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    found = cached_file(repo, filenames)
    if found is not None:
        return found
    _check_reachable(repo)
    for filename in filenames:
        try:
            with quiet_logs():
                return Path(hf_hub_download(repo, filename))
        except EntryNotFoundError:
            continue
        except Exception as error:
            raise EncoderError(f"hf-hub:{repo}: cannot download {filename}: {one_line(error)}") from None
    raise EncoderError(f"hf-hub:{repo}: the repository has none of {', '.join(filenames)}")


def _check_reachable(repo: str) -> None:
    from huggingface_hub import constants

    fix = (
        f"not in the local cache ({constants.HF_HUB_CACHE}). Download it on a connected machine with "
        f"`hf download {repo} --local-dir DIR` and use the encoder local-dir:DIR, or use an embedded encoder"
    )
    if constants.HF_HUB_OFFLINE:
        raise EncoderError(f"hf-hub:{repo}: HF_HUB_OFFLINE is set and the weights are {fix}")
    try:
        urllib.request.urlopen(
            urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=REACH_TIMEOUT_S
        ).close()
    except urllib.error.HTTPError:
        pass  # it answered
    except (OSError, ValueError):
        raise EncoderError(
            f"hf-hub:{repo}: no network to {constants.ENDPOINT}, and the weights are {fix}"
        ) from None


@contextlib.contextmanager
def quiet_logs() -> Iterator[list[str]]:
    """Collect what other libraries log to the root logger instead of letting them print it."""
    messages: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                messages.append(record.getMessage())

    root, collect = logging.getLogger(), Collect()
    root.addHandler(collect)  # a handler on the root keeps logging.warning() from setting up printing
    try:
        yield messages
    finally:
        root.removeHandler(collect)


def one_line(error: BaseException) -> str:
    """An exception's message without line breaks, shortened."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def cached_repos() -> dict[str, tuple[int, bool]]:
    """Repository → (bytes of its open_clip weights, whether its config is there too); asks no network."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return {}
    found = {}
    for repo in sorted(repos, key=lambda repo: repo.repo_id):
        for revision in repo.revisions:
            sizes = {file.file_name: file.size_on_disk for file in revision.files}
            weights = [sizes[name] for name in WEIGHTS if name in sizes]
            if "main" in revision.refs and weights:
                found[repo.repo_id] = (weights[0], CONFIG in sizes)
    return found
