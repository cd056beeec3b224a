/** Who logs in, as sshd_config(5) names him. */
export interface LogIn {
  readonly user: string;
  readonly groups: readonly string[];
}

/** What `sshd -T` prints of the four, each undefined where it says nothing. */
export interface AccessLists {
  readonly allowUsers: readonly string[] | undefined;
  readonly denyUsers: readonly string[] | undefined;
  readonly allowGroups: readonly string[] | undefined;
  readonly denyGroups: readonly string[] | undefined;
}

/**
 * The rule that keeps somebody out wherever he comes from, as a sentence. `USER@HOST` depends on where that is, which is not
 * known here: it lets in, and keeps nobody out.
 */
export function keptOutBy({ user, groups }: LogIn, lists: AccessLists): string | undefined {
  const isUser = (pattern: string): boolean => matches(user, pattern);
  const isGroup = (pattern: string): boolean => groups.some((group) => matches(group, pattern));
  if (lists.denyUsers?.some(isUser) === true) return `DenyUsers keeps ${user} out`;
  if (lists.allowUsers?.some((pattern) => isUser(pattern.replace(/@.*$/, ''))) === false)
    return `AllowUsers leaves ${user} out`;
  if (lists.denyGroups?.some(isGroup) === true) return `DenyGroups keeps ${groups.join(' or ')} out`;
  if (lists.allowGroups?.some(isGroup) === false) return `AllowGroups leaves ${groups.join(' and ')} out`;
  return undefined;
}

/** `*` is any number of characters, `?` one. */
function matches(name: string, pattern: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(name);
}
