/**
 * Small JSON files of which every byte counts: they carry the CRC-32 of their other fields, are written under another name, synced, and
 * renamed, so that they are there as a whole or as they were before.
 */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { placeFile } from './file-copy.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Durable when it returns. */
export function writeSignedJson(path: string, fields: Fields): void {
  const signed = { ...fields, checksum: checksumOf(fields) };
  placeFile(path, `${JSON.stringify(signed, undefined, 2)}\n`);
}

/** The fields; undefined when there is no such file; or the rule that the file breaks. */
export function readSignedJson(
  path: string,
): { readonly fields: Fields } | { readonly defect: string } | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error: unknown) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    return { defect: `it cannot be read (${code})` };
  }
  let signed: unknown;
  try {
    signed = JSON.parse(text);
  } catch {
    return { defect: 'it is not readable as JSON' };
  }
  if (typeof signed !== 'object' || signed === null) return { defect: 'it is not a JSON object' };
  const { checksum, ...fields } = signed as Record<string, unknown>;
  if (checksum !== checksumOf(fields)) return { defect: 'it does not match its checksum' };
  return { fields };
}

/** Over the text without spaces, the fields in their order. */
function checksumOf(fields: Fields): number {
  return crc32(JSON.stringify(fields));
}
