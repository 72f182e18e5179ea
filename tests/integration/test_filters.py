"""Every parameter of the search on loaded events: what is asked for, and the ids of exactly what is found."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from common.clock import format_instant
from common.event_keys import make_event_key, read_event_id
from local.postgres import SUPERUSER, Postgres
from query_events import events_message, message_events, search, shared_keys
from query_events.parameters import NEGATION, PARAMETERS, PREFIX, TABLE, Dialect
from query_events.routing import Route
from s3_loader.batches import Batch
from s3_loader.loading import Loader
from tests.integration import batches as stored
from tests.integration.batches import make_batch, make_event
from tests.integration.conftest import NOW, TABLES
from tests.integration.requests import make_request

ROUTES: dict[Dialect, Route] = {
    Dialect.EVENTS: events_message.ROUTES[0],
    Dialect.V1: message_events.ROUTES[0],
}
HASHED = "62fb66bef54a112e920b5493"  # the id of an event, no number
SHOWN = read_event_id("mailersend", make_event_key("mailersend", HASHED))  # the number that stands for it
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/99.0.4844"
# Event id → (class, fields). One that is not given a field has none; each is an hour older than the one before.
SPARKPOST: dict[str, tuple[str, dict[str, Any]]] = {
    "1": (
        "message_event",
        {
            "rcpt_to": "Ada@Example.com",
            "campaign_id": "Black_Friday-2026",
            "template_id": "order-shipped",
            "subject": "Your order: 50% off_now",
            "friendly_from": "Shop@News.Example.com",
            "ip_pool": "marketing-eu",
            "sending_ip": "192.0.2.1",
            "mailbox_provider": "Gmail",
            "mailbox_provider_region": "North America",
            "message_id": "m1",
            "transmission_id": "t1",
            "subaccount_id": "101",
            "rcpt_meta": {"plan": "gold", "level": 7, "vip": True, "ratio": 1.5, "dotted.key": "x", "none": None},
            "rcpt_tags": ["vip", "Sale"],
        },
    ),
    "2": (
        "message_event",
        {
            "type": "bounce",
            "bounce_class": "10",
            "raw_reason": "550 5.4.7 mailbox_full",
            "rcpt_to": "bob@yahoo.co.uk",
            "campaign_id": "blackfriday",
            "template_id": "order_shipped_v2",
            "subject": "friday black",
            "friendly_from": "news@example.com.au",
            "ip_pool": "marketing",
            "sending_ip": "192.0.2.10",
            "mailbox_provider": "Yahoo Mail",
            "mailbox_provider_region": "Europe",
            "message_id": "m2",
            "transmission_id": "t1",
            "ab_test_id": "header-test",
            "ab_test_version": "1",
            "rcpt_meta": {"plan": "Silver", "level": "7", "vip": False},
        },
    ),
    "3": (
        "message_event",
        {
            "type": "bounce",
            "bounce_class": "22",
            "raw_reason": "452 4.2.2 Mailbox full; 5.4.70",
            "rcpt_to": "carl@mail.yahoo.com",
            "campaign_id": "friday  BLACK sale",
            "subaccount_id": "0",
            "message_id": "m3",
            "transmission_id": "t10",
            "ab_test_id": "header_test_b",
            "ab_test_version": "2",
            "rcpt_tags": ["vip club"],
        },
    ),
    "4": (
        "message_event",
        {
            "type": "delay",
            "reason": "450 greylisted ÜBERLASTET",
            "rcpt_to": "dora@yahoo-mail.com",
            "campaign_id": "FRÜHLING-Friday",
            "sending_domain": "news.example.net",
            "friendly_from": "x@other.example",
        },
    ),
    "5": (
        "track_event",
        {"type": "open", "user_agent": WINDOWS, "ip_address": "198.51.100.4", "campaign_id": "Black_Friday-2026"},
    ),
    "6": (
        "track_event",
        {
            "type": "click",
            "user_agent": "Opera/9.80",
            "ip_address": "2001:db8::1",
            "target_link_url": "https://example.com/Sale?a=1,2&b=%20",
        },
    ),
    "7": ("message_event", {"type": "out_of_band", "bounce_class": "51", "rcpt_to": "ann_b@example.com"}),
    "8": ("message_event", {"type": "injection", "rcpt_to": "annab@example.com"}),
    "9": ("message_event", {"type": "spam_complaint", "rcpt_to": None}),
}
# Event id → (type, what it is about), two hours and more after the others.
MAILERSEND: dict[str, tuple[str, dict[str, Any]]] = {
    "20": ("hard_bounced", {"reason": "550 5.1.1 no such user"}),
    "21": ("opened_unique", {"ip": "198.51.100.40"}),
    HASHED: ("clicked", {"url": "https://shop.example.com/a_b"}),
}
ALL = {*SPARKPOST, "20", "21", "h"}

# Name, value, the ids of the events that are found; `h` is the one with the hashed id.
FILTERS = [
    ("from", "2026-11-21T09:00:00Z", "1 2 3"),
    ("from", "2026-11-21T09:00:00.001Z", "1 2"),
    ("from", "2026-11-21T11:00:00 01:00", "1 2"),
    ("to", "2026-11-20T21:00:00Z", "21 h"),
    ("events", "delivery", "1"),
    ("events", "bounce", "2 3 20"),
    ("events", "bounce, out_of_band,,", "2 3 7 20"),
    ("events", "hard_bounced", "20"),
    ("events", "open", "5"),
    ("events", "initial_open", "21"),
    ("events", "click", "6 h"),
    ("events", "opened", ""),
    ("events", "Bounce", ""),
    ("event_ids", "1,4", "1 4"),
    ("event_ids", "20", "20"),
    ("event_ids", HASHED, "h"),
    ("event_ids", SHOWN, "h"),
    ("event_ids", "01,-1,9223372036854775808," + "9" * 60, ""),
    ("recipients", "ada@example.com", "1 5 6"),
    ("recipients", " ADA@EXAMPLE.COM ,bob@yahoo.co.uk", "1 2 5 6"),
    ("recipients", "eve@example.org", "20 21 h"),
    ("recipients", "ada", ""),
    ("from_addresses", "shop@news.example.com", "1"),
    ("from_addresses", "ORDERS@shop.example.com,NEWS@example.com.au", "2 20 21 h"),
    ("bounce_classes", "10", "2 20"),
    ("bounce_classes", "22,51", "3 7"),
    ("bounce_classes", "99", ""),
    ("reasons", "5.4.7", "2"),
    ("reasons", "MAILBOX-full", "2"),
    ("reasons", "mailbox full;", "3"),
    ("reasons", "greylisted", "4"),
    ("reasons", "550", "2 20"),
    ("reason", "mailbox full", "3"),
    ("reason", "5.4.7", "2 3"),
    ("reason", "%550%user%", "20"),
    ("reason", "MAILBOX", "2 3"),
    ("reason", "mailbox%full", "2 3"),
    ("reason", "Überlastet", "4"),
    ("campaigns", "friday", "1 3 4 5"),
    ("campaigns", "black-friday", "1 5"),
    ("campaigns", "BLACK friday", "1 5"),
    ("campaigns", "friday black", "3"),
    ("campaigns", "blackfriday", "2"),
    ("campaigns", "black 2026", ""),
    ("campaigns", "black-friday,blackfriday", "1 2 5"),
    ("campaigns", "frühling", "4"),
    ("campaigns", "frida", ""),
    ("campaigns", "--", ""),
    ("campaign_ids", "Black_Friday-2026", "1 5"),
    ("campaign_ids", "black_friday-2026", ""),
    ("campaign_ids", "friday", ""),
    ("templates", "shipped", "1 2"),
    ("templates", "order shipped", "1 2"),
    ("templates", "ship", ""),
    ("template_ids", "order-shipped", "1"),
    ("messages", "m1", "1"),
    ("messages", "m2,m3", "2 3"),
    ("messages", "M1", ""),
    ("transmissions", "t1", "1 2"),
    ("subaccounts", "101", "1"),
    ("subaccounts", "0", "2 3 4 5 6 7 8 9 20 21 h"),
    ("ab_tests", "header test", "2 3"),
    ("ab_tests", "b", "3"),
    ("ab_test_ids", "header-test", "2"),
    ("recipient_domains", "yahoo", "2 3 4"),
    ("recipient_domains", "co.uk", "2"),
    ("recipient_domains", "yahoo.com", "3"),
    ("recipient_domains", "example.com", "1 5 6 7 8"),
    ("sending_domains", "example.com", "1 2 20 21 h"),
    ("sending_domains", "news", "1 4"),
    ("sending_domains", "other.example", ""),
    ("subjects", "order:", "1"),
    ("subjects", "50%", "1"),
    ("subjects", "now", "1"),
    ("subjects", "your", "1 20 21 h"),
    ("sending_ips", "192.0.2.1", "1"),
    ("ip_pools", "marketing", "1 2"),
    ("ip_pools", "eu", "1"),
    ("mailbox_providers", "yahoo", "2"),
    ("mailbox_providers", "gmail,mail", "1 2"),
    ("mailbox_provider_regions", "america", "1"),
    ("event_types", "bounced", "2 3 7 20"),
    ("event_types", "opened,clicked", "5 6 21 h"),
    ("bounce_kinds", "hard", "2 20"),
    ("bounce_kinds", "soft,block", "3 7"),
    ("providers", "mailersend", "20 21 h"),
    ("providers", "sparkpost,mailersend", "1 2 3 4 5 6 7 8 9 20 21 h"),
    ("tags", "vip", "1"),
    ("tags", "Sale,order", "1 20 21 h"),
    ("tags", "sale", ""),
    ("urls", "https://shop.example.com/a_b", "h"),
    ("ip_addresses", "198.51.100.4", "5"),
    ("ip_addresses", "2001:db8::1", "6"),
    ("user_agents", "chrome/99", "5"),
    ("user_agents", "windows nt", "5"),
    ("user_agents", "Opera,Chrome", "5 6"),
    ("user_agents", "chrom", ""),
    ("metadata.plan", "gold", "1"),
    ("metadata.plan", "gold,Silver", "1 2"),
    ("metadata.plan", "silver", ""),
    ("metadata.level", "7", "1 2"),
    ("metadata.vip", "true", "1"),
    ("metadata.vip", "false", "2"),
    ("metadata.ratio", "1.5", "1"),
    ("metadata.dotted.key", "x", "1"),
    ("metadata.none", "null", ""),
    ("metadata.%", "gold", ""),
    # What begins like it, in any case.
    ("prefix.recipients", "ANN_", "7"),
    ("prefix.recipients", "ad,bo", "1 2 5 6"),
    ("prefix.from_addresses", "SHOP@", "1"),
    ("prefix.reasons", "550 5", "2 20"),
    ("prefix.campaigns", "black", "1 2 5"),
    ("prefix.campaigns", "friday", "3"),
    ("prefix.campaigns", "Früh", "4"),
    ("prefix.campaign_ids", "black_", "1 5"),
    ("prefix.templates", "order", "1 2"),
    ("prefix.template_ids", "order-", "1"),
    ("prefix.messages", "M", "1 2 3 20 21 h"),
    ("prefix.transmissions", "t1", "1 2 3"),
    ("prefix.ab_tests", "header", "2 3"),
    ("prefix.ab_test_ids", "header_", "3"),
    ("prefix.recipient_domains", "yahoo", "2 4"),
    ("prefix.sending_domains", "news", "1 4"),
    ("prefix.subjects", "your order: 50%", "1"),
    ("prefix.sending_ips", "192.0.2.1", "1 2"),
    ("prefix.ip_pools", "marketing-", "1"),
    ("prefix.mailbox_providers", "ya", "2"),
    ("prefix.mailbox_provider_regions", "north", "1"),
    ("prefix.tags", "VIP", "1 3"),
    ("prefix.urls", "https://example.com/sale", "6"),
    ("prefix.ip_addresses", "198.51.100.", "5 21"),
    ("prefix.user_agents", "mozilla/5.0 (", "5"),
    ("prefix.metadata.plan", "S", "2"),
    ("prefix.metadata.level", "7", "1 2"),
]
# These need others beside them: what is given, what is found.
TOGETHER = [
    ({"ab_tests": "header", "ab_test_versions": "2"}, "3"),
    ({"ab_test_ids": "header-test", "ab_test_versions": "2"}, ""),
    ({"ab_tests": "header", "prefix.ab_test_versions": "1"}, "2"),
    ({"ab_tests": "header", "not.ab_test_versions": "2"}, "2"),
    ({"campaigns": "friday|sale", "delimiter": "|"}, "1 3 4 5"),
    ({"prefix.urls": "https://example.com/sale?a=1,2", "delimiter": "|"}, "6"),
    ({"campaigns": "friday", "events": "bounce"}, "3"),
    ({"campaigns": "friday", "not.events": "bounce,open", "subaccounts": "101"}, "1"),
    ({"subjects": "your", "providers": "mailersend", "prefix.ip_addresses": "198"}, "21"),
    ({"not.recipients": "ada@example.com", "prefix.recipients": "a"}, "7 8"),
    ({"not.campaigns": "friday", "prefix.campaigns": "f,b"}, "2"),
    ({"metadata.plan": "gold", "metadata.level": "7"}, "1"),
    ({"metadata.plan": "gold", "not.metadata.level": "7"}, ""),
    ({"user_agents": "chrome", "not.user_agents": "windows"}, ""),
    ({"from": "2026-11-21T10:00:00Z", "to": "2026-11-21T11:00:00Z"}, "2"),
    ({"unknown": "x", "Events": "bounce", "events": "delivery"}, "1"),
]


def age_of(number: int) -> float:
    """Seconds before NOW of the event in this place: hours."""
    return 3600.0 * (number + 1)


def make_mailersend(event_id: str, age: float) -> Batch:
    """A batch of MailerSend's."""
    provider_type, morph = MAILERSEND[event_id]
    email = {
        "from": "orders@shop.example.com",
        "subject": "Your parcel",
        "tags": ["order"],
        "recipient": {"email": "Eve@example.org"},
        "message": {"id": "mm"},
    }
    created_at = format_instant(NOW - timedelta(seconds=age))
    data = {"id": event_id, "type": provider_type, "created_at": created_at, "email": email, "morph": morph}
    body = json.dumps({"type": "activity", "data": data}).encode()
    return Batch(f"raw/mailersend/2026/11/21/12/{event_id}", "mailersend", "", "request", NOW, body)


@pytest.fixture(scope="module")
def query(migrated: Postgres) -> Iterator[Connection]:
    """The query function's connection to a database with these events."""
    owner = psycopg2.connect(migrated.dsn(SUPERUSER, "mailwake"))
    with owner, owner.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")
    owner.close()
    loader = psycopg2.connect(migrated.dsn("mailwake_loader", "mailwake"), options="-c timezone=UTC")
    events = [
        make_event(event_id, event_class=event_class, age=age_of(number), **fields)
        for number, (event_id, (event_class, fields)) in enumerate(SPARKPOST.items())
    ]
    batches = [make_batch(events)]
    for number, event_id in enumerate(MAILERSEND, len(SPARKPOST) + 5):
        batches.append(make_mailersend(event_id, age_of(number)))
    for batch in batches:
        load = Loader().load(loader, batch, stored.LIMITS)
        assert load.quarantined == 0
    loader.close()
    connection = psycopg2.connect(migrated.dsn("mailwake_query", "mailwake"), options="-c timezone=UTC")
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture(params=Dialect, ids=lambda dialect: dialect.value)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each dialect of the search."""
    found: Dialect = request.param
    return found


def ask(connection: Connection, given: dict[str, str], dialect: Dialect = Dialect.EVENTS) -> dict[str, Any]:
    """The decoded answer."""
    return make_request(connection, ROUTES[dialect], given)


def find(connection: Connection, given: dict[str, str], dialect: Dialect = Dialect.EVENTS) -> set[str]:
    """The ids of what is found, as FILTERS has them."""
    answer = ask(connection, given, dialect)
    ids = [str(result["event_id"]) for result in answer["results"]]
    assert len(ids) == len(set(ids)) == answer["total_count"]
    return {"h" if event_id == SHOWN else event_id for event_id in ids}


def split_form(name: str) -> tuple[str, str]:
    """What stands before a filter's name, and the name of its row."""
    base = name.removeprefix(NEGATION).removeprefix(PREFIX)
    form = name.removesuffix(base)
    return form, "metadata.<key>" if base.startswith("metadata.") else base


@pytest.mark.parametrize(("name", "text", "ids"), FILTERS)
def test_filter_finds_these(query: Connection, dialect: Dialect, name: str, text: str, ids: str) -> None:
    """A filter finds exactly these events, by each of its names, in both dialects."""
    form, base = split_form(name)
    assert find(query, {name: text}, dialect) == set(ids.split())
    for alias in PARAMETERS[base].aliases:
        assert find(query, {form + alias: text}, dialect) == set(ids.split())


@pytest.mark.parametrize(("name", "text", "ids"), [row for row in FILTERS if PARAMETERS[split_form(row[0])[1]].forms])
def test_negation_finds_all_others(query: Connection, name: str, text: str, ids: str) -> None:
    """`not.` finds every event that the filter itself does not, those without any value too."""
    assert find(query, {NEGATION + name: text}) == ALL - set(ids.split())


@pytest.mark.parametrize(("given", "ids"), TOGETHER)
def test_parameters_work_together(query: Connection, dialect: Dialect, given: dict[str, str], ids: str) -> None:
    """An event is found where all filters hold."""
    assert find(query, given, dialect) == set(ids.split())


def test_parameters_of_the_search_itself(query: Connection) -> None:
    """`per_page`, `cursor`, `page` and `timezone`, each where its dialect knows it."""
    newest = [str(number) for number in range(1, 10)]
    first = ask(query, {"per_page": "2", "cursor": "initial"})
    assert [result["event_id"] for result in first["results"]] == newest[:2]
    second = ask(query, dict(parse_qsl(urlsplit(first["links"]["next"]).query)))
    assert [result["event_id"] for result in second["results"]] == newest[2:4]
    page = {"per_page": "2", "page": "3"}
    assert [result["event_id"] for result in ask(query, page, Dialect.V1)["results"]] == newest[4:6]
    assert [result["event_id"] for result in ask(query, page)["results"]] == newest[:2]
    local = {"from": "2026-11-21T05:00", "to": "2026-11-21T12:00Z", "timezone": "America/New_York"}
    assert find(query, local, Dialect.V1) == {"1", "2"}
    assert find(query, local) == {"1", "2", "3", "4", "5", "6", "7"}


@pytest.mark.parametrize("given", [{}, {"campaigns": "friday"}, {"not.campaigns": "friday"}], ids=str)
@pytest.mark.parametrize("enough", [1, 2_000])
def test_total_need_not_be_counted(
    query: Connection, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], enough: int
) -> None:
    """With `total=none` the pages are the same, and `total_count` is null where more is to come, unless it is known."""
    monkeypatch.setattr(search, "ENOUGH", enough)
    pages = []
    for total in ("exact", "none"):
        answer = ask(query, {**given, "per_page": "2", "total": total})
        found = [answer]
        while "next" in found[-1]["links"]:
            found.append(ask(query, dict(parse_qsl(urlsplit(found[-1]["links"]["next"]).query))))
        pages.append([[result["event_id"] for result in page["results"]] for page in found])
        known = {page["total_count"] for page in found}
        assert known <= ({sum(map(len, pages[0]))} if total == "exact" else {None, sum(map(len, pages[0]))})
        if total == "none" and not given:
            assert known == {None}
    assert pages[0] == pages[1]
    assert len(pages[0]) > 1


def test_every_parameter_is_in_these_tables() -> None:
    """Each row of the declared table, with each form that its filter has, is tried here."""
    tried = {split_form(name) for name, _, _ in FILTERS} | {split_form(name) for given, _ in TOGETHER for name in given}
    tried |= {("", name) for name in ("per_page", "cursor", "page", "timezone", "total")}
    for row in TABLE:
        assert ("", row.name) in tried
        if PREFIX in row.forms:
            assert (PREFIX, row.name) in tried


INJECTIONS = [
    "'; DROP TABLE events; --",
    '"',
    "%",
    "_",
    "\\",
    "\\%",
    "\0",
    "%(v0)s",
    "%s",
    "{}",
    "ARRAY[1]",
    "a" * 3000,
]
# What takes any text: no numbers, none of our own words.
FREE = [row for row in TABLE if row.form.is_list and row.form.schema == {"type": "string"}]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_no_value_is_sql(query: Connection, text: str) -> None:
    """Whatever a value holds, it is bound: it finds nothing, its negation everything, and nothing breaks."""
    for row in FREE:
        name = row.name.replace("<key>", "plan")
        given = {"ab_tests": "header"} if row.needs else {}
        for form in ("", *row.forms):
            found = find(query, {form + name: text, "delimiter": "||", **given})
            everything = {"2", "3"} if row.needs else ALL
            assert found == (everything if form.startswith(NEGATION) else set()), form + name
    assert find(query, {f"metadata.{text}": "gold"}) == set()
    assert find(query, {}) == ALL


LIMITS = {"few": (100, 2_000, 20_000), "list": (100, 0, 20_000), "hash": (0, 0, 20_000), "look up": (0, 0, 0)}
LIMITS |= {f"{name}, dense": limits for name, limits in LIMITS.items()}
LIMITS |= dict.fromkeys(("walk", "walk, dense"), LIMITS["few"])


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_number_of_keys_changes_no_result(
    query: Connection, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, limits: tuple[int, int, int]
) -> None:
    """Whether shared rows' keys are few or too many to be listed, the page and the count are the same."""
    for name, limit in zip(("FEW", "SOME", "MOST", "FEW_COUNTED"), (*limits, limits[0]), strict=True):
        monkeypatch.setattr(shared_keys, name, limit)
    months = timedelta(days=100_000 if "dense" in request.node.name else 0)
    monkeypatch.setattr(search, "measure_months", lambda _begin, _end: months)
    if "walk" in request.node.name:
        monkeypatch.setattr(search, "ENOUGH", 1)
    for name, text, ids in FILTERS:
        found = set(ids.split())
        assert find(query, {name: text}) == found, name
        assert ask(query, {name: text, "per_page": "1"})["total_count"] == len(found), name
        if PARAMETERS[split_form(name)[1]].forms:
            assert find(query, {NEGATION + name: text}) == ALL - found, name
            assert ask(query, {NEGATION + name: text, "per_page": "1"})["total_count"] == len(ALL - found), name
