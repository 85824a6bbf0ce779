"""data.yaml: what is read, and one clear error with file and line for everything else."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from healtheat.core.errors import InputError
from healtheat.sources.yolo.data_yaml import load_data_yaml

SPLIT = "train: images\n"


def write(tmp_path: Path, text: str | bytes, folders=("images",)) -> Path:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    path = tmp_path / "data.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_names_as_list_and_as_sparse_mapping_are_the_text_as_written(tmp_path):
    text = SPLIT + "names: [no, 1.50, 007, 타이레놀, 'a: b', null]\n"
    assert load_data_yaml(write(tmp_path, text)).names == dict(
        enumerate(["no", "1.50", "007", "타이레놀", "a: b", "null"])
    )
    text = SPLIT + "names:\n  33877: off\n  7: 보령부스파정 5mg\n  0: 2024-01-01\n"
    assert load_data_yaml(write(tmp_path, text)).names == {
        33877: "off",
        7: "보령부스파정 5mg",
        0: "2024-01-01",
    }


def test_unicode_forms_are_left_alone(tmp_path):
    nfd, nfc = "\u1100\u1161", "\uac00"
    names = load_data_yaml(write(tmp_path, SPLIT + f"names: [{nfd}, {nfc}]")).names
    assert names == {0: nfd, 1: nfc} and names[0] != names[1]


def test_bom_and_crlf_are_yaml(tmp_path):
    data = load_data_yaml(write(tmp_path, b"\xef\xbb\xbftrain: images\r\nnames:\r\n- a\r\n"))
    assert data.names == {0: "a"}


def test_splits_are_folders_lists_of_folders_and_text_lists(tmp_path):
    write(tmp_path, "", folders=("a/images", "b", "c d"))
    (tmp_path / "list.txt").write_text("", encoding="utf-8")
    path = write(
        tmp_path, "names: [x]\ntrain: [a/images, b/]\nvalidation: 'c d'\ntest: list.txt\nother: zzz\n"
    )
    data = load_data_yaml(path)
    assert [(s.name, s.path.relative_to(tmp_path).as_posix()) for s in data.splits] == [
        ("train", "a/images"), ("train", "b"), ("val", "c d"), ("test", "list.txt"),
    ]  # fmt: skip
    assert data.root == tmp_path


def test_path_is_relative_to_the_file_then_to_the_working_folder(tmp_path, monkeypatch):
    path = write(tmp_path / "sub", "path: ../set\ntrain: images\nnames: [x]\n", folders=("../set/images",))
    data = load_data_yaml(path)
    assert data.root == tmp_path / "set" and data.splits[0].path == tmp_path / "set" / "images"
    path = write(tmp_path / "sub", "path: set\ntrain: images\nnames: [x]\n")
    monkeypatch.chdir(tmp_path)
    assert load_data_yaml(path).root == tmp_path / "set"
    (tmp_path / "sub" / "set" / "images").mkdir(parents=True)
    assert load_data_yaml(path).root == tmp_path / "sub" / "set"
    path = write(tmp_path / "sub", f"path: {tmp_path / 'set'}\ntrain: images\nnames: [x]\n")
    assert load_data_yaml(path).root == tmp_path / "set"


def test_roboflow_parent_folders(tmp_path):
    path = write(tmp_path / "set", "train: ../train/images\nnames: [x]\n", folders=("train/images",))
    assert load_data_yaml(path).splits[0].path == tmp_path / "set" / "train" / "images"
    (tmp_path / "train" / "images").mkdir(parents=True)  # but what is really there comes first
    assert load_data_yaml(path).splits[0].path == tmp_path / "train" / "images"


BOMB = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\n" + SPLIT + "names: [x]\n"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "the file is empty"),
        ("# nothing\n", 1, "the file is empty"),
        ("- a\n- b\n", 1, "must be 'key: value' lines"),
        ("just text", 1, "must be 'key: value' lines"),
        (SPLIT, 1, "'names' is missing"),
        (SPLIT + "names:\n", 1, "'names' is missing"),
        (SPLIT + "nc: 0\n", 1, "'names' is missing"),
        (SPLIT + "nc: 99999999999\n", 2, "more than 1048576"),
        (SPLIT + "names: [a]\nkpt_shape: 17\n", 3, "'kpt_shape' is not [number of keypoints, 2 or 3]"),
        (SPLIT + "names: [a]\nkpt_shape: [17, 4]\n", 3, "'kpt_shape' is not"),
        (SPLIT + "names: [a]\nkpt_shape: [17]\n", 3, "'kpt_shape' is not"),
        (SPLIT + "names: [a]\nkpt_shape:\n", 3, "'kpt_shape' is not"),
        (SPLIT + "names: [a]\nkpt_shape: null\n", 3, "'kpt_shape' is not"),
        (SPLIT + "names: [a]\nkpt_shape: [017, 3]\n", 3, "'kpt_shape' is not"),
        (SPLIT + "names: [a]\nkpt_shape: ['17', '3']\n", 3, "'kpt_shape' is not"),
        (SPLIT + "names: {}\n", 2, "'names' is empty"),
        (SPLIT + "names: []\n", 2, "'names' is empty"),
        (SPLIT + "names: pill\n", 2, "'names' must be a list"),
        (SPLIT + "names:\n  0: a\n  '3': b\n", 4, "write 3 without quotes"),
        (SPLIT + "names:\n  0: a\n  x: b\n", 4, "class id 'x' is not an integer"),
        (SPLIT + "names:\n  -1: b\n", 3, "class id '-1' is not an integer"),
        (SPLIT + "names:\n  010: b\n", 3, "without quotes or leading zeros"),
        (SPLIT + "names:\n  1_0: b\n", 3, "class id '1_0' is not an integer"),
        (SPLIT + "names:\n  0x1: b\n", 3, "class id '0x1' is not an integer"),
        (SPLIT + "names:\n  1.0: b\n", 3, "class id '1.0' is not an integer"),
        (SPLIT + "names:\n  4294967296: b\n", 3, "class id '4294967296'"),
        (SPLIT + "names:\n  ? [1]\n  : b\n", 3, "a key of names is a list"),
        (SPLIT + "names:\n  0: a\n  1: b\n  0: c\n", 5, "'0' twice, first on line 3"),
        (SPLIT + "names: [a]\nnames: [b]\n", 3, "'names' twice, first on line 2"),
        (SPLIT + "names:\n  0: a\n  1:\n", 4, "the name of class 1 is no text"),
        (SPLIT + "names:\n- a\n- [b]\n", 4, "the name of class 1 is no text"),
        (SPLIT + 'names: ["\\ud800"]\n', 2, "the name of class 0 is no text"),
        (SPLIT + "names: [a, b]\nnc: 3\n", 3, "'nc' is 3 but 'names' has 2"),
        (SPLIT + "names: [a, b]\nnc: two\n", 3, "'nc' is not an integer"),
        (SPLIT + "names: [a, b]\nnc: [2]\n", 3, "'nc' is not an integer"),
        ("names: [a]\n", 1, "no split is given"),
        ("names: [a]\ntrain:\n", 1, "no split is given"),
        ("names: [a]\ntrain: none\n", 2, "'train: none' not found"),
        ("names: [a]\ntrain: images\nval: [images, none]\n", 3, "'val: none' not found"),
        ("names: [a]\ntrain: images\\train\n", 2, "write / instead of"),
        ("names: [a]\ntrain: data.yaml\n", 2, "neither a folder nor a .txt list"),
        ("names: [a]\ntrain: {a: b}\n", 2, "'train' is no path"),
        ("names: [a]\ntrain: [[a]]\n", 2, "'train' is no path"),
        ('names: [a]\ntrain: "a\\0b"\n', 2, "characters that no path can have"),
        ("names: [a]\ntrain: " + "x" * 5000 + "\n", 2, "not found"),
        ("names: [a]\npath: none\ntrain: images\n", 2, "folder of 'path: none' not found"),
        (SPLIT + "names: [a\n", 3, "not valid YAML"),
        (SPLIT + "names: [a]\n}\n", 3, "not valid YAML"),
        (SPLIT + "names: [a]\n\ttest: x\n", 3, "not valid YAML"),
        (SPLIT + "names: !!python/object/apply:os.system [exit]\nnc: 2\n", 3, "'nc' is 2 but 'names' has 1"),
        (SPLIT + "names: [a]\n---\nnames: [b]\n", 3, "not valid YAML"),
        (BOMB, 2, "aliases"),
        (SPLIT + "names: " + "[" * 50_000, 2, "nested too deeply"),
        (SPLIT + "names: " + "{a: " * 50_000, 2, "nested too deeply"),
        (b"train: images\nnames: [\xff\xfe]\n", 2, "not text"),
        (b"train: images\nnames: [a\x00]\n", 2, "not text"),
    ],
)
def test_bad_files_are_one_line_with_file_line_and_mend(tmp_path, text, line, what):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        load_data_yaml(path)
    message = str(error.value)
    assert message.startswith(f"{path}:{line}: ") and what in message and "\n" not in message


def test_missing_too_large_and_special_files(tmp_path):
    with pytest.raises(InputError, match=r"not found; give the data\.yaml"):
        load_data_yaml(tmp_path / "data.yaml")
    with pytest.raises(InputError, match="not a regular file"):
        load_data_yaml(tmp_path)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        load_data_yaml(write(tmp_path, SPLIT + "names: [a]\n" + "#" * 2**20))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.yaml")
        with pytest.raises(InputError, match="not a regular file"):
            load_data_yaml(tmp_path / "pipe.yaml")


@settings(deadline=None)
@given(
    st.binary(max_size=80)
    | st.text(alphabet="names:train01 []{}&*!|>-'\"#%@`,?\n\t", max_size=60).map(
        lambda t: (SPLIT + t).encode()
    )
)
@example(b"? ")
@example(b"!<tag:yaml.org,2002:map> x")
@example(b"=: 1")
@example(b"<<: [1]\nnames: [a]\ntrain: images")
def test_any_bytes_are_a_data_set_or_an_input_error(tmp_path_factory, data):
    path = write(tmp_path_factory.mktemp("yaml"), data)
    try:
        assert load_data_yaml(path).names
    except InputError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


def test_the_published_broken_file(shared):
    path = shared / "data" / "pushin-pill" / "data.upstream-broken.yaml"
    with pytest.raises(InputError) as error:
        load_data_yaml(path)
    message = str(error.value)
    assert message.startswith(f"{path}:31: not valid YAML") and "remove what does not belong" in message
    assert "\n" not in message
