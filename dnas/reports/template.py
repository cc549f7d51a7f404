"""The HTML of a report page: one file, no script, no font from elsewhere."""

STYLE = """
:root { --ink: #1d2733; --soft: #5c6b7d; --line: #e3e7ec; --paper: #fff; --back: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 72rem;
  background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } header p { color: var(--soft); margin: .2rem 0 1.5rem; }
h2 { font-size: 1.05rem; margin: 0 0 .9rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.2rem 1.4rem; margin-bottom: 1.1rem; }
section p { color: var(--soft); margin: .8rem 0 0; font-size: .85rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; }
.tiles div { background: var(--back); border-radius: 8px; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tiles span { color: var(--soft); font-size: .8rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1.2rem 2%; }
figure { margin: 0; text-align: center; } .whole { width: 100%; } .half { width: 49%; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .3rem .5rem; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
.facts th, .facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.facts th { width: 17rem; font-weight: 400; }
tr:last-child th, tr:last-child td { border-bottom: 0; }
pre { background: var(--back); border-radius: 8px; padding: .9rem 1rem; margin: 0 0 .6rem; overflow: auto;
  max-height: 30rem;
  font-size: .8rem; line-height: 1.45; }
"""

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><header><h1>{title}</h1><p>{name}</p></header>{body}</body>
</html>
"""
