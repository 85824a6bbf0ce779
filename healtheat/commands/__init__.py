"""The command line, one file a command. Each parses, calls one public function, and prints.

Adding a command means adding a file and a line below. The files import heavy packages inside their function,
so that `healtheat --help` answers at once.
"""

from collections.abc import Callable

from healtheat.commands.add import add
from healtheat.commands.apply import apply
from healtheat.commands.batches import batches
from healtheat.commands.build import build
from healtheat.commands.contents import contents
from healtheat.commands.demo import demo
from healtheat.commands.diff import diff
from healtheat.commands.encoders import encoders
from healtheat.commands.export import export
from healtheat.commands.flag import flag
from healtheat.commands.guard import guard
from healtheat.commands.prelabel import prelabel
from healtheat.commands.problems import problems
from healtheat.commands.query import query
from healtheat.commands.remove import remove
from healtheat.commands.report import report
from healtheat.commands.review import review
from healtheat.commands.rollback import rollback
from healtheat.commands.score import score
from healtheat.commands.selftest import selftest
from healtheat.commands.similar import similar
from healtheat.commands.trust import trust
from healtheat.commands.verify import verify
from healtheat.commands.vet import vet

COMMANDS: tuple[Callable[..., None], ...] = (
    build,
    add,
    remove,
    batches,
    vet,
    prelabel,
    query,
    review,
    report,
    export,
    apply,
    rollback,
    diff,
    similar,
    problems,
    flag,
    score,
    contents,
    guard,
    trust,
    selftest,
    verify,
    encoders,
    demo,
)
