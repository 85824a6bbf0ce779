"""What is the same on several images of one source: found when signals run, kept in the table `objects`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from healtheat.core.boxes import Images
from healtheat.findings.places import Copies
from healtheat.index.tables import schema
from healtheat.signals.evidence.objects import same_objects
from healtheat.sources.groups import group_codes

if TYPE_CHECKING:
    from healtheat.signals import Samples

OBJECTS_SCHEMA = schema("objects")


def objects_of(samples: Samples) -> pa.Table:
    """A table in OBJECTS_SCHEMA: the boxes of every object that is on several images."""
    code = same_objects(samples)
    many = np.bincount(code, minlength=1)[code] > 1 if len(code) else np.zeros(0, bool)
    columns = {"box_id": samples.boxes.box_id[many], "object_id": code[many]}
    return pa.table([pa.array(columns[name]) for name in OBJECTS_SCHEMA.names], schema=OBJECTS_SCHEMA)


def copies_of(images: Images, objects: pa.Table) -> Copies:
    """Which boxes and images show the same things, `objects` of the boxes being in OBJECTS_SCHEMA."""
    codes = group_codes(list(images.group_key), list(images.sha256))
    many = np.bincount(codes, minlength=1)[codes] > 1 if len(codes) else np.zeros(0, bool)
    return Copies(
        objects=dict(zip(objects["box_id"].to_pylist(), objects["object_id"].to_pylist(), strict=True)),
        sources=dict(zip(images.image_id[many].tolist(), codes[many].tolist(), strict=True)),
    )
