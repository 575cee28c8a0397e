# ruff: noqa: E501 - lists of words broken over lines are harder to compare
"""Which language a text is in, from its script and its commonest words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar

from stanchion_guard.detectors import Tier
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.views import Reading

LARGEST_SAMPLE = 1_200
"""Characters from the text's start, middle and end together that are looked at."""
_FEWEST_WORDS = 4
_FEWEST_KNOWN = 3
_MANY_WORDS = 12
_CLEAR, _CLEARER = 1.2, 1.8
"""How far the best language must be ahead of the second, in a text of many words and of few."""
_FEWEST_LETTERS = 12
_NO_LETTERS = dict.fromkeys([code for code in range(128) if not chr(code).isalpha()])
_WORD = re.compile(r"[^\s\d_.,!?;:()\[\]{}<>\"«»“”„'’…/—–।|*#=+@&%$-]+")
COMMON = {
    "en": "the of and to in is you that it he was for on are as with his they at be this have from or had by not but what all were we when your can said there an which she do how their if will up about out many then them these so some her would make like him into has look two more no way could my than been who its now did get come may i me please tell give write explain want need should does why where am us our just also any",
    "de": "der die das und ist nicht ich du er sie es wir ihr ein eine einen einem einer den dem des zu mit auf für von im in an auch als wie dass bei nach oder aber aus wenn nur noch werden wird haben hat kann mir mich sich so über sind war schon was wer bitte mein dein kein durch um",
    "fr": "le la les des un une et est dans que qui pour pas vous je tu il elle nous ils ne ce cette sur avec au aux du se sont plus par mais ou comme mon ton son ma sa ses être avoir fait tout si leur à y en d l c j qu n s m quel quelle comment pourquoi moi cela",
    "es": "el la los las un una y es en que de por para con no se lo su al del como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante mi yo tú qué cómo está son fue eres puede favor ser",
    "it": "il lo la i gli le un una e è di che non per in con si da come al del della dei delle sono più anche ma se nel alla questo questa ha ho mi ci o su io tu lui lei noi cosa perché quando essere fare dal degli suo sua dove chi mio puoi",
    "pt": "o a os as um uma e é de que em do da para com não se por mais no na dos das como mas ao ele ela seu sua ou quando muito nos já eu também só pelo pela até isso entre era depois sem mesmo aos meu são você está tem foi ser à me isto qual pode",
    "nl": "de het een en van ik te dat die in is niet zijn op aan met voor er maar om hem dan zou of wat mijn men dit zo door over ze zich bij ook tot je mij uit der daar haar naar heb hoe heeft hebben deze u want nog zal me zij nu geen kan wij waar",
    "sv": "och det att i en jag hon som han på den med var sig för så till är men ett om hade de av icke mig du henne då sin nu har inte hans honom skulle hennes där min man ej vid kunde något från ut när efter upp vi dem vara vad över än kan vill hur",
    "da": "og i jeg det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun nu over da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne ind når være dog noget hvordan kan",
    "no": "og i jeg det at en et den til er som på de med han av ikke der så var meg seg men ett har om vi min mitt ha hadde hun nå over da ved fra du ut sin dem oss opp man kan hans hvor eller hva skal selv sjøl her alle vil bli ble blei kunne når være hvordan",
    "fi": "ja on ei se että hän oli ole mutta ovat kun joka myös niin kuin tai jos minä sinä me te he olla mitä vain sen tämä mikä hänen nyt jo siitä ollut sitä kanssa vielä minun ne miten kuinka voi olen missä koska",
    "pl": "i w nie na się z do to że jest o jak a po co tak za od jego ale dla czy tylko ja przez przed który która które być ma są już może mnie mi go ich jej pod oraz gdy kiedy bardzo też jako także ten ta proszę",
    "cs": "a v se na je že s z do to i o k jako za by ale po jsem pro tak jeho co jsou od nebo není být který která které už když jen aby při také ve však jak si své může ten jsme mi kde proč prosím",
    "sk": "a v sa na je že s z do to aj o k ako za by ale po som pre tak jeho čo sú od alebo nie byť ktorý ktorá ktoré už keď len aby pri tiež vo však si svoje môže ten sme mi kde prečo prosím",
    "hu": "a az és hogy nem is egy ez van volt de meg csak ha már én te ő mi ti ők mint vagy lesz azt itt ott ki mit hogyan miért nagyon még minden kell lehet ezt arra után között magyar kérem",
    "ro": "și de la a în nu o un este pe cu că din pentru mai care sunt ce se au ca fi fost să le l dar după sau prin al ale ei el ea cum când unde foarte acest această am ai are vă te mă îmi poate",
    "tr": "ve bir bu da de için ile çok daha ne mi ben sen o biz siz onlar gibi ama kadar var yok olan olarak değil en her sonra şey nasıl neden ki ya veya ise nedir bana lütfen olduğu",
    "vi": "và của là có không được trong cho một những người các với này để đã khi tôi bạn như từ ra đến về nhưng cũng vào làm thì nào gì sẽ phải rất theo hãy nếu cách",
    "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena tersebut bisa ada mereka lebih kata tahun sudah atau saat oleh menjadi orang ia telah adalah seperti sebagai bahwa dapat para harus anda apa bagaimana kamu",
    "hr": "i u je se na da su za od a s o kao ne koji što bi ili iz sam ali će po te do kako nije ja ti on ona mi vi oni biti samo još kada gdje zašto može ima sve ovo",
    "ca": "el la els les un una i és en que de per amb no es al del com més però o aquest aquesta són ha jo tu ell ella nosaltres què quan molt també hi ho seva seu meu perquè on si pot dels",
    "et": "ja on ei et see ta oli kui ka aga mis oma ma sa me nad või siis nii ning mida kes selle ole olla kuidas miks väga veel",
    "lv": "un ir nav ka tas viņš bija kā arī bet kas savu es tu mēs viņi vai tad tā no uz ar par pie lai kur kad ļoti vēl",
    "lt": "ir yra ne kad tai jis buvo kaip taip bet kas savo aš tu mes jie ar tada iš į su apie prie kur kada labai dar",
    "sq": "dhe është në që të një për me nuk nga si por ka kjo ky ai ajo unë ti ne ata ose çfarë kur shumë edhe",
    "ru": "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой от так о для ты же все как бы если уже или только его её их мне мой вы когда где почему очень есть может",
    "uk": "і в не на я бути він з що а по це вона цей до але вони ми весь який із у то за свій від так о для ти ж все як би якщо вже або тільки його її їх мені мій ви коли де чому дуже є може та",
    "bg": "и в не на аз да е той с че а по това тя този към но те ние от за се са ли как ако вече или само го му им ми вие кога къде защо много има може ще при",
    "sr": "и у је се на да су за од а с о као не који што би или из сам али ће по те до како није ја ти он она ми ви они бити само још када где зашто може има све ово",
    "mk": "и во не на јас да е тој со дека а по ова таа овој кон но тие ние од за се сум ли како ако веќе или само го му им ми вие кога каде зошто многу има може ќе при",
    "ar": "في من على أن إلى هذا التي عن لا ما هو هي كان مع ذلك هل كل بعد قد أو لم هذه كيف لماذا أنا أنت نحن بين",
    "fa": "و در به از که این را با است برای آن یک خود تا کرد بر هم نیز می شود های من تو ما شما چگونه چرا",
    "ur": "کے میں کی ہے اور سے کا کو اس یہ نے پر نہیں ہیں کہ ایک بھی تھا ہو کر جو میرا آپ ہم کیا کیسے",
    "hi": "के में की है और से का को इस यह ने पर नहीं हैं कि एक भी था हो कर जो मेरा आप हम क्या कैसे",
    "mr": "आणि आहे या मध्ये ते हे तो ती मी तू आपण नाही का काय कसे होते असे त्या एक साठी",
}
_SCRIPTS = {
    "el": "\u0370-\u03ff\u1f00-\u1fff", "he": "\u0590-\u05ff", "hy": "\u0530-\u058f", "ka": "\u10a0-\u10ff", "bn": "\u0980-\u09ff",
    "pa": "\u0a00-\u0a7f", "gu": "\u0a80-\u0aff", "ta": "\u0b80-\u0bff", "te": "\u0c00-\u0c7f", "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f", "si": "\u0d80-\u0dff", "th": "\u0e00-\u0e7f", "lo": "\u0e80-\u0eff", "my": "\u1000-\u109f",
    "km": "\u1780-\u17ff", "am": "\u1200-\u137f", "ko": "\uac00-\ud7a3\u1100-\u11ff", "ja": "\u3040-\u30ff", "zh": "\u4e00-\u9fff",
    "latin": "a-zA-Z\u00c0-\u024f\u1e00-\u1eff", "cyrillic": "\u0400-\u04ff", "arabic": "\u0600-\u06ff", "devanagari": "\u0900-\u097f",
}  # fmt: skip
_BY_SCRIPT = {
    "cyrillic": ("ru", "uk", "bg", "sr", "mk"),
    "arabic": ("ar", "fa", "ur"),
    "devanagari": ("hi", "mr"),
}
_LATIN = tuple(code for code in COMMON if code not in sum(_BY_SCRIPT.values(), ()))
_ALONE = tuple(code for code in _SCRIPTS if len(code) == 2)
LANGUAGES: tuple[str, ...] = (*COMMON, *_ALONE)
_KANA_SHARE = 0.05


class Language:
    """A text in a language that is not allowed is one finding over the whole text."""

    name: ClassVar[str] = "language"
    version: ClassVar[str] = "1"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = LANGUAGES
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = (
        "Short texts, names and lists (skipped as unknown); languages beyond the labels; a text in several languages, of which it "
        "tells the prevailing one of a sample of 1,200 characters."
    )
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "allow": {"type": "array", "items": {"enum": list(LANGUAGES)}, "minItems": 1},
            "deny": {"type": "array", "items": {"enum": list(LANGUAGES)}, "minItems": 1},
        },
    }

    def __init__(self, allow: Sequence[str] | None = None, deny: Sequence[str] = ()) -> None:
        if allow is None and not deny:
            raise ValueError("language needs a list of allowed or of denied languages")
        if unknown := {*(allow or ()), *deny} - set(LANGUAGES):
            raise ValueError(f"language knows no {sorted(unknown)[0]!r}; it knows {', '.join(LANGUAGES)}")
        self._allow, self._deny = None if allow is None else frozenset(allow), frozenset(deny)

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        code, confidence = reading.keep("language", lambda: identify(reading.raw))
        if code is None:
            return Detection(None, skipped="the language of a text this short or mixed is not known")
        if code in self._deny or (self._allow is not None and code not in self._allow):
            reason = f"reads like {code}"
            return Detection(confidence, (Finding(self.name, code, confidence, part, 0, len(reading.raw), reason),))
        return Detection(round(1.0 - confidence, 4) if confidence < 0.5 else 0.0)


def identify(text: str) -> tuple[str | None, float]:
    """The ISO 639-1 code of the prevailing language and how sure that is in 0..1; None where too little tells."""
    sample = _sample(text)
    script, share = _script(sample)
    if script is None:
        return None, 0.0
    if len(script) == 2:
        return script, round(share, 4)
    candidates = _BY_SCRIPT.get(script, _LATIN)
    words = _WORD.findall(sample.lower()) if sample.isascii() else [word.lower() for word in _WORD.findall(sample)]
    if len(words) < _FEWEST_WORDS:
        return None, 0.0
    return _by_words(words, candidates)


def _sample(text: str) -> str:
    if len(text) <= LARGEST_SAMPLE:
        return text
    third, middle = LARGEST_SAMPLE // 3, len(text) // 2
    return " ".join((text[:third], text[middle : middle + third], text[-third:]))


def _script(sample: str) -> tuple[str | None, float]:
    if sample.isascii():
        return ("latin", 1.0) if len(sample.translate(_NO_LETTERS)) >= _FEWEST_LETTERS else (None, 0.0)
    counts = dict.fromkeys(_SCRIPTS, 0)
    for letter, count in Counter(sample).items():
        name = _script_of(letter)
        if name is not None:
            counts[name] += count
    total = sum(counts.values())
    if not total:
        return None, 0.0
    best = max(counts, key=lambda name: counts[name])
    if best == "zh" and counts["ja"] > _KANA_SHARE * total:
        best = "ja"
    seen = counts[best] + (counts["zh"] if best == "ja" else 0)
    fewest = 4 if best in ("zh", "ja", "ko", "th") else _FEWEST_LETTERS
    return (best, seen / total) if seen >= fewest and seen > 0.5 * total else (None, 0.0)


@lru_cache(4096)
def _script_of(letter: str) -> str | None:
    if not (letter.isalpha() or letter > "\u02ff"):
        return None
    for name, ranges in _SCRIPTS.items():
        for first, last in re.findall("(.)-(.)", ranges):
            if first <= letter <= last:
                return name
    return None


@cache
def _languages_of() -> dict[str, tuple[tuple[str, float], ...]]:
    """Each common word's languages, weighing less the more languages share it."""
    shared: dict[str, list[str]] = {}
    for code, listed in COMMON.items():
        for word in dict.fromkeys(listed.split()):
            shared.setdefault(word, []).append(code)
    return {word: tuple((code, 1.0 / len(codes)) for code in codes) for word, codes in shared.items()}


def _by_words(words: Sequence[str], candidates: Sequence[str]) -> tuple[str | None, float]:
    """By shares of common words: a quarter to a half of any text consists of them."""
    languages = _languages_of()
    scores = dict.fromkeys(candidates, 0.0)
    known = 0
    for word in words:
        for code, weight in languages.get(word, ()):
            if code in scores:
                scores[code] += weight
        known += word in languages
    best, second = sorted(scores, key=lambda code: -scores[code])[:2]
    clear = _CLEAR if len(words) >= _MANY_WORDS else _CLEARER
    if known < _FEWEST_KNOWN or scores[best] < max(1.5, 0.1 * len(words)) or scores[best] < clear * scores[second]:
        return None, 0.0
    return best, round(min(1.0, 0.5 + 0.5 * (scores[best] - scores[second]) / scores[best]), 4)
