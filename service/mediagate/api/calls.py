"""The calls that a host makes from Python; the HTTP routes go through the same ones."""

from mediagate.api.uploads import UploadCalls


class Calls(UploadCalls):
    """What an open gate can be asked. URLs start with ``public_base_url`` when it is set, else with ``base_url``.

    ``owner`` keeps a call to what this owner uploaded: whatever is somebody else's is not there. ``None``: to nothing.
    """
