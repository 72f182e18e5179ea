"""From a definition to one SQL statement that says of all candidates at once whether the condition is true of them.

It reads `candidates` (subject_id, at) and gives a row for each: subject_id, at, `holds`, and `until`, an instant up to
which the truth stays what it is unless something new is loaded ('infinity' where it stays for good). Each condition
that looks at data is a few CTEs: e the events that may count, m those that match with the instants at which they enter
and leave the window, l one row for each candidate.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pypika import Order, Table, analytics
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.terms import AggregateFunction, Criterion, LiteralValue, Term

from cohort_evaluator.conditions import (
    ACTIVITIES,
    MAIL,
    All,
    AnyOf,
    Calendar,
    Condition,
    Did,
    DidFirst,
    DidInPeriods,
    DidThen,
    Field,
    InCohort,
    LastHas,
    Not,
    Observed,
    Pattern,
    Share,
    Test,
    Trait,
    Window,
)
from cohort_evaluator.fields import JSON, Value, check, find_number, find_scalar, find_value, join_on, list_tables
from cohort_evaluator.fields import list_values as list_tested
from cohort_evaluator.sources import Sources, candidates, identities
from cohort_evaluator.terms import (
    BEFORE_ALL,
    FALSE,
    NEVER,
    TRUE,
    Binder,
    Cast,
    Infix,
    Truth,
    Written,
    add,
    coalesce,
    find_share,
    greatest,
    least,
    read_time,
    when,
)
from cohort_evaluator.windows import enter, find_earliest, find_last_entry, find_period, leave, limit

an: Final[Any] = analytics  # pypika leaves it untyped
SHOWN_EVENTS: Final = 5  # of those that made a condition true
_SHOW: Final = f"""
SELECT subject_id, json_agg(json_build_object('event_key', key::text, 'occurred_at', occurred_at)
                            ORDER BY occurred_at DESC, key DESC) AS events
FROM (SELECT m.*, row_number() OVER (PARTITION BY subject_id ORDER BY occurred_at DESC, key DESC) AS nth
      FROM {{events}} m WHERE enters <= at AND leaves > at) AS inside
WHERE nth <= {SHOWN_EVENTS} GROUP BY 1
"""  # noqa: S608 (names of our own)


class Compiled(NamedTuple):
    """A statement and its values; `build_causes` makes the one that tells of each condition what it found."""

    sql: str
    values: dict[str, Any]
    build_causes: Callable[[], str]


class _Truth(NamedTuple):
    """Whether a condition holds, and until when."""

    holds: Term  # never null
    until: Term  # never null


class _Leaf(NamedTuple):
    """A condition that looks at data."""

    place: str
    truth: _Truth
    name: str  # of its CTE
    events: str | None  # the CTE of what matched


def compile_condition(
    condition: Condition, sources: Sources, earliest: datetime, cohorts: Mapping[str, int]
) -> Compiled:
    """Compiles a condition. `earliest` is the first instant at which a candidate is evaluated; `cohorts` the ids."""
    compiler = _Compiler(sources, earliest, cohorts)
    truth = compiler.visit(condition, "members")
    query = compiler.join_leaves()
    query = query.select(candidates.subject_id, candidates.at, truth.holds.as_("holds"), truth.until.as_("until"))
    return Compiled(query.get_sql(), compiler.binder.values, compiler.build_causes)


class _Compiler:
    def __init__(self, sources: Sources, earliest: datetime, cohorts: Mapping[str, int]) -> None:
        self.binder = Binder()
        self._sources = sources
        self._earliest = earliest
        self._cohorts = cohorts
        self._parts: list[tuple[Any, str]] = []  # CTEs, in their order
        self._leaves: list[_Leaf] = []
        self._kinds: dict[str, str] = {}  # of the events that conditions look at, by place
        self._visits: dict[type, Callable[[Any, str], _Truth]] = {
            All: self._visit_all,
            AnyOf: self._visit_any,
            Not: self._visit_not,
            Trait: self._visit_trait,
            Did: self._visit_did,
            DidFirst: self._visit_did_first,
            DidThen: self._visit_did_then,
            DidInPeriods: self._visit_did_in_periods,
            LastHas: self._visit_last_has,
            Observed: self._visit_observed,
            InCohort: self._visit_in_cohort,
            Share: self._visit_share,
        }

    def visit(self, condition: Condition, place: str) -> _Truth:
        pattern = condition.second if isinstance(condition, DidThen) else getattr(condition, "pattern", None)
        self._kinds[place] = pattern.kind if pattern else ""
        return self._visits[type(condition)](condition, place)

    def join_leaves(self) -> Any:
        query = Query.from_(candidates)
        for name, periods in self.binder.shared.values():
            query = query.with_(periods, name)
        for part, name in self._parts:
            query = query.with_(part, name)
        for leaf in self._leaves:
            table = Table(leaf.name)
            query = query.left_join(table).on(table.subject_id == candidates.subject_id)
        return query

    def build_causes(self) -> str:
        """SQL that gives subject_id and, as JSON, what each condition that looks at data found at the instant."""
        fields = []
        query = self.join_leaves()
        for number, leaf in enumerate(self._leaves):
            found = ""
            if leaf.events is not None:
                shown = Table(f"s{number}")
                query = query.with_(Written(_SHOW.format(events=leaf.events)), shown.get_table_name())
                query = query.left_join(shown).on(shown.subject_id == candidates.subject_id)
                found = f", 'kind', '{self._kinds[leaf.place]}', 'events', s{number}.events"
            truth = leaf.truth.holds.get_sql(with_namespace=True, quote_char='"')
            fields.append(f"'{leaf.place}', json_strip_nulls(json_build_object('holds', {truth}{found}))")
        query = query.select(
            candidates.subject_id, LiteralValue(f"json_build_object({', '.join(fields)})").as_("cause")
        )
        return str(query.get_sql())

    def _add(self, query: Any, letter: str) -> Table:
        name = f"{letter}{len(self._parts)}"
        self._parts.append((query, name))
        return Table(name)

    def _keep(self, place: str, leaf: Table, truth: _Truth, events: Table | None = None) -> _Truth:
        self._leaves.append(
            _Leaf(place, truth, leaf.get_table_name(), events.get_table_name() if events is not None else None)
        )
        return truth

    # Conditions of conditions.

    def _visit_all(self, condition: All, place: str) -> _Truth:
        truths = [self.visit(each, f"{place}.all[{index}]") for index, each in enumerate(condition.conditions)]
        holds = _join(truths, " AND ")
        # While one does not hold all together do not.
        kept = greatest(*(when(Truth(each.holds), BEFORE_ALL, each.until) for each in truths))
        return _Truth(holds, when(Truth(holds), least(*(each.until for each in truths)), kept))

    def _visit_any(self, condition: AnyOf, place: str) -> _Truth:
        truths = [self.visit(each, f"{place}.any[{index}]") for index, each in enumerate(condition.conditions)]
        holds = _join(truths, " OR ")
        kept = greatest(*(when(Truth(each.holds), each.until, BEFORE_ALL) for each in truths))
        return _Truth(holds, when(Truth(holds), kept, least(*(each.until for each in truths))))

    def _visit_not(self, condition: Not, place: str) -> _Truth:
        truth = self.visit(condition.condition, f"{place}.not")
        return _Truth(_negate(truth.holds), truth.until)

    # Events.

    def _match(
        self,
        pattern: Pattern,
        since: datetime | None,
        *,
        window: Window | None = None,
        value: Callable[[Table], Term] | None = None,
        tables: list[Value] | None = None,
        find_lacking: Callable[[Table], Table] | None = None,
    ) -> Table:
        """The events that match: subject_id, at, occurred_at, key, n, value, and enters and leaves of a window.

        Those before the gathered ones are looked for of everybody, or of those whom `find_lacking` finds by these.
        """

        def select(events: Any) -> Any:
            event = self._add(events, "e")
            query = self._select(pattern, event, tables or [])
            if value is not None:
                query = query.select(value(event).as_("value"))
            return query if window is None else self._place(query, window, event)

        matched = self._add(select(self._sources.read(pattern.kind, since, self.binder)), "m")
        if not self._sources.has_older(since):
            return matched
        of = candidates if find_lacking is None else find_lacking(matched)
        older = self._add(select(self._sources.read_older(pattern.kind, since, self.binder, of)), "o")
        return self._add(Query.from_(matched).select(matched.star) * Query.from_(older).select(older.star), "m")

    def _select(self, pattern: Pattern, event: Table, tables: list[Value]) -> Any:
        tested = list_tested(pattern, event, self.binder)
        query = Query.from_(event)
        for table, is_there in list_tables(pattern.kind, [each for each, _ in tested] + tables):
            joined = query.join(table) if is_there else query.left_join(table)
            query = joined.on(join_on(table, event))
        n: Term = LiteralValue("1::bigint")
        if pattern.kind in ACTIVITIES:
            query = query.where(Table("operations").activity_type == self.binder.bind(pattern.kind))
            n = Cast(coalesce(event.weight, 1), "bigint")
        for one, test in tested:
            query = query.where(check(one, test, self.binder))
        return query.select(event.subject_id, event.at, event.occurred_at, event.key, n.as_("n"))

    def _find_none(self, window: Window) -> Callable[[Table], Table] | None:
        """What finds those who have nothing in the window, if all that is older has entered it."""
        gathered = self._sources.gathered_since
        if gathered is None or find_last_entry(window, gathered) > self._earliest:
            return None

        def find(matched: Table) -> Table:
            inside = Query.from_(matched).where(matched.enters <= matched.at).where(matched.n > 0)
            return self._leave_out(inside.select(matched.subject_id).distinct())

        return find

    def _leave_out(self, subjects: Any) -> Table:
        """The other candidates."""
        those = self._add(subjects, "i")
        query = Query.from_(candidates).left_join(those).on(those.subject_id == candidates.subject_id)
        return self._add(query.where(those.subject_id.isnull()).select(candidates.subject_id, candidates.at), "c")

    def _place(self, query: Any, window: Window, event: Table) -> Any:
        """Adds when events enter and leave a window; without those that have left it."""
        enters = enter(window, event.occurred_at, self.binder, self._earliest)
        leaves = leave(window, event.occurred_at, self.binder, self._earliest)
        if isinstance(window, Calendar):
            query = query.where(event.occurred_at >= self.binder.bind(find_earliest(window, self._earliest)))
        for criterion in limit(window, event.occurred_at, self.binder):
            query = query.where(criterion)
        return query.where(leaves > event.at).select(enters.as_("enters"), leaves.as_("leaves"))

    def _match_window(self, pattern: Pattern, window: Window, field: Field, show: Callable[[Value], Term]) -> Table:
        since = find_earliest(window, self._earliest)

        def value(event: Table) -> Term:
            return show(find_value(pattern.kind, field, event, self.binder))

        tables = [find_value(pattern.kind, field, Table("unused"), Binder())]
        return self._match(pattern, since, window=window, value=value, tables=tables)

    def _visit_did(self, condition: Did, place: str) -> _Truth:
        number = Decimal(str(condition.number))
        if condition.total is not None:
            matched = self._match_window(condition.pattern, condition.window, condition.total, find_number)
            return self._sum(matched, condition.operator, number, place)
        if condition.distinct is not None:
            matched = self._match_window(condition.pattern, condition.window, condition.distinct, find_scalar)
            return self._count_values(matched, condition.operator, int(number), place)
        window = condition.window
        find_lacking = self._find_none(window) if _find_thresholds(condition.operator, int(number)) == [1] else None
        since = find_earliest(window, self._earliest)
        matched = self._match(condition.pattern, since, window=window, find_lacking=find_lacking)
        return self._count(matched, condition.operator, int(number), place)

    def _visit_did_first(self, condition: DidFirst, place: str) -> _Truth:
        since = find_earliest(condition.window, self._earliest)
        find_lacking = None
        if since is not None and not self._sources.has_older(since):

            def find_lacking(found: Table) -> Table:
                """Those for whom the first one is in the window, or still to come, unless there is an older one."""
                query = Query.from_(found).groupby(found.subject_id, found.at).select(found.subject_id, found.at)
                first = fn.Min(found.occurred_at)
                # A range, though one without end: the planner takes that for few, which they are.
                return self._add(query.having((first >= self.binder.bind(since)) & (first < NEVER)), "c")

        matched = self._match(condition.pattern, None, find_lacking=find_lacking)
        every: Any = Query.from_(matched)
        first = every.distinct_on(matched.subject_id).select(matched.star)
        found = self._add(first.orderby(matched.subject_id, matched.occurred_at, matched.key), "f")
        columns = (found.subject_id, found.at, found.occurred_at, found.key, LiteralValue("1::bigint").as_("n"))
        placed = self._add(self._place(Query.from_(found).select(*columns), condition.window, found), "m")
        return self._count(placed, ">=", 1, place)

    def _visit_did_then(self, condition: DidThen, place: str) -> _Truth:
        since = find_earliest(condition.window, self._earliest)
        first = self._match(condition.first, since and since - condition.within)
        second = self._match(condition.second, since)
        columns = ("subject_id", "at", "occurred_at", "key")
        firsts = Query.from_(first).select(*map(first.field, columns), LiteralValue("1").as_("is_first"))
        seconds = Query.from_(second).select(*map(second.field, columns), LiteralValue("0").as_("is_first"))
        both = self._add(firsts * seconds, "u")
        span = add(LiteralValue("interval '0'"), condition.within, self.binder).get_sql()
        before = an.Sum(both.is_first).over(both.subject_id).orderby(both.occurred_at)
        before = before.range(f"{span} PRECEDING", "interval '1 microsecond' PRECEDING")
        ranked = Query.from_(both).select(*map(both.field, columns), both.is_first, before.as_("before"))
        counted = self._add(ranked, "r")
        columns_of = (*map(counted.field, columns), LiteralValue("1::bigint").as_("n"))
        query = Query.from_(counted).where(counted.is_first == 0).where(counted.before > 0).select(*columns_of)
        return self._count(self._add(self._place(query, condition.window, counted), "m"), ">=", 1, place)

    def _visit_did_in_periods(self, condition: DidInPeriods, place: str) -> _Truth:
        window: Calendar = condition.window
        since = find_earliest(window, self._earliest)
        matched = self._match(
            condition.pattern,
            since,
            window=window,
            value=lambda event: find_period(window, event.occurred_at, self.binder, self._earliest),
        )
        return self._count_values(matched, ">=", condition.at_least, place)

    def _visit_last_has(self, condition: LastHas, place: str) -> _Truth:
        tests: list[tuple[Field, Test]] = list(condition.has)
        pattern = condition.pattern

        def value(event: Table) -> Term:
            found = [(find_value(pattern.kind, field, event, self.binder), test) for field, test in tests]
            return _all([check(one, test, self.binder) for one, test in found])

        tables = [find_value(pattern.kind, field, Table("unused"), Binder()) for field, _ in tests]
        since = find_earliest(condition.window, self._earliest)
        find_lacking = self._find_none(condition.window)
        matched = self._match(
            pattern, since, window=condition.window, value=value, tables=tables, find_lacking=find_lacking
        )
        inside = matched.enters <= matched.at
        rank = an.RowNumber().over(matched.subject_id)
        rank = rank.orderby(when(inside, LiteralValue("1"), LiteralValue("0")), order=Order.desc)
        rank = rank.orderby(matched.occurred_at, order=Order.desc).orderby(matched.key, order=Order.desc)
        ranked = self._add(Query.from_(matched).select(matched.star, rank.as_("rank")), "r")
        inside, newest = ranked.enters <= ranked.at, ranked.rank == 1
        query = Query.from_(ranked).groupby(ranked.subject_id)
        query = query.select(
            ranked.subject_id,
            Aggregate("bool_or", ranked.value).filter(inside & newest).as_("found"),
            least(
                fn.Max(ranked.leaves).filter(inside & newest), fn.Min(ranked.enters).filter(ranked.enters > ranked.at)
            ).as_("changes"),
        )
        leaf = self._add(query, "l")
        return self._keep(place, leaf, _Truth(coalesce(leaf.found, FALSE), coalesce(leaf.changes, NEVER)), matched)

    def _visit_observed(self, condition: Observed, place: str) -> _Truth:
        since = find_earliest(condition.window, self._earliest)
        first = self._find_first(lambda kind: self._sources.read(kind, None, self.binder))
        if self._sources.has_older(None):
            of = candidates
            if not self._sources.has_older(since):
                seen = Query.from_(first).where(first.first < self.binder.bind(since)).select(first.subject_id)
                of = self._leave_out(seen)
            older = self._find_first(lambda kind: self._sources.read_older(kind, None, self.binder, of))
            both = self._add(Query.from_(first).select(first.star) * Query.from_(older).select(older.star), "u")
            query = Query.from_(both).groupby(both.subject_id)
            first = self._add(query.select(both.subject_id, fn.Min(both.first).as_("first")), "f")
        leaves = leave(condition.window, first.first, self.binder, self._earliest)
        leaves = when(first.first >= self.binder.bind(since), leaves, BEFORE_ALL)
        leaf = self._add(Query.from_(first).select(first.subject_id, leaves.as_("leaves")), "l")
        holds = coalesce(leaf.leaves <= candidates.at, FALSE)
        return self._keep(place, leaf, _Truth(holds, when(leaf.leaves > candidates.at, leaf.leaves, NEVER)))

    def _find_first(self, read: Callable[[str], Any]) -> Table:
        """The instant of the first event of any kind."""
        firsts = []
        for kind in (MAIL, ACTIVITIES[0]):
            event = self._add(read(kind), "e")
            firsts.append(Query.from_(event).select(event.subject_id, event.occurred_at))
        both = self._add(firsts[0] * firsts[1], "u")
        query = Query.from_(both).groupby(both.subject_id)
        return self._add(query.select(both.subject_id, fn.Min(both.occurred_at).as_("first")), "f")

    # What is counted, and until when it stays on its side of a threshold.

    def _count(self, matched: Table, operator: str, number: int, place: str) -> _Truth:
        thresholds = _find_thresholds(operator, number)
        if thresholds == [1]:  # whether there is any
            inside, counts = matched.enters <= matched.at, matched.n > 0
            query = Query.from_(matched).groupby(matched.subject_id)
            query = query.select(
                matched.subject_id,
                fn.Sum(matched.n).filter(inside).as_("total"),
                fn.Max(matched.leaves).filter(inside & counts).as_("falls_1"),
                fn.Min(matched.enters).filter((matched.enters > matched.at) & counts).as_("rises_1"),
            )
            return self._compare(self._add(query, "l"), operator, number, thresholds, place, matched)
        inside, outside = matched.enters <= matched.at, matched.enters > matched.at
        of = matched.subject_id
        newest = (
            an.Sum(matched.n).filter(inside).over(of).orderby(matched.leaves, order=Order.desc).rows(an.Preceding())
        )
        coming = an.Sum(matched.n).filter(outside).over(of).orderby(matched.enters).rows(an.Preceding())
        total = an.Sum(matched.n).filter(inside).over(of)
        ranked = self._add(
            Query.from_(matched).select(
                *(of, matched.at, matched.enters, matched.leaves),
                *(newest.as_("newest"), coming.as_("coming"), coalesce(total, 0).as_("total")),
            ),
            "r",
        )
        inside, outside = ranked.enters <= ranked.at, ranked.enters > ranked.at
        query = Query.from_(ranked).groupby(ranked.subject_id)
        query = query.select(ranked.subject_id, fn.Max(ranked.total).as_("total"))
        for threshold in thresholds:
            falls = fn.Max(ranked.leaves).filter(inside & (ranked.newest >= threshold))
            rises = fn.Min(ranked.enters).filter(outside & (Infix(ranked.total, " + ", ranked.coming) >= threshold))
            query = query.select(falls.as_(f"falls_{threshold}"), rises.as_(f"rises_{threshold}"))
        return self._compare(self._add(query, "l"), operator, number, thresholds, place, matched)

    def _count_values(self, matched: Table, operator: str, number: int, place: str) -> _Truth:
        inside, outside = matched.enters <= matched.at, matched.enters > matched.at
        query = Query.from_(matched).where(matched.value.notnull()).groupby(matched.subject_id, matched.value)
        last, coming = fn.Max(matched.leaves).filter(inside), fn.Min(matched.enters).filter(outside)
        grouped = self._add(query.select(matched.subject_id, last.as_("last"), coming.as_("coming")), "g")
        rank = an.RowNumber().over(grouped.subject_id).orderby(coalesce(grouped.last, BEFORE_ALL), order=Order.desc)
        ranked = self._add(Query.from_(grouped).select(grouped.star, rank.as_("rank")), "r")
        query = Query.from_(ranked).groupby(ranked.subject_id)
        query = query.select(ranked.subject_id, fn.Count(ranked.last).as_("total"))
        thresholds = _find_thresholds(operator, number)
        for threshold in thresholds:
            falls = fn.Max(ranked.last).filter(ranked.rank == threshold)
            rises = fn.Min(ranked.coming).filter(ranked.last.isnull())
            query = query.select(falls.as_(f"falls_{threshold}"), rises.as_(f"rises_{threshold}"))
        return self._compare(self._add(query, "l"), operator, number, thresholds, place, matched)

    def _compare(
        self, leaf: Table, operator: str, number: int, thresholds: list[int], place: str, matched: Table
    ) -> _Truth:
        total = coalesce(leaf.total, 0)
        bounds = [
            coalesce(when(total >= each, leaf.field(f"falls_{each}"), leaf.field(f"rises_{each}")), NEVER)
            for each in thresholds
        ]
        truth = _Truth(Infix(total, f" {_OPERATORS[operator]} ", LiteralValue(str(number))), least(NEVER, *bounds))
        return self._keep(place, leaf, truth, matched)

    def _sum(self, matched: Table, operator: str, number: Decimal, place: str) -> _Truth:
        inside, outside = matched.enters <= matched.at, matched.enters > matched.at
        query = Query.from_(matched).where(matched.value.notnull()).groupby(matched.subject_id)
        query = query.select(
            matched.subject_id,
            Aggregate("sum", Infix(matched.value, " * ", matched.n)).filter(inside).as_("total"),
            least(fn.Min(matched.leaves).filter(inside), fn.Min(matched.enters).filter(outside)).as_("changes"),
        )
        leaf = self._add(query, "l")
        compared = Infix(coalesce(leaf.total, 0), f" {_OPERATORS[operator]} ", self.binder.bind(number, "numeric"))
        return self._keep(place, leaf, _Truth(compared, coalesce(leaf.changes, NEVER)), matched)

    # What does not happen.

    def _visit_trait(self, condition: Trait, place: str) -> _Truth:
        write, binder = Table("trait_writes"), self.binder
        paths = [condition.path[: size + 1] for size in range(len(condition.path))]
        whole = binder.bind(list(condition.path), "text[]")
        query = Query.from_(candidates).join(identities).on(identities.person_id == candidates.subject_id)
        query = query.join(write).on(write.identity_id == identities.identity_id)
        query = query.where(write.path.isin([binder.bind(list(path), "text[]") for path in paths]))
        inside = write.at <= candidates.at
        rank = an.RowNumber().over(candidates.subject_id)
        rank = rank.orderby(when(inside, LiteralValue("1"), LiteralValue("0")), order=Order.desc)
        rank = rank.orderby(write.at, order=Order.desc)
        rank = rank.orderby(Infix(write.value, " COLLATE ", LiteralValue('"C"')), order=Order.desc)
        ranked = self._add(
            query.select(
                candidates.subject_id,
                when(write.path == whole, write.value).as_("value"),
                *(write.at.as_("written_at"), inside.as_("inside"), rank.as_("rank")),
            ),
            "r",
        )
        query = Query.from_(ranked).groupby(ranked.subject_id)
        query = query.select(
            ranked.subject_id,
            Cast(fn.Max(ranked.value).filter((ranked.rank == 1) & Truth(ranked.inside)), "jsonb").as_("value"),
            fn.Min(ranked.written_at).filter(Truth(_negate(ranked.inside))).as_("changes"),
        )
        leaf = self._add(query, "l")
        written = coalesce(leaf.changes, NEVER)
        if condition.operator not in _TIMES:
            test = Test(condition.operator, condition.value)  # type: ignore[arg-type]  # a Trait's are no times here
            return self._keep(place, leaf, _Truth(check(Value(leaf.value, JSON), test, binder), written))
        begins, ends = _TIMES[condition.operator](read_time(leaf.value), condition.value, binder)
        at = candidates.at
        truth = coalesce((at >= begins) & (at < ends), FALSE)
        turns = when(at < begins, begins, when(at < ends, ends, NEVER))
        return self._keep(place, leaf, _Truth(truth, least(written, coalesce(turns, NEVER))))

    def _visit_in_cohort(self, condition: InCohort, place: str) -> _Truth:
        cohort_id = self._cohorts.get(condition.name)
        if cohort_id is None:
            return _Truth(FALSE, NEVER)
        member = Table("memberships")
        query = Query.from_(candidates).join(member).on(member.subject_id == candidates.subject_id)
        query = query.where(member.cohort_id == cohort_id)
        query = query.where(coalesce(member.exited_at, NEVER) > candidates.at)
        matched = self._add(
            query.select(
                *(candidates.subject_id, candidates.at, member.entered_at.as_("enters")),
                *(coalesce(member.exited_at, NEVER).as_("leaves"), LiteralValue("1::bigint").as_("n")),
            ),
            "m",
        )
        truth = self._count(matched, ">=", 1, place)
        self._leaves[-1] = self._leaves[-1]._replace(events=None)
        return truth

    def _visit_share(self, condition: Share, place: str) -> _Truth:
        query = Query.from_(candidates).join(identities).on(identities.identity_id == candidates.subject_id)
        share = find_share(self.binder.bind(condition.seed, "text"), identities.content_key)
        chosen = share < self.binder.bind(Decimal(str(condition.share)), "numeric")
        leaf = self._add(query.select(candidates.subject_id, chosen.as_("chosen")), "l")
        return self._keep(place, leaf, _Truth(coalesce(leaf.chosen, FALSE), NEVER))


class Aggregate(AggregateFunction):
    """An aggregate that pypika has no name for."""

    def __init__(self, name: str, term: Term) -> None:
        super().__init__(name, term)  # type: ignore[no-untyped-call]


_OPERATORS: Final = {">=": ">=", ">": ">", "<=": "<=", "<": "<", "=": "=", "!=": "<>"}
# Of a trait's time the instants from which, and until before which, the condition holds.
_TIMES: Final[Mapping[str, Callable[[Term, Any, Binder], tuple[Term, Term]]]] = {
    "before": lambda value, instant, binder: (when(value < binder.bind(instant), BEFORE_ALL), NEVER),
    "since": lambda value, instant, binder: (when(value >= binder.bind(instant), BEFORE_ALL), NEVER),
    "within_last": lambda value, span, binder: (value, add(value, span, binder)),
    "longer_ago_than": lambda value, span, binder: (add(value, span, binder), NEVER),
    "within_next": lambda value, span, binder: (add(value, -span, binder), value),
}


def _find_thresholds(operator: str, number: int) -> list[int]:
    """The counts at which the comparison may turn. Below 1 none can be crossed."""
    first, second = [number], [number + 1]
    found = {">=": first, "<": first, ">": second, "<=": second, "=": first + second, "!=": first + second}[operator]
    return [each for each in found if each > 0]


def _all(criteria: list[Criterion]) -> Term:
    joined: Term = TRUE
    for each in criteria:
        joined = Infix(joined, " AND ", each)
    return joined


def _join(truths: list[_Truth], operator: str) -> Term:
    joined = truths[0].holds
    for each in truths[1:]:
        joined = Infix(joined, operator, each.holds)
    return joined


def _negate(term: Term) -> Term:
    return Infix(LiteralValue(""), "NOT ", term)
