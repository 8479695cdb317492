/** What `sycee snapshot --help` says; read without the rest of the verb. */
export const SNAPSHOT_HELP = [
  'usage: sycee snapshot [DIRECTORY] [--json]',
  '',
  'Writes a snapshot of every shard, so that the next start replays only what comes behind it. Of a live directory (by default ./data, or',
  'SYCEE_DATA) the process is asked, and goes on meanwhile; a stopped one is opened, recovered, and closed again.',
  '',
  'examples:',
  '  sycee snapshot',
  '  sycee snapshot /var/lib/sycee --json',
].join('\n');
