import { StorageError } from '../errors.ts';
import { ETC_FLAG, absolute, accountNamed, openTools } from './administration.ts';
import type { Command } from './command.ts';

interface Args {
  readonly account: string;
  readonly set?: string;
  readonly show: boolean;
  readonly remove: boolean;
  readonly etc: string;
}

interface Result {
  readonly account: string;
  /** What holds now; null if nothing is set. */
  readonly text: string | null;
  readonly isShown: boolean;
}

export const config: Command<Args, Result> = {
  usage: 'config <account>',
  summary: "Say what an account's server should back up, if it asks",
  examples: [
    ['bakker-storage config web1 --set web1.yaml', 'sources, exclude, interval and retention'],
    ['bakker-storage config web1 --show', 'what is set'],
  ],
  positionals: { account: { type: 'string', describe: 'the account' } },
  flags: {
    set: { type: 'string', requiresArg: true, describe: 'take it from FILE, which is checked' },
    show: { type: 'boolean', describe: 'print it' },
    remove: { type: 'boolean', describe: 'take it away: the server goes by its own configuration' },
    ...ETC_FLAG,
  },
  async run(context, { account, set, show, remove, etc }) {
    if ([set !== undefined, show, remove].filter(Boolean).length !== 1)
      throw new StorageError('USAGE', 'config: say one of --set FILE, --show and --remove');
    const { changeAgentConfig, readAgentConfig } = await import('../provision/agent-config.ts');
    const tools = await openTools(context, etc);
    const name = await accountNamed(account);
    if (show) return { account, text: (await readAgentConfig(name, tools.registry)) ?? null, isShown: true };
    const text = set === undefined ? undefined : await tools.registry.system.readText(absolute(set));
    if (set !== undefined && text === undefined) throw new StorageError('USAGE', `there is no file ${set}`);
    await changeAgentConfig({ name, text }, tools);
    return { account, text: text ?? null, isShown: false };
  },
  json: ({ account, text }) => ({ account, text }),
  render({ account, text, isShown }, screen) {
    if (!isShown) {
      screen.line(
        text === null
          ? `Nothing is set for ${account} any more.`
          : `Set: ${account} is told from its next run on, if its configuration has "storage-config: true".`,
      );
    } else if (text === null) screen.line(`Nothing is set for ${account}.`);
    else for (const line of text.trimEnd().split('\n')) screen.line(screen.name(Buffer.from(line)));
  },
};
