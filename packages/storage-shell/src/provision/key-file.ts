import type { AccountRecord } from './account-record.ts';
import type { Groups } from './groups.ts';
import { keyFingerprint } from './public-key.ts';
import type { PublicKey } from './public-key.ts';

const BEGIN = '# BEGIN bakker: bakker-storage provision, grant and revoke write these lines';
const END = '# END bakker';

export interface KeyFileParts {
  readonly record: AccountRecord;
  /** Of all accounts, for grants. */
  readonly records: readonly AccountRecord[];
  readonly groups: Groups;
  readonly launcher: string;
}

/**
 * The authorized_keys of an account: our block made anew, lines of others left as they are. Pure.
 *
 * Who is granted to is looked up now, so that a key that an account or a group gets later is in the next text.
 *
 * @param existing - the file as it is
 */
export function renderKeyFile(existing: string | undefined, parts: KeyFileParts): string {
  const { before, after } = outsideOfBlock(existing ?? '');
  return [
    ...before,
    BEGIN,
    ...keyLines(parts).flatMap(({ comment, line }) => [`# ${comment}`, line]),
    END,
    ...after,
  ]
    .join('\n')
    .concat('\n');
}

interface KeyLine {
  readonly comment: string;
  readonly line: string;
}

function keyLines({ record, records, groups, launcher }: KeyFileParts): KeyLine[] {
  if (record.state !== 'ready') return [];
  const lines: KeyLine[] = [];
  // sshd takes the first line that a key matches: a second would never be looked at.
  const seen = new Set<PublicKey>();
  const add = (
    key: PublicKey,
    role: 'backup' | 'restore',
    options: { mayRead: boolean; comment: string },
  ): void => {
    if (seen.has(key)) return;
    seen.add(key);
    const command = [
      launcher,
      'shell',
      '--root',
      record.rootDir,
      '--account',
      record.name,
      '--role',
      role,
      ...(options.mayRead ? [] : ['--no-read']),
    ].join(' ');
    lines.push({
      comment: `${options.comment}, ${keyFingerprint(key)}`,
      line: `restrict,command="${command}" ${key}`,
    });
  };
  for (const { key, mayRead } of record.keys) {
    const comment = mayRead ? `backup: ${record.name}` : `backup, reads nothing back: ${record.name}`;
    add(key, 'backup', { mayRead, comment });
  }
  const keysOf = (name: string): readonly PublicKey[] => {
    const other = records.find((candidate) => candidate.name === name);
    return other?.state === 'ready' ? other.keys.map(({ key }) => key) : [];
  };
  for (const grant of record.grants) {
    if (grant.to === 'key') {
      add(grant.key, 'restore', { mayRead: true, comment: 'restore: granted to a key' });
      continue;
    }
    const members = grant.to === 'account' ? [grant.name] : (groups.get(grant.name) ?? []);
    for (const member of members) {
      const by = grant.to === 'account' ? '' : ` of the group ${grant.name}`;
      for (const key of keysOf(member))
        add(key, 'restore', { mayRead: true, comment: `restore: granted to ${member}${by}` });
    }
  }
  return lines;
}

function outsideOfBlock(text: string): { before: string[]; after: string[] } {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const begin = lines.findIndex((line) => line.startsWith('# BEGIN bakker'));
  if (begin === -1) return { before: lines, after: [] };
  const end = lines.findIndex((line, index) => index > begin && line.startsWith(END));
  // Without its end, only what can't be ours is taken for somebody else's.
  const after =
    end === -1
      ? lines.slice(begin + 1).filter((line) => !/^restrict,command="|^#|^$/.test(line))
      : lines.slice(end + 1);
  return { before: lines.slice(0, begin), after };
}
