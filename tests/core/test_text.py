import re
from pathlib import Path

import pytest
from markupsafe import Markup

import healtheat
from healtheat.core.text import counted, on_page, shortened

COMMANDS = Path(healtheat.__file__).parent / "commands"


@pytest.mark.parametrize(
    ("n", "words", "text"),
    [
        (0, ("place",), "0 places"),
        (1, ("place",), "1 place"),
        (1, ("box",), "1 box"),
        (2, ("more box",), "2 more boxes"),
        (3, ("class",), "3 classes"),
        (1, ("image gets", "images get"), "1 image gets"),
        (2, ("image gets", "images get"), "2 images get"),
    ],
)
def test_a_count_and_its_noun_agree(n: int, words: tuple[str, ...], text: str) -> None:
    assert counted(n, *words) == text


def test_a_count_may_have_a_format() -> None:
    assert counted(1234, "box", spec=",") == "1,234 boxes"
    assert counted(1, "box", spec=">7") == "      1 box"


@pytest.mark.parametrize("path", sorted(COMMANDS.glob("*.py")), ids=lambda path: path.name)
def test_no_command_prints_a_plural_that_one_would_contradict(path: Path) -> None:
    nouns = "boxes|changes|classes|copies|errors|files|findings|images|lines|pairs|places|problems|scores"
    assert not re.findall(rf"\}} (?:more )?(?:{nouns})\b.*", path.read_text(encoding="utf-8"))


def test_a_long_message_keeps_its_end() -> None:
    assert shortened("x" * 100, 100) == "x" * 100
    cut = shortened("x" * 10_000 + "; move it back", 100)
    assert len(cut) == 100 and cut.startswith("xxx") and cut.endswith("; move it back")


def test_what_a_template_prints() -> None:
    assert on_page("67\u00a0% of \u202ea\x1b[2J\u2028") == "67\u00a0% of \\u202ea\\x1b[2J\\u2028"
    assert on_page(Markup("<b>\n</b>")) == Markup("<b>\n</b>") and on_page(7) == 7
