"""Telling sources apart, and one clear line for what is none."""

import pytest

from healtheat.core.errors import InputError
from healtheat.sources import open_source

IMAGE = '{"id": 1, "file_name": "a.jpg", "width": 9, "height": 9}'
COCO = f'{{"images": [{IMAGE}], "annotations": [], "categories": []}}'


@pytest.mark.parametrize(
    ("files", "given", "kind"),
    [
        ({"d.yaml": "names: [a]\ntrain: images\n", "images/a.jpg": ""}, "d.yaml", "yolo"),
        ({"d.YML": "names: [a]\ntrain: images\n", "images/a.jpg": ""}, "d.YML", "yolo"),
        ({"d.yaml": "names: [a]\ntrain: images\n", "images/a.jpg": ""}, "", "yolo"),
        ({"data.yaml": "names: [a]\ntrain: images\n", "hyp.yaml": "x: 1", "images/a.jpg": ""}, "", "yolo"),
        ({"images/a.jpg": "", "labels/a.txt": ""}, "", "yolo"),
        ({"l.json": COCO, "a.jpg": ""}, "l.json", "coco"),
        ({"l.JSON": COCO, "a.jpg": ""}, "", "coco"),
        ({"deep/er/l.json": COCO, "x/a.jpg": ""}, "", "coco"),
        ({"l.json": COCO, "a.xml": "<annotation><filename>a.jpg</filename></annotation>"}, "", "coco"),
        ({"a.xml": "<annotation><filename>a.jpg</filename></annotation>", "a.jpg": ""}, "", "voc"),
        ({"a.xml": "<annotation/>", "a.jpg": ""}, "", "voc"),
        (
            {**{f"{n}.xml": "" for n in range(9)}, "z.xml": "<annotation/>", "a.jpg": ""},
            "",
            "voc",
        ),
        ({"a.xml": "<annotations><version>1.1</version></annotations>", "a.jpg": ""}, "", "cvat"),
        ({"a.json": '{"shapes": [], "imagePath": "a.jpg"}', "a.jpg": ""}, "", "labelme"),
        ({"a.json": '[{"data": {"image": "a.jpg"}, "annotations": []}]', "a.jpg": ""}, "", "labelstudio"),
        ({"obj.data": "names=n.txt\ntrain=t.txt", "n.txt": "a", "t.txt": "./a.jpg"}, "", "darknet"),
    ],
)
def test_kinds(tree, files, given, kind):
    for path, content in files.items():
        tree.put(path, content)
    assert open_source(tree.root / given).kind == kind
    assert open_source(str(tree.root / given), kind=kind).kind == kind


@pytest.mark.parametrize(
    ("files", "given", "message"),
    [
        ({"data.yaml": ""}, "dat.yaml", "not found; did you mean .*data.yaml"),
        ({}, "none/none.yaml", "not found; give a data.yaml"),
        ({"a.zip": ""}, "a.zip", "a .zip file is no data set"),
        ({"a": ""}, "a", "a nameless file is no data set"),
        ({"a.jpg": ""}, "", "images without labels; label them with a detector"),
        ({"labels/a.txt": "0 .5 .5 .1 .1"}, "", "label files without images; 'healtheat contents'"),
        ({"a.pdf": ""}, "", "neither images nor labels"),
        ({"a.heic": "", "a.txt": "0 .5 .5 .1 .1"}, "", "images and text files, but neither data.yaml"),
        ({"a.jpg": "", "a.xml": "", "b.xml": ""}, "", r": a.xml: XML labels .*VOC.*all 2.*: line 1: no el"),
        ({"a.jpg": "", "a.xml": "<!DOCTYPE a>\n<a/>"}, "", r": a.xml: XML labels.*line 1: a document type"),
        ({"a.xml": "<!DOCTYPE a>\n<a/>"}, "a.xml", r"a.xml: XML labels.*line 1: a document type"),
        ({"a.jpg": "", "a.xml": "<svg><g/></svg>"}, "", r": a.xml: the root <svg> is neither.*VOC.*CVAT"),
        ({"a.jpg": "", "obj.data": ""}, "", r"obj.data:1: 'names' is missing"),
        ({"a.yaml": "", "b.yaml": ""}, "", r"several YAML files \(a.yaml, b.yaml\)"),
    ],
)
def test_what_is_no_data_set(tree, files, given, message):
    for path, content in files.items():
        tree.put(path, content)
    with pytest.raises(InputError, match=message) as error:
        open_source(tree.root / given)
    assert "\n" not in str(error.value) and str(tree.root) in str(error.value)


def test_wrong_arguments(tree):
    path = tree.put("data.yaml", "names: [a]\ntrain: images\n")
    tree.put("images/a.jpg")
    with pytest.raises(InputError, match="kind 'vott' is unknown; choose one of auto, yolo, "):
        open_source(path, kind="vott")
    with pytest.raises(InputError, match=r"images is only for the kind .*coco.*, not for yolo"):
        open_source(path, images=tree.root)
    with pytest.raises(InputError, match=r"has no data.yaml"):
        open_source(tree.root / "images", kind="yolo")
    with pytest.raises(InputError, match="not a readable COCO JSON"):
        open_source(path, kind="coco")
