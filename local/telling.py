"""The end of the demonstration: somebody enters a cohort; she, the team and another system are told; she clicks."""

from datetime import UTC, datetime
from typing import Protocol

from local.cohort_tour import NAME, Tour, draw_transitions
from local.mail_tour import CLICKED, MailTour, draw_mail, draw_webhook
from local.receiver import Receiver
from local.stack import Stack

PATIENCE_S = 60.0


class Speaker(Protocol):
    """Who prints lines of progress."""

    def say(self, message: str) -> None:
        """Prints one."""


def tell_people(stack: Stack, receiver: Receiver, steps: Speaker) -> bool:
    """The steps, each printed; whether all went as they must."""
    cohort = Tour(stack, PATIENCE_S)
    mails = MailTour(stack, cohort, receiver, PATIENCE_S)
    steps.say(f"saved a cohort, first API call today and a 400: {cohort.save_cohort()}")
    statuses = mails.prepare()
    steps.say(f"saved a template, a mail to its members, a webhook, and a cohort of who clicks: {statuses}")
    steps.say(f"somebody says who she is: {mails.identify()}")
    steps.say(f"her first call is answered 400: {cohort.call(400, datetime.now(UTC))}")
    cohort.await_transitions(["entered"])
    mail = mails.await_mail()
    if mail is None:
        print("she got no mail")
        return False
    steps.say(f"she is in, and gets a mail: {stack.inbox_url}/{mail.id}")
    print(f"\n{draw_mail(mail)}\n")
    told = mails.await_webhook()
    if not told:
        print("the webhook did not come, or its signature is wrong")
        return False
    steps.say(f"a webhook came to {receiver.url}; its signature is right")
    print(f"\n  {draw_webhook(told)}\n")
    digest = cohort.await_delivery()
    steps.say(f"the team has been told: {digest.get('channel')} to {digest.get('recipient')}, {digest.get('state')}")
    steps.say(f"she clicks a link in her mail, which leads to {mails.click(mail)}")
    events = mails.await_events({"injected", "delivered", "opened", "clicked"})
    happened = ", ".join(dict.fromkeys(event["event_type"] for event in events))
    steps.say(f"SES told of it through SNS, and the API knows: {happened}")
    joined = cohort.await_transitions(["entered"], CLICKED)
    steps.say(f"her next call is answered 200: {cohort.call(200, datetime.now(UTC))}")
    turns = cohort.await_transitions(["entered", "exited"])
    steps.say(f"the click has moved her into {CLICKED}, and the call out of {NAME}; the API says when, and why")
    print(f"\n  {NAME}\n{draw_transitions(turns)}\n\n  {CLICKED}\n{draw_transitions(joined)}\n")
    moved = ([turn["kind"] for turn in turns], [turn["kind"] for turn in joined]) == (
        ["entered", "exited"],
        ["entered"],
    )
    if digest.get("state") != "sent":
        print(f"the team was not told: {digest}")
    if not moved:
        print(f"the cohorts' changes are wrong: {turns}, {joined}")
    if set(statuses) - {200, 201}:
        print(f"not everything could be saved: {statuses}")
    return digest.get("state") == "sent" and moved and not set(statuses) - {200, 201}
