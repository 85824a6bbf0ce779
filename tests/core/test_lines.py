"""Lists are read back as they were written, by a reader that splits where Python does."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from healtheat.core.errors import InputError
from healtheat.core.lines import listable, write_lines
from healtheat.core.text import bad_name

ENDS = ("\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", ["a{}b.jpg", "{}a.jpg", "a.jpg{}"])
def test_a_name_with_a_line_end_is_refused_by_name(end: str, name: str, tmp_path: Path) -> None:
    name = name.format(end)
    assert not listable(name)
    reason = bad_name(name)
    assert reason is not None and reason.isprintable() and "a" in reason
    with pytest.raises(InputError, match="one path per line") as caught:
        write_lines(tmp_path / "train.txt", ["good.jpg", name])
    assert str(caught.value).isprintable()
    assert not (tmp_path / "train.txt").exists()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_back(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "list.txt"
    path.unlink(missing_ok=True)
    try:
        write_lines(path, lines)
    except InputError:
        assert not all(map(listable, lines)) and not path.exists()
    else:
        with path.open(encoding="utf-8") as file:
            assert file.read().strip("\n").splitlines() == lines
