/** Who is measured: what `--tool` takes, and limits that no such tool can beat. */
export const TOOL = {
  /** Over plain SFTP. */
  plain: 'bakker',
  /** Over `bakker-storage shell`. */
  shell: 'bakker, shell',
  /** The same with `encrypt`. */
  sealed: 'bakker, sealed',
  plainSealed: 'bakker, plain, sealed',
  rsync: 'rsync',
  restic: 'restic',
  borg: 'borg',
  links: 'cp -al',
  tar: 'tar to ssh tar',
  cat: 'cat to ssh cat',
  storage: 'bakker-storage',
  rm: 'rm -rf',
  /** What the target for this load allows. */
  allowed: 'allowed',
} as const;

/** What is done, and what a reader of the table is told of it. */
export const LOADS = {
  'first run': 'first run',
  'nothing changed': 'nothing changed',
  '1 % changed': '1 % changed',
  '10 % renamed': '10 % renamed',
  'full restore': 'full restore',
  'large files, first run': 'large files, first run',
  'changed, ext4': 'large files changed a little, ext4',
  'changed, reflink': 'large files changed a little, reflink',
  near: 'nothing changed, by a proxy',
  distant: 'nothing changed, 20 ms round trip',
  delete: 'deleting a run',
  limits: 'limits',
  'first run, a tenth': 'first run, a tenth of many',
  'nothing changed, a tenth': 'nothing changed, a tenth of many',
  'full restore, a tenth': 'full restore, a tenth of many',
  'first run, many': 'first run, many tiny files',
  'nothing changed, many': 'nothing changed, many tiny files',
  'full restore, many': 'full restore, many tiny files',
} as const;

export type LoadName = keyof typeof LOADS;
