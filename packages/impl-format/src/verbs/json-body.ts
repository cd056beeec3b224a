import { isUtf8 } from 'node:buffer';
import { FormatProblem } from '../errors.ts';
import { parseObject } from '../json-checks.ts';

/** The UTF-8 text of a body of a verb that speaks JSON (without the length before it). */
export function encodeBody(body: object): Buffer {
  return Buffer.from(JSON.stringify(body), 'utf8');
}

/** @throws FormatProblem MALFORMED unless it is UTF-8 and JSON for an object */
export function decodeBody(body: Buffer): Record<string, unknown> {
  if (!isUtf8(body)) throw new FormatProblem('MALFORMED', 'the body is not UTF-8');
  return parseObject(body.toString('utf8'));
}
