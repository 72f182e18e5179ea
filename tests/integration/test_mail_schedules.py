"""Random schedules: never a mail in quiet hours or over a cap, none lost, none twice."""

import os

from tests.integration.conftest import TABLES, Connect
from tests.integration.mail_schedules import Schedule

SCHEDULES = int(os.environ.get("MAIL_SCHEDULES", "15"))
FIRST = int(os.environ.get("MAIL_SCHEDULES_FROM", "1"))


def test_what_waits_goes_as_a_plain_model_has_it(connect: Connect) -> None:
    """Whoever enters, leaves, or turns out to be somebody else, while mails are paused and ticks break off."""
    written = 0
    for seed in range(FIRST, FIRST + SCHEDULES):
        schedule = Schedule(connect, seed)
        try:
            schedule.run()
        except BaseException as failure:
            failure.add_note(f"schedule {seed}")
            raise
        written += len(schedule.model.written)
        with schedule.owner, schedule.owner.cursor() as cursor:
            cursor.execute(f"TRUNCATE {TABLES} RESTART IDENTITY")
        schedule.owner.close()
        schedule.evaluator.close()
    assert written > 5 * SCHEDULES
