"""What a specification leaves out that a page would have to say."""

from __future__ import annotations

from kmclcheck.docsite.site import Site
from kmclcheck.model.spec import Profile


def missing(site: Site) -> list[str]:
    """Return what is missing, a line for each gap, in the order of the specification."""
    spec, found = site.spec, []
    for kind in spec.kinds.values():
        if not kind.doc.strip() and (kind.enums or kind.numbers or kind.handle_type):
            found.append(f"object {kind.name}: no doc")
    for event in spec.events.values():
        found += _blank(f"{'callback' if event.callback else 'record' if event.record else 'function'} "
                        f"{event.name}", doc=event.doc, source=" ".join(event.sources))  # fmt: skip
    for machine in spec.machines.values():
        field = spec.kinds[machine.kind].enums[machine.field]
        found += _blank(f"machine {machine.kind}.{machine.field}", doc=machine.doc or field.doc)
    for rule in spec.rules.values():
        found += _blank(f"rule {rule.id}", statement=rule.statement, consequence=rule.consequence,
                        fix=rule.fix, source=" ".join(rule.sources))  # fmt: skip
        broken, kept = site.examples[rule.id]
        if rule.profile is Profile.CORE:
            for told, word in ((broken, "fails"), (kept, "passes")):
                if told is None:
                    found.append(f"rule {rule.id}: no example that {word} when it is replayed")
    for invariant in spec.invariants.values():
        found += _blank(f"invariant {invariant.id}", statement=invariant.statement,
                        instances=invariant.instances)  # fmt: skip
    return found


def _blank(what: str, **texts: str) -> list[str]:
    return [f"{what}: no {name}" for name, text in texts.items() if not text.strip()]
