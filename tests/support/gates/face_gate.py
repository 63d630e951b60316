"""A gate with the real model and a policy that rejects faces: a fair end-to-end test with harmless photos."""

from mediagate import MediaGate, Source
from mediagate_plugins.nudenet import nudenet

gate = MediaGate(sources={"avatar": Source(reject={"FACE_FEMALE": 0.5}), "post": Source(reject={"explicit": 0.6})})
gate.register(nudenet)
