"""Where people open their mail: several hundred cities."""

from __future__ import annotations

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
