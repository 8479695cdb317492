import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';

/** Where SQLite's header has the size of a page, two bytes. */
const PAGE_SIZE_AT = 16;

/** What a disk that fails leaves of a SQLite file: all pages but the first as if they had never been written. */
export function losePages(path: string): void {
  const file = openSync(path, 'r+');
  try {
    const header = Buffer.alloc(2);
    readSync(file, header, 0, 2, PAGE_SIZE_AT);
    const pageBytes = header.readUInt16BE();
    const lost = statSync(path).size - pageBytes;
    writeSync(file, new Uint8Array(lost), 0, lost, pageBytes);
  } finally {
    closeSync(file);
  }
}
