"""What surrounds a genotype where people copy it from (Markdown, web pages, PDFs, terminals): taken off once, here."""

import html
import re
import unicodedata

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\))")  # colours and links of a terminal
LINES = re.compile(r"</?(?:p|pre|br|div|li|ul|ol|tr|table|thead|tbody|blockquote)\b[^<>]*>", re.IGNORECASE)
CELLS = re.compile(r"</?t[dh]\b[^<>]*>", re.IGNORECASE)
INLINE = re.compile(r"</?(?:code|tt|samp|kbd|b|i|u|em|strong|span|font|a|small|mark)\b[^<>]*>", re.IGNORECASE)
FENCE = re.compile(r"^[ \t>]*(?:```|~~~)[^\n`|]*$", re.MULTILINE)  # of a block of code, with the name of its language
MARGIN = re.compile(r"^[ \t]*(?:>[ \t]*)*(?:-[ \t]+)?", re.MULTILINE)  # of a quotation, an item of a list
ESCAPED = re.compile(r"\\(?=[_*|~+`(){}\[\]])")  # by a backslash, as Markdown does it
STARS = re.compile(r"([(\[,]\s*)?(?:(?<![\w*])\*+|\*+(?![\w*]))")  # in 10**9 they stay
SIGNS = {
    **dict.fromkeys("\u2018\u2019\u02bc\u2032", "'"),
    **dict.fromkeys("\u201c\u201d\u2033", '"'),
    **dict.fromkeys("\u223c\u02dc\uff5e", "~"),
    **dict.fromkeys("\uff5c\u2223\u2502", "|"),
}


def cleaned(text: str) -> str:
    """The text without what only lays it out: marks of Markdown and HTML, colours of a terminal, signs without width;
    every blank is a plain one, every quotation mark a straight one. Stars that unpack in Python stay."""
    text = ESCAPES.sub("", text).replace("\r\n", "\n")
    if "<" in text:
        text = INLINE.sub("", CELLS.sub(" | ", LINES.sub("\n", text)))
    if "&" in text:
        text = html.unescape(text)
    text = text.translate({ord(sign): _plain(sign) for sign in {*text} if not sign.isascii()})
    text = MARGIN.sub("", FENCE.sub("", text)).replace("`", "")
    text = STARS.sub(lambda found: found[0] if found[1] else "", ESCAPED.sub("", text))
    return text.strip()


def _plain(sign: str) -> str:
    """What stands for a sign that is not of ASCII."""
    category = unicodedata.category(sign)
    if category == "Cf":  # no width: byte order marks, joiners, directions
        return ""
    return SIGNS.get(sign, " " if category == "Zs" else "\n" if category in ("Zl", "Zp") else sign)
