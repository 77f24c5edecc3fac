"""Data Docs that need no network: the pages of Great Expectations load styles and scripts from seven servers.

What they take from Bootstrap, Font Awesome and jQuery is little, and is in `pages.css` and `pages.js`, which are put beside
them. So a page looks the same in a closed network, and in ten years.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ASSETS = Path(__file__).parent
STATIC = "static"  # Great Expectations' own folder for logo and fonts
USED = ("favicon.ico", "logo-long.png")
REMOTE_TAGS = re.compile(
    r"""<script\b[^>]*\bsrc=["']https?://[^>]*>\s*</script>|<link\b[^>]*\bhref=["']https?://[^>]*>|<footer>.*?</footer>""",
    re.DOTALL,  # the footer asks for a subscription
)
REMOTE_PICTURES = re.compile(r"""https://great-expectations-web-assets\.s3[^"')\s]*/""")
OWN_STATIC = re.compile(r"(?:\.\.?/)+static/")  # in pages of validations they go up one folder too few
TRACKING = re.compile(r"\?d=[^\s\"')]*dataContextId=[\w-]+")  # says to the maker who opened a page when
HEAD = '<link rel="stylesheet" href="{static}/pages.css">\n<script src="{static}/pages.js"></script>\n</head>'


def make_self_contained(docs: Path) -> None:
    """Makes all pages under a folder load what they need from that folder, and nothing else.

    Also removes fonts and pictures that no page uses: 4 MB, which MLflow would keep with every version.
    """
    static = docs / STATIC
    shutil.rmtree(static / "fonts", ignore_errors=True)
    for picture in static.glob("images/*"):
        if picture.name not in USED:
            picture.unlink()
    for asset in ("pages.css", "pages.js"):
        shutil.copyfile(ASSETS / asset, static / asset)
    for page in [*docs.rglob("*.html"), *static.rglob("*.css")]:
        to_static = "../" * (len(page.relative_to(docs).parts) - 1) + STATIC
        page.write_text(_without_network(page.read_text(encoding="utf-8"), to_static), encoding="utf-8")


def _without_network(text: str, to_static: str) -> str:
    text = REMOTE_TAGS.sub("", TRACKING.sub("", text))
    text = REMOTE_PICTURES.sub(f"{to_static}/images/", text).replace("full_logo_dark.png", "logo-long.png")
    text = OWN_STATIC.sub(f"{to_static}/", text)
    # In front of all other scripts of the page, which use what this one defines.
    return text.replace("</head>", HEAD.format(static=to_static), 1)
