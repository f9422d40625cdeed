"""What is broken when a trace ends in a state: unloaded, or hung in a call that waits."""

from __future__ import annotations

from kmclcheck.engines.symbolic.circuit import FALSE, TRUE, Circuit, Lit
from kmclcheck.engines.symbolic.conditions import Moment, alive
from kmclcheck.engines.symbolic.faults import Fault
from kmclcheck.engines.symbolic.state import Layout
from kmclcheck.engines.symbolic.step import broken, only
from kmclcheck.model.spec import Check


class Ends:
    """The circuit of an end, over the bits of a state.

    ``idle``: no call runs, as after an unload. ``unloaded`` and ``hung`` are the faults of either end.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.circuit = circuit = Circuit()
        self.state = layout.free(circuit.input)
        frames = [frame for thread in self.state.threads for frame in thread.frames]
        self.idle = circuit.all([-lit for frame in frames for lit in frame.names.values()])
        self.unloaded: list[Fault] = []
        self.hung: list[Fault] = []
        for rule, check in layout.cone.end_checks():
            kind = check.target
            for at, above in enumerate(layout.parents[kind]):
                chosen = {kind: only(at, len(layout.parents[kind]))}
                parent = layout.spec.kinds[kind].parent
                if parent is not None and above is not None:
                    chosen[parent] = only(above, len(layout.parents[parent]))
                moment = Moment(circuit, layout, self.state, chosen)
                lit = circuit.both(alive(circuit, layout, self.state, kind, at), broken(check, moment))
                if lit == FALSE:
                    continue
                self.unloaded.append(Fault(rule.id, lit, kind, at))
                waits = self._waits(check, kind, at, above)
                if waits != FALSE:
                    self.hung.append(Fault(rule.id, circuit.both(lit, waits), kind, at))

    def _waits(self, check: Check, kind: str, at: int, above: int | None) -> Lit:
        """Return whether a call runs that waits for the object, or for something of its parent's."""
        circuit, layout = self.circuit, self.layout
        found = []
        for thread in self.state.threads:
            for frame in thread.frames:
                for name in check.hung_in:
                    call = layout.alphabet.calls.get(name)
                    if call is None:
                        continue
                    for mine, place in ((kind, at), (layout.spec.kinds[kind].parent, above)):
                        if mine in call.held and mine is not None and place is not None:
                            on = frame.objects[mine][place] if layout.several(mine) else TRUE
                            found.append(circuit.both(frame.names[name], on))
        return circuit.any(found)
