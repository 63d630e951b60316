"""The HTTP layer of a gate: routes, responses and problems."""

from mediagate.http.access import ask_who
from mediagate.http.app import routing
from mediagate.http.batches import accepted_batch, receive_batch
from mediagate.http.downloads import Downloads
from mediagate.http.exchange import answer
from mediagate.http.lifespan import BY_REQUEST, OPENED_LATE, OTHER_LOOP, run_lifespan
from mediagate.http.links import link_base
from mediagate.http.pipelines import receive_pipeline
from mediagate.http.problems import problem
from mediagate.http.results import downloaded
from mediagate.http.upload_hints import FormHints, form_hints
from mediagate.http.uploads import accepted

__all__ = [
    "BY_REQUEST",
    "OPENED_LATE",
    "OTHER_LOOP",
    "Downloads",
    "FormHints",
    "accepted",
    "accepted_batch",
    "answer",
    "ask_who",
    "downloaded",
    "form_hints",
    "link_base",
    "problem",
    "receive_batch",
    "receive_pipeline",
    "routing",
    "run_lifespan",
]
