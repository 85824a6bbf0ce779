"""Names of files on Windows and macOS, with a disk that is made to fold them."""

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from healtheat.core import portable
from healtheat.core.errors import InputError
from healtheat.core.portable import check_places, folded, folds_names, unfit_for_windows


@pytest.mark.parametrize(
    "name",
    [
        *("CON", "con.jpg", "NUL.txt", "nul.tar.gz", "Aux .png", "COM1", "lpt9.txt", "COM¹.jpg", "CONOUT$"),
        *("a.", "a.jpg ", "...", "a:b.jpg", "a?.jpg", 'a".jpg', "a<b", "a|b", "a*", "a\\b", "a\x1fb"),
    ],
)
def test_names_that_windows_does_not_take(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unfit_for_windows(name)
    check_places([PurePosixPath("images") / name], tmp_path)  # elsewhere it is a name like any other
    monkeypatch.setattr(portable, "on_windows", lambda: True)
    with pytest.raises(InputError, match="Windows takes no such name"):
        check_places([PurePosixPath("images") / name], tmp_path)
    with pytest.raises(InputError, match="Windows takes no such name"):
        check_places([PurePosixPath(name) / "a.jpg"], tmp_path)


@pytest.mark.parametrize(
    "name", ["null.txt", "console.jpg", "com10.jpg", "COM.jpg", "약 1.jpg", ".a", "a.b.c"]
)
def test_names_that_windows_takes(name: str) -> None:
    assert unfit_for_windows(name) == ""


@pytest.mark.parametrize(
    ("one", "other"), [("a/B.jpg", "A/b.JPG"), ("\u00e9.jpg", "e\u0301.jpg"), ("ß.jpg", "SS.jpg")]
)
def test_two_names_of_one_file(one: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folded(one) == folded(other) != folded("c.jpg")
    places = [PurePosixPath(one), PurePosixPath(other), PurePosixPath(one)]
    monkeypatch.setattr(portable, "folds_names", lambda _: False)
    check_places(places, tmp_path)
    monkeypatch.setattr(portable, "folds_names", lambda _: True)
    with pytest.raises(InputError, match="are one file on this disk"):
        check_places(places, tmp_path)
    check_places(places[::2], tmp_path)  # one file twice, such as the labels of a.jpg and a.png


@pytest.mark.parametrize("answer", [True, False])
def test_the_disk_is_asked(answer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[Path], bool] = os.path.lexists
    if answer:  # a disk that folds: every spelling is there
        monkeypatch.setattr(os.path, "lexists", lambda path: True)
    elif folds_names(tmp_path):
        pytest.skip("this disk folds names")
    assert folds_names(tmp_path) is answer
    monkeypatch.setattr(os.path, "lexists", real)
    assert list(tmp_path.iterdir()) == []
