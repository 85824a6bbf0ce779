"""The journal: chained lines, a torn end that is cut off, a changed line that is told."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from healtheat.cleanup import apply_in_place, finish, inplace, pending, plan_labels, rollback
from healtheat.cleanup.act import apply
from healtheat.cleanup.journal import Journal
from healtheat.cleanup.run import JOURNAL
from healtheat.core.errors import InputError
from tests.cleanup.small_yolo import tree
from tests.made_index import MadeIndex


def _full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_lines_come_back_and_a_torn_end_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    written: list[dict[str, Any]] = [{"event": "a", "n": number} for number in range(3)]
    for entry in written[:2]:
        Journal(path).append(dict(entry))
    whole = path.read_bytes()
    Journal(path).append(dict(written[2]))
    line = path.read_bytes()[len(whole) :]
    assert Journal(path).entries() == written
    for size in range(len(line)):
        path.write_bytes(whole + line[:size])
        assert Journal(path).entries() == written[:2]
    Journal(path).append(dict(written[2]))
    assert Journal(path).entries() == written


def test_every_changed_byte_of_a_whole_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    for number in range(3):
        Journal(path).append({"event": "step", "n": number})
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InputError, match=r"journal\.jsonl:\d: the line was changed"):
            Journal(path).entries()
    first, second, third = whole.splitlines(keepends=True)
    for lines in ([first, third], [second, third], [first, third, second], [first, second, second, third]):
        path.write_bytes(b"".join(lines))
        with pytest.raises(InputError, match="the line was changed"):
            Journal(path).entries()


def test_a_journal_of_before_lines_were_chained_goes_on_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    begun = b'{"at":"2026-11-01T08:00:00.000+00:00","event":"step","step":0}\n'
    path.write_bytes(begun)
    Journal(path).append({"at": "later", "event": "rollback"})
    assert path.read_bytes() == begun + b'{"at":"later","event":"rollback"}\n'
    assert [entry["event"] for entry in Journal(path).entries()] == ["step", "rollback"]
    path.write_bytes(begun + b'{"event":"don')
    assert [entry["event"] for entry in Journal(path).entries()] == ["step"]
    for odd in (b'{"event": "done"}\n', b'{"check":"0","event":"done"}\n', b"no\n"):
        path.write_bytes(begun + odd + begun)
        with pytest.raises(InputError, match=r"journal\.jsonl:2: the line was changed"):
            Journal(path).entries()


def test_a_line_that_was_not_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / JOURNAL
    journal = Journal(path)
    journal.append({"event": "a"})
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        with pytest.raises(OSError, match="No space"):
            journal.append({"event": "b"})
    assert path.read_bytes() == before
    journal.append({"event": "c"})
    assert [entry["event"] for entry in Journal(path).entries()] == ["a", "c"]


def test_no_run_goes_on_by_a_journal_that_was_changed(decided: MadeIndex) -> None:
    root = decided.root
    before = tree(root)
    journal = apply_in_place(plan_labels(decided)).folder / JOURNAL
    after = tree(root)
    journal.write_bytes(journal.read_bytes().replace(b'"applied"', b'"bpplied"'))
    for act in (lambda: apply(decided, in_place=True), lambda: finish(root), lambda: rollback(root)):
        with pytest.raises(InputError, match="the line was changed"):
            act()
    assert tree(root) == after
    journal.unlink()  # as the message says
    rollback(root)
    assert tree(root) == before


@pytest.mark.parametrize("call", range(3))
def test_what_stops_says_how_to_go_on_and_back(
    decided: MadeIndex, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    back = sys.modules[rollback.__module__]  # the package has the function by that name
    root, plan, puts = decided.root, plan_labels(decided), []
    before = tree(root)

    def stops(put: Any) -> Any:
        def wrapped(*args: Any, **more: Any) -> None:
            puts.append(args)
            if len(puts) > call:
                _full()
            put(*args, **more)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(inplace, "put", stops(inplace.put))
        with pytest.raises(
            InputError, match=r"No space .*0001: was begun; run `healtheat apply --in-place` to"
        ):
            apply_in_place(plan)
    assert pending(root) is not None
    assert apply(decided, in_place=True).done == "finished"
    puts.clear()
    with monkeypatch.context() as patch:
        patch.setattr(back, "put", stops(back.put))
        with pytest.raises(InputError, match=r"No space .*0001: was begun; run `healtheat rollback` again"):
            rollback(root)
    rollback(root)
    assert tree(root) == before


def test_a_file_system_without_rights_of_its_own(decided: MadeIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    before = tree(decided.root)
    for name in ("chmod", "utime"):
        monkeypatch.setattr(os, name, refused)
    apply_in_place(plan_labels(decided))
    assert tree(decided.root) != before
    rollback(decided.root)
    assert tree(decided.root) == before
