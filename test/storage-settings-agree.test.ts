import t from 'tap';
import { parseStorageConfig } from '../packages/agent/src/config/storage-config.ts';
import { checkAgentYaml } from '../packages/storage-shell/src/provision/agent-yaml.ts';

const TEXTS: readonly (readonly [boolean, string])[] = [
  [true, 'sources: [/etc]'],
  [
    true,
    "sources:\n  - /home/*\n  - path: /srv\n    exclude: ['*.tmp']\n    one-file-system: false\n    markers: true\n",
  ],
  [true, "exclude: ['*.tmp', '!keep.tmp']\ninterval: 90m\nretention: {days: 3, years: 0}"],
  [true, 'interval: 0'],
  [true, 'retention: {}'],
  [false, 'account: a@b:/'],
  [false, 'identity: /k'],
  [false, 'transport: openssh'],
  [false, 'ssh-options: [-oProxyCommand=x]'],
  [false, 'freeze-when-gone: 100%'],
  [false, 'freeze-when-changed: 100%'],
  [false, 'storage-config: true'],
  [false, 'hooks: {}'],
  [false, 'sources: []'],
  [false, 'sources: [etc]'],
  [false, 'sources: [~/x]'],
  [false, 'sources: [{exclude: [x]}]'],
  [false, 'sources: [{path: /etc, run: x}]'],
  [false, 'sources: /etc'],
  [false, 'exclude: x'],
  [false, "exclude: ['']"],
  [false, 'exclude: [1]'],
  [false, 'interval: often'],
  [false, 'interval: 5'],
  [false, 'retention: {days: -1}'],
  [false, 'retention: {weeks: 1}'],
  [false, 'retention: {days: 0, instances: 0, months: 0, years: 0}'],
  [false, 'exclude: &a [x]\nsources: *a'],
  [false, 'sources: [/etc'],
  [false, 'sources: [/etc]\nsources: [/srv]'],
];

function isTaken(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'CONFIG_INVALID') return false;
    throw error;
  }
}

t.test('what a storage stores for a server, the server takes; what one of them refuses, both refuse', (t) => {
  for (const [expected, text] of TEXTS) {
    t.equal(
      isTaken(() => checkAgentYaml(text, 'f')),
      expected,
      `storage: ${text}`,
    );
    t.equal(
      isTaken(() => parseStorageConfig(text)),
      expected,
      `agent: ${text}`,
    );
  }
  t.end();
});
