/**
 * Habits that a machine can hold us to: who imports whom, sizes, words, links, and that the documents know every status. Each
 * check collects what it found as sentences that say where and what to do, and expects none.
 *
 * The layering is also in oxlint.config.ts, as bans; here it stands as what is allowed, read from the imports themselves. That the tables
 * of rules expect every status is checked in test/rules/coverage.test.ts.
 */
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { BatchKind } from '../engine/batch.ts';
import {
  ACCOUNT_STATUS_PRECEDENCE,
  AccountStatus,
  TRANSFER_STATUS_PRECEDENCE,
  TransferStatus,
  isTransient,
} from '../engine/status.ts';
import { statusHttp } from '../gateway/wire-codec.ts';
import { ERROR_CODES, ERROR_HTTP_STATUS } from '../lib/sycee-error.ts';
import {
  ROOT,
  anchorsOf,
  codeLines,
  declaredNames,
  importsOf,
  linksOf,
  listFiles,
  readText,
  tableBelow,
  wordsOf,
} from './support/source-files.ts';

interface Layer {
  readonly files: RegExp;
  /** What of the project its files may import besides each other. */
  readonly may: readonly RegExp[];
  readonly packages: readonly string[];
}

interface WordException {
  readonly name: RegExp;
  /** Where it holds; everywhere when left out. */
  readonly file?: string;
  readonly reason: string;
}

/** What both ends of a wire share: field names, their widths, and how they are written. */
const WIRE = /^gateway\/(wire-codec.*|columnar-codec|field-rules|batch-columns)\.ts$/;
const ENGINE_AND_LIB = [/^engine\//, /^lib\//];
/** persistence/ but for what names SQLite. */
const NO_SQLITE = /^persistence\/(?!sqlite-|database\.ts$)/;

/** The first layer that names a file is its layer. Node's own modules are free everywhere but in engine/. */
const LAYERS: readonly Layer[] = [
  { files: /^engine\//, may: [], packages: [] },
  {
    files: /^lib\/nats-connection\.ts$/,
    may: [/^lib\//],
    packages: ['@nats-io/transport-node', '@nats-io/transport-node/lib/node_transport.js'],
  },
  { files: /^lib\//, may: [], packages: [] },
  { files: /^persistence\//, may: ENGINE_AND_LIB, packages: ['better-sqlite3'] },
  { files: /^query\//, may: [...ENGINE_AND_LIB, NO_SQLITE], packages: [] },
  {
    files: /^sharding\/shard-worker\.ts$/,
    may: [...ENGINE_AND_LIB, /^sharding\//, /^persistence\//],
    packages: [],
  },
  {
    files: /^sharding\//,
    may: [...ENGINE_AND_LIB, NO_SQLITE, /^query\//],
    packages: [],
  },
  {
    files: /^backup\//,
    may: [...ENGINE_AND_LIB, NO_SQLITE, /^tools\/(moment|usage)\.ts$/],
    packages: [],
  },
  {
    files: /^control\//,
    may: [...ENGINE_AND_LIB, /^persistence\/(data-directory|errors)\.ts$/],
    packages: [],
  },
  {
    files: /^gateway\//,
    may: [...ENGINE_AND_LIB, /^sharding\/router\.ts$/],
    packages: ['@nats-io/transport-node', 'fastify', 'msgpackr', 'prom-client'],
  },
  {
    files: /^client\/in-process-client\.ts$/,
    may: [...ENGINE_AND_LIB, /^client\//, WIRE, /^sharding\/(router|supervisor)\.ts$/],
    packages: [],
  },
  {
    files: /^client\//,
    may: [...ENGINE_AND_LIB, WIRE],
    packages: ['@nats-io/transport-node', 'msgpackr'],
  },
  {
    // Measures what lies under the ledger, by itself.
    files: /^bench\/limits\.ts$/,
    may: [/^lib\//],
    packages: ['@nats-io/transport-node', 'better-sqlite3'],
  },
  {
    files: /^bench\//,
    may: [
      ...ENGINE_AND_LIB,
      // bench/peers/ and the load that it shares with the rest.
      /^bench\//,
      /^client\//,
      // Asks a server for a snapshot, as an operator does.
      /^control\/control-client\.ts$/,
      /^sharding\/(replay|router|supervisor)\.ts$/,
      /^persistence\/(recovery|storage-room)\.ts$/,
      // Started as a process, not imported.
      /^cli\.ts$/,
    ],
    packages: ['autocannon', 'fastify', 'pg', 'piscina'],
  },
  {
    files: /^tools\//,
    may: [
      ...ENGINE_AND_LIB,
      NO_SQLITE,
      /^query\//,
      /^sharding\/(replay|record-reader|recovery)\.ts$/,
      /^backup\/manifest\.ts$/,
    ],
    packages: ['piscina'],
  },
  { files: /^config\.ts$/, may: [/^engine\/limits\.ts$/, /^lib\//], packages: [] },
  {
    files: /^(cli|serve)\.ts$/,
    may: [
      ...ENGINE_AND_LIB,
      /^(config|serve)\.ts$/,
      /^package\.json$/,
      /^gateway\//,
      /^bench\/(run|options)\.ts$/,
      /^backup\/(run|options)\.ts$/,
      /^control\/(control-server|snapshot-(help|verb))\.ts$/,
      /^sharding\/(router|supervisor)\.ts$/,
      /^persistence\/recovery\.ts$/,
      /^tools\/(replay|verify|inspect)(-options)?\.ts$/,
    ],
    packages: [],
  },
  { files: /^scripts\//, may: [/^lib\//], packages: [] },
  { files: /^oxlint\.config\.ts$/, may: [], packages: ['oxlint'] },
  { files: /^oxfmt\.config\.ts$/, may: [], packages: ['oxfmt'] },
  { files: /^vitest\.config\.ts$/, may: [], packages: ['vitest/config', 'vitest/node'] },
];

const BANNED_WORDS = new Set(
  ['util', 'helper', 'misc', 'common', 'manager', 'base', 'data', 'info'].flatMap((word) => [
    word,
    `${word}s`,
  ]),
);
const WORD_EXCEPTIONS: readonly WordException[] = [
  { name: /userData/i, reason: 'user_data_128, _64, and _32 are fields of the ledger' },
  { name: /data_?directory/i, reason: 'the directory that --data names' },
  { name: /^data-directory$/, reason: 'the directory that --data names' },
  { name: /^data$/, file: 'config.ts', reason: 'the setting --data and SYCEE_DATA' },
  { name: /^(INFO|peekInfo)$/, reason: 'what a NATS server says first' },
  { name: /base64/i, reason: 'the name of an encoding' },
];

const FILE_LINES_MAX = 500;
const README_LINES_MAX = 200;
const ARCHITECTURE_LINES_MAX = 400;
/** bench/peers/ knows other systems, which the rest of the bench does not. */
const NESTED_DIRECTORIES = /^(test|bench\/peers)\//;

const files = listFiles();
const sources = files.filter((file) => file.endsWith('.ts'));
const productSources = sources.filter((file) => !isTest(file));
const documents = files.filter((file) => file.endsWith('.md'));
const texts = files.filter((file) =>
  /\.(ts|md|sh|json|ya?ml|js|mjs)$|^(sycee|\.ci\/run|\.npmrc)$/.test(file),
);
const manifest = JSON.parse(readText('package.json')) as Readonly<
  Record<string, Readonly<Record<string, string>>>
>;

function isTest(file: string): boolean {
  return file.startsWith('test/') || file.endsWith('.test.ts');
}

/** Lines of a file that match, as `file:line`. */
function linesThatMatch(file: string, pattern: RegExp): readonly string[] {
  const lines = readText(file).split('\n');
  return lines.flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}`] : []));
}

test('every product file imports only what its directory may', () => {
  const found: string[] = [];
  for (const file of productSources) {
    const layer = LAYERS.find((one) => one.files.test(file));
    if (layer === undefined) {
      found.push(
        `${file} belongs to no layer: move it, or add its directory to LAYERS here and to oxlint.config.ts`,
      );
      continue;
    }
    const directory = dirname(file);
    for (const { target, isProject } of importsOf(file)) {
      if (isProject) {
        const isNear = directory !== '.' && dirname(target) === directory;
        if (isNear || layer.may.some((path) => path.test(target))) continue;
      } else if (target.startsWith('node:')) {
        if (!file.startsWith('engine/')) continue;
      } else if (layer.packages.includes(target)) continue;
      found.push(
        `${file} may not import ${target}: pass it in from the layer above, or move the code`,
      );
    }
  }
  expect(found).toEqual([]);
});

test('every import of a project file finds it', () => {
  const found = sources.flatMap((file) =>
    importsOf(file)
      .filter(({ target, isProject }) => isProject && !files.includes(target))
      .map(({ target }) => `${file} imports ${target}, which is not there`),
  );
  expect(found).toEqual([]);
});

test('no product file imports a test', () => {
  const found = productSources.flatMap((file) =>
    importsOf(file)
      .filter(({ target, isProject }) => isProject && isTest(target))
      .map(({ target }) => `${file} imports ${target}: move what it needs out of test/`),
  );
  expect(found).toEqual([]);
});

test('directories are flat and have no barrels', () => {
  const found = productSources
    .filter((file) => !NESTED_DIRECTORIES.test(file))
    .filter((file) => file.split('/').length > 2 || /(^|\/)(index|mod)\.ts$/.test(file))
    .map((file) => `${file}: put it right into its directory, under a name that says what it is`);
  expect(found).toEqual([]);
});

test('no file is longer than its limit', () => {
  const found = sources
    .map((file) => ({ file, lines: codeLines(file) }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(
      ({ file, lines }) =>
        `${file} has ${lines} code lines of ${FILE_LINES_MAX}: split off the second thing in it`,
    );
  const limits = { 'README.md': README_LINES_MAX, 'ARCHITECTURE.md': ARCHITECTURE_LINES_MAX };
  for (const [file, limit] of Object.entries(limits)) {
    if (!files.includes(file)) found.push(`${file} is missing: write it`);
    else if (readText(file).split('\n').length - 1 > limit) {
      found.push(`${file} is over ${limit} lines: move details to docs/`);
    }
  }
  expect(found).toEqual([]);
});

test('every product file says at its top what it is', () => {
  const found = productSources
    .filter((file) => !file.endsWith('.config.ts'))
    .filter((file) => !/^(#!.*\n)?\/\*\*/.test(readText(file)))
    .map((file) => `${file} has no header comment: say in a sentence what it owns`);
  expect(found).toEqual([]);
});

test('no file and no declared name says a word that means nothing', () => {
  const found: string[] = [];
  const check = (name: string, file: string, where: string): void => {
    const isException = WORD_EXCEPTIONS.some(
      (one) => one.name.test(name) && (one.file === undefined || one.file === file),
    );
    if (isException) return;
    const word = wordsOf(name).find((one) => BANNED_WORDS.has(one));
    if (word !== undefined) found.push(`${where}: "${word}" says nothing; name what it is or does`);
  };
  for (const file of sources) {
    for (const part of file.replace(/(\.test)?\.ts$/, '').split('/')) check(part, file, file);
    for (const name of declaredNames(file)) check(name, file, `${file}: ${name}`);
  }
  expect(found).toEqual([]);
});

test('every link of a document leads somewhere', () => {
  const found: string[] = [];
  for (const file of documents) {
    for (const { line, target } of linksOf(file)) {
      const [path, anchor] = target.split('#', 2);
      const linked = path === '' ? file : normalize(join(dirname(file), decodeURIComponent(path!)));
      if (!existsSync(join(ROOT, linked))) {
        found.push(
          `${file}:${line} links to ${target}, which is not there: mend or remove the link`,
        );
      } else if (anchor !== undefined && linked.endsWith('.md') && !anchorsOf(linked).has(anchor)) {
        found.push(`${file}:${line} links to ${target}: no heading of ${linked} makes that anchor`);
      }
    }
  }
  expect(found).toEqual([]);
});

test('no file names a package registry or a path of one machine', () => {
  const registry = /\bregistry\.(npmjs|yarnpkg)\.|\bnpmmirror\./;
  const machinePath = /(^|[\s'"`(=:])\/(work|tmp|home|root|Users)\/[\w.-]/;
  const found = [
    ...texts
      .flatMap((file) => linesThatMatch(file, registry))
      .map((at) => `${at} names a registry: leave the host out`),
    ...texts
      .filter((file) => file !== 'package-lock.json')
      .flatMap((file) => linesThatMatch(file, machinePath))
      .map((at) => `${at} names a path of one machine: use a relative path or os.tmpdir()`),
  ];
  expect(found).toEqual([]);
});

test('nothing is left undone in the code, and no test shuts the others out', () => {
  const found = [
    ...texts
      .flatMap((file) => linesThatMatch(file, /\b(TO[D]O|FIX[M]E)\b/))
      .map((at) => `${at} holds a note to finish something: do it, or open an issue`),
    ...sources
      .flatMap((file) => linesThatMatch(file, /\b(test|describe)\.only\(/))
      .map((at) => `${at} runs one test only: take .only away`),
  ];
  expect(found).toEqual([]);
});

test('package versions are exact, and the lock file names no place', () => {
  const found = ['dependencies', 'devDependencies', 'optionalDependencies', 'overrides'].flatMap(
    (section) =>
      Object.entries(manifest[section] ?? {})
        .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
        .map(([name, version]) => `package.json: ${name} ${version} is not exact: pin it`),
  );
  found.push(
    ...linesThatMatch('package-lock.json', /^\s*"resolved":/)
      .slice(0, 3)
      .map(
        (at) =>
          `${at} says where a package comes from: run npm install with the .npmrc of this repository`,
      ),
  );
  expect(found).toEqual([]);
});

test('every runtime package is used, and ARCHITECTURE.md says why it is there', () => {
  const architecture = files.includes('ARCHITECTURE.md') ? readText('ARCHITECTURE.md') : '';
  const used = new Set(
    productSources.flatMap((file) => importsOf(file).map(({ target }) => target)),
  );
  const found: string[] = [];
  for (const name of Object.keys(manifest['dependencies']!)) {
    if (!architecture.includes(name))
      found.push(`ARCHITECTURE.md does not name ${name}: say what it is for`);
    if (!used.has(name))
      found.push(`no product file imports ${name}: remove it from the dependencies`);
  }
  expect(found).toEqual([]);
});

const LEDGER_DOCUMENT = 'docs/ledger.md';

/** The first three cells of the status tables, as the code would write them: name, number, HTTP status. */
function expectedRows(
  kind: BatchKind,
  precedence: readonly string[],
  numbers: Readonly<Record<string, number>>,
): readonly string[] {
  return precedence.map((name) => {
    const status = numbers[name]!;
    const mark = kind === BatchKind.transfers && isTransient(status) ? ' †' : '';
    return `\`${name}\`${mark} | ${status} | ${statusHttp(kind, status)}`;
  });
}

test.for([
  [
    '### Statuses of create_accounts',
    expectedRows(BatchKind.accounts, ACCOUNT_STATUS_PRECEDENCE, AccountStatus),
  ],
  [
    '### Statuses of create_transfers',
    expectedRows(BatchKind.transfers, TRANSFER_STATUS_PRECEDENCE, TransferStatus),
  ],
] as const)('docs/ledger.md lists every status in its order: %s', ([heading, expected]) => {
  const rows = tableBelow(LEDGER_DOCUMENT, heading);
  expect(
    rows.map((cells) => cells.slice(0, 3).join(' | ')),
    `${LEDGER_DOCUMENT}, "${heading}": make the table say what engine/status.ts and statusHttp say`,
  ).toEqual(expected);
  expect(
    rows.filter((cells) => cells.includes('')),
    'every cell is filled in',
  ).toEqual([]);
});

test('every status of the engine stands in the order of precedence', () => {
  expect(ACCOUNT_STATUS_PRECEDENCE.toSorted()).toEqual(Object.keys(AccountStatus).toSorted());
  expect(TRANSFER_STATUS_PRECEDENCE.toSorted()).toEqual(Object.keys(TransferStatus).toSorted());
});

test('docs/ledger.md lists every error code with its HTTP status', () => {
  const rows = tableBelow(LEDGER_DOCUMENT, '## What happens when no status comes back');
  expect(
    rows.map((cells) => `${cells[0]} ${cells[1]}`),
    `${LEDGER_DOCUMENT}: make the table say what lib/sycee-error.ts says`,
  ).toEqual(ERROR_CODES.map((code) => `\`${code}\` ${ERROR_HTTP_STATUS[code]}`));
});
