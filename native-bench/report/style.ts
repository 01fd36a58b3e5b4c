// How the page looks: light and dark by the reader's own setting, from a phone's width to a desk's. Everything that is
// drawn takes its colours from the variables at the top.

import { paletteRules } from './palette.ts';

/** The whole content of the page's one style element. */
export function styleRules(): string {
  return `${VARIABLES}\n${paletteRules()}\n${LAYOUT}\n${CHARTS}\n${NARROW}`;
}

const VARIABLES = `
:root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--ink:#171c23;--soft:#586270;--rule:#dfe3e8;--grid:#e9ecf0;
--one:#8b95a1;--good:#08754f;--good-tint:#e6f4ee;--bad:#b3261e;--bad-tint:#fbeae8;--favour:#f0f7f4;--accent:#0a66c2;
--shadow:0 1px 2px #1018280d,0 4px 16px #1018280a}
@media (prefers-color-scheme:dark){:root{--page:#0e1217;--card:#161b22;--ink:#e8ecf1;--soft:#9aa6b4;--rule:#2b333d;
--grid:#232a33;--one:#6d7885;--good:#4fd6a2;--good-tint:#12302a;--bad:#ff8f85;--bad-tint:#3a1d1c;--favour:#13231f;
--accent:#5cb0ff;--shadow:0 0 0 1px #ffffff08}}`;

const LAYOUT = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Helvetica Neue",sans-serif;font-variant-numeric:tabular-nums}
a{color:inherit;text-decoration-color:var(--one);text-underline-offset:.2em}
a:hover{color:var(--accent);text-decoration-color:currentColor}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:3px}
header,main,footer{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:40px}
h1{display:flex;align-items:center;gap:14px;margin:0;font-size:2.1rem;line-height:1.15;letter-spacing:-.02em}
h1 svg{flex:none;color:var(--accent)}
h2{margin:0;font-size:1.3rem;letter-spacing:-.01em;overflow-wrap:anywhere}
h3{margin:0 0 10px;font-size:.95rem}
small{font-size:.8rem;font-weight:400;color:var(--soft)}
.lead{margin:10px 0 0;max-width:46em;color:var(--soft)}
.taken{margin:6px 0 0;color:var(--soft);font-size:.84rem;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:14px;margin:26px 0 0;padding:0;list-style:none}
.tiles li{padding:16px 18px;border-radius:12px;background:var(--card);box-shadow:var(--shadow)}
.tiles b{display:block;font-size:1.75rem;line-height:1.2;letter-spacing:-.02em}
.tiles span{color:var(--soft);font-size:.86rem;line-height:1.35;display:block}
section{margin:22px 0 0;padding:24px 26px 26px;border-radius:14px;background:var(--card);box-shadow:var(--shadow);scroll-margin-top:12px}
.title{margin:2px 0 0;color:var(--soft)}
.pair{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:20px 40px;margin-top:20px}
.pair>figure:only-child{grid-column:1/-1}
figure{margin:0;min-width:0}
figcaption{margin-top:12px;color:var(--soft);font-size:.82rem}
.verdicts{display:flex;flex-wrap:wrap;gap:8px;margin:14px 0 0;padding:0;list-style:none}
.verdicts li{padding:3px 12px;border-radius:14px;font-size:.84rem;background:var(--page);color:var(--soft);overflow-wrap:anywhere}
.verdicts b{font-weight:600}
.verdicts .reached{background:var(--good-tint);color:var(--good)}
.verdicts .missed{background:var(--bad-tint);color:var(--bad)}
.remarks{margin:16px 0 0;padding:12px 16px 12px 34px;border-left:3px solid var(--rule);color:var(--soft);font-size:.86rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin-top:20px}
table{border-collapse:collapse;font-size:.84rem;width:100%}
th,td{padding:6px 0 6px 18px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
th{font-weight:500}
thead th{color:var(--soft);border-bottom-color:var(--rule);vertical-align:bottom}
th:first-child{text-align:left;padding-left:0;position:sticky;left:0;background:var(--card)}
tbody tr:last-child>*{border-bottom:0}
tr.subject>*{font-weight:650}
td small{margin-left:4px}
.better{color:var(--good)}.worse{color:var(--bad)}
details{margin-top:12px;font-size:.86rem}
summary{cursor:pointer;color:var(--soft)}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:5px 20px;margin:14px 0 0;font-size:.87rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.plain{margin:12px 0 0;padding-left:20px;font-size:.9rem}
.plain li{overflow-wrap:anywhere}
footer{padding-top:22px;padding-bottom:44px;color:var(--soft);font-size:.84rem}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
#tip{position:fixed;z-index:9;left:0;top:0;max-width:min(340px,92vw);padding:8px 12px;border-radius:8px;background:var(--ink);color:var(--page);font-size:.8rem;line-height:1.5;white-space:pre-line;pointer-events:none;box-shadow:0 6px 24px #0004}
#tip[hidden]{display:none}`;

const CHARTS = `
svg{display:block}
.plot{width:100%;overflow:visible}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:.84rem;margin:8px 0 0}
.key{display:inline-flex;align-items:center;gap:7px}
.overview{margin-top:16px}
.row{display:grid;grid-template-columns:minmax(222px,1.3fr) minmax(0,5fr) minmax(150px,1.2fr);gap:0 18px;align-items:center;border-top:1px solid var(--grid)}
.row.axis{border-top-color:transparent}
.row .what{font-weight:550;font-size:.86rem;line-height:1.3;overflow-wrap:anywhere;padding:4px 0}
.row .what small{display:block}
.row .says{font-size:.86rem;line-height:22px}
.row .says>span{display:block;white-space:nowrap}
.says b{font-weight:650}
.says i{font-style:normal;font-weight:700;padding-left:3px}
.says .reached,small.reached{color:var(--good)}.says .missed,small.missed{color:var(--bad)}
.tick{font-size:11.5px;fill:var(--soft);text-anchor:middle}
.tick.one{fill:var(--ink);font-weight:600}
.tick.end{text-anchor:end}.tick.start{text-anchor:start}
.side{font-size:12px;font-weight:600}
.side.better{fill:var(--good)}.side.worse{text-anchor:end;fill:var(--bad)}
.grid{stroke:var(--grid)}
.one{stroke:var(--one);stroke-width:1.5}
text.one{stroke:none}
.favour{fill:var(--favour)}
.hit{fill:transparent}
g:hover>.hit{fill:var(--ink);fill-opacity:.04}
.whisker{stroke:var(--hue);stroke-width:2.5;stroke-linecap:round;stroke-opacity:.5}
.dot{fill:var(--hue);stroke:var(--card);stroke-width:1.5}
.dot.open{fill:var(--card);stroke:var(--hue);stroke-width:2.5}
.target{stroke:var(--ink);stroke-width:2.5}
.bars{display:grid;grid-template-columns:minmax(84px,max-content) minmax(0,1fr) max-content;gap:2px 12px;align-content:start}
.bars h3{grid-column:1/-1}
.bar{display:grid;grid-template-columns:subgrid;grid-column:1/-1;align-items:center;font-size:.86rem}
.bar .what{overflow-wrap:anywhere;line-height:1.2}
.bar .says{white-space:nowrap}
.bar.subject .what,.bar.subject .says b{font-weight:700}
.bar .fill{fill:var(--hue);fill-opacity:.55}
.bar.subject .fill{fill-opacity:.95}
.bar.dashed .fill,.bar.dotted .fill{fill-opacity:.3;stroke:var(--hue);stroke-dasharray:4 3}
.edge{stroke:var(--ink);stroke-width:1.5;stroke-opacity:.75}
.chart{display:grid;grid-template-columns:44px minmax(0,1fr)}
.ylabels{width:100%;overflow:visible}
.line{fill:none;stroke:var(--hue);stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.line.subject{stroke-width:3.5}
.line.dashed,.dashed .line{stroke-dasharray:7 4}
.line.dotted,.dotted .line{stroke-dasharray:2 3}
.curves .legend{padding-left:44px}
.strip line{stroke:var(--ink);stroke-opacity:0}
.strip:hover line{stroke-opacity:.45}
.small-charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(310px,100%),1fr));gap:26px 34px;margin-top:18px}
.band{fill:var(--hue);fill-opacity:.14}
.dots circle{fill:var(--hue);stroke:var(--card);stroke-width:1.5}
.ends{display:flex;justify-content:space-between;gap:8px;padding-left:44px;color:var(--soft);font-size:.74rem;margin-top:4px}
.trend .legend{padding-left:44px;gap:2px 14px;margin-top:4px}`;

const NARROW = `
@media (max-width:860px){.pair{grid-template-columns:minmax(0,1fr)}}
@media (max-width:640px){
header,main,footer{padding-left:14px;padding-right:14px}
header{padding-top:24px}h1{font-size:1.6rem}
section{padding:18px 16px 20px;border-radius:12px}
.tiles{grid-template-columns:1fr 1fr;gap:10px}.tiles li{padding:12px 14px}.tiles b{font-size:1.4rem}
.row{grid-template-columns:minmax(0,1fr) max-content;gap:2px 12px;padding:8px 0 6px}
.row .plot{grid-column:1/-1;grid-row:2}.row .what{padding:0}
.row.axis{padding:0}.row.axis .what,.row.axis .says{display:none}
.side{font-size:11px}
.bars{grid-template-columns:max-content minmax(0,1fr) max-content;gap:2px 8px}
.bar .what{max-width:7.2em}.bar .says small{display:none}
.wide{display:none}
dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:8px}
}
@media (max-width:380px){.roomy{display:none}}
@media print{body{background:#fff}section,.tiles li{box-shadow:none;break-inside:avoid}}`;
