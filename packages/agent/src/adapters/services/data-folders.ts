import fs from 'node:fs';
import path from 'node:path';

/**
 * The folders that a database server says its files are in, as they really lie on this machine.
 *
 * @param data - what the others are relative to; empty if it does not say
 */
export function realFolders(data: string, others: readonly string[]): string[] {
  if (!data.startsWith('/')) return [];
  const named = [
    data,
    ...others.filter((folder) => folder !== '').map((folder) => path.resolve(data, folder)),
  ];
  return [...new Set(named.map(real))];
}

function real(folder: string): string {
  try {
    return fs.realpathSync(folder);
  } catch {
    return path.resolve(folder); // not of this machine, or not for us to see
  }
}
