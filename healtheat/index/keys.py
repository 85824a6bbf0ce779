"""What identifies a crop, an image and a box across builds."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from healtheat.core.atomic import canonical_json
from healtheat.crops import CropPolicy

KEY_BYTES = 16


def fingerprint(encoder_fingerprint: str, crop_policy: CropPolicy) -> str:
    """32 hex digits of everything besides the pixels that decides a vector."""
    policy = canonical_json(crop_policy.model_dump(mode="json"))
    both = encoder_fingerprint.encode() + b" " + policy
    return hashlib.blake2b(both, digest_size=KEY_BYTES).hexdigest()


def crop_keys(
    image_sha256: str,
    xywhn: NDArray[np.float64],
    fingerprint: str,
    *,
    kind: str = "crop",
    corners: NDArray[np.object_] | None = None,
) -> list[bytes]:
    """One 16-byte key a box: image, coordinates, encoder and crop policy. The class is not in it.

    `kind` keeps crops of boxes and background tiles apart. `corners` are given where crops follow them.
    """
    start = hashlib.blake2b(f"{kind} {image_sha256} {fingerprint} ".encode(), digest_size=KEY_BYTES)
    keys = []
    for number, row in enumerate(np.ascontiguousarray(xywhn, "<f8")):
        digest = start.copy()
        digest.update(row.tobytes())
        if corners is not None and corners[number] is not None:
            digest.update(np.ascontiguousarray(corners[number], "<f8").tobytes())
        keys.append(digest.digest())
    return keys


def image_key(image_sha256: str, fingerprint: str) -> bytes:
    """16-byte key of what is measured on a whole image."""
    text = f"image {image_sha256} {fingerprint}"
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest()


def box_key(image_sha256: str, xywhn: NDArray[np.float64], class_id: int) -> str:
    """32 hex digits that a verdict holds on to: image, coordinates and class, so a changed box asks again."""
    digest = hashlib.blake2b(f"box {image_sha256} {int(class_id)} ".encode(), digest_size=KEY_BYTES)
    digest.update(np.ascontiguousarray(xywhn, "<f8").reshape(4).tobytes())
    return digest.hexdigest()


def whole_image_key(image_sha256: str, path: str, class_id: int) -> str:
    """The same for a finding about a whole image (a missing box, an unreadable file).

    `path` stands in where the image has no hash because it could not be read. (The word `photo` in it stays:
    another one would untie the verdicts of indexes that are there.)
    """
    text = f"photo {image_sha256 or path} {int(class_id)}"
    return hashlib.blake2b(text.encode("utf-8"), digest_size=KEY_BYTES).hexdigest()
