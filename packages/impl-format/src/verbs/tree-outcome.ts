import { FormatProblem } from '../errors.ts';

/** Why a link could not be made: not there, its content is known to be damaged, or refused. */
export type TreeFailureReason = 'absent' | 'hurt' | 'refused';

export interface TreeFailure {
  /** Number among the script's operations, from 0. */
  readonly operation: number;
  readonly reason: TreeFailureReason;
}

/** What of a script could not be done, by rising number; all else was done. */
export type TreeOutcome = readonly TreeFailure[];

const REASONS: readonly TreeFailureReason[] = ['absent', 'hurt', 'refused'];
const COUNT_BYTES = 4;
const FAILURE_BYTES = 5;

/** The reply to `tree`. */
export function encodeTreeOutcome(outcome: TreeOutcome): Buffer {
  const body = Buffer.allocUnsafe(COUNT_BYTES + outcome.length * FAILURE_BYTES);
  let at = body.writeUInt32BE(outcome.length);
  for (const { operation, reason } of outcome) {
    at = body.writeUInt32BE(operation, at);
    at = body.writeUInt8(REASONS.indexOf(reason) + 1, at);
  }
  return body;
}

/** @throws FormatProblem MALFORMED; too, for an operation that the script does not have */
export function decodeTreeOutcome(body: Buffer, operationCount = Number.MAX_SAFE_INTEGER): TreeOutcome {
  if (body.length < COUNT_BYTES || body.length !== COUNT_BYTES + body.readUInt32BE(0) * FAILURE_BYTES) {
    throw new FormatProblem('MALFORMED', 'the outcome has another length than it says');
  }
  const failures: TreeFailure[] = [];
  let last = -1;
  for (let at = COUNT_BYTES; at < body.length; at += FAILURE_BYTES) {
    const operation = body.readUInt32BE(at);
    const reason = REASONS[body.readUInt8(at + COUNT_BYTES) - 1];
    if (reason === undefined) throw new FormatProblem('MALFORMED', 'a link failed for an unknown reason');
    if (operation <= last || operation >= operationCount) {
      throw new FormatProblem('MALFORMED', 'the outcome names an operation that it can not name here');
    }
    failures.push({ operation, reason });
    last = operation;
  }
  return failures;
}
