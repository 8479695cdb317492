/**
 * The bytes of the golden directory of format 3, decoded by what docs/format.md says, with its numbers written out here: nothing of the product is used.
 * A failure means that the document, or the format, is not what it was.
 */
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { TempDirectory } from '../support/cluster.ts';

const GOLDEN = join(import.meta.dirname, 'format-3');
const LEDGER = join(GOLDEN, 'ledger');
const CLUSTER = '90'.repeat(16);
const bytes = (...path: readonly string[]): Buffer => readFileSync(join(LEDGER, ...path));
const hex = (word: number): string => word.toString(16).padStart(8, '0');

interface Row {
  readonly sequence: bigint;
  readonly timestamp: bigint;
  readonly checksum: bigint;
  readonly frame: Uint8Array;
}

interface Meta {
  readonly format: bigint;
  readonly cluster_id: string;
  readonly shard: bigint;
  readonly shards: bigint;
  readonly first_sequence: bigint;
  readonly previous_checksum: bigint;
}

/** What the segments of a shard hold, each read beside its WAL in a directory of its own. */
async function journalOf(shard: number, ledger = LEDGER) {
  await using temp = new TempDirectory();
  const rows: Row[] = [];
  const metas: Meta[] = [];
  const names = readdirSync(join(ledger, `shard-00${shard}`));
  for (const name of names.filter((one) => one.startsWith('segment-'))) {
    copyFileSync(join(ledger, `shard-00${shard}`, name), join(temp.path, name));
  }
  for (const name of names.filter((one) => /^segment-\d{12}\.sqlite$/.test(one)).toSorted()) {
    using database = new DatabaseSync(join(temp.path, name));
    const all = (sql: string): unknown => {
      const statement = database.prepare(sql);
      statement.setReadBigInts(true);
      return statement.all();
    };
    metas.push(...(all('SELECT * FROM meta') as Meta[]));
    rows.push(...(all('SELECT * FROM journal_row ORDER BY sequence') as Row[]));
  }
  return { rows, metas };
}

test('sycee.json has the checksum of the text that the document names', () => {
  const { checksum, ...fields } = JSON.parse(bytes('sycee.json').toString()) as Record<
    string,
    string | number
  >;
  const { format, clusterId, shards, seed, created } = fields;
  expect(fields).toEqual({
    format: 3,
    clusterId: CLUSTER,
    shards: 2,
    seed: 0x5eed0003,
    created: '2026-01-01T00:00:00.000Z',
  });
  const text = `sycee.json/${format}/${clusterId}/${shards}/${seed}/${created}`;
  expect(checksum).toBe(hex(crc32(text)));
});

test('a segment is a SQLite file with pages of 8192 bytes, SYCE, and version 3', () => {
  for (const name of ['segment-000000000001.sqlite', 'segment-000000000040.sqlite']) {
    const file = bytes('shard-000', name);
    expect(file.toString('latin1', 0, 16)).toBe('SQLite format 3\0');
    expect(file.readUInt16BE(16)).toBe(8192);
    expect(file.readUInt32BE(60)).toBe(3);
    expect(file.toString('latin1', 68, 72)).toBe('SYCE');
    expect(file.length % 8192).toBe(0);
  }
  const wal = bytes('shard-000', 'segment-000000000040.sqlite-wal');
  expect(wal.readUInt32BE(8)).toBe(8192);
  expect((wal.length - 32) % (24 + 8192)).toBe(0);
});

test.for([0, 1])(
  'the rows of shard %i make a chain of checksums over all segments',
  async (shard) => {
    const { rows, metas } = await journalOf(shard);
    let checksum = crc32(`sycee/${CLUSTER}/${shard}/2`);
    const firsts = new Map(metas.map((meta) => [meta.first_sequence, meta]));
    expect(metas).toHaveLength(2);
    for (const [i, row] of rows.entries()) {
      expect(row.sequence).toBe(BigInt(i + 1));
      const meta = firsts.get(row.sequence);
      expect(meta?.previous_checksum ?? BigInt(checksum)).toBe(BigInt(checksum));
      const head = Buffer.alloc(16);
      head.writeBigUInt64LE(row.sequence, 0);
      head.writeBigUInt64LE(BigInt.asUintN(64, row.timestamp), 8);
      checksum = crc32(row.frame, crc32(head, checksum));
      expect(row.checksum).toBe(BigInt(checksum));
    }
    const whose = { format: 3n, cluster_id: CLUSTER, shard: BigInt(shard), shards: 2n };
    for (const meta of metas) expect(meta).toMatchObject(whose);
  },
);

test('a frame begins with the header of the document, then a request with its batch', async () => {
  const { rows } = await journalOf(0);
  for (const { frame: blob, timestamp } of rows) {
    const frame = Buffer.from(blob);
    expect(frame.toString('latin1', 0, 4)).toBe('SYC1');
    expect(frame.readUInt32LE(4)).toBe(3);
    expect(frame.readUInt32LE(12)).toBe(frame.length);
    expect(frame.readBigUInt64LE(24)).toBe(timestamp);
    expect(frame.readBigUInt64LE(16)).toBeLessThanOrEqual(timestamp);
    expect((frame.readUInt32LE(40) % 8) + (frame.readUInt32LE(44) % 8)).toBe(0);
    expect(frame.subarray(68, 96).every((byte) => byte === 0)).toBe(true);
    // Inputs follow each other, and their rows are counted in the header.
    let at = 96;
    let inputRows = 0;
    const heads: number[][] = [];
    const expected: number[][] = [];
    for (let left = frame.readUInt32LE(8); left > 0; left--) {
      const type = frame.readUInt32LE(at);
      expect(type).toBeGreaterThanOrEqual(1);
      expect(type).toBeLessThanOrEqual(8);
      if ([1, 2, 3, 8].includes(type)) {
        // The number of its first row, and the kind of its batch.
        heads.push([frame.readUInt32LE(at + 24), frame[at + 40 + 3]!]);
        expected.push([inputRows, type === 1 || type === 8 ? 1 : 2]);
        inputRows += frame.readUIntLE(at + 40, 3);
      }
      at += frame.readUInt32LE(at + 4);
    }
    expect(heads).toEqual(expected);
    expect(inputRows).toBe(frame.readUInt32LE(32));
    expect(frame.readUInt32LE(36) * 48).toBeLessThanOrEqual(frame.length);
  }
});

test('the first frame is the import of one account, column by column', async () => {
  const { rows } = await journalOf(0);
  const frame = Buffer.from(rows[0]!.frame);
  expect([8, 32, 36].map((at) => frame.readUInt32LE(at))).toEqual([1, 1, 0]);
  // A request to create accounts of session 1, which is imported as a whole.
  expect(frame.readUInt32LE(96)).toBe(1);
  expect(frame.readUInt32LE(96 + 8)).toBe(1);
  expect(frame.readUInt32LE(96 + 28)).toBe(1);
  // The batch: one account; id, ledger, code, flags, timestamp.
  expect(frame.readUInt32LE(136)).toBe((1 << 24) + 1);
  const mask = frame.readUInt32LE(140);
  const columns = [0, 9, 10, 11, 12];
  expect((mask & 0xffff) | (mask >>> 16)).toBe(columns.reduce((all, one) => all | (1 << one), 0));
  const wide = frame.subarray(152);
  expect(wide.readBigUInt64LE(0) + (wide.readBigUInt64LE(8) << 64n)).toBe(16n);
  expect(wide.readUInt32LE(16)).toBe(7);
  expect(wide.readUInt16LE(24)).toBe(11);
  expect(wide.readUInt16LE(32)).toBe(16);
  const at = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n - 3_600_000_000_000n;
  expect(wide.readBigUInt64LE(40)).toBe(at);
});

/** A thin row at a byte offset: its words by place, and where it ends. */
function thinRow(frame: Buffer, at: number): { readonly words: number[]; readonly end: number } {
  const words: number[] = Array.from({ length: 32 }, () => 0);
  const mask = frame.readUInt32LE(at);
  let end = at + 4;
  for (let w = 0; w < 32; w++) {
    if ((mask & (1 << w)) === 0) continue;
    words[w] = frame.readUInt32LE(end);
    end += 4;
  }
  return { words, end };
}

test('in frames of version 4 the events of a walk are thin, and so are the records of derived rows in them', async () => {
  const { rows } = await journalOf(1, join(import.meta.dirname, 'format-3-frames-4', 'ledger'));
  const seen = { walks: 0, events: 0, records: 0 };
  for (const { frame: blob } of rows) {
    const frame = Buffer.from(blob);
    expect(frame.readUInt32LE(4)).toBe(4);
    const events = new Map<number, readonly number[]>();
    let at = 96;
    for (let left = frame.readUInt32LE(8); left > 0; left--, at += frame.readUInt32LE(at + 4)) {
      const body = at + 40;
      if (frame.readUInt32LE(at) !== 4 || frame.readUInt32LE(body) !== 1) continue;
      // A walk of transfers, with its accounts: all thin.
      if (frame.readUInt32LE(body + 40) !== 2) continue;
      expect(frame.readUInt32LE(body + 44)).toBe(1);
      seen.walks++;
      const n = frame.readUInt32LE(body + 4);
      let next = body + 48;
      for (let i = 0; i < n; i++) {
        const { words, end } = thinRow(frame, next);
        events.set(next / 4, words);
        next = end;
      }
      next += (next - body) % 8;
      const marks = next;
      next += 4 * n;
      expect(frame.readUInt32LE(marks + 4 * n - 4) & 1).toBe(1);
      for (let left2 = frame.readUInt32LE(body + 24); left2 > 0; left2--) {
        const { words, end } = thinRow(frame, next);
        // A ledger and a code, as every account has.
        expect([words[28], words[29]! & 0xffff].every((word) => word! > 0)).toBe(true);
        next = end;
      }
      seen.events += n;
    }
    const derived = frame.readUInt32LE(44);
    for (let i = 0; i < frame.readUInt32LE(36); i++) {
      const head = derived + 48 * i;
      if ((frame.readUInt32LE(head + 4) & 8) === 0) continue;
      const record = frame.readUInt32LE(head);
      const found = events.get(record);
      if (found === undefined) continue;
      expect(thinRow(frame, 4 * record).words).toEqual(found);
      seen.records++;
    }
  }
  expect(seen.walks).toBeGreaterThan(3);
  expect(seen.events).toBeGreaterThan(seen.walks);
  expect(seen.records).toBeGreaterThan(3);
});

test.for([
  ['shard-000', 38],
  ['shard-000', 42],
  ['shard-001', 18],
] as const)(
  'the snapshot of %s at sequence %i: its manifest, its header, and its blocks',
  async ([shard, sequence]) => {
    const stem = `snapshot-${String(sequence).padStart(12, '0')}`;
    const text = bytes(shard, `${stem}.json`).toString();
    const manifest = JSON.parse(text) as Record<string, string | number>;
    expect(Object.keys(manifest).join(' ')).toBe(
      'format clusterId shard shards sequence chain timestamp bytes checksum digest written manifestChecksum',
    );
    expect(text).toBe(`${JSON.stringify(manifest, undefined, 2)}\n`);
    const { manifestChecksum, ...fields } = manifest;
    expect(manifestChecksum).toBe(hex(crc32(JSON.stringify(fields))));
    const number = Number(shard.at(-1));
    expect(fields).toMatchObject({
      format: 1,
      clusterId: CLUSTER,
      shard: number,
      shards: 2,
      sequence,
    });
    const row = (await journalOf(number)).rows[sequence - 1]!;
    expect(fields).toMatchObject({
      chain: hex(Number(row.checksum)),
      timestamp: String(row.timestamp),
    });

    const image = bytes(shard, `${stem}.image`);
    expect(image.length).toBe(fields['bytes']);
    expect(image.toString('latin1', 0, 4)).toBe('SYEI');
    expect([4, 8, 12].map((at) => image.readUInt32LE(at))).toEqual([1, number, 2]);
    expect(image.readBigUInt64LE(16)).toBe(BigInt(sequence));
    expect(image.toString('hex', 24, 40)).toBe(CLUSTER);
    expect(image.subarray(40, 60).every((byte) => byte === 0)).toBe(true);
    expect(image.readUInt32LE(60)).toBe(crc32(image.subarray(0, 60)));
    const sections: number[] = [];
    let checksum = image.readUInt32LE(60);
    let at = 64;
    while (at < image.length) {
      const head = image.subarray(at, at + 16);
      const [section, length] = [head.readUInt32LE(0), head.readUInt32LE(4)];
      expect(head.readUInt32LE(8)).toBe(sections.length);
      const payload = image.subarray(at + 16, at + 16 + length);
      checksum = crc32(payload, crc32(head.subarray(0, 12), checksum));
      expect(head.readUInt32LE(12)).toBe(checksum);
      sections.push(section);
      at += 16 + length;
    }
    expect(at).toBe(image.length);
    expect(fields['checksum']).toBe(hex(checksum));
    expect(sections.at(-1)).toBe(0xffffffff);
    expect(image.readUInt32LE(image.length - 8)).toBe(sections.length - 1);
    expect(sections.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
    expect(sections.slice(5, -1)).toEqual(number === 0 ? [6, 7] : [6]);
  },
);

test.for([
  ['ledger/head', 0, 43],
  ['ledger/head', 1, 19],
  ['ledger.head', 0, 43],
  ['ledger.head', 1, 19],
] as const)(
  'the witness %s says of shard %i that it is at sequence %i',
  async ([path, shard, sequence]) => {
    const page = readFileSync(join(GOLDEN, path)).subarray(shard * 4096, (shard + 1) * 4096);
    const { rows } = await journalOf(shard);
    for (const at of [sequence, sequence - 1]) {
      const slot = page.subarray((at % 2) * 2048, (at % 2) * 2048 + 44);
      expect(slot.toString('latin1', 0, 4)).toBe('SYH1');
      expect(slot.toString('hex', 4, 20)).toBe(CLUSTER);
      expect([20, 24].map((offset) => slot.readUInt32LE(offset))).toEqual([shard, 2]);
      expect(BigInt(slot.readUInt32LE(28))).toBe(rows[at - 1]!.checksum);
      expect(slot.readBigUInt64LE(32)).toBe(BigInt(at));
      expect(slot.readUInt32LE(40)).toBe(crc32(slot.subarray(0, 40)));
    }
    const rest = [page.subarray(44, 2048), page.subarray(2048 + 44)];
    expect(rest.every((part) => part.every((byte) => byte === 0))).toBe(true);
  },
);
