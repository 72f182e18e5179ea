"""What every customer's traffic has in common: mailbox providers, their bounce texts, user agents, cities.

Nothing here depends on a customer, so training and benchmark vocabularies share it, as real customers do.
"""

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
                    "provider since part of their network is on our block list (S3140). [{a}.eop-EUR0{n}.prod.protection.outlook.com]"
                ),
            ),
        ),
        delays=(
            (
                "451",
                "70",
                (
                    "451 4.7.650 The mail server [{ip}] has been temporarily rate limited due to IP reputation. "
                    "For e-mail delivery information, see https://aka.ms/postmaster (S775) [{a}.eop-EUR0{n}.prod.outlook.com]"
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
                    "451 Resolve_Recipient_Error: Recipient Verification - https://community.mimecast.com/docs/DOC-1369#451 "
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
                "451 4.7.1 <{rcpt}>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/{n}.html",
            ),
        ),
    ),
)

# country, region, city, latitude, longitude, postal prefix
_CITIES = """
US CA Mountain_View 37.4056 -122.0775 940|US NY New_York 40.7143 -74.0060 100|US IL Chicago 41.8500 -87.6500 606
US TX Houston 29.7633 -95.3633 770|US AZ Phoenix 33.4484 -112.0740 850|US PA Philadelphia 39.9524 -75.1636 191
US TX San_Antonio 29.4241 -98.4936 782|US CA San_Diego 32.7157 -117.1611 921|US TX Dallas 32.7831 -96.8067 752
US WA Seattle 47.6062 -122.3321 981|US CO Denver 39.7392 -104.9847 802|US MD Columbia 39.1749 -76.8375 210
US MA Boston 42.3584 -71.0598 021|US GA Atlanta 33.7490 -84.3880 303|US FL Miami 25.7743 -80.1937 331
US OR Portland 45.5234 -122.6762 972|US MN Minneapolis 44.9800 -93.2638 554|US MI Detroit 42.3314 -83.0457 482
CA ON Toronto 43.7001 -79.4163 M5V|CA QC Montreal 45.5088 -73.5878 H3B|CA BC Vancouver 49.2497 -123.1193 V6B
GB ENG London 51.5085 -0.1257 EC1|GB ENG Manchester 53.4809 -2.2374 M1|GB SCT Edinburgh 55.9521 -3.1965 EH1
GB WLS Cardiff 51.4800 -3.1800 CF1|IE L Dublin 53.3331 -6.2489 D02|FR IDF Paris 48.8534 2.3488 750
FR ARA Lyon 45.7485 4.8467 690|FR PAC Marseille 43.2970 5.3811 130|DE BE Berlin 52.5244 13.4105 101
DE HH Hamburg 53.5753 10.0153 200|DE BY Munich 48.1374 11.5755 803|DE HE Frankfurt 50.1155 8.6842 603
DE NW Cologne 50.9333 6.9500 506|NL NH Amsterdam 52.3740 4.8897 101|NL ZH Rotterdam 51.9225 4.4792 301
BE BRU Brussels 50.8504 4.3488 100|ES MD Madrid 40.4165 -3.7026 280|ES CT Barcelona 41.3888 2.1590 080
IT 25 Milan 45.4643 9.1895 201|IT 62 Rome 41.8919 12.5113 001|PT 11 Lisbon 38.7167 -9.1333 110
CH ZH Zurich 47.3667 8.5500 800|AT 9 Vienna 48.2085 16.3721 101|SE AB Stockholm 59.3326 18.0649 111
NO 03 Oslo 59.9127 10.7461 015|DK 84 Copenhagen 55.6759 12.5655 105|FI 18 Helsinki 60.1695 24.9354 001
PL 14 Warsaw 52.2298 21.0118 001|CZ 10 Prague 50.0880 14.4208 110|IN MH Mumbai 19.0728 72.8826 400
IN KA Bengaluru 12.9719 77.5937 560|SG 01 Singapore 1.2897 103.8501 018|JP 13 Tokyo 35.6895 139.6917 100
AU NSW Sydney -33.8678 151.2073 200|AU VIC Melbourne -37.8140 144.9633 300|NZ AUK Auckland -36.8485 174.7635 101
BR SP Sao_Paulo -23.5475 -46.6361 010|MX CMX Mexico_City 19.4285 -99.1277 060|ZA GP Johannesburg -26.2023 28.0436 200
"""
_DISTRICTS = ("", "North ", "South ", "East ", "West ", "New ")


def build_cities() -> list[dict[str, object]]:
    """Several hundred geo_ip objects, with latitude and longitude as the numbers that live webhooks carry."""
    cities: list[dict[str, object]] = []
    for line in _CITIES.replace("\n", "|").split("|"):
        if not line:
            continue
        country, region, city, latitude, longitude, postal = line.split()
        for i, district in enumerate(_DISTRICTS):
            code = f"{postal}{(i * 37 + 11) % 90 + 10}"
            cities.append(
                {
                    "country": country,
                    "region": region,
                    "city": district + city.replace("_", " "),
                    "latitude": round(float(latitude) + i * 0.0713, 4),
                    "longitude": round(float(longitude) - i * 0.0531, 4),
                    "zip": int(code) if code.isdigit() and code[0] != "0" else code,
                    "postal_code": code,
                }
            )
    return cities


def _parsed(
    agent: str,
    brand: str,
    device: str,
    system: str,
    version: str,
    *,
    mobile: bool = False,
    proxy: bool = False,
    prefetched: bool = False,
) -> dict[str, object]:
    return {
        "agent_family": agent,
        "device_brand": brand,
        "device_family": device,
        "os_family": system,
        "os_version": version,
        "is_mobile": mobile,
        "is_proxy": proxy,
        "is_prefetched": prefetched,
    }


# Image proxies fetch most opens: they are the first entries, with weights of their own in traffic.py.
PROXY_AGENTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("Mozilla/5.0", _parsed("Apple Mail Privacy Proxy", "", "Other", "Other", "", proxy=True, prefetched=True)),
    (
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        _parsed("GmailImageProxy", "", "Other", "Windows XP", "", proxy=True),
    ),
    (
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        _parsed("YahooMailProxy", "Spider", "Spider", "Other", "", proxy=True),
    ),
)


def build_user_agents(first_version: int) -> list[tuple[str, dict[str, object]]]:
    """A few hundred people's user agents with their parsed form; versions count from `first_version` (of Chrome)."""
    agents: list[tuple[str, dict[str, object]]] = []
    for version in range(first_version, first_version + 12):
        for system, family, number in (
            ("Windows NT 10.0; Win64; x64", "Windows", "10"),
            ("Macintosh; Intel Mac OS X 10_15_7", "Mac OS X", "10.15.7"),
            ("X11; Linux x86_64", "Linux", ""),
        ):
            chrome = (
                f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
            )
            brand, device = ("Apple", "Mac") if family == "Mac OS X" else ("", "Other")
            agents.append((chrome, _parsed("Chrome", brand, device, family, number)))
            agents.append((f"{chrome} Edg/{version}.0.0.0", _parsed("Edge", brand, device, family, number)))
            agents.append(
                (
                    f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0",
                    _parsed("Firefox", brand, device, family, number),
                )
            )
        for model in ("SM-S918B", "SM-G991B", "SM-A546E", "Pixel 8", "Pixel 7a", "M2101K6G", "CPH2449"):
            for android in ("13", "14"):
                brand = {"S": "Samsung", "P": "Google", "M": "XiaoMi", "C": "Oppo"}[model[0]]
                agents.append(
                    (
                        (
                            f"Mozilla/5.0 (Linux; Android {android}; {model}) AppleWebKit/537.36 (KHTML, like Gecko) "
                            f"Chrome/{version}.0.0.0 Mobile Safari/537.36"
                        ),
                        _parsed("Chrome Mobile", brand, f"{brand} {model}", "Android", android, mobile=True),
                    )
                )
    for minor in range(8):
        for major in range(first_version // 8, first_version // 8 + 4):
            for device, text in (("iPhone", "iPhone; CPU iPhone OS"), ("iPad", "iPad; CPU OS")):
                agents.append(
                    (
                        (
                            f"Mozilla/5.0 ({text} {major}_{minor} like Mac OS X) AppleWebKit/605.1.15 "
                            "(KHTML, like Gecko) Mobile/15E148"
                        ),
                        _parsed("Mobile Safari UI/WKWebView", "Apple", device, "iOS", f"{major}.{minor}", mobile=True),
                    )
                )
    return agents
