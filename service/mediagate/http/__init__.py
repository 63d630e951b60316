"""The HTTP face of a gate: routes, answers and problems."""

from mediagate.http.access import ask_who
from mediagate.http.app import routing
from mediagate.http.exchange import answer
from mediagate.http.files import FOR_EVER
from mediagate.http.lifespan import BY_HOST, BY_REQUEST, LEFT_OPEN, OPENED_LATE, OTHER_LOOP, run_lifespan
from mediagate.http.links import link_base
from mediagate.http.messages import message_of_error, size_text
from mediagate.http.problems import problem

__all__ = [
    "BY_HOST",
    "BY_REQUEST",
    "FOR_EVER",
    "LEFT_OPEN",
    "OPENED_LATE",
    "OTHER_LOOP",
    "answer",
    "ask_who",
    "link_base",
    "message_of_error",
    "problem",
    "routing",
    "run_lifespan",
    "size_text",
]
