// Dates of HTTP fields (RFC 9110 5.6.7). Reads no clock: the time comes from whoever asks.

/** First and last millisecond that the four digits of a year can say. */
const FIRST_MS = -62_167_219_200_000;
const LAST_MS = 253_402_300_799_999;
/** Where two-digit years are centred unless told otherwise: 1971 to 2070. */
const PIVOT_MS = Date.UTC(2020, 0, 1);

let lastSecond = Number.NaN;
let lastText = '';

/**
 * A time as IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`. `epochMs` counts from 1970; what lies outside the years 0 to
 * 9999 is moved to the nearest second inside. Answers of the same second as the one before are not made again.
 */
export function httpDate(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  if (second === lastSecond) return lastText;
  const inside = epochMs >= FIRST_MS ? Math.min(epochMs, LAST_MS) : FIRST_MS;
  // ECMA-262 21.4.4.43 fixes this form to be the one wanted.
  lastText = new Date(inside).toUTCString();
  lastSecond = second;
  return lastText;
}

/**
 * Milliseconds since 1970 of a date in any of the three forms a recipient must read: IMF-fixdate, the one of RFC 850
 * and the one of asctime. NaN when it is none of them, or no such day exists. Case and spaces count, as the grammar
 * has it; whether the day of the week fits the date is not looked at. A second of 60 is the first of the next minute.
 *
 * RFC 850 years have two digits: a date more than 50 years after `nowMs` is meant a century earlier.
 */
export function parseHttpDate(text: string, nowMs = PIVOT_MS): number {
  // The longest is "Wednesday, 06-Nov-94 08:49:37 GMT".
  if (text.length > 33) return Number.NaN;
  let parts = IMF_FIXDATE.exec(text);
  if (parts !== null) return assemble(Number(parts[3]), parts[2]!, parts[1]!, parts[4]!, parts[5]!, parts[6]!);
  parts = ASCTIME.exec(text);
  if (parts !== null) return assemble(Number(parts[6]), parts[1]!, parts[2]!, parts[3]!, parts[4]!, parts[5]!);
  parts = RFC_850.exec(text);
  if (parts === null) return Number.NaN;
  // The latest year with these two digits whose date is not more than 50 years ahead.
  const nowYear = new Date(nowMs).getUTCFullYear();
  const latest = new Date(nowMs).setUTCFullYear(nowYear + 50);
  let year = Math.floor((nowYear + 50) / 100) * 100 + Number(parts[3]);
  let time = assemble(year, parts[2]!, parts[1]!, parts[4]!, parts[5]!, parts[6]!);
  if (year > nowYear + 50 || time > latest) {
    year -= 100;
    time = assemble(year, parts[2]!, parts[1]!, parts[4]!, parts[5]!, parts[6]!);
  }
  return time;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)';
const MONTH = `(${MONTHS.join('|')})`;
const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)';
const IMF_FIXDATE = new RegExp(`^${DAY}, (\\d\\d) ${MONTH} (\\d{4}) ${TIME} GMT$`);
const RFC_850 = new RegExp(`^${LONG_DAY}, (\\d\\d)-${MONTH}-(\\d\\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(`^${DAY} ${MONTH} (\\d\\d| \\d) ${TIME} (\\d{4})$`);

function assemble(year: number, month: string, day: string, hour: string, minute: string, second: string): number {
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return Number.NaN;
  const date = new Date(0);
  // Not Date.UTC: it takes the years 0 to 99 for those of the twentieth century.
  date.setUTCFullYear(year, MONTHS.indexOf(month), Number(day));
  // A day that the month does not have has moved on to another day.
  if (date.getUTCDate() !== Number(day)) return Number.NaN;
  return date.setUTCHours(Number(hour), Number(minute), Number(second), 0);
}
