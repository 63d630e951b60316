"""Image processes, as the host sees them; all that touches pixels is in ``pixels``."""

from mediagate.images.forkserver import ForkServer
from mediagate.images.pixels import accepted, check_head, codecs
from mediagate.images.pool import ImagePool

__all__ = ["ForkServer", "ImagePool", "accepted", "check_head", "codecs"]
