// Colour on a terminal. Whether there is any is the caller's to say: it knows the stream and NO_COLOR.

export interface Ink {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  red(text: string): string;
}

/** Escape sequences around the text, or the text as it is. */
export function inkFor(styled: boolean): Ink {
  const paint = (on: number, off: number) => (text: string) =>
    styled && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return { bold: paint(1, 22), dim: paint(2, 22), green: paint(32, 39), red: paint(31, 39) };
}
