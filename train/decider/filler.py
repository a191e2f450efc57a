"""Names, numbers and addresses of people who do not exist, in the manner of many countries, and things that are none of it.

A slot of personal.txt is a method here; FACTS says what it brings along, UNSURE what can then not be told. Needs the package
faker.
"""
from __future__ import annotations

from random import Random

LOCALES = (
    "en_US", "en_GB", "en_IN", "en_AU", "en_IE", "de_DE", "fr_FR", "es_ES", "es_MX", "it_IT", "nl_NL", "pt_BR", "pt_PT", "pl_PL",
    "cs_CZ", "sk_SK", "sl_SI", "hr_HR", "hu_HU", "ro_RO", "fi_FI", "sv_SE", "no_NO", "da_DK", "tr_TR", "et_EE", "lt_LT", "lv_LV",
    "en_NZ", "fr_CH", "de_AT", "id_ID", "en_PH", "es_AR",
)  # fmt: skip
TITLES = ("Mr.", "Mrs.", "Ms.", "Miss", "Dr.", "Mr", "Mrs", "Ms", "Dr", "Prof.", "Professor", "Sir", "Madam", "Lady", "Lord", "Mister")
NATIONALITIES = (
    "French Spanish German Italian Polish Dutch Danish Swedish Norwegian Finnish Hungarian Czech Slovak Slovenian Croatian Serbian"
    " Greek Turkish Russian Ukrainian Estonian Latvian Lithuanian Portuguese Brazilian Mexican Argentinian Chilean Peruvian American"
    " Canadian British Scottish Irish Welsh Australian Egyptian Moroccan Tunisian Nigerian Kenyan Ethiopian Indian Pakistani Chinese"
    " Japanese Korean Vietnamese Thai Indonesian Malaysian Iranian Iraqi Israeli Saudi Lebanese Syrian Icelandic Belgian Swiss Austrian"
    " Romanian Bulgarian Albanian Cuban Jamaican Filipino Cambodian Mongolian Georgian Armenian"
).split()
RELIGIONS = ("Buddhist", "Catholic", "Muslim", "Hindu", "Jew", "Protestant", "Sikh", "Christian", "Mormon", "Lutheran", "Baptist")
PARTIES = ("Democrats", "Republicans", "Conservatives", "Labour Party", "Greens", "Liberals", "Social Democrats", "Communists")
DAYS = ("on Monday", "on Tuesday", "on Wednesday", "on Thursday", "on Friday", "on Saturday", "on Sunday", "tomorrow", "yesterday", "last Friday", "next Monday", "this morning")  # fmt: skip
DATES = ("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%d/%m/%y", "%b %d")
SUFFIXES = ("Inc", "Inc.", "Ltd", "Ltd.", "LLC", "Group", "GmbH", "Corporation", "& Co", "Partners", "Bank", "Systems", "Labs")
WEB = ("com", "org", "net", "io", "de", "fr", "it", "es", "pl", "ch", "at", "nl", "se", "fi", "dk", "no", "cz", "hu", "ro", "pt", "be", "ie", "co.uk", "com.au", "com.br", "ca", "us", "info", "eu", "app", "ee", "lt", "gr", "com.tr", "si")  # fmt: skip


class Filler:
    """Fills slots; each method's name is a slot's, and FACTS has what it brings along."""

    FACTS = {
        "name": {"name"}, "first": {"name"}, "last": {"name"}, "title": {"title"}, "honorific": {"title"}, "email": {"email"},
        "url": {"domain"}, "domain": {"domain"}, "phone": {"phone"}, "card": {"card"}, "iban": {"iban"}, "ssn": {"ssn"},
        "licence": {"licence"}, "passport": {"passport"}, "username": {"username"}, "address": {"address"}, "street": {"address"},
        "ip": {"ip"}, "date": {"date"}, "datetime": {"date"}, "day": {"date"}, "time": {"date"}, "year": {"date"}, "age": {"age"},
        "place": {"place"}, "postcode": {"postcode"}, "company": {"company"}, "nationality": {"nationality"},
        "religion": {"nationality"}, "party": {"nationality"},
    }  # fmt: skip
    UNSURE = {
        "address": {"place", "postcode"}, "street": {"place"}, "email": {"domain"}, "honorific": {"name"}, "username": {"name"},
        "job": {"title"}, "company": {"place"}, "party": {"company"},
    }  # fmt: skip

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        from faker import Faker  # here, so that the rest needs no package

        self.fakers = []
        for locale in LOCALES:
            self.fakers.append(Faker(locale))
            self.fakers[-1].seed_instance(rng.random())
        self.american = self.fakers[0]

    def __call__(self, slot: str) -> str:
        return getattr(self, slot)()

    def any(self, method: str) -> str:
        """Of a country at random that Faker knows this of."""
        able = [faker for faker in self.fakers if hasattr(faker, method)]
        return getattr(self.rng.choice(able), method)()

    def digits(self, count: int | None = None) -> str:
        return "".join(self.rng.choice("0123456789") for _ in range(count or self.rng.randint(5, 9)))

    def shaped(self, *shapes: str) -> str:
        """Letters for ?, digits for #."""
        return "".join(
            self.digits(1) if c == "#" else self.rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") if c == "?" else c for c in self.rng.choice(shapes)
        )

    def name(self) -> str:
        faker = self.rng.choice(self.fakers)
        middle = self.rng.random()
        initial = f" {self.rng.choice('ABCDEFGHJKLMNPRST')}." if middle < 0.15 else f" {faker.first_name()}" if middle < 0.2 else ""
        return f"{faker.first_name()}{initial} {faker.last_name()}"

    def first(self) -> str:
        return self.any("first_name")

    def last(self) -> str:
        return self.any("last_name")

    def possessive(self) -> str:
        return self.rng.choice(("my", "her", "his", "their"))

    def title(self) -> str:
        return self.rng.choice(TITLES)

    def honorific(self) -> str:
        return self.rng.choice(("sir", "Sir", "madam", "Madam", "Ma'am", "doctor", "Professor", "Mister"))

    def job(self) -> str:
        return self.american.job().split(",")[0]

    def host(self) -> str:
        words = self.rng.choice((self.american.words(2), self.american.words(1), [self.any("last_name").split()[0]]))
        put = str.title if self.rng.random() < 0.5 else str.lower
        return f"{''.join(map(put, words))}.{self.rng.choice(WEB)}"

    def email(self) -> str:
        if self.rng.random() < 0.3:
            return self.any("email")
        own = self.rng.choice((self.name().replace(" ", ""), self.name().replace(" ", "."), f"{self.first()}{self.digits(2)}", self.username()))
        return f"{own if self.rng.random() < 0.5 else own.lower()}@{self.host()}"

    def domain(self) -> str:
        return self.rng.choice(("www.", "", "")) + self.host()

    def url(self) -> str:
        path = self.rng.choice(("", "/", "/", f"/{self.american.word()}", f"/{self.american.word()}.html"))
        return self.rng.choice(("http://", "https://", "https://www.", "http://www.")) + self.host() + path

    def phone(self) -> str:
        if self.rng.random() < 0.5:
            return self.any("phone_number")
        return self.shaped("###-###-####", "(###) ###-####", "+## ### ### ####", "0### ## ## ##", "+1-###-###-####", "0## #### ####", "(##) ####-####")  # fmt: skip

    def card(self) -> str:
        number = self.any("credit_card_number")
        return " ".join(number[i : i + 4] for i in range(0, len(number), 4)) if self.rng.random() < 0.15 else number

    def iban(self) -> str:
        number = self.rng.choice((self.fakers[1], self.fakers[5], self.fakers[6], self.fakers[9])).iban()
        return " ".join(number[i : i + 4] for i in range(0, len(number), 4)) if self.rng.random() < 0.3 else number

    def ssn(self) -> str:
        return self.shaped("###-##-####", "###-##-####", "### ## ####")

    def licence(self) -> str:
        return self.shaped("?#######", "#######", "########", "####-##-####", "?###-####-####", "??######", "?## ### ###", "#########")

    def passport(self) -> str:
        return self.shaped("?########", "??#######", "#########", "?#####?##")

    def username(self) -> str:
        return self.rng.choice((self.american.user_name(), f"{self.american.word()}_{self.digits(2)}", f"{self.first().lower()}{self.digits(2)}"))  # fmt: skip

    def street(self) -> str:
        road = self.any("street_name")
        number = self.rng.randint(1, 2999)
        kind = self.rng.random()
        if kind < 0.1:
            return f"the corner of {road} and {self.any('street_name')}"
        if kind < 0.25:
            return f"{number} {road} {self.rng.choice(('Apt.', 'Suite', 'Unit', 'Flat', '#'))} {self.rng.randint(1, 999)}"
        return f"{number} {road}" if kind < 0.65 else f"{road} {number % 200 + 1}"

    def address(self) -> str:
        last = self.rng.choice((self.postcode(), self.american.country()))
        text = self.any("address") if self.rng.random() < 0.5 else f"{self.street()}\n{self.any('city')}\n{last}"
        return text if self.rng.random() < 0.4 else text.replace("\n", ", ")

    def ip(self) -> str:
        return self.american.ipv4() if self.rng.random() < 0.85 else self.american.ipv6()

    def date(self) -> str:
        return self.american.date_object().strftime(self.rng.choice(DATES))

    def datetime(self) -> str:
        return self.american.date_time().strftime(self.rng.choice(("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%d %B %Y at %H:%M")))

    def day(self) -> str:
        return self.rng.choice(DAYS)

    def time(self) -> str:
        return self.rng.choice((f"{self.rng.randint(1, 12)} {self.rng.choice(('am', 'pm'))}", f"{self.rng.randint(0, 23)}:{self.rng.randint(10, 59)}"))  # fmt: skip

    def year(self) -> str:
        return str(self.rng.randint(1930, 2026))

    def age(self) -> str:
        return str(self.rng.randint(4, 95))

    def place(self) -> str:
        kind = self.rng.random()
        place = self.american.country() if kind < 0.35 else self.any("city")
        return place.upper() if kind > 0.93 else place

    def postcode(self) -> str:
        return self.any("postcode")

    def company(self) -> str:
        kind = self.rng.random()
        if kind < 0.45:
            return self.any("company")
        words = " ".join(word.title() for word in self.american.words(self.rng.choice((1, 1, 2))))
        return f"{words} {self.rng.choice(SUFFIXES)}" if kind < 0.85 else words.replace(" ", "") + self.rng.choice(("ix", "ly", "soft", "tech", "Corp"))

    def nationality(self) -> str:
        return self.rng.choice(NATIONALITIES)

    def religion(self) -> str:
        return self.rng.choice(RELIGIONS)

    def party(self) -> str:
        return self.rng.choice(PARTIES)

    def code(self) -> str:
        return self.shaped("??-####", "#?##?#", "??##########??", "?#-##-?", "####-?", "?##", "??? ###")

    def flight(self) -> str:
        return self.shaped("?? ###", "??####", "?? ##")

    def version(self) -> str:
        return self.shaped("#.#", "#.#.#", "##.#", "v#.##")

    def isbn(self) -> str:
        return self.american.isbn13()

    def small(self) -> str:
        return str(self.rng.randint(2, 40))

    def money(self) -> str:
        return self.rng.choice(("${}", "{} euros", "{} dollars", "£{}", "€{}")).format(self.rng.choice((self.small(), f"{self.small()}.{self.digits(2)}", f"{self.small()},000")))  # fmt: skip

    def percent(self) -> str:
        return f"{self.small()} %"
