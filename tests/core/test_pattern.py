import pytest

from healtheat.core import pattern as module
from healtheat.core.errors import InputError
from healtheat.core.pattern import MAX_PATTERN_CHARS, Pattern

SLOW = r"^(?:a|aa)+$"


def test_it_searches_as_re_does() -> None:
    found = Pattern(r"(?P<count>\d+)x(?P<code>[a-z]+)")
    assert (dict(found.named), found.groups) == ({"count": 1, "code": 2}, 2)
    assert found.search("12xabc")["code"] == "abc" and found.search("x") is None
    assert [m["count"] for m in found.every("1xa_2xb")] == ["1", "2"]


def test_a_search_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEARCH_S", 0.05)
    for ask in (
        lambda: Pattern(SLOW).search("a" * 60 + "b"),
        lambda: list(Pattern(SLOW).every("a" * 60 + "b")),
    ):
        with pytest.raises(InputError, match="takes longer than"):
            ask()


@pytest.mark.parametrize(
    "expression",
    ["(", "*", "(?P<a>x)(?P<a>", "x" * (MAX_PATTERN_CHARS + 1), "(" * 900, "a{99999999999999999999}b{"],
)
def test_what_is_no_expression_is_told(expression: str) -> None:
    with pytest.raises(InputError, match="rule '") as found:
        Pattern(expression, "rule").search("a")
    assert len(str(found.value)) < 300
