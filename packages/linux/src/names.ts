import { libc } from './libc.ts';

/** Users and groups by NSS (files, LDAP, SSSD), each asked for once. */
export interface NameService {
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
  userId(name: string): number | undefined;
  groupId(name: string): number | undefined;
}

/** A name service with a cache of its own: names that change while it lives are not noticed. */
export function openNameService(): NameService {
  return {
    userName: cached((uid: number) => libc().userById(uid)?.name),
    groupName: cached((gid: number) => libc().groupById(gid)?.name),
    userId: cached((name: string) => libc().userByName(name)?.id),
    groupId: cached((name: string) => libc().groupByName(name)?.id),
  };
}

function cached<Key, Value>(lookUp: (key: Key) => Value): (key: Key) => Value {
  const known = new Map<Key, { value: Value }>();
  return (key) => {
    const hit = known.get(key);
    if (hit !== undefined) return hit.value;
    const value = lookUp(key);
    known.set(key, { value });
    return value;
  };
}
