// The little that writing HTML and SVG by hand needs: text that cannot break out of its place, numbers that stay short,
// and names for anchors.

import { plainText } from './wording.ts';

/** `text` for between tags and inside quoted attributes. Control characters go too: peers are quoted on the page. */
export function escapeMarkup(text: string): string {
  return plainText(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Lines of a tooltip as the value of an attribute; the line breaks survive as references. */
export function tipText(lines: readonly string[]): string {
  return lines.map(escapeMarkup).join('&#10;');
}

/** A length within an SVG, with two decimals at most. */
export function length(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** A share from 0 to 1 of a chart's width. Charts stretch with the page, their text does not. */
export function percent(share: number): string {
  return `${length(share * 100)}%`;
}

/** What an anchor on the page may be called; unlike names may only become alike by their punctuation. */
export function anchor(name: string): string {
  return `s-${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`;
}
