"""The looks of the page: light and dark, from 320 pixels upward; nothing is loaded."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f6f3; --card: #ffffff; --ink: #1d1f22; --soft: #5c6168; --line: #e0e0da;
  --link: #0b57b0; --good: #0f6b3c; --goodbg: #e0f3e7; --bad: #a61b1b; --badbg: #fde8e6;
  --warn: #7a4b00; --warnbg: #fdf0d2; --calm: #454b54; --calmbg: #e9eaec; --track: #e8e8e2;
  --f0: #2f6fb5; --f1: #c2571a; --f2: #17826a; --f3: #8a5bb0; --f4: #a8851a; --f5: #bf4a77;
  --f6: #777d85;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131517; --card: #1c1f22; --ink: #e9eaec; --soft: #a3a9b1; --line: #32373c;
    --link: #7fb8ff; --good: #7fd8a4; --goodbg: #14331f; --bad: #ff9d94; --badbg: #43191a;
    --warn: #f2c46b; --warnbg: #3a2b0b; --calm: #c3c8ce; --calmbg: #2d3237; --track: #2d3237;
    --f0: #6aa9ec; --f1: #ee935a; --f2: #4fc0a4; --f3: #bd94e0; --f4: #d9b94e; --f5: #ee86ae;
    --f6: #9aa1a9;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main, header, footer { max-width: 66rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2rem; }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0; font-weight: 600; }
p { margin: .4rem 0; }
p, h3, li, dd { overflow-wrap: anywhere; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, .wide:focus-visible {
  outline: 3px solid var(--link); outline-offset: 2px;
}
code, .path {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
code { font-size: .9em; }
.verdict { font-size: 1.1rem; margin: .35rem 0 1.25rem; color: var(--soft); }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(6.6rem, 1fr)); gap: .75rem;
  margin: 0 0 1.5rem;
}
.figures div {
  background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .7rem .9rem; display: flex; flex-direction: column-reverse; justify-content: flex-end;
}
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.45rem; font-weight: 650; line-height: 1.25; }
.figures .bad dd { color: var(--bad); }
.figures .good dd { color: var(--good); }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: .8rem;
  padding: 1.1rem 1.1rem 1.2rem; margin: 0 0 1.25rem;
}
.note { color: var(--soft); font-size: .9rem; }
.advice { list-style: none; margin: 0; padding: 0; }
.advice > li { padding: .8rem 0; border-top: 1px solid var(--line); }
.advice > li:first-child { border-top: 0; padding-top: 0; }
.advice > li:last-child { padding-bottom: 0; }
.advice pre {
  margin: .5rem 0 0; padding: .55rem .75rem; background: var(--page); border: 1px solid var(--line);
  border-radius: .45rem; white-space: pre-wrap; overflow-wrap: anywhere;
}
.option { display: inline-block; }
.advice ul { margin: .35rem 0 0; padding-left: 1.1rem; }
.advice .path { font-size: .9rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--soft); font-size: .9rem; padding: 0 0 .6rem; }
th, td { text-align: left; vertical-align: top; padding: .55rem .5rem; font-weight: 400; }
thead th { color: var(--soft); font-size: .82rem; border-bottom: 1px solid var(--line); }
tbody th { overflow-wrap: anywhere; }
tbody tr { border-top: 1px solid var(--line); }
thead + tbody tr:first-child { border-top: 0; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.group th { padding-top: 1.1rem; font-weight: 600; border-bottom: 0; }
.group .note { font-weight: 400; }
.name { font-weight: 600; overflow-wrap: anywhere; }
.path { overflow-wrap: anywhere; }
.more { display: block; color: var(--soft); font-size: .88rem; overflow-wrap: anywhere; }
.size { width: 32%; }
.facts { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .1rem .5rem; }
.facts .badge { margin-left: auto; }
.bytes { font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: block; width: 100%; height: .5rem; margin-top: .35rem; border-radius: .25rem; }
.stack { display: block; width: 100%; height: 2.2rem; border-radius: .5rem; margin: 0 0 .9rem; }
.track { fill: var(--track); }
.swatch {
  width: .8rem; height: .8rem; border-radius: .2rem; margin: 0 .5rem 0 -1.3rem;
  vertical-align: -.06rem;
}
.swatched, .swatched:first-child { padding-left: 1.3rem; }
.f0 { fill: var(--f0); } .f1 { fill: var(--f1); } .f2 { fill: var(--f2); } .f3 { fill: var(--f3); }
.f4 { fill: var(--f4); } .f5 { fill: var(--f5); } .f6 { fill: var(--f6); }
.badge {
  display: inline-block; padding: .05rem .5rem; border-radius: 1rem; font-size: .82rem;
  white-space: nowrap; background: var(--calmbg); color: var(--calm);
}
details { color: var(--soft); font-size: .85rem; }
.folded { display: flex; flex-wrap: wrap; gap: 0 1.2rem; }
.folded details[open] { flex-basis: 100%; }
.folded .note { font-size: .85rem; }
.advice details { margin-top: .35rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; list-style: none; padding: 0;
  margin: 0 0 1.25rem; font-size: .95rem; }
.paper { display: none; }
@media (min-width: 72rem) {
  .roomy { width: fit-content; min-width: 100%; max-width: calc(100vw - 4rem); position: relative;
    left: 50%; transform: translateX(-50%); }
}
summary { white-space: nowrap; cursor: pointer; width: fit-content; }
details code { overflow-wrap: anywhere; }
.wide { overflow: auto; position: relative; }
.tall { max-height: 88vh; }
.matrix { width: auto; border-collapse: separate; border-spacing: 0; }
.matrix caption { position: sticky; left: 0; }
.matrix th, .matrix td { padding: .16rem .2rem; border-top: 1px solid var(--line); }
.matrix thead th, .matrix thead td { position: sticky; top: 0; z-index: 2; vertical-align: bottom;
  background: var(--card); border-top: 0; border-bottom: 1px solid var(--soft); }
.matrix thead td { left: 0; z-index: 3; }
.matrix thead .across { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 12rem;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; line-height: 1.2;
  margin: 0 auto; }
.matrix tbody tr { border: 0; }
.matrix tbody th { position: sticky; left: 0; z-index: 1; background: var(--card);
  max-width: 24rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  font-size: .88rem; line-height: 1.35; padding-right: .6rem; }
.matrix .group th { max-width: none; padding-top: .7rem; border-top: 0; overflow: visible; }
.matrix tbody tr > :first-child, .matrix thead td { padding-left: 0; }
.matrix .group bdi { position: sticky; left: 0; }
.matrix .cell { text-align: center; min-width: 1.75rem; }
.matrix tbody tr:hover th, .matrix tbody tr:hover td { background: var(--page); }
.dot { display: inline-block; width: 1.2rem; height: 1.2rem; line-height: 1.2rem;
  border-radius: 50%; font-size: .75rem; text-align: center; background: var(--calmbg);
  color: var(--calm); }
.present { background: var(--goodbg); color: var(--good); }
.missing, .unresolved { background: var(--badbg); color: var(--bad); }
.different, .blocked, .careful { background: var(--warnbg); color: var(--warn); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1rem; list-style: none; margin: .7rem 0 0;
  padding: 0; font-size: .88rem; color: var(--soft); }
.meanings { display: grid; grid-template-columns: max-content 1fr; gap: .35rem .9rem; margin: 0;
  font-size: .92rem; }
.meanings dd { margin: 0; }
.heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
footer { color: var(--soft); font-size: .85rem; padding-bottom: 2.5rem; }
@media (max-width: 60rem) {
  .matrix tbody th { max-width: 16rem; }
}
@media (max-width: 34rem) {
  section { padding: .9rem .8rem 1rem; border-radius: .6rem; margin-bottom: 1rem; }
  main, header, footer { padding-left: .6rem; padding-right: .6rem; }
  header { padding-top: 1.2rem; }
  .figures { grid-template-columns: repeat(3, 1fr); gap: .45rem; }
  .figures div { padding: .5rem .6rem; }
  .figures dd { font-size: 1.05rem; white-space: nowrap; }
  .figures dt { font-size: .78rem; line-height: 1.25; }
  table { font-size: .94rem; }
  .size { width: 6.6rem; }
  .facts .badge { margin-left: 0; }
  .more .badge { white-space: normal; }
  th, td { padding-left: .3rem; padding-right: .3rem; }
  .matrix tbody th { max-width: 9.5rem; min-width: 9.5rem; white-space: normal;
    overflow-wrap: anywhere; }
  .meanings { grid-template-columns: 1fr; gap: .1rem; }
  .meanings dd { margin-bottom: .5rem; }
}
@media print {
  body { background: #fff; font-size: 10pt; }
  main, header, footer { max-width: none; padding: 0; }
  nav { display: none; }
  .figures dd { white-space: nowrap; font-size: 14pt; }
  section { border: 0; padding: 0; margin-bottom: 1.5rem; }
  h2, h3, .group { break-after: avoid; }
  tr, .advice pre { break-inside: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
  .wide { overflow: visible; max-height: none; }
  .matrix thead th, .matrix thead td, .matrix tbody th { position: static; }
  .roomy { page: across; width: auto; max-width: none; left: 0; transform: none; }
  .roomy .matrix { font-size: 6.5pt; }
  .roomy .matrix tbody th { max-width: 62mm; font-size: 6.5pt; padding: 0 1mm 0 0; }
  .roomy .matrix th, .roomy .matrix td { padding: 0; }
  .roomy .matrix .cell { min-width: 2.8mm; }
  .roomy .dot { width: auto; height: auto; line-height: 1.2; background: none; font-size: 7pt; }
  .vast .wide, .vast .legend { display: none; }
  .vast .paper { display: block; }
}
@page { margin: 14mm; }
@page across { size: landscape; margin: 10mm; }
"""
