"""What one running sandbox knows: its world, tier, limits, tokens, faults and log. Providers read it, `control` changes it."""

from __future__ import annotations

import threading
from typing import Any

from soundscope.errors import BadInput
from soundscope.sandbox.faults import Faults
from soundscope.sandbox.limits import DEFAULT_LIMITS, DEVELOPMENT, Gate, Limit, Tokens
from soundscope.sandbox.requestlog import RequestLog
from soundscope.sandbox.restate import Restatements
from soundscope.sandbox.search import TextIndex
from soundscope.sandbox.spotify_json import TIERS, Tier
from soundscope.sandbox.world import World

TOKEN_LIFE_S = 3600


class State:
    """The mutable part of a sandbox, shared by its request threads."""

    def __init__(self, world: World, tier: str, time_scale: float) -> None:
        if time_scale <= 0:
            raise BadInput(f"the time scale {time_scale} is not above zero", next_step="give 1 for real time")
        self.world, self.time_scale = world, time_scale
        self.tokens = Tokens(TOKEN_LIFE_S / time_scale)
        self.faults, self.log = Faults(), RequestLog()
        self.restatements = Restatements(world)
        self.index, self.index_lock = TextIndex(world), threading.Lock()
        self.premium, self.allow_listed = True, True
        self._own_spotify_limits = False
        self.gates = {name: Gate(limit, time_scale) for name, limit in DEFAULT_LIMITS.items()}
        self.tier: Tier = TIERS["extended"]
        self.set_tier(tier)

    def set_tier(self, name: str) -> None:
        """Become an app of another tier; limits follow unless they were set by hand."""
        if name not in TIERS:
            raise BadInput(f"there is no tier {name!r}", next_step=f"use one of {', '.join(TIERS)}")
        self.tier = TIERS[name]
        if not self._own_spotify_limits:
            self.gates["spotify"].set(DEVELOPMENT if self.tier.development else Limit())

    def set_limits(self, limits: dict[str, dict[str, Any]]) -> None:
        """Replace limits of providers; keys that are left out keep their value, null lifts a limit."""
        for provider, wanted in limits.items():
            if provider not in self.gates or set(wanted) - set(Limit.__dataclass_fields__):
                raise BadInput(
                    f"limits for {provider!r} cannot be set to {wanted}",
                    next_step=f"providers: {', '.join(self.gates)}; keys: {', '.join(Limit.__dataclass_fields__)}",
                )
            gate = self.gates[provider]
            current = {k: getattr(gate.limit, k) for k in Limit.__dataclass_fields__}
            gate.set(Limit(**(current | wanted)))
            self._own_spotify_limits |= provider == "spotify"
