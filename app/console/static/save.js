// @ts-check
// Files that the page gives to its user, and names for them.

// Milliseconds that a browser may take to begin with a download.
const PATIENCE = 20_000;

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), PATIENCE);
}
