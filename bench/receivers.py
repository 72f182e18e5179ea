"""Mailbox providers: their domains, and what they say when they refuse. The same for every customer, as in life."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """A mailbox provider, its domains, and what it says when it refuses."""

    name: str
    region: str
    domains: tuple[str, ...]
    weight: int
    mx_prefix: str
    # (error code, bounce class, text); {ip}, {rcpt}, {a} (hex), {n} (digits) are filled per message
    bounces: tuple[tuple[str, str, str], ...]
    delays: tuple[tuple[str, str, str], ...] = field(
        default=(("421", "70", "421 4.7.0 Try again later, closing connection. ({a}) {n}"),)
    )


GOOGLE_HELP = "For more information, go to https://support.google.com/mail/?p="
RECEIVERS = (
    Receiver(
        name="Gmail",
        region="Global",
        domains=("gmail.com", "gmail.com", "gmail.com", "googlemail.com"),
        weight=42,
        mx_prefix="142.250.27.",
        bounces=(
            (
                "550",
                "10",
                "550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 "
                "double-checking the recipient's email address for typos or 550-5.1.1 unnecessary spaces. 550-5.1.1 "
                + GOOGLE_HELP
                + "NoSuchUser {a}.{n} - gsmtp",
            ),
            (
                "552",
                "22",
                (
                    "552-5.2.2 The recipient's inbox is out of storage space and inactive. Please 552-5.2.2 direct "
                    "the recipient to https://support.google.com/mail/?p=OverQuotaPerm {a}.{n} - gsmtp"
                ),
            ),
            (
                "550",
                "51",
                "550-5.7.1 [{ip}] Our system has detected that this message is likely unsolicited mail. To "
                "reduce the amount of spam sent to Gmail, this message has been blocked. "
                + GOOGLE_HELP
                + "UnsolicitedMessageError {a}.{n} - gsmtp",
            ),
        ),
        delays=(
            (
                "421",
                "51",
                "421-4.7.28 [{ip}] Our system has detected an unusual rate of unsolicited mail originating "
                "from your IP address. " + GOOGLE_HELP + "UnsolicitedRateLimitError {a}.{n} - gsmtp",
            ),
            (
                "452",
                "22",
                "452-4.2.2 The recipient's inbox is out of storage space. "
                + GOOGLE_HELP
                + "OverQuotaTemp {a}.{n} - gsmtp",
            ),
        ),
    ),
    Receiver(
        name="Outlook.com",
        region="Global",
        domains=("hotmail.com", "outlook.com", "live.com", "msn.com"),
        weight=14,
        mx_prefix="52.101.73.",
        bounces=(
            (
                "550",
                "10",
                (
                    "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). "
                    "[{a}.eop-EUR0{n}.prod.protection.outlook.com]"
                ),
            ),
            (
                "550",
                "51",
                (
                    "550 5.7.1 Unfortunately, messages from [{ip}] weren't sent. Please contact your Internet service "
                    "provider since part of their network is on our block list (S3140). "
                    "[{a}.eop-EUR0{n}.prod.protection.outlook.com]"
                ),
            ),
        ),
        delays=(
            (
                "451",
                "70",
                (
                    "451 4.7.650 The mail server [{ip}] has been temporarily rate limited due to IP reputation. "
                    "For e-mail delivery information, see https://aka.ms/postmaster (S775) "
                    "[{a}.eop-EUR0{n}.prod.outlook.com]"
                ),
            ),
        ),
    ),
    Receiver(
        name="Yahoo",
        region="Global",
        domains=("yahoo.com", "yahoo.co.uk", "ymail.com", "aol.com"),
        weight=12,
        mx_prefix="67.195.204.",
        bounces=(
            (
                "554",
                "10",
                (
                    "554 delivery error: dd This user doesn't have a yahoo.com account ({rcpt}) [{n}] - "
                    "mta{n}.mail.bf1.yahoo.com"
                ),
            ),
            ("552", "22", "552 1 Requested mail action aborted, mailbox not found: over quota [-{n}]"),
        ),
        delays=(
            (
                "421",
                "51",
                (
                    "421 4.7.0 [TSS04] Messages from {ip} temporarily deferred due to unexpected volume or user "
                    "complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes {a}"
                ),
            ),
        ),
    ),
    Receiver(
        name="Apple",
        region="Global",
        domains=("icloud.com", "me.com", "mac.com"),
        weight=8,
        mx_prefix="17.57.154.",
        bounces=(
            ("550", "10", "550 5.1.1 <{rcpt}>: user does not exist {a}"),
            ("552", "22", "552 5.2.2 <{rcpt}>: user is over quota {a}"),
        ),
    ),
    Receiver(
        name="GMX / Web.de",
        region="Europe",
        domains=("gmx.de", "web.de", "gmx.net"),
        weight=5,
        mx_prefix="212.227.17.",
        bounces=(
            (
                "550",
                "10",
                (
                    "550 Requested action not taken: mailbox unavailable For explanation visit "
                    "https://postmaster.gmx.net/en/error-messages?ip={ip}&c=rbl id={a}"
                ),
            ),
        ),
    ),
    Receiver(
        name="Comcast",
        region="North America",
        domains=("comcast.net",),
        weight=3,
        mx_prefix="96.102.18.",
        bounces=(("550", "10", "550 5.1.1 <{rcpt}> Account not available {a}-{n}"),),
    ),
    Receiver(
        name="Orange",
        region="Europe",
        domains=("orange.fr", "wanadoo.fr"),
        weight=3,
        mx_prefix="80.12.26.",
        bounces=(
            ("550", "10", "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_{n} [{n}]"),
        ),
    ),
)
CORPORATE_WEIGHT = 13  # of 100 recipients, those at companies' own domains
CORPORATE = (
    ("G Suite", "142.251.168.", RECEIVERS[0].bounces, RECEIVERS[0].delays),
    (
        "Office 365",
        "52.101.40.",
        (
            (
                "550",
                "10",
                (
                    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {rcpt} not found by SMTP address lookup "
                    "[{a}.namprd{n}.prod.outlook.com]"
                ),
            ),
            (
                "550",
                "54",
                "550 5.4.1 Recipient address rejected: Access denied. [{a}.eop-nam{n}.prod.protection.outlook.com]",
            ),
        ),
        RECEIVERS[1].delays,
    ),
    (
        "Mimecast",
        "205.139.110.",
        (
            (
                "550",
                "50",
                (
                    "550 Rejected by header based Anti-Spoofing policy: {rcpt} - "
                    "https://community.mimecast.com/docs/DOC-1369#550 [{a}.us{n}]"
                ),
            ),
        ),
        (
            (
                "451",
                "70",
                (
                    "451 Resolve_Recipient_Error: Recipient Verification - "
                    "https://community.mimecast.com/docs/DOC-1369#451 "
                    "[{a}.us{n}]"
                ),
            ),
        ),
    ),
    (
        "",
        "198.51.100.",
        (
            ("550", "30", "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table"),
            ("554", "21", "554 5.4.7 [internal] exceeded max time without delivery"),
        ),
        (
            (
                "451",
                "70",
                "451 4.7.1 <{rcpt}>: Recipient address rejected: Greylisted, see https://postgrey.invalid/help/{n}.html",
            ),
        ),
    ),
)
