// @ts-check
// Sizes for people, and bytes as hexadecimal digits.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

// Exact up to 9,999 bytes, then three figures.
export function size(bytes) {
  if (bytes === 1) return "1 byte";
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && (bytes > 9999 || unit) && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit ? value.toPrecision(value >= 1000 ? 4 : 3) : value.toLocaleString("en")} ${UNITS[unit]}`;
}

export const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(part < 10 * whole ? 1 : 0)} %` : "\u2014");

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// Bytes from hexadecimal digits with white space between them; null where there is something else or a digit is missing.
export function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 || /[^0-9a-f]/i.test(digits)) return null;
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) => parseInt(digits.slice(2 * index, 2 * index + 2), 16));
}

const ROW = 16;

// Rows of `offset  16 bytes  |their ASCII|`, of at most `most` bytes.
export function hexDump(bytes, most = 1024) {
  const rows = [];
  for (let at = 0; at < Math.min(bytes.length, most); at += ROW) {
    const row = bytes.subarray(at, Math.min(at + ROW, most));
    const pairs = Array.from(row, (byte) => byte.toString(16).padStart(2, "0"));
    const left = pairs.slice(0, 8).join(" ").padEnd(23),
      right = pairs.slice(8).join(" ").padEnd(23);
    const ascii = Array.from(row, (byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : "\u00B7")).join("");
    rows.push(`${at.toString(16).padStart(6, "0")}  ${left}  ${right}  ${ascii}`);
  }
  return rows.join("\n");
}
