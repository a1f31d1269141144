"""Words of a reason that would state a number, a period or an instrument that nobody checks."""

import re
import unicodedata
from collections.abc import Iterable

from core.advisor.amounts import shown
from core.advisor.synthesis.answer import Hallucination

PUNCTUATION = frozenset("\u2010\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2022\u2192")
"""Beyond ASCII: dashes, quotation marks, the ellipsis, a bullet, an arrow; no minus sign."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9/_:.-]{0,59}")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
SLASHED = re.compile(r"(?<![A-Za-z])[A-Za-z]{1,12}[/-][A-Za-z]{1,12}")
INNER_CAPITAL = re.compile(r"[a-z][A-Z]")
PAIR = re.compile(r"[A-Z0-9]{2,12}[/_-]?(?:USDT|USDC|FDUSD|USD|PERP)")

NUMBER_WORDS = frozenset(
    {
        *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
        *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
        *("eighteen", "nineteen", "twenty", "thirty", "forty", "fifty", "sixty", "seventy"),
        *("eighty", "ninety", "hundred", "thousand", "million", "billion", "trillion", "dozen"),
        *("hundreds", "thousands", "millions", "billions", "half", "quarter", "third", "thirds"),
        *("double", "doubled", "triple", "tripled", "twice", "thrice", "tenfold", "twofold"),
        *("fourth", "fifth", "tenth", "tenths", "quadruple", "hundredfold", "thousandth"),
        *("bps", "bips", "pips", "pct", "percent", "percentage", "minus"),
    }
)
PERIOD_WORDS = frozenset(
    {
        *("yesterday", "tomorrow", "ago", "hour", "hours", "hourly", "day", "days", "daily"),
        *("week", "weeks", "weekly", "month", "months", "monthly", "year", "years", "yearly"),
        *("minutes", "seconds", "overnight", "intraday"),
    }
)
INSTRUMENT_WORDS = {
    **dict.fromkeys(("bitcoin", "btc", "xbt"), ("BTC", "XBT")),
    **dict.fromkeys(("ether", "ethereum", "eth"), ("ETH",)),
    **dict.fromkeys(("solana", "sol"), ("SOL",)),
    **dict.fromkeys(("ripple", "xrp"), ("XRP",)),
    **dict.fromkeys(("dogecoin", "doge"), ("DOGE", "XDG")),
    **dict.fromkeys(("cardano", "ada"), ("ADA",)),
    **dict.fromkeys(("litecoin", "ltc"), ("LTC",)),
    **dict.fromkeys(("avalanche", "avax"), ("AVAX",)),
    **dict.fromkeys(("binancecoin", "bnb"), ("BNB",)),
    **dict.fromkeys(("tether", "usdt"), ("USDT",)),
    "polkadot": ("DOT",),
    "usdc": ("USDC",),
}
TERMS = frozenset(
    {
        *("BUY", "SELL", "OPEN", "CLOSE", "FLIP", "REDUCE", "LONG", "SHORT", "RSI", "EMA", "SMA"),
        *("ATR", "MACD", "ADX", "VWAP", "OBV", "CCI", "OK", "NOT", "AND", "OR", "IS", "IT", "THE"),
    }
)
"""Words in capitals that are not names of instruments."""


def reject_stray_words(text: str, names: Iterable[str]) -> None:
    """Raises Hallucination at a number, at words for one or for a period, and at a name that is
    not among ``names``."""
    is_plain = text.isascii() and text.isprintable()
    for character in "" if is_plain else text:
        if not (character.isascii() and character.isprintable()) and character not in PUNCTUATION:
            label = unicodedata.name(character, f"U+{ord(character):04X}")
            raise Hallucination(f"the character {label} in a reason")
    own = [name for name in names if NAME.fullmatch(name) and re.search("[A-Za-z]", name)]
    for name in sorted(own, key=len, reverse=True):
        if name in text:
            text = re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", " ; ", text)
    digit = re.search(r"\d", text)
    if digit is not None:
        number = text[: digit.start()].rpartition(" ")[2] + text[digit.start() :].partition(" ")[0]
        raise Hallucination(f"the number {shown(number)!r} is not behind the id of a fact")
    for word in dict.fromkeys((*WORD.findall(text), *SLASHED.findall(text))):
        _check_word(word, own)


def _check_word(word: str, own: Iterable[str]) -> None:
    lower = word.lower()
    if lower in NUMBER_WORDS:
        raise Hallucination(f"the number {word!r} in words")
    if lower in PERIOD_WORDS:
        raise Hallucination(f"the period {word!r} in words")
    assets = INSTRUMENT_WORDS.get(lower)
    is_strange = assets is not None and not any(asset in own for asset in assets)
    is_capitals = len(word) > 1 and word.isupper() and word not in TERMS
    is_identifier = "_" in word or INNER_CAPITAL.search(word) is not None
    if is_strange or is_capitals or is_identifier or PAIR.fullmatch(word.upper()):
        raise Hallucination(f"the name {shown(word)!r} is not that of the instrument")
