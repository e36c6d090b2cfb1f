"""SoundScope: what is charting, how the sound of the charts moves, and which tracks fit."""

__version__ = "0.1.0"
