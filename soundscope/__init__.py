"""SoundScope: what is charting, how the sound of the charts moves, and which tracks fit."""

import os

# Threads of OpenMP (LightGBM, scikit-learn) that wait for each other do so asleep. By default they spin, which beside any other work costs
# several times the whole computation. Read when those libraries are loaded, hence here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
