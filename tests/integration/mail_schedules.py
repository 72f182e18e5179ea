"""Random schedules of mails to members: what a plain model expects, beside what ticks do to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cohort_evaluator.caps import Caps
from cohort_evaluator.mail_pause import pause, resume
from cohort_evaluator.mailing import Rules, is_held_out
from cohort_evaluator.notifying import notify
from common.json_text import encode_json
from local.postgres import SUPERUSER
from tests.integration.conftest import Connect
from tests.integration.test_loading import select

BEGINNING = datetime(2026, 10, 22, 9, tzinfo=UTC)  # three days before clocks go back in Europe
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "nowhere", None)
USUAL_ZONE = ZoneInfo("Australia/Lord_Howe")
QUIET = {"from": "20:30", "to": "09:15", "time_zone": "Europe/London"}
COHORTS = (1, 2)
PEOPLE = 9


class Notification(NamedTuple):
    """As it is saved; each has an id of its own."""

    number: int
    cohort: int
    brief: bool
    every: timedelta | None
    give_up: timedelta
    quiet: bool
    ignores_caps: bool
    hold_out: float

    @property
    def definition(self) -> dict[str, Any]:
        """The JSON."""
        settings: dict[str, Any] = {"template": "hello", "hold_out": self.hold_out}
        settings["repeat"] = "once" if self.every is None else {"every": f"{int(self.every.total_seconds())} seconds"}
        settings["give_up"] = f"{int(self.give_up.total_seconds())} seconds"
        settings |= {"quiet": QUIET} if self.quiet else {}
        settings |= {"ignores_caps": True} if self.ignores_caps else {}
        name, cohort = f"n{self.number}", f"c{self.cohort}"
        return {"name": name, "cohort": cohort, "on": ["entered"], "brief": self.brief, "channel": {"mail": settings}}


class Waiting(NamedTuple):
    """One that is due."""

    due_at: datetime
    entered_at: datetime
    name: str
    notification: Notification
    person: int


class Model:
    """What is to happen, in plain Python."""

    def __init__(self, notifications: list[Notification], caps: Caps, zones: dict[int, str | None]) -> None:
        self.notifications, self.caps, self.zones = notifications, caps, zones
        self.members: dict[int, dict[int, datetime]] = {cohort: {} for cohort in COHORTS}  # person → entered_at
        self.waiting: list[Waiting] = []
        self.had: dict[tuple[int, int], tuple[datetime, int]] = {}  # notification, person → when it was due, how often
        self.log: list[tuple[int, datetime]] = []
        self.written: dict[str, datetime] = {}
        self.dropped: set[str] = set()
        self.paused = False

    def find_zone(self, person: int) -> ZoneInfo | None:
        """Her own."""
        name = self.zones[person]
        return ZoneInfo(name) if name not in (None, "nowhere") else None

    def is_quiet(self, person: int, instant: datetime) -> bool:
        """By the clock on the wall."""
        clock = instant.astimezone(self.find_zone(person) or ZoneInfo(QUIET["time_zone"])).strftime("%H:%M")
        return clock >= QUIET["from"] or clock < QUIET["to"]

    def is_capped(self, person: int, instant: datetime) -> bool:
        """By the calendar on the wall."""
        zone = self.find_zone(person) or USUAL_ZONE
        mine = [at.astimezone(zone) for who, at in self.log if who == person]
        here = instant.astimezone(zone)
        in_day = sum(at.date() == here.date() for at in mine)
        in_week = sum(at.isocalendar()[:2] == here.isocalendar()[:2] for at in mine)
        return bool(
            (self.caps.per_day and in_day >= self.caps.per_day)
            or (self.caps.per_week and in_week >= self.caps.per_week)
        )

    def has_had(self, notification: Notification, person: int, instant: datetime) -> bool:
        """Whether it is not due for her again."""
        at, times = self.had.get((notification.number, person), (instant, 0))
        return times > 0 and (notification.every is None or at + notification.every > instant)

    def drop(self, one: Waiting) -> None:
        """It does not go."""
        self.waiting.remove(one)
        self.dropped.add(one.name)

    def merge(self, other: int, person: int) -> None:
        """One becomes part of another person."""
        self.waiting = [one._replace(person=person) if one.person == other else one for one in self.waiting]
        self.log = [(person if who == other else who, at) for who, at in self.log]
        for notification in self.notifications:
            mine = sorted(
                (one for one in self.waiting if (one.notification, one.person) == (notification, person)),
                key=lambda one: (one.due_at, one.name),
            )
            for one in mine[1:]:
                self.drop(one)
            if found := self.had.pop((notification.number, other), None):
                at, times = self.had.get((notification.number, person), (found[0], 0))
                self.had[notification.number, person] = (max(at, found[0]), times + found[1])

    def tick(self, instant: datetime, changes: list[tuple[int, int, int, str, datetime]], merged: set[int]) -> None:
        """Transitions (id, cohort, person, kind, at) since the last one, and into whom others were merged."""
        for one in list(self.waiting):
            is_member = one.person in self.members[one.notification.cohort]
            if not is_member or (one.person in merged and self.has_had(one.notification, one.person, instant)):
                self.drop(one)
        for notification in self.notifications:
            self._collect(notification, instant, changes)
            for one in list(self.waiting):
                if one.notification == notification and one.due_at + notification.give_up <= instant:
                    self.drop(one)
                    if notification.every:
                        times = self.had.get((notification.number, one.person), (instant, 0))[1]
                        self.had[notification.number, one.person] = (instant, times)
        for one in sorted(self.waiting, key=lambda one: one[:3]) if not self.paused else []:
            if one.notification.quiet and self.is_quiet(one.person, instant):
                continue
            if not one.notification.ignores_caps and self.is_capped(one.person, instant):
                continue
            self.waiting.remove(one)
            self.written[one.name] = instant
            if not is_held_out(f"n{one.notification.number}", one.person, one.notification.hold_out):
                self.log.append((one.person, instant))
            times = self.had.get((one.notification.number, one.person), (instant, 0))[1]
            self.had[one.notification.number, one.person] = (instant, times + 1)

    def _collect(
        self, notification: Notification, instant: datetime, changes: list[tuple[int, int, int, str, datetime]]
    ) -> None:
        number, members = notification.number, self.members[notification.cohort]
        waits = {one.person for one in self.waiting if one.notification == notification}
        for person in members.keys() - waits:
            mine = [change for change in changes if change[1:3] == (notification.cohort, person)]
            name, entered_at = "", instant
            is_new = bool(mine) and mine[-1][3] == "entered" and (notification.brief or mine[0][3] == "entered")
            if is_new and not self.has_had(notification, person, instant):
                name, entered_at = f"mail-{number}-{mine[-1][0]}", mine[-1][4]
            found = self.had.get((number, person))
            if not name and found and notification.every and found[0] + notification.every <= instant:
                name, entered_at = f"mail-{number}-{person}-{int(instant.timestamp())}", members[person]
            if name:
                self.waiting.append(Waiting(instant, entered_at, name, notification, person))


class Schedule:
    """A schedule: the model, and the database."""

    def __init__(self, connect: Connect, seed: int) -> None:
        self.random = Random(seed)
        self.owner, self.evaluator = connect(SUPERUSER), connect("mailwake_evaluator")
        choose = self.random.choice
        notifications = [
            Notification(
                number=number,
                cohort=choose(COHORTS),
                brief=choose((True, False)),
                every=choose((None, timedelta(hours=30), timedelta(days=4))),
                give_up=choose((timedelta(hours=15), timedelta(days=3))),
                quiet=choose((True, True, False)),
                ignores_caps=choose((True, False, False)),
                hold_out=choose((0, 0, 0.4)),
            )
            for number in (1, 2, 3)
        ]
        self.caps = choose((Caps(), Caps(per_day=1), Caps(per_day=2, per_week=3), Caps(per_week=2)))
        self.instant = BEGINNING
        self.model = Model(notifications, self.caps, {person: choose(ZONES) for person in range(1, PEOPLE + 1)})
        self.news: list[tuple[int, int, str, datetime]] = []  # cohort, person, kind, at; not seen by a tick so far
        self.merges: list[tuple[int, int]] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self._fill()

    def _fill(self) -> None:
        with self.owner, self.owner.cursor() as cursor:
            for cohort in COHORTS:
                cursor.execute(
                    "INSERT INTO cohorts (cohort_id, name, version, wanted) OVERRIDING SYSTEM VALUE"
                    " VALUES (%s, %s, 1, 1);"
                    "INSERT INTO cohort_versions (cohort_id, version, definition, created_at, created_by)"
                    " VALUES (%s, 1, %s, now(), 'test')",
                    (cohort, f"c{cohort}", cohort, '{"title": "One", "subject": "user"}'),
                )
            for one in self.model.notifications:
                cursor.execute(
                    "INSERT INTO notifications (notification_id, name, cohort_id, definition, created_at, created_by,"
                    " seen, period_began) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, now(), 'test', 0, now())",
                    (one.number, f"n{one.number}", one.cohort, encode_json(one.definition).decode()),
                )
            cursor.execute("INSERT INTO email_templates VALUES ('hello', 1, '{\"topic\": \"news\"}', now(), 'test')")
            for person, zone in self.model.zones.items():
                cursor.execute(
                    "INSERT INTO identities VALUES (%s, %s, 'user', %s, %s)", (person, person, f"u{person}", person)
                )
                cursor.execute(
                    "INSERT INTO trait_writes VALUES (%s, '{metadata,timezone}', now(), %s)",
                    (person, encode_json(zone).decode()),
                )

    def run(self) -> None:
        """Some days of it, compared after each tick."""
        for _ in range(self.random.randint(10, 30)):
            self.instant += timedelta(minutes=self.random.choice((1, 7, 61, 200, 431, 900, 2000)))
            for _ in range(self.random.randint(0, 4)):
                self._happen()
            if self.random.random() < 0.2:
                self._tick(breaks_off=True)
            self._tick()
            if self.random.random() < 0.2:
                self._tick()  # at the same instant
            if self.random.random() < 0.8:
                self._publish()
            self._compare()

    def _happen(self) -> None:
        what = self.random.random()
        people = sorted(self.model.zones)
        person, cohort = self.random.choice(people), self.random.choice(COHORTS)
        if what < 0.12 and len(people) > 3:
            other = self.random.choice([one for one in people if one != person])
            self._merge(max(person, other), min(person, other))
        elif what < 0.18:
            if self.model.paused:
                resume(self.evaluator, self.instant, "test")
            else:
                pause(self.evaluator, self.instant, "test")
            self.model.paused = not self.model.paused
        elif person in self.model.members[cohort]:
            if self.random.random() < 0.6:
                del self.model.members[cohort][person]
                self.news.append((cohort, person, "exited", self.instant))
        else:
            self._enter(cohort, person)

    def _enter(self, cohort: int, person: int) -> None:
        at = self.instant - timedelta(seconds=self.random.randint(0, 50))
        self.model.members[cohort][person] = at
        self.news.append((cohort, person, "entered", at))

    def _merge(self, other: int, person: int) -> None:
        """Whoever is in as the one may be in as the other."""
        self.merges.append((other, person))
        del self.model.zones[other]
        with self.owner, self.owner.cursor() as cursor:
            cursor.execute("UPDATE identities SET person_id = %s WHERE person_id = %s", (person, other))
            cursor.execute("DELETE FROM trait_writes WHERE identity_id = %s", (other,))
        # The tick finds all of it at once: what was not told of her is told of nobody.
        self.news = [one for one in self.news if one[1] != other]
        for cohort, members in self.model.members.items():
            if members.pop(other, None) and person not in members and self.random.random() < 0.5:
                self._enter(cohort, person)

    @contextmanager
    def _begin_tick(self) -> Iterator[Any]:
        with self.evaluator, self.evaluator.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE superseded (subject_id int, person_id int) ON COMMIT DROP")
            for other, _ in self.merges:
                cursor.execute(
                    "INSERT INTO superseded SELECT %s, person_id FROM identities WHERE identity_id = %s", (other, other)
                )
            yield cursor

    def _tick(self, *, breaks_off: bool = False) -> None:
        """What a tick does to memberships, and then the part that is tested."""
        changes = []
        with self._begin_tick() as cursor:
            for other, _ in self.merges:
                cursor.execute(
                    "UPDATE memberships SET exited_at = greatest(entered_at, %s)"
                    " WHERE subject_id = %s AND exited_at IS NULL",
                    (self.instant, other),
                )
            for cohort, person, kind, at in self.news:
                cursor.execute(
                    "INSERT INTO transitions (cohort_id, version, subject_id, kind, at, told_at, cause)"
                    " VALUES (%s, 1, %s, %s, %s, %s, '{}') RETURNING transition_id",
                    (cohort, person, kind, at, self.instant),
                )
                changes.append((cursor.fetchall()[0][0], cohort, person, kind, at))
                if kind == "entered":
                    cursor.execute("INSERT INTO memberships VALUES (%s, %s, %s)", (cohort, person, at))
                else:
                    cursor.execute(
                        "UPDATE memberships SET exited_at = greatest(entered_at, %s)"
                        " WHERE cohort_id = %s AND subject_id = %s AND exited_at IS NULL",
                        (at, cohort, person),
                    )
            notify(cursor, self.instant, Rules(self.caps, USUAL_ZONE))
            if breaks_off:
                self.evaluator.rollback()
                return
        for other, person in self.merges:
            self.model.merge(other, person)
        self.model.tick(self.instant, changes, {person for _, person in self.merges})
        self.news, self.merges = [], []

    def _publish(self) -> None:
        """Puts the outbox into S3; breaks off before it is deleted now and then."""
        for name, body in select(self.owner, "SELECT id, body FROM outbox"):
            assert self.bodies.setdefault(name, body) == body, "what comes again is the same"
        if self.random.random() < 0.8:
            with self.owner, self.owner.cursor() as cursor:
                cursor.execute("DELETE FROM outbox")
        self.owner.commit()

    def _compare(self) -> None:
        """Everything that was due is where the model has it; and none of what must never be has been."""
        outbox = dict(select(self.owner, "SELECT id, body FROM outbox"))
        assert all(self.bodies.get(name, body) == body for name, body in outbox.items()), "none is written twice"
        bodies = {name: body for name, body in {**self.bodies, **outbox}.items() if body["kind"] == "mail"}
        written = {name for name, body in bodies.items() if "dropped" not in body}
        dropped = bodies.keys() - written
        waiting = {name for (name,) in select(self.owner, "SELECT id FROM mails_due WHERE dropped IS NULL")}
        expected = self.model
        assert (written, dropped) == (set(expected.written), expected.dropped)
        assert waiting == {one.name for one in expected.waiting}
        assert select(self.owner, "SELECT count(*) FROM mails_due WHERE dropped IS NOT NULL") == [(0,)]
        self.owner.commit()
        for name in written:
            body = bodies[name]
            assert body["created_at"] == expected.written[name].strftime("%Y-%m-%dT%H:%M:%S.000Z")
            if quiet := body.get("quiet"):
                clock = expected.written[name].astimezone(ZoneInfo(quiet["time_zone"])).strftime("%H:%M")
                assert QUIET["to"] <= clock < QUIET["from"]
