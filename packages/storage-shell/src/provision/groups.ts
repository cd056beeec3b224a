import { parseDocument, stringify } from 'yaml';
import { StorageError } from '../errors.ts';
import type { AccountName } from './account-name.ts';
import { isAccountName } from './account-name.ts';

/** Names of groups, and the accounts in them: `groups.yaml`, which the administrator may edit. */
export type Groups = ReadonlyMap<string, readonly AccountName[]>;

/** @throws StorageError CONFIG_INVALID */
export function parseGroups(text: string | undefined, file: string): Groups {
  const groups = new Map<string, readonly AccountName[]>();
  if (text === undefined) return groups;
  const document = parseDocument(text);
  const content: unknown = document.errors.length > 0 ? undefined : document.toJS();
  if (content === null && document.errors.length === 0) return groups;
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw invalid(file, 'not valid YAML');
  for (const [group, members] of Object.entries(content)) {
    checkGroupName(group);
    if (!Array.isArray(members)) throw invalid(file, `${group}: must be a list of accounts`);
    groups.set(
      group,
      members.map((member: unknown) => {
        if (typeof member === 'string' && isAccountName(member)) return member;
        throw invalid(file, `${group}: ${JSON.stringify(member)} is no name of an account`);
      }),
    );
  }
  return groups;
}

/** @throws StorageError USAGE */
export function checkGroupName(name: string): string {
  if (/^[a-z][a-z0-9_-]{0,30}$/.test(name)) return name;
  throw new StorageError('USAGE', `${JSON.stringify(name)} is no name of a group`, {
    hint: 'use a-z, 0-9, - and _',
  });
}

/** Undefined if the account is in it already. */
export function joinGroup(
  text: string | undefined,
  about: { group: string; account: AccountName; file: string },
): string | undefined {
  const members = parseGroups(text, about.file).get(about.group);
  if (members?.includes(about.account) === true) return undefined;
  const first =
    '# Groups of accounts, for bakker-storage grant --group. After editing: bakker-storage grant --refresh\n';
  if (text === undefined || text.trim() === '')
    return `${first}${stringify({ [about.group]: [about.account] })}`;
  const document = parseDocument(text);
  if (members === undefined) document.set(about.group, [about.account]);
  else document.addIn([about.group], about.account);
  return document.toString();
}

/** Takes the account out of every group. Undefined if it is in none. */
export function leaveGroups(
  text: string | undefined,
  about: { account: AccountName; file: string },
): string | undefined {
  const groups = parseGroups(text, about.file);
  const document = parseDocument(text ?? '');
  let isChanged = false;
  for (const [group, members] of groups) {
    if (!members.includes(about.account)) continue;
    document.set(
      group,
      members.filter((member) => member !== about.account),
    );
    isChanged = true;
  }
  return isChanged ? document.toString() : undefined;
}

function invalid(file: string, problem: string): StorageError {
  return new StorageError('CONFIG_INVALID', `${file}: ${problem}`, {
    hint: 'write a line for each group, "webs: [web1, web2]"',
  });
}
