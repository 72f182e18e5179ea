"""What the SQL of cohorts is written with: bound values, and what pypika has no word for."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from pypika import Case, CustomFunction
from pypika import Parameter as Bound
from pypika.enums import Comparator
from pypika.terms import AggregateFunction, BasicCriterion, Criterion, Function, LiteralValue, Term
from pypika.utils import format_alias_sql

any_of = CustomFunction("ANY", ["array"])
coalesce = CustomFunction("COALESCE", ["value", "default"])
strpos = CustomFunction("strpos", ["text", "part"])
starts_with = CustomFunction("starts_with", ["text", "beginning"])
right = CustomFunction("right", ["text", "count"])
length = CustomFunction("length", ["text"])
cardinality = CustomFunction("cardinality", ["array"])
type_of = CustomFunction("jsonb_typeof", ["value"])
to_json = CustomFunction("to_jsonb", ["value"])
array_agg = CustomFunction("array_agg", ["value"])
# Functions of the database: sql/migrations.
fold = CustomFunction("fold", ["value"])
start_period = CustomFunction("start_period", ["instant", "unit", "week_start", "zone", "shift"])
read_time = CustomFunction("read_time", ["value"])
find_share = CustomFunction("find_share", ["seed", "content_key"])

NEVER: Final = LiteralValue("'infinity'::timestamptz")
BEFORE_ALL: Final = LiteralValue("'-infinity'::timestamptz")
TRUE: Final = LiteralValue("TRUE")
FALSE: Final = LiteralValue("FALSE")
SECOND: Final = LiteralValue("interval '1 second'")


class Operator(Comparator):
    """Operators of Postgres."""

    HAS = " @> "


class Binder:
    """Gives each value a name, and a place in the SQL."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.shared: dict[Any, tuple[str, Any]] = {}  # CTEs that more than one place reads, by what they are of

    def bind(self, value: object, cast: str = "") -> Term:
        """The place of a bound value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return Bound(f"%({name})s{'::' + cast if cast else ''}")


class Own(Term):
    """A term of ours."""

    def get_sql(self, **kwargs: Any) -> str:
        """The SQL, with the alias where that is wanted."""
        text = self.render({**kwargs, "with_alias": False})
        return str(format_alias_sql(text, self.alias, **kwargs)) if kwargs.get("with_alias") else text

    def render(self, kwargs: dict[str, Any]) -> str:
        """The SQL alone."""
        raise NotImplementedError


class Written(Own):
    """SQL of ours as it is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def render(self, _kwargs: dict[str, Any]) -> str:
        """The SQL alone."""
        return self._text


class Infix(Own):
    """Two terms with an operator between them, in brackets."""

    def __init__(self, left: Term, operator: str, right_term: Term) -> None:
        super().__init__()
        self._left, self._operator, self._right = left, operator, right_term

    def render(self, kwargs: dict[str, Any]) -> str:
        """The SQL alone."""
        return f"({self._left.get_sql(**kwargs)}{self._operator}{self._right.get_sql(**kwargs)})"


class Cast(Own):
    """A term as another type."""

    def __init__(self, term: Term, to: str) -> None:
        super().__init__()
        self._term, self._to = term, to

    def render(self, kwargs: dict[str, Any]) -> str:
        """The SQL alone."""
        return f"({self._term.get_sql(**kwargs)})::{self._to}"


class Truth(Own, Criterion):
    """Any term as a criterion: null counts as false."""

    def __init__(self, term: Term) -> None:
        super().__init__()
        self._term = term

    def render(self, kwargs: dict[str, Any]) -> str:
        """The SQL alone."""
        return f"({self._term.get_sql(**kwargs)}) IS TRUE"


class Aggregate(AggregateFunction):
    """An aggregate that pypika has no name for."""

    def __init__(self, name: str, term: Term) -> None:
        super().__init__(name, term)  # type: ignore[no-untyped-call]


def least(*terms: Term) -> Term:
    """The least of them."""
    return Function("LEAST", *terms)


def greatest(*terms: Term) -> Term:
    """The greatest of them."""
    return Function("GREATEST", *terms)


def at_path(value: Term, names: Iterable[Term]) -> Term:
    """What a JSON value has at a path through nested objects; the places of a list are no names."""
    for name in names:
        value = Infix(value, " -> ", name)
    return value


def as_text(value: Term) -> Term:
    """A JSON scalar's text."""
    return Infix(value, " #>> ", LiteralValue("'{}'"))


def has(left: Term, right_term: Term) -> Criterion:
    """A JSON list has an element."""
    return BasicCriterion(Operator.HAS, left, right_term)


def negate(term: Term) -> Term:
    """The opposite of a truth."""
    return Infix(LiteralValue(""), "NOT ", term)


def when(condition: Criterion, then: Term, otherwise: Term | None = None) -> Term:
    """One or the other."""
    case = Case().when(condition, then)
    return case if otherwise is None else case.else_(otherwise)


def add(instant: Term, span: timedelta, binder: Binder) -> Term:
    """An instant, later by a span of so many seconds."""
    return Infix(instant, " + ", Infix(binder.bind(span.total_seconds()), " * ", SECOND))
