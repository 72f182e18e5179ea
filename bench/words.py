"""Plain words that vocabularies and recipients' names are drawn from."""


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SYLLABLES = _split("""
    tal ver nor bex lum ari cor dex fen gal hur ist jov kel lin mar nim oda pel qua ros sil tor ulm van wex yar
    zen bri cla dro fre glo kra pli sto tru
""")
NOUNS = _split("""
    newsletter digest offers launch webinar survey welcome winback renewal loyalty referral spring summer autumn
    winter holiday blackfriday cyberweek flash weekend preview roadmap release changelog event invitation
    anniversary birthday restock arrivals bestsellers clearance members vip students partners investors
    community podcast stories recipes workshop bundle upgrade trial onboarding reminder feedback announcement
    gift sale
""")
THINGS = _split("""
    shoes coats lamps chairs books courses flights hotels concerts phones laptops coffee tea wine plants seeds
    toys games bikes tents knives pans rugs mirrors jackets boots watches rings cameras lenses speakers vinyl
""")
KEYS = _split("""
    user_id account_id customerId orderId order_number cart_id plan tier locale lang country signup_source
    segment cohort experiment variant requestId trace store_id shop region currency invoice tenant workspace_id
    org member_since lifecycle_stage persona lead_score crm_id contactKey journey step send_id mailing_id
    list_id department loyalty_level utm_term birth_month team_size seats role
""")
TAGS = _split("""
    male female US EU UK new returning vip churn-risk trial paying dormant mobile desktop b2b b2c beta staff
    newsletter promo lifecycle
""")
GIVEN_NAMES = _split("""
    james mary robert patricia john jennifer michael linda david elizabeth william barbara richard susan joseph
    jessica thomas sarah carlos karen daniel lisa matthew nancy anthony sandra mark ashley paul emily steven kim
    andrew donna joshua michelle ken carol kevin amanda brian melissa george deborah timothy stephanie lukas
    anna jonas lena felix marie hugo chloe louis camille mateo sofia diego lucia marco giulia luca elena piotr
    agnieszka lars ingrid aarav priya arjun ananya wei mei hiroshi yuki omar fatima
""")
FAMILY_NAMES = _split("""
    smith johnson williams brown jones garcia miller davis rodriguez martinez hernandez lopez gonzalez wilson
    anderson thomas taylor moore jackson martin lee perez thompson white harris sanchez clark ramirez lewis
    robinson walker young allen king wright scott torres nguyen hill flores green adams nelson baker hall rivera
    campbell mitchell carter roberts mueller schmidt schneider fischer weber wagner becker dubois moreau laurent
    rossi russo ferrari kowalski novak jensen hansen larsson patel sharma singh kumar chen wang tanaka sato
    haddad
""")

OPENERS = (
    "This week:",
    "Don't miss",
    "Just in:",
    "Last chance:",
    "Your guide to",
    "New:",
    "Ends tonight:",
    "Meet",
    "Save 20% on",
    "Back in stock:",
    "We picked",
    "Everything about",
    "Hello again,",
    "The best of",
    "Members only:",
)
# Transactional subjects are personalised: {name} first name, {number} an order or ticket, {amount} money.
TRANSACTIONAL = (
    ("order-confirmation", "Order {number} confirmed: thank you, {name}!"),
    ("shipping-notice", "{name}, your order {number} is on its way"),
    ("receipt", "Your receipt from {brand} [{number}] ({amount})"),
    ("password-reset", "Reset your {brand} password"),
    ("verify-email", "{number} is your {brand} verification code"),
    ("invoice", "Invoice {number} for {amount} from {brand}"),
    ("comment-mention", "{name} mentioned you in a comment on {thing}"),
    ("support-reply", "[{brand} Support] Re: your question about {thing} (#{number})"),
    ("payment-failed", "Action needed: payment of {amount} did not go through"),
    ("appointment", "Reminder: your appointment on {day} at {hour}"),
)
