"""The HTTP face of a gate: routes, answers and problems."""

from mediagate.http.access import ask_who
from mediagate.http.entrance import Entrance
from mediagate.http.exchange import answer
from mediagate.http.files import FOR_EVER
from mediagate.http.lifespan import BY_HOST, BY_REQUEST, LEFT_OPEN, OPENED_LATE, OTHER_LOOP, run_lifespan
from mediagate.http.messages import message_of_error, size_text
from mediagate.http.problems import problem
from mediagate.http.route_table import RouteTable
from mediagate.http.routes import Routes

__all__ = [
    "BY_HOST",
    "BY_REQUEST",
    "FOR_EVER",
    "LEFT_OPEN",
    "OPENED_LATE",
    "OTHER_LOOP",
    "Entrance",
    "RouteTable",
    "Routes",
    "answer",
    "ask_who",
    "message_of_error",
    "problem",
    "run_lifespan",
    "size_text",
]
