"""The sandbox's own controls under `/_sandbox/`: faults, request counts, the world's date, tier, limits, restatements.

Known truth about the world is never served here (see `truth`).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from soundscope.errors import BadInput
from soundscope.sandbox.messages import Request, Response, json_response
from soundscope.sandbox.playlists import playlist_ids

if TYPE_CHECKING:
    from soundscope.sandbox.state import State

Json = dict[str, Any]


class Control:
    """Answers `/_sandbox/...`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._answers: dict[tuple[str, str], Callable[[Request], Json]] = {
            ("GET", "/"): self._info,
            ("POST", "/faults"): lambda r: {"id": state.faults.add(_body(r))},
            ("GET", "/faults"): lambda r: {"faults": state.faults.planted()},
            ("DELETE", "/faults"): lambda r: {"removed": state.faults.remove()},
            ("GET", "/requests"): self._requests,
            ("DELETE", "/requests"): self._clear_requests,
            ("GET", "/clock"): lambda r: self._clock_json(),
            ("POST", "/clock"): self._set_clock,
            ("POST", "/tier"): self._set_tier,
            ("GET", "/limits"): lambda r: {n: g.describe() for n, g in state.gates.items()},
            ("POST", "/limits"): self._set_limits,
            ("POST", "/expire_tokens"): lambda r: {"expired": state.tokens.expire_all()},
            ("POST", "/premium"): self._set_premium,
            ("POST", "/allow_list"): self._set_allow_list,
            ("POST", "/restate"): lambda r: state.restatements.add(_body(r)),
        }

    def handle(self, request: Request) -> Response:
        """Answer one control request; 400 with `error` and `next_step` for one that cannot be understood."""
        one = re.fullmatch(r"/faults/(.+)", request.path)
        if one and request.method == "DELETE":
            removed = self.state.faults.remove(one[1])
            return json_response({"removed": removed}, 200 if removed else 404)
        answer = self._answers.get((request.method, request.path))
        if answer is None:
            known = sorted(f"{m} /_sandbox{p}" for m, p in self._answers)
            return json_response({"error": f"no control {request.method} /_sandbox{request.path}", "controls": known}, 404)
        try:
            return json_response(answer(request))
        except BadInput as error:
            return json_response({"error": error.message, "next_step": error.next_step}, 400)
        except (KeyError, TypeError, ValueError) as error:
            return json_response({"error": f"{type(error).__name__}: {error}", "next_step": "see docs/sandbox.md"}, 400)

    def _info(self, request: Request) -> Json:
        state, world = self.state, self.state.world
        return {
            "synthetic": True,
            "seed": world.seed,
            "tier": state.tier.name,
            "tracks": world.size,
            "tracks_out": int((world.tracks.day <= world.day).sum()),
            "artists": len(world.artists.fame),
            "today": world.today.isoformat(),
            "first_chart": world.chart_date(0).isoformat(),
            "newest_chart": world.chart_date(world.chart_weeks() - 1).isoformat(),
            "time_scale": state.time_scale,
            "playlists": playlist_ids(world),
            "providers": sorted(state.gates),
        }

    def _requests(self, request: Request) -> Json:
        window = request.get("window_s")
        return self.state.log.summary(request.get("log") in ("1", "true"), float(window) if window else None)

    def _clear_requests(self, request: Request) -> Json:
        self.state.log.clear()
        return {"cleared": True}

    def _clock_json(self) -> Json:
        world = self.state.world
        newest = world.chart_date(world.chart_weeks() - 1)
        return {"today": world.today.isoformat(), "newest_chart": newest.isoformat(), "chart_weeks": world.chart_weeks()}

    def _set_clock(self, request: Request) -> Json:
        body, world = _body(request), self.state.world
        if "advance_days" in body:
            world.set_today(world.today + dt.timedelta(days=int(body["advance_days"])))
        else:
            world.set_today(dt.date.fromisoformat(body["today"]) if body["today"] else None)
        return self._clock_json()

    def _set_tier(self, request: Request) -> Json:
        self.state.set_tier(str(_body(request)["tier"]))
        return {"tier": self.state.tier.name}

    def _set_limits(self, request: Request) -> Json:
        self.state.set_limits(_body(request))
        return {n: g.describe() for n, g in self.state.gates.items()}

    def _set_premium(self, request: Request) -> Json:
        self.state.premium = bool(_body(request)["active"])
        return {"active": self.state.premium}

    def _set_allow_list(self, request: Request) -> Json:
        self.state.allow_listed = bool(_body(request)["listed"])
        return {"listed": self.state.allow_listed}


def _body(request: Request) -> Json:
    try:
        value = json.loads(request.body or b"{}")
    except ValueError as error:
        raise BadInput(f"the body is not JSON: {error}", next_step="send a JSON object") from error
    if not isinstance(value, dict):
        raise BadInput("the body is not a JSON object", next_step="send a JSON object")
    return value
