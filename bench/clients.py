"""What people read their mail with: image proxies, and a few hundred browsers and mail programs."""

from __future__ import annotations


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
