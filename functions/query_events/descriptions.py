"""What events look like, in our words: the one description that documentation and samples are made from.

Source of which fields a type has: SparkPost's event reference and its samples. `TYPES`, `CLASSES` and `FIELDS` describe
SparkPost's webhooks; `OURS` are the fields that the search adds.
"""

from typing import NamedTuple

from providers.sparkpost import TYPES as CLASS_OF_TYPE

# Class → its name for people, and what it is about.
CLASSES = {
    "message_event": ("Message events", "The way of a message to its recipient, and what came back."),
    "track_event": ("Engagement events", "A recipient opened a message or followed a link in it."),
    "gen_event": ("Generation events", "A message could not be made."),
    "unsubscribe_event": ("Unsubscribe events", "A recipient wants no more mail."),
    "relay_event": ("Relay events", "The way of a mail that came in and is handed on to you."),
    "ab_test_event": ("A/B test events", "A test of a template's versions came to its end."),
    "ingest_event": ("Ingest events", "What became of a batch of events uploaded to the provider."),
}

# Type → its name for people, and what happened.
TYPES = {
    "injection": ("Injection", "The provider accepted the message for sending."),
    "delivery": ("Delivery", "The receiving server accepted the message."),
    "delay": ("Delay", "The receiving server put the message off; the provider tries again."),
    "bounce": ("Bounce", "The receiving server refused the message for good."),
    "out_of_band": ("Out of band", "The receiving server accepted the message first and returned it by mail later."),
    "policy_rejection": ("Policy rejection", "The provider refused to send: a policy, or the address is suppressed."),
    "spam_complaint": ("Spam complaint", "The recipient's mailbox provider passed on that she called it spam."),
    "sms_status": ("SMS status", "An SMS carrier reported on a text message."),
    "generation_failure": ("Generation failure", "An error in template or data kept the message from being made."),
    "generation_rejection": ("Generation rejection", "The provider refused to make the message."),
    "open": ("Open", "The message was opened: the pixel at its end was loaded."),
    "initial_open": ("Initial open", "The message was opened: the pixel at its top was loaded."),
    "click": ("Click", "A link in the message was followed."),
    "amp_open": ("AMP open", "The message's AMP part was opened: the pixel at its end was loaded."),
    "amp_initial_open": ("AMP initial open", "The message's AMP part was opened: the pixel at its top was loaded."),
    "amp_click": ("AMP click", "A link in the message's AMP part was followed."),
    "list_unsubscribe": ("List unsubscribe", "The recipient used the mail program's button to unsubscribe."),
    "link_unsubscribe": ("Link unsubscribe", "The recipient followed a link that is marked as one to unsubscribe."),
    "relay_injection": ("Relay injection", "The provider accepted an incoming mail for handing on."),
    "relay_delivery": ("Relay delivery", "An incoming mail was handed on."),
    "relay_tempfail": ("Relay temporary failure", "Handing an incoming mail on failed; the provider tries again."),
    "relay_permfail": ("Relay permanent failure", "Handing an incoming mail on failed for good."),
    "relay_rejection": ("Relay rejection", "The provider refused an incoming mail."),
    "ab_test_completed": ("A/B test completed", "A test has ended, and a version was chosen."),
    "ab_test_cancelled": ("A/B test cancelled", "A test was called off."),
    "success": ("Ingest success", "A batch of uploaded events was taken in, as far as the counts say."),
    "error": ("Ingest error", "A batch of uploaded events was refused."),
}

ALL = frozenset(TYPES)


def _of(*classes: str) -> frozenset[str]:
    return frozenset(name for name in TYPES if CLASS_OF_TYPE[name][0] in classes)


SMS = frozenset({"sms_status"})
TRACK, GEN, UNSUBSCRIBE, RELAY = _of("track_event"), _of("gen_event"), _of("unsubscribe_event"), _of("relay_event")
AB_TEST, INGEST = _of("ab_test_event"), _of("ingest_event")
MAIL = _of("message_event") - SMS | TRACK | GEN | UNSUBSCRIBE
POLICY = frozenset({"policy_rejection"})
SENT = MAIL - POLICY - GEN  # what was accepted for sending
RELAYED = frozenset({"relay_delivery", "relay_tempfail", "relay_permfail"})
RECEIVED = frozenset({"relay_injection", "relay_rejection"})
TRACKED = frozenset({"bounce", "delivery", "injection", "delay"}) | TRACK | UNSUBSCRIBE
BOUNCES = frozenset({"bounce", "delay", "out_of_band", "policy_rejection", "generation_rejection"})
FAILURES = BOUNCES | GEN | frozenset({"relay_rejection", "relay_tempfail", "relay_permfail"})
LINKS = frozenset({"click", "amp_click", "link_unsubscribe"})
TEXTS = frozenset({"bounce", "delivery", "injection", "delay", "sms_status"})


class Field(NamedTuple):
    """A field of webhooks: what it says, an example as webhooks have it, and which types have it."""

    description: str
    sample: object
    types: frozenset[str]


_REASON = "550 5.1.1 <ada@example.com>: no such user"
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_AGENT_PARSED = {
    "agent_family": "Firefox",
    "device_brand": "Other",
    "device_family": "Other",
    "os_family": "Linux",
    "os_version": "0.0",
    "is_mobile": False,
    "is_proxy": False,
    "is_prefetched": False,
}
_GEO = {"country": "GB", "region": "ENG", "city": "London", "latitude": 51.5074, "longitude": -0.1278}
_AB_TEST = {"id": "subject-lines", "version": 2, "winning_template_id": "welcome-b"}

FIELDS = {
    "type": Field("What happened", "", ALL),
    "timestamp": Field("When it happened; in webhooks seconds since 1970", "1795252353", ALL),
    "event_id": Field("The event's own id", "92356927693813856", ALL - SMS),
    "customer_id": Field("The account", "1", ALL),
    "subaccount_id": Field("The subaccount; 0 is the account itself", "101", ALL),
    "rcpt_to": Field("The recipient's address in lower case", "ada@example.com", MAIL | RECEIVED),
    "raw_rcpt_to": Field("The recipient's address as the sender wrote it", "Ada@example.com", MAIL | RECEIVED),
    "rcpt_hash": Field("The recipient's address, hashed", "b07f4d8f1a9c2e53", MAIL),
    "rcpt_type": Field("How the recipient was addressed: to, cc, bcc", "to", MAIL - GEN - {"out_of_band"}),
    "rcpt_meta": Field("Metadata that the sender attached", {"order": "A-1815"}, MAIL),
    "rcpt_tags": Field("Tags that the sender attached", ["welcome", "trial"], MAIL),
    "rcpt_subs": Field("The recipient's data for the template", {"first_name": "Ada"}, GEN),
    "recipient_domain": Field("The domain of the recipient's address", "example.com", MAIL),
    "routing_domain": Field(
        "The domain that the mail was sent to", "example.com", MAIL - POLICY | SMS | RELAY - {"relay_rejection"}
    ),
    "mailbox_provider": Field("Who keeps the recipient's mailbox", "Gmail", MAIL),
    "mailbox_provider_region": Field("Where that provider is at home", "Global", MAIL),
    "message_id": Field("The message: one for each recipient", "0e0d94b79085c273e4a1", MAIL - GEN),
    "transmission_id": Field("The sending that the message is part of", "65832150921904138", MAIL),
    "campaign_id": Field("The campaign", "spring-sale", MAIL),
    "template_id": Field("The template", "welcome", MAIL),
    "template_version": Field("The template's version", "3", MAIL),
    "subject": Field("The subject", "Welcome aboard", MAIL - POLICY - {"generation_failure"}),
    "ab_test_id": Field("The A/B test", "subject-lines", MAIL - {"bounce", "delay"}),
    "ab_test_version": Field("The A/B test's version", "1", MAIL - {"bounce", "delay"}),
    "friendly_from": Field("The sender's address as recipients see it", "news@shop.example", MAIL),
    "msg_from": Field("The sender's address of the envelope", "bounces@mail.shop.example", MAIL - GEN | RELAY),
    "sending_ip": Field("The address that the provider sent from", "192.0.2.10", MAIL | SMS),
    "ip_pool": Field("The pool that this address is of", "marketing", MAIL | SMS),
    "transactional": Field('"1": not marketing; suppressions of marketing don\'t count', "1", MAIL),
    "injection_time": Field("When the provider accepted the message", "2026-11-21T09:12:30.000Z", MAIL - GEN),
    "scheduled_time": Field("When it was to be sent, in seconds since 1970", "1795252350", MAIL - POLICY),
    "recv_method": Field("How the provider got it: rest, esmtp", "rest", MAIL - TRACK - {"spam_complaint"}),
    "delv_method": Field(
        "How it was sent: esmtp, gcm, apn", "esmtp", SENT - {"injection", "list_unsubscribe"} | SMS | RELAYED
    ),
    "msg_size": Field("The message's bytes", "13370", SENT | {"relay_injection"}),
    "num_retries": Field("How often sending was tried again", "2", SENT - {"injection"} | RELAYED),
    "queue_time": Field("Milliseconds from acceptance to this", "1200", SENT - {"injection", "bounce"} | RELAYED),
    "outbound_tls": Field(
        '"1": sent encrypted, "0": not, "-1": unknown', "1", frozenset({"delivery", "delay", "relay_permfail"})
    ),
    "open_tracking": Field("Whether opens were tracked", True, TRACKED),  # noqa: FBT003
    "click_tracking": Field("Whether clicks were tracked", True, TRACKED),  # noqa: FBT003
    "initial_pixel": Field("Whether there was a pixel at the top", True, TRACKED),  # noqa: FBT003
    "amp_enabled": Field("Whether the message had an AMP part", False, TRACKED),  # noqa: FBT003
    "reason": Field("Why, without what is different for each recipient", "550 5.1.1 no such user", FAILURES | SMS),
    "raw_reason": Field("Why, in the receiving server's words", _REASON, FAILURES | SMS),
    "error_code": Field("The receiving server's SMTP code", "550", FAILURES),
    "bounce_class": Field("Why, as a number of SparkPost's classes", "10", BOUNCES),
    "ip_address": Field(
        "The address of who opened or clicked, or of the receiving server", "203.0.113.7", SENT - {"injection"} | SMS
    ),
    "user_agent": Field("The program that opened or clicked", _AGENT, TRACK | {"link_unsubscribe"}),
    "user_agent_parsed": Field("What the program's name tells", _AGENT_PARSED, TRACK),
    "geo_ip": Field("Where the address is", _GEO, TRACK),
    "target_link_url": Field("The link", "https://shop.example/welcome", LINKS),
    "target_link_name": Field("The link's name in the template", "button", LINKS),
    "mailfrom": Field("Who wrote the request to unsubscribe", "ada@example.com", UNSUBSCRIBE),
    "fbtype": Field("The kind of complaint", "abuse", frozenset({"spam_complaint"})),
    "report_by": Field("Who passed the complaint on", "mx.example.com", frozenset({"spam_complaint"})),
    "report_to": Field("Where the complaint was sent", "abuse.shop.example", frozenset({"spam_complaint"})),
    "user_str": Field("What else the complaint says", "feedback loop 7", frozenset({"spam_complaint"})),
    "remote_addr": Field("The address that the mail was sent from", "198.51.100.4", POLICY | {"relay_rejection"}),
    "device_token": Field(
        "The device of a push message", "45c19189783f8679", frozenset({"bounce", "delivery", "delay", "out_of_band"})
    ),
    "sms_coding": Field("The text's alphabet", "ASCII", TEXTS),
    "sms_dst": Field("The number that the text went to", "15550100", TEXTS),
    "sms_dst_npi": Field("That number's plan", "E164", TEXTS),
    "sms_dst_ton": Field("That number's type", "International", TEXTS),
    "sms_src": Field("The number that the text came from", "15550199", TEXTS),
    "sms_src_npi": Field("That number's plan", "E164", TEXTS),
    "sms_src_ton": Field("That number's type", "International", TEXTS),
    "sms_remoteids": Field("The carrier's ids of the text's parts", ["0000", "0001"], TEXTS),
    "sms_segments": Field("How many parts the text has", 2, TEXTS),
    "sms_text": Field("The text", "Your parcel is here", TEXTS),
    "dr_latency": Field("Seconds from sending to this report", "0.02", SMS),
    "stat_type": Field("The kind of report", "SMSC Delivery", SMS),
    "stat_state": Field("What the carrier reports", "Delivered", SMS),
    "relay_id": Field("The mail that came in", "123-456-789", RELAY),
    "origination": Field("Where the mail came in", "esmtp", RELAY),
    "ab_test": Field("The test and its versions", _AB_TEST, AB_TEST),
    "batch_id": Field("The uploaded batch", "2c1cb3f1-5c4f-4b8c-b5f4-6f3c1d5d1f8a", INGEST),
    "number_succeeded": Field("How many events were taken in", 97, INGEST),
    "number_failed": Field("How many events were refused", 2, INGEST),
    "number_duplicates": Field("How many events were there already", 1, INGEST),
    "retryable": Field("Whether uploading again may help", False, INGEST),  # noqa: FBT003
    "error_type": Field("Why events were refused", "schema", INGEST),
    "href": Field("Where the refused events are", "/api/v1/ingest/events/failed", INGEST),
    "expiration_timestamp": Field("How long they are kept there", "2026-12-01T00:00:00.000Z", INGEST),
}

OURS = {
    "event_key": "What leads to the original event: /api/v1/events/{event_key}",
    "tdate": "The same time in its other form",
    "sending_domain": "The domain of the sender's address",
    "provider": "Who reported it: the provider's name in the webhook's URL",
    "provider_type": "The type in the provider's own words",
    "event_type": "The type in Mailwake's words, the same for every provider",
    "bounce_kind": "Of a bounce: hard, soft, block, admin or undetermined",
    "reject_reason": "Of a bounce, a delay or a rejection, where it is known: why, in Mailwake's words",
    "smtp_code": "The receiving server's reply code, where it is known",
    "enhanced_status": "The receiving server's enhanced status code (RFC 3463), where it is known",
    "machine_open": "Whether a program opened it, not a person",
    "shortened": "True where the event is too large for an answer, and lacks what is large",
}


def build_item(event_type: str) -> dict[str, dict[str, dict[str, object]]]:
    """A sample of this type as a webhook brings it: `{"msys": {"<class>": {…}}}`."""
    fields = {name: field.sample for name, field in FIELDS.items() if event_type in field.types}
    return {"msys": {CLASS_OF_TYPE[event_type][0]: {**fields, "type": event_type}}}


def describe(field: str) -> str:
    """What a field says."""
    return FIELDS[field].description if field in FIELDS else OURS[field]
