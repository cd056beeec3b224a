import { createHash, randomBytes } from 'node:crypto';
import nacl from 'tweetnacl';
import { KEY_BYTES, RECIPIENT_ID_BYTES, publicKeyOf, recipientId } from './key-pair.ts';
import type { PrivateKey, PublicKey } from './key-pair.ts';
import { SealedError } from './sealed-error.ts';

/** As many recipients as a run may have: a header stays below 2 KiB. */
export const MAX_RECIPIENTS = 32;
const COUNT_AT = KEY_BYTES;
/** Up to the entries: ephemeral key and their number, one byte. */
export const ENVELOPE_START_BYTES = COUNT_AT + 1;
const SEALED_KEY_BYTES = KEY_BYTES + nacl.box.overheadLength;
export const ENVELOPE_ENTRY_BYTES = RECIPIENT_ID_BYTES + SEALED_KEY_BYTES;

export function envelopeSizeBytes(recipientCount: number): number {
  return ENVELOPE_START_BYTES + recipientCount * ENVELOPE_ENTRY_BYTES;
}

/**
 * Seals a run key to each recipient, with one key pair made for it alone. Milliseconds of curve work: once a run.
 *
 * @param recipients - 1 to 32, no two alike
 */
export function sealEnvelope(runKey: Uint8Array, recipients: readonly PublicKey[]): Buffer {
  if (recipients.length < 1 || recipients.length > MAX_RECIPIENTS) {
    throw new Error(`a run is sealed to 1 to ${MAX_RECIPIENTS} keys, not to ${recipients.length}`);
  }
  const secret = randomBytes(KEY_BYTES);
  const ephemeral = Buffer.from(nacl.scalarMult.base(secret));
  const entries = recipients
    .map((recipient) => {
      const sealed = nacl.box(runKey, boxNonce(ephemeral, recipient), recipient, secret);
      return Buffer.concat([recipientId(recipient), sealed]);
    })
    .sort(compareIds);
  secret.fill(0);
  const envelope = Buffer.concat([ephemeral, Buffer.of(recipients.length), ...entries]);
  readEnvelope(envelope, 0);
  return envelope;
}

/**
 * The envelope that starts at `at`; the view shares `bytes`.
 *
 * @throws SealedError TRUNCATED, or MALFORMED for recipients that are none, too many, out of order or there twice
 */
export function readEnvelope(bytes: Buffer, at: number): Buffer {
  const count = bytes[at + COUNT_AT];
  if (count === undefined) throw new SealedError('TRUNCATED', 'the header ends early');
  if (count < 1 || count > MAX_RECIPIENTS) {
    throw new SealedError('MALFORMED', `the header names ${count} recipients`);
  }
  const envelope = bytes.subarray(at, at + envelopeSizeBytes(count));
  if (envelope.length < envelopeSizeBytes(count)) throw new SealedError('TRUNCATED', 'the header ends early');
  const entries = entriesOf(envelope);
  if (entries.some((entry, index) => index > 0 && compareIds(entry, entries[index - 1] ?? entry) <= 0)) {
    throw new SealedError('MALFORMED', 'the recipients in the header are not in order');
  }
  return envelope;
}

/** Short names of the keys that can open it, hexadecimal. */
export function envelopeRecipients(envelope: Buffer): string[] {
  return entriesOf(envelope).map((entry) => entry.toString('hex', 0, RECIPIENT_ID_BYTES));
}

/**
 * The run key in an envelope that `readEnvelope` gave.
 *
 * @throws SealedError KEY_MISSING if it is for other keys, DAMAGED if it is for one of these and does not open
 */
export function openEnvelope(envelope: Buffer, privateKeys: readonly PrivateKey[]): Buffer {
  const ephemeral = envelope.subarray(0, KEY_BYTES);
  for (const privateKey of privateKeys) {
    const publicKey = publicKeyOf(privateKey);
    const id = recipientId(publicKey);
    const entry = entriesOf(envelope).find((candidate) => candidate.indexOf(id) === 0);
    if (entry === undefined) continue;
    const sealed = entry.subarray(RECIPIENT_ID_BYTES);
    const runKey = nacl.box.open(sealed, boxNonce(ephemeral, publicKey), ephemeral, privateKey);
    if (!runKey) throw new SealedError('DAMAGED', 'the sealed run key does not open');
    return Buffer.from(runKey);
  }
  const whose = envelopeRecipients(envelope).join(', ');
  throw new SealedError('KEY_MISSING', `it is sealed for ${whose}, and none of these keys is here`);
}

function entriesOf(envelope: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = ENVELOPE_START_BYTES; at < envelope.length; at += ENVELOPE_ENTRY_BYTES) {
    entries.push(envelope.subarray(at, at + ENVELOPE_ENTRY_BYTES));
  }
  return entries;
}

/** Binds the box to both keys, as in libsodium's sealed boxes; the key pair is never used again, so neither is the nonce. */
function boxNonce(ephemeral: Uint8Array, recipient: Uint8Array): Uint8Array {
  return createHash('sha256')
    .update('bakker run key 1\0')
    .update(ephemeral)
    .update(recipient)
    .digest()
    .subarray(0, nacl.box.nonceLength);
}

function compareIds(a: Buffer, b: Buffer): number {
  return a.compare(b, 0, RECIPIENT_ID_BYTES, 0, RECIPIENT_ID_BYTES);
}
