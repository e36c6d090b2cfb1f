"""The providers, emulated: one local HTTP server over a synthetic world. Nothing in it is real data.

Shares no code, normaliser or formula with the rest of SoundScope (except its errors).
"""

from soundscope.sandbox.server import SandboxServer, serve_forever
from soundscope.sandbox.truth import write_truth
from soundscope.sandbox.world import World

__all__ = ["SandboxServer", "World", "serve_forever", "write_truth"]
