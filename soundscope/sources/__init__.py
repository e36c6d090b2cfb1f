"""One file per provider: what it offers, how to ask, what its values may be used for. `registry.py` lists them."""
