/** What `sycee snapshot --help` says; read without the rest of the verb. */
export const SNAPSHOT_HELP = [
  'usage: sycee snapshot [DIR] [--json]',
  '',
  'Writes a snapshot of every shard, so that the next start replays only what comes behind it. Of a live directory the',
  'process is asked, and goes on meanwhile; a stopped one is opened, recovered, and closed again. Without DIR (or --data) it is the one that',
  'serve would take: SYCEE_DATA, sycee.config.json, ./data.',
  '',
  'examples:',
  '  sycee snapshot',
  '  sycee snapshot /var/lib/sycee --json',
].join('\n');
