import { FormatProblem, REFUSAL, encodeBody } from '@bakker/impl-format';
import type { Verb } from '@bakker/impl-format';
import { SftpConnectionError, SftpStatusError } from '@bakker/sftp';
import type { SftpClient } from '@bakker/sftp';
import { AgentError } from '../../errors.ts';
import { MissingFromStorage, ParentChanged, RunDiffers } from '../../ports/storage-account.ts';
import { stringField, stringIn } from './body-writer.ts';

/** The manifest's text has another digest than its trailer says: what was told as differences did not fit. */
export class ManifestDiffers extends Error {
  override readonly name = 'ManifestDiffers';
}

/** Asks an account's shell for its verbs; refusals come out in our words. */
export class VerbClient {
  readonly sftp: SftpClient;
  readonly #address: string;

  constructor(sftp: SftpClient, address: string) {
    this.sftp = sftp;
    this.#address = address;
  }

  /** A verb that speaks JSON. @throws what `explained` makes of the failure */
  async json<Reply>(verb: Verb, request: object, parse: (body: Buffer) => Reply): Promise<Reply> {
    return parseReply(await this.call(verb, stringField(encodeBody(request))), verb, (body) => {
      const text = stringIn(body);
      if (!text) throw new FormatProblem('MALFORMED', 'the length of the reply is not what it says');
      return parse(text);
    });
  }

  /** @param what - the verb in words, and on what, for messages */
  call(verb: Verb, body: Buffer, payload?: Buffer, what?: string): Promise<Buffer> {
    return this.sftp.extended(verb, body, payload).catch((error: unknown) => {
      throw this.explained(error, what ?? verb);
    });
  }

  /** What a failed request means for the run. */
  explained(error: unknown, what: string): unknown {
    if (error instanceof SftpConnectionError) {
      return new AgentError(
        'CONNECTION_LOST',
        `the connection to ${this.#address} was lost: ${error.message}`,
        {
          hint: 'run the command again; a backup continues where it was cut off',
          cause: error,
        },
      );
    }
    if (!(error instanceof SftpStatusError)) return error;
    const said = `${this.#address} refused: ${what}: ${error.message}`;
    switch (error.status) {
      case REFUSAL.NOT_THERE:
        return new MissingFromStorage(said, { cause: error });
      case REFUSAL.NOT_ALLOWED:
        return refused(
          said,
          error,
          'see what the key may do: the line of authorized_keys on the storage says it',
        );
      case REFUSAL.UNKNOWN_VERB:
        return new AgentError('STORAGE_UNFIT', said, {
          hint: 'install the same version of bakker on both sides',
          cause: error,
        });
      case REFUSAL.DISK_FULL:
        return new AgentError('STORAGE_FULL', `the file system of ${this.#address} is full: ${what}`, {
          hint: 'have the storage enlarge it (bakker-storage grow) or keep fewer runs, then run bakker backup again: it continues',
          cause: error,
        });
      case REFUSAL.LIMIT_REACHED:
        return new AgentError('STORAGE_FULL', `the space limit of ${this.#address} is reached: ${what}`, {
          hint: 'ask for more with bakker status --request-space 20G, then run bakker backup again: it continues',
          cause: error,
        });
      case REFUSAL.LOCKED:
        return new AgentError('LOCKED', `${this.#address} is locked: ${error.serverMessage}`, {
          hint: 'wait until it ends; a server that lost its line is let go of after a while',
          cause: error,
        });
      case REFUSAL.PARENT_CHANGED:
        return new ParentChanged(said, { cause: error });
      case REFUSAL.COUNTS_DIFFER:
        return new RunDiffers(said, { cause: error });
      case REFUSAL.MANIFEST_DIFFERS:
        return new ManifestDiffers(said, { cause: error });
      default:
        return refused(said, error, 'see the log of bakker-storage there');
    }
  }
}

/** @throws AgentError STORAGE_REFUSED for an answer that is none */
export function parseReply<Reply>(body: Buffer, verb: string, parse: (body: Buffer) => Reply): Reply {
  try {
    return parse(body);
  } catch (error) {
    if (!(error instanceof FormatProblem)) throw error;
    throw new AgentError(
      'STORAGE_REFUSED',
      `the storage's answer to ${verb} makes no sense: ${error.message}`,
      {
        hint: 'install the same version of bakker on both sides',
        cause: error,
      },
    );
  }
}

function refused(message: string, cause: SftpStatusError, hint: string): AgentError {
  return new AgentError('STORAGE_REFUSED', message, { hint, cause });
}
