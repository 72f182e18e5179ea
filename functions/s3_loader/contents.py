"""What a batch of behaviour says, sorted out."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from common.activities import Activity, Link, Profile, Series
from common.events import Unparseable
from providers import Delivery
from s3_loader.batches import LATEST, Batch, Limits, decompress
from s3_loader.quarantine import SetAside
from s3_loader.regular_calls import Scanned, Scanner
from sources import Item, Source
from sources._moesif_sent import CALLS, SOURCE


class Content(NamedTuple):
    """What a batch says, sorted out."""

    activities: list[Activity]
    profiles: list[Profile]
    links: list[Link]
    series: list[Series]
    unparseable: SetAside
    expired: int
    scans: Sequence[Scanned] = ()  # API calls that are no `activities`


def read_content(source: Source, batch: Batch, limits: Limits, scanner: Scanner | None = None) -> Content:
    """What a batch says; what is too far from its arrival, or past the retention, is told apart.

    With a scanner its regular API calls become a scan, the others activities as ever.
    """
    content, scanned = Content([], [], [], [], SetAside(), 0), None
    try:
        body = decompress(batch.body)
    except ValueError as failure:
        content.unparseable.append(Unparseable(None, str(failure), None))
        return content
    earliest, latest = batch.received_at - limits.oldest, batch.received_at + LATEST
    expired_before, expired, refused = limits.expired_before, 0, -1
    keep = content.activities.append
    delivery = Delivery(batch.received_at, batch.content_type, batch.query, batch.provider_batch_id or "")
    if scanner is not None and batch.provider == SOURCE and batch.query == CALLS:
        scanned = scanner.scan(body, earliest=max(earliest, expired_before), latest=latest)
    for item in source.parse(body, delivery) if scanned is None else _parse_odd(source, scanned, delivery):
        if isinstance(item, Activity):
            if not earliest <= item.occurred_at <= latest:
                refused = item.position
                content.unparseable.append(_refuse(item.position, item.occurred_at, source.restore(item)))
            elif item.occurred_at < expired_before:
                expired += 1
            else:
                keep(item)
        elif isinstance(item, Unparseable):
            content.unparseable.append(item)
        elif isinstance(item, Series):
            expired += _read_series(content, item, earliest, latest, expired_before)
        elif item.at > latest:  # it would win over all that is said later; one that is old harms nothing
            if item.position != refused:
                refused = item.position
                content.unparseable.append(_refuse(item.position, item.at, None))
        elif isinstance(item, Profile):
            content.profiles.append(item)
        else:
            content.links.append(item)
    return content._replace(expired=expired, scans=() if scanned is None else (scanned,))


def _parse_odd(source: Source, scanned: Scanned, delivery: Delivery) -> Iterator[Item]:
    """What the items say that are left to Python, with the positions that they have in the whole body."""
    positions, rest = scanned.list_odd()
    if positions:
        for item in source.parse(rest, delivery):
            yield item if item.position is None else item._replace(position=positions[item.position])


def _read_series(
    content: Content, series: Series, earliest: datetime, latest: datetime, expired_before: datetime
) -> int:
    """Keeps the samples that are near enough to their arrival; how many of the others are past the retention."""
    sane = [sample for sample in series.samples if earliest <= sample.at <= latest]
    kept = [sample for sample in sane if sample.at >= expired_before]
    if len(sane) < len(series.samples):
        worst = next(sample for sample in series.samples if not earliest <= sample.at <= latest)
        content.unparseable.append(_refuse(series.position, worst.at, {"labels": series.labels}))
    if kept:
        content.series.append(series._replace(samples=kept))
    return len(sane) - len(kept)


def _refuse(position: int, instant: datetime, item: object) -> Unparseable:
    return Unparseable(position, f"its time {instant:%Y-%m-%dT%H:%M:%SZ} is too far from its arrival", item)


def count_samples(content: Content) -> int:
    """How many samples a batch holds."""
    return sum(len(one.samples) for one in content.series)


def count_items(content: Content) -> int:
    """How many things a batch says: activities, samples, and items that say something of people."""
    said = {one.position for one in content.profiles} | {one.position for one in content.links}
    if said:  # an item may say several things
        said -= {one.position for one in content.activities}
    return len(content.activities) + count_calls(content) + len(said) + count_samples(content)


def count_calls(content: Content) -> int:
    """How many of a batch's API calls are scanned."""
    return sum(one.count for one in content.scans)


def list_hours(content: Content) -> list[datetime]:
    """The hours that hold one of these."""
    return [hour for one in content.scans for hour in one.list_hours()]


def find_late_hours(times: Iterable[datetime], late_before: datetime | None) -> list[datetime]:
    """The hours of those times that lie before; none where no hour is packed yet (`late_before` is None)."""
    if late_before is None:
        return []
    return sorted({at.replace(minute=0, second=0, microsecond=0) for at in times if at < late_before})


def list_weeks(content: Content) -> list[tuple[str, datetime]]:
    """Which partitions a batch needs: of which table, and the Monday that each begins with."""
    by_table = {
        "activities": {*(one.occurred_at for one in content.activities), *list_hours(content)},
        "samples": {sample.at for one in content.series for sample in one.samples},
    }
    weeks = []
    for table, instants in by_table.items():
        days = {instant.replace(hour=0, minute=0, second=0, microsecond=0) for instant in instants}
        weeks += [(table, monday) for monday in sorted({day - timedelta(days=day.weekday()) for day in days})]
    return weeks


def join_contents(contents: Iterable[Content]) -> Content:
    """What several batches say, but for what was set aside of each."""
    scans: list[Scanned] = []
    whole = Content([], [], [], [], SetAside(), 0, scans)
    for content in contents:
        scans.extend(content.scans)
        whole.activities.extend(content.activities)
        whole.profiles.extend(content.profiles)
        whole.links.extend(content.links)
        whole.series.extend(content.series)
    return whole
