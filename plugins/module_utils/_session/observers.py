# Copyright the pairbench maintainers. MIT licence (see LICENSE).
"""Those who watch the processes under the two guests of a session, as the server end deals with them."""

from __future__ import annotations

import time

from ansible_collections.pairbench.lab.plugins.module_utils._control.peer import PeerLost

ARM_SECONDS = 60.0
END_SECONDS = 30.0
ANSWER_SECONDS = 10.0  # for what an observer does at once: with it, its longest silence is shorter than the client's wait


def not_observed(detail):
    """The problem of a guest whose process was not observed."""
    return {"reason": "vmm_not_traced", "detail": detail}


class Observers:
    """The observers of one session. A side is the server or the client, as an observer's guest is one or the other."""

    def __init__(self, expected):
        """``expected`` maps a side to why nobody observes it, or to an empty text when somebody will come."""
        self._channels = {}
        self._absent = {side: why for side, why in expected.items() if why}
        self.awaited = {side for side, why in expected.items() if not why}

    def join(self, role, channel):
        """An observer has proved that it knows the token."""
        side = role.split("-", 1)[1]
        self.awaited.discard(side)
        self._channels[side] = channel

    def give_up(self):
        """Go on without those who have not come."""
        for side in sorted(self.awaited):
            self._absent[side] = "the observer on its hypervisor did not reach the control connection in time"
        self.awaited = set()

    def arm(self, run_id):
        """Have every observer count. Returns what is known of a side already: that it is not observed, and why."""
        results = {side: {"problem": not_observed(why)} for side, why in self._absent.items()}
        for side in list(self._channels):
            self._say(side, results, kind="arm", run_id=run_id)
        deadline = time.monotonic() + ARM_SECONDS + ANSWER_SECONDS
        for side in list(self._channels):
            answer = self._hear(side, results, "armed", run_id, deadline)
            if answer and answer["problem"]:
                results[side] = {"problem": answer["problem"]}
        return results

    def disarm(self, run_id, results):
        """Have every observer stop counting; ``results`` is what ``arm`` returned and takes what goes wrong."""
        armed = [side for side in self._channels if side not in results]
        for side in armed:
            self._say(side, results, kind="disarm", run_id=run_id)
        deadline = time.monotonic() + ANSWER_SECONDS
        for side in armed:
            if side in self._channels:
                self._hear(side, results, "disarmed", run_id, deadline)

    def observations(self, run_id, results):
        """What was counted, by side: observations, or why there is none."""
        deadline = time.monotonic() + 2 * END_SECONDS
        for side in [side for side in self._channels if side not in results]:
            answer = self._hear(side, results, "observed", run_id, deadline)
            if answer:
                results[side] = dict(answer["observation"], run_id=run_id)
        return results

    def _say(self, side, results, **message):
        try:
            self._channels[side].send(**message)
        except PeerLost as error:
            self._lose(side, results, error)

    def _hear(self, side, results, kind, run_id, deadline):
        try:
            return self._channels[side].expect(kind, run_id, deadline)
        except PeerLost as error:
            self._lose(side, results, error)
            return None

    def _lose(self, side, results, error):
        self._channels.pop(side).close()
        self._absent[side] = "its observer was lost: %s" % error
        results[side] = {"problem": not_observed(self._absent[side])}

    def close(self):
        """Let the observers go."""
        for channel in self._channels.values():
            channel.close()
        self._channels = {}
