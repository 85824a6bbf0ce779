"""The addresses of the review page: each module adds those of one subject to the application."""

from healtheat.reviewing.routes.files import add_files
from healtheat.reviewing.routes.map import add_map
from healtheat.reviewing.routes.queues import add_queues
from healtheat.reviewing.routes.verdicts import add_verdicts

__all__ = ["add_files", "add_map", "add_queues", "add_verdicts"]
