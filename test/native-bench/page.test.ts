// The page of a run in a real browser: that it stands alone, that all of it can be seen on a desk and on a phone, and that
// nothing on it obeys what a peer said. With MILLRACE_SCREENSHOT=FILE and MILLRACE_REPORT=JSON it also keeps a picture of
// that report's overview, for the README.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inflateSync } from 'node:zlib';
import { type Browser, chromium, type Page } from 'playwright-core';
import { findProgram } from '../../native-bench/host/machine.ts';
import { readReport } from '../../native-bench/report/json.ts';
import { writePage } from '../../native-bench/report/page.ts';
import type { Report } from '../../native-bench/report/report.ts';
import { HOSTILE, sampleHistory, sampleReport } from './sample-report.ts';

const executablePath = findProgram('chromium') ?? findProgram('google-chrome');
const inBrowser = { skip: executablePath === null ? 'chromium is not installed (Debian package chromium)' : false };
const picture = process.env['MILLRACE_SCREENSHOT'];

let browser: Browser | null = null;
let folder = '';

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-page-'));
  if (executablePath === null) return;
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

for (const { name, width, colorScheme } of [
  { name: 'a desk', width: 1280, colorScheme: 'light' },
  { name: 'a desk in the dark', width: 1280, colorScheme: 'dark' },
  { name: 'a phone', width: 390, colorScheme: 'light' },
  { name: 'a small phone', width: 320, colorScheme: 'dark' },
] as const) {
  test(`on ${name} every chart can be seen and no text leaves its box`, inBrowser, async () => {
    const opened = await open(writePage(sampleReport(), sampleHistory()), { width, colorScheme });
    const { page } = opened;
    assert.deepEqual(opened.troubles, []);
    assert.deepEqual(opened.requests, [page.url()]);

    const charts = (await page.evaluate(CHARTS)) as { kind: string; width: number; height: number }[];
    const count = (kind: string): number => charts.filter((chart) => chart.kind === kind).length;
    assert.deepEqual(
      { overview: count('overview'), bars: count('bars'), curves: count('curves'), trend: count('trend') },
      { overview: 6, bars: 15, curves: 3, trend: 4 },
    );
    for (const { kind, width: wide, height } of charts)
      assert.ok(wide > 60 && height > 10, `${kind}: ${wide} × ${height}`);
    assert.deepEqual(await page.evaluate(OVERFLOWING), []);
    assert.ok(((await page.evaluate('document.documentElement.scrollWidth')) as number) <= width);

    const image = await page.screenshot({ path: join(folder, `${width}-${colorScheme}.png`), fullPage: true });
    assert.ok(shadesOf(image) > 64, 'the picture is blank');
    await page.context().close();
  });
}

test('the page tells figures, targets and remarks as text, and what a peer said stays text', inBrowser, async () => {
  const { page, troubles } = await open(writePage(sampleReport(), sampleHistory()), {
    width: 1280,
    colorScheme: 'light',
  });
  const text = (await page.evaluate('document.body.innerText')) as string;
  for (const part of [
    'AMD EPYC',
    'millrace bench --html bench.html',
    'HAProxy 2.6.12',
    'CPU µs/request at most 0.95 × HAProxy',
    'TLS is not built yet.',
    'haproxy does not add via',
    '<script>alert("x")</script>',
  ]) {
    assert.ok(text.includes(part), part);
  }
  assert.equal(await page.evaluate('document.scripts.length'), 1);
  assert.equal(await page.evaluate('document.images.length'), 0);
  assert.deepEqual(troubles, []);
  await page.context().close();
});

test('pointing at a chart tells the figures behind it, one line for each', inBrowser, async () => {
  const { page } = await open(writePage(sampleReport(), []), { width: 1280, colorScheme: 'light' });
  await page.locator('#s-http-small .strip').nth(8).hover();
  const tip = await page.locator('#tip').textContent();
  assert.match(String(tip), /^99 % took at most\nMillrace: [\d.]+ ms\nnginx: /);
  await page.locator('#overview h2').hover();
  assert.equal(await page.locator('#tip').isVisible(), false);
  await page.context().close();
});

test('every chart has a title, and the page can be read without its script', inBrowser, async () => {
  const { page } = await open(writePage(sampleReport(), sampleHistory()), {
    width: 1280,
    colorScheme: 'light',
    javaScriptEnabled: false,
  });
  const images = page.locator('svg[role=img]');
  assert.equal(await images.count(), await page.locator('svg[role=img] > title').count());
  assert.equal(await page.locator('table').count(), 8);
  await page.context().close();
});

test('the policy of the page forbids whatever does not stand in it', () => {
  const html = writePage(sampleReport(), []);
  assert.match(
    html,
    /Content-Security-Policy" content="default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-/,
  );
  assert.doesNotMatch(html, /(?:src|href)="(?!#|data:,")/);
  assert.doesNotMatch(html, /\sstyle="|\son\w+="/);
  assert.ok(!html.includes(HOSTILE.slice(0, 20)));
  assert.doesNotMatch(html, /NaN|undefined|Infinity/);
});

test('a run with nothing to compare, or nothing measured at all, still makes a page', () => {
  const report = sampleReport();
  const alone = report.scenarios.map((scenario) => ({
    ...scenario,
    rows: scenario.rows.filter(({ peer }) => peer === 'millrace'),
  }));
  for (const scenarios of [[], alone, [{ ...report.scenarios[0]!, rows: [], verdicts: [] }]]) {
    const html = writePage({ ...report, scenarios }, []);
    assert.ok(!html.includes('id="overview"'));
    assert.ok(html.includes('AMD EPYC'));
    assert.doesNotMatch(html, /NaN|undefined|Infinity/);
  }
});

test('a trend needs two runs, and a run that was just kept counts once', () => {
  const report = sampleReport();
  assert.ok(!writePage(report, []).includes('id="trend"'));
  assert.ok(!writePage(report, [report]).includes('id="trend"'));
  assert.match(writePage(report, [...sampleHistory(), report]), /The last 6 runs/);
});

if (picture !== undefined) {
  test('the picture of a report is kept for the README', inBrowser, async () => {
    const report = readReport(readFileSync(process.env['MILLRACE_REPORT'] ?? '', 'utf8'));
    assert.ok(typeof report !== 'string', String(report));
    const { page } = await open(writePage(report satisfies Report, []), {
      width: 1000,
      colorScheme: 'light',
      scale: 2,
    });
    const image = await page.locator('#overview').screenshot({ path: picture });
    assert.ok(shadesOf(image) > 64, 'the picture is blank');
    await page.context().close();
  });
}

/** All charts with their boxes, by the kind of figure that they stand in. */
const CHARTS = `[...document.querySelectorAll('figure svg.plot')].map((svg) => {
  const { width, height } = svg.getBoundingClientRect();
  return { kind: svg.closest('figure').classList[0], width, height };
})`;

/** Text that reaches out of its drawing, out of its box or out of the page; what scrolls by itself is left out. */
const OVERFLOWING = `(() => {
  const found = [];
  const outside = (inner, outer) =>
    inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
  for (const text of document.querySelectorAll('svg text')) {
    const root = text.closest('.plot, .ylabels');
    // On a small phone some are left out.
    if (getComputedStyle(text).display === 'none') continue;
    if (outside(text.getBoundingClientRect(), root.getBoundingClientRect())) found.push('drawing: ' + text.textContent);
  }
  for (const label of document.querySelectorAll('.plot text')) {
    const box = label.getBoundingClientRect();
    let next = label.nextElementSibling;
    while (next !== null && next.getBoundingClientRect().width === 0) next = next.nextElementSibling;
    if (next === null || next.tagName !== 'text' || box.width === 0) continue;
    const other = next.getBoundingClientRect();
    const apart = other.left >= box.right - 1 || other.right <= box.left + 1 || other.top >= box.bottom - 4 || other.bottom <= box.top + 4;
    if (!apart) found.push('over each other: ' + label.textContent + ' ' + next.textContent);
  }
  for (const box of document.querySelectorAll('section *, header *, footer *')) {
    if (box.closest('svg, .scroll, .unseen, details') !== null || box.textContent.trim() === '') continue;
    const { left, right } = box.getBoundingClientRect();
    if (left < -1 || right > innerWidth + 1) found.push('page: ' + box.textContent);
    const display = getComputedStyle(box).display;
    if (display !== 'inline' && box.scrollWidth > box.clientWidth + 1) found.push('box: ' + box.textContent);
  }
  return found;
})()`;

interface Window {
  readonly width: number;
  readonly colorScheme: 'light' | 'dark';
  readonly scale?: number;
  readonly javaScriptEnabled?: boolean;
}

/** Opens `html` without a network. `troubles`: what the browser complained of; `requests`: everything it asked for. */
async function open(
  html: string,
  { width, colorScheme, scale = 1, javaScriptEnabled = true }: Window,
): Promise<{ page: Page; troubles: string[]; requests: string[] }> {
  const context = await browser!.newContext({
    colorScheme,
    viewport: { width, height: 900 },
    deviceScaleFactor: scale,
    javaScriptEnabled,
    offline: true,
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const troubles: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => troubles.push(message.text()));
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('request', (request) => {
    // The icon is part of the page: its address is its content.
    if (!request.url().startsWith('data:')) requests.push(request.url());
  });
  const file = join(mkdtempSync(join(folder, 'page-')), 'bench.html');
  writeFileSync(file, html);
  await page.goto(pathToFileURL(file).href);
  return { page, troubles, requests };
}

/** Different bytes in a PNG's pixels; a blank one has hardly any. Throws when `png` is none. */
function shadesOf(png: Buffer): number {
  assert.equal(png.subarray(1, 4).toString('latin1'), 'PNG');
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const bytes = png.readUInt32BE(at);
    if (png.subarray(at + 4, at + 8).toString('latin1') === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + bytes));
    at += bytes + 12;
  }
  return new Set(inflateSync(Buffer.concat(parts))).size;
}
