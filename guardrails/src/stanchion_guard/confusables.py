"""Letters that look like Latin ones.

Derived on 2026-11-23 from confusables.txt of Unicode Technical Standard 39 (Unicode, Inc., Unicode License v3,
https://www.unicode.org/license.txt), as carried by the MIT package confusable_homoglyphs 3.3.1: single letters of
living scripts whose skeleton is one ASCII letter and which NFKC leaves alone. Lower-case Cyrillic and Greek letters
that attackers use though Unicode calls them distinct (the Cyrillic ve, ka, em, en, te) are ours, and so are the small
capitals.
"""

from __future__ import annotations

from functools import cache

# Other scripts' letters: honest text is full of them, so they are read as Latin only inside disguised words.
_SCRIPTS = """
a ΑαАаᎪᗅꓮ
b ΒβВЬвᏏᏴᑲᖯᗷꓐ
c СсᏟⲤⲥꓚꮯ
d ԁᎠᏧᑯᗞᗪꓒꓓ
e ΕεЕеҽᎬꓰ
f Ϝքᖴꓝ
g ցᏀᏳꓖ
h ΗНнһհᎻᏂᕼⲎꓧ
i ΙιІіӀӏᎥⲒꙇꭵ
j ͿϳЈјᎫᒍꓙ
k ΚκКкᏦⲔꓗ
l ᏞᒪⳐꓡꓲ
m ΜϺМмᎷᗰⲘꓟ
n ΝηпոռⲚꓠ
o ΟοσОоՕօჿⲞⲟꓳ
p ΡρРрᏢᑭⲢⲣꓑ
q ԛգզ
r гяᎡᏒᖇᴦⲅꓣꮁ
s ςЅѕՏᏕᏚꓢꮪ
t ΤτТтᎢⲦꓔ
u μυцՍսᑌꓴ
v νѴѵᏙᐯꓦꮩ
w ωшѡԜԝաᎳᏔꓪꮃ
x ΧχХхᕁᕽⲬꓫ
y ΥγУуҮүყᎩᎽⲨꓬ
z ΖᏃꓜꮓ
"""

# Latin letters from phonetic alphabets and old orthographies, always read as the plain letter.
_LATIN = """
a ɑᴀ
b ƄʙꞴ
c ᴄ
d ᴅ
e ᴇꬲ
f ꜰꞘꞙꬵ
g ƍɡɢᶃ
h ʜ
i ıƖɩɪ
j ᴊꞲ
k ᴋ
l ǀʟ
m ᴍ
n ɴ
o ᴏᴑꬽ
p ᴘ
q ꞯ
r Ʀʀꭇꭈ
s ƽꜱ
t ᴛ
u ʋᴜꞟꭎꭒ
v ᴠ
w ɯᴡ
x Ꭓ
y ɣʏᶌỿꭚ
z ᴢ
"""


def _table(rows: str) -> dict[str, str]:
    pairs = (row.split() for row in rows.strip().splitlines())
    return {look: letter.upper() if look.isupper() else letter for letter, looks in pairs for look in looks}


@cache
def script_letters() -> dict[str, str]:
    """Letters of other scripts that pass for a Latin one, upper case kept."""
    return _table(_SCRIPTS)


@cache
def latin_letters() -> dict[str, str]:
    """Odd Latin letters and their plain one."""
    return _table(_LATIN)
