"""Makes a schedule that shows a difference as small as it can, and tells it to a person."""

import json
import time
from collections.abc import Callable, Iterator, Sequence

from common.events import Json
from tests.cohorts.running import Difference, show_instant
from tests.cohorts.schedules import PLAIN, Arrive, Delete, Save, Step, Tick

Run = Callable[[Sequence[Step]], Difference | None]


def shrink(steps: Sequence[Step], run: Run, patience_s: float = 90.0) -> tuple[list[Step], Difference | None]:
    """The fewest and simplest steps found that still differ, and how they do."""
    end = time.monotonic() + patience_s
    best, difference = list(steps), run(steps)
    if difference is None:
        return best, None
    changed = True
    while changed:
        changed = False
        for smaller in _list_smaller(best, difference):
            if time.monotonic() > end:
                return best, difference
            found = run(smaller)
            if found is not None:
                best, difference, changed = smaller, found, True
                break
    return best, difference


def _list_smaller(steps: list[Step], difference: Difference) -> Iterator[list[Step]]:
    """Simpler variants, the boldest first."""
    if difference.place + 1 < len(steps):
        yield steps[: difference.place + 1]
    schedules = {step.schedule for step in steps if isinstance(step, Arrive)}
    for schedule in sorted(schedules) if len(schedules) > 1 else ():
        if f"s{schedule}-" in difference.who:
            yield [step for step in steps if not isinstance(step, Arrive) or step.schedule == schedule]
    needed = _find_needed(steps, difference.cohort)
    kept = [step for step in steps if not isinstance(step, Save) or step.definition["name"] in needed]
    kept = [step for step in kept if not isinstance(step, Delete) or step.name in needed]
    if len(kept) < len(steps):
        yield kept
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps), size):
            smaller = steps[:start] + steps[start + size :]
            saved: set[str] = set()
            for step in smaller:
                saved |= {step.definition["name"]} if isinstance(step, Save) else set()
                if isinstance(step, Delete) and step.name not in saved:
                    break
            else:
                if smaller:
                    yield smaller
        size //= 2
    for place, step in enumerate(steps):
        for simpler in _simplify(step):
            yield [*steps[:place], simpler, *steps[place + 1 :]]


def _find_needed(steps: Sequence[Step], cohort: str) -> set[str]:
    """The cohort and those that it asks for, in any version."""
    needed, size = {cohort}, 0
    while len(needed) > size:
        size = len(needed)
        for step in steps:
            if isinstance(step, Save) and step.definition["name"] in needed:
                needed |= set(_find_asked(step.definition["members"]))
    return needed


def _find_asked(condition: Json) -> Iterator[str]:
    if "cohort" in condition:
        yield condition["cohort"]
    for inner in _list_inner(condition):
        yield from _find_asked(inner)


def _list_inner(condition: Json) -> list[Json]:
    return [*condition.get("all", []), *condition.get("any", []), *([condition["not"]] if "not" in condition else [])]


def _simplify(step: Step) -> Iterator[Step]:
    if isinstance(step, Tick) and step.way != PLAIN:
        yield Tick(step.at)
    if isinstance(step, Arrive) and step.held:
        yield Arrive(step.schedule, step.happening, again=step.again)
    if isinstance(step, Save):
        for members in _simplify_condition(step.definition["members"]):
            yield Save({**step.definition, "members": members})


def _simplify_condition(condition: Json) -> Iterator[Json]:
    yield from _list_inner(condition)
    for way in ("all", "any"):
        for place, inner in enumerate(condition.get(way, [])):
            others = condition[way][:place], condition[way][place + 1 :]
            if others[0] or others[1]:
                yield {way: [*others[0], *others[1]]}
            for simpler in _simplify_condition(inner):
                yield {way: [*others[0], simpler, *others[1]]}
    if "not" in condition:
        for simpler in _simplify_condition(condition["not"]):
            yield {"not": simpler}
    for key in ("did", "did_not", "did_first", "last", "stopped", "restarted", "did_in_periods"):
        if condition.get(key, {}).get("where"):
            yield {**condition, key: {"event": condition[key]["event"]}}


def show_steps(steps: Sequence[Step]) -> str:
    """A line for each step."""
    lines = []
    for step in steps:
        if isinstance(step, Arrive):
            mark = " (open during the next tick)" if step.held else ""
            happening = step.happening
            lines.append(f"{happening.source} {happening.collection}{mark}: {json.dumps(happening.item)}")
        elif isinstance(step, Save):
            lines.append(f"save {step.definition['subject']} {step.definition['name']}: "
                         f"{json.dumps(step.definition['members'])}")  # fmt: skip
        elif isinstance(step, Delete):
            lines.append(f"delete {step.name}")
        else:
            killed = f" at statement {step.statement}" if step.statement else ""
            lines.append(f"tick {show_instant(step.at)}" + (f" ({step.way}{killed})" if step.way != PLAIN else ""))
    return "\n".join(lines)
