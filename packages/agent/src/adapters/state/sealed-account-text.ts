import { parseRunName } from '@bakker/impl-format';
import type { SealedAccountMemory } from '../../ports/state-folder.ts';

const NAME_KEY_BYTES = 32;

/** One JSON object. It holds the name key: for root's eyes only. */
export function encodeSealedAccount(account: string, { since, clear, nameKey }: SealedAccountMemory): string {
  const value = { account, since: since ?? null, clear, nameKey: nameKey?.toString('base64') ?? null };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Undefined for another account; what is missing or damaged counts as never known. */
export function decodeSealedAccount(
  text: string | undefined,
  account: string,
): SealedAccountMemory | undefined {
  const value = parse(text);
  if (value['account'] !== account) return undefined;
  const { since, clear, nameKey } = value;
  const key = typeof nameKey === 'string' ? Buffer.from(nameKey, 'base64') : undefined;
  return {
    since: typeof since === 'string' ? parseRunName(since) : undefined,
    clear: Array.isArray(clear)
      ? clear.flatMap((name) => (typeof name === 'string' ? (parseRunName(name) ?? []) : []))
      : [],
    nameKey: key?.length === NAME_KEY_BYTES ? key : undefined,
  };
}

/** Id of the account that it is about. */
export function sealedAccountIn(text: string | undefined): string | undefined {
  const { account } = parse(text);
  return typeof account === 'string' ? account : undefined;
}

function parse(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
