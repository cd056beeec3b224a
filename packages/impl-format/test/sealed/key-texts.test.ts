import { createHash } from 'node:crypto';
import t from 'tap';
import {
  asPublicKey,
  formatPaperKey,
  formatPrivateKey,
  formatPublicKey,
  generatePrivateKey,
  KeyTextError,
  parsePaperKey,
  parsePrivateKey,
  parsePublicKey,
  protectKey,
  publicKeyOf,
} from '../../src/sealed/index.ts';

const CHARACTERS = 'abcdefghijklmnopqrstuvwxyz234567';
const nobody = async (): Promise<undefined> => undefined;

t.test('a public key is one word, and every wrong character in it is found', async (t) => {
  const key = publicKeyOf(generatePrivateKey());
  const text = formatPublicKey(key);
  t.match(text, /^bakker-public-key:[a-z2-7]{56}$/);
  t.ok(parsePublicKey(` ${text}\n`).equals(key));
  for (let at = text.indexOf(':') + 1; at < text.length; at++) {
    const wrong = other(text[at] ?? '');
    t.throws(() => parsePublicKey(text.slice(0, at) + wrong + text.slice(at + 1)), { code: 'DAMAGED' });
  }
  t.throws(() => parsePublicKey(text.slice(0, -1)), { code: 'DAMAGED' });
  t.throws(() => parsePublicKey('ssh-ed25519 AAAA'), { code: 'NOT_A_KEY' });
});

t.test('points that would make the sealed key known to all are no public keys', async (t) => {
  const one = Buffer.alloc(32);
  one[0] = 1;
  t.equal(asPublicKey(Buffer.alloc(32)), undefined);
  t.equal(asPublicKey(one), undefined);
  t.equal(
    asPublicKey(Buffer.from('ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', 'hex')),
    undefined,
  );
  t.equal(asPublicKey(Buffer.alloc(31, 9)), undefined);
});

t.test('a private key in a file comes back; what is altered or something else is refused', async (t) => {
  const key = generatePrivateKey();
  const text = formatPrivateKey(key);
  t.ok((await parsePrivateKey(text, nobody)).equals(key));
  t.ok((await parsePrivateKey(text.trim().split('\n').at(-1) ?? '', nobody)).equals(key), 'the line alone');
  for (const form of [text, formatPaperKey(key), await protectKey(key, 'secret')]) {
    const dos = `\ufeff${form.replaceAll('\n', '\r\n')}`;
    t.ok((await parsePrivateKey(dos, async () => 'secret')).equals(key), 'from any editor');
  }
  const line = text.lastIndexOf(':') + 1;
  for (const at of [line, line + 20, line + 55]) {
    const wrong = text.slice(0, at) + other(text[at] ?? '') + text.slice(at + 1);
    await t.rejects(parsePrivateKey(wrong, nobody), { code: 'DAMAGED' });
  }
  await t.rejects(parsePrivateKey(formatPublicKey(publicKeyOf(key)), nobody), {
    code: 'NOT_A_KEY',
    message: /public key/,
  });
  await t.rejects(parsePrivateKey('-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n', nobody), {
    code: 'NOT_A_KEY',
  });
  await t.rejects(parsePrivateKey('', nobody), { code: 'NOT_A_KEY' });
});

t.test('a key on paper comes back however it is typed', async (t) => {
  const key = generatePrivateKey();
  const paper = formatPaperKey(key);
  t.equal(paper.split('\n').length, 3);
  for (const typed of [
    paper,
    paper.toUpperCase(),
    paper.replace(/\b[1-9] /g, ''),
    paper.replace(/\s+/g, '-'),
    paper.replaceAll('o', '0').replaceAll('l', '1').replaceAll('b', '8'),
  ]) {
    t.ok(parsePaperKey(typed).equals(key));
    t.ok((await parsePrivateKey(`${typed}\n`, nobody)).equals(key), 'and as a key file');
  }
});

t.test('every mistyped character of a key on paper names its group', async (t) => {
  const key = generatePrivateKey();
  const groups = formatPaperKey(key)
    .replace(/\b[1-9] /g, '')
    .split(/\s+/);
  for (const [index, group] of groups.entries()) {
    for (let at = 0; at < group.length; at++) {
      for (const character of CHARACTERS) {
        if (character === group[at]) continue;
        const typed = groups.with(index, group.slice(0, at) + character + group.slice(at + 1)).join(' ');
        const message = messageOf(() => parsePaperKey(typed));
        if (message !== `group ${index + 1} is mistyped`)
          t.fail(`${index + 1}, ${at}, ${character}: ${message}`);
      }
    }
  }
  t.equal(groups.length, 9);
});

t.test('a group that is no group at all is named, too', async (t) => {
  const groups = formatPaperKey(generatePrivateKey())
    .replace(/\b[1-9] /g, '')
    .split(/\s+/);
  for (const [wrong, index] of [
    ['ab9defgh', 3],
    ['abcd,fgh', 0],
    ['abcdefg', 8],
    ['abcdefghi', 5],
    ['äbcdefgh', 2],
    ['"', 4],
  ] as const) {
    const typed = groups.with(index, wrong).join(' ');
    t.equal(
      messageOf(() => parsePaperKey(typed)),
      `group ${index + 1} is mistyped`,
      wrong,
    );
    await t.rejects(
      parsePrivateKey(typed, nobody),
      { message: `group ${index + 1} is mistyped` },
      'as a file',
    );
  }
  const twice = groups.with(1, 'x').with(6, 'y').join(' ');
  t.equal(
    messageOf(() => parsePaperKey(twice)),
    'groups 2, 7 are mistyped',
  );
  const prose =
    'somebody thinks whenever anything happens together with children everyone believes tomorrow. '.repeat(3);
  await t.rejects(parsePrivateKey(prose, nobody), { code: 'NOT_A_KEY' });
});

t.test('groups in another order, missing or of two keys are found', async (t) => {
  const [mine, foreign] = [generatePrivateKey(), generatePrivateKey()].map((key) =>
    formatPaperKey(key)
      .replace(/\b[1-9] /g, '')
      .split(/\s+/),
  );
  if (mine === undefined || foreign === undefined) throw new Error('two keys have two texts');
  const [a = '', b = '', ...rest] = mine;
  t.equal(
    messageOf(() => parsePaperKey([b, a, ...rest].join(' '))),
    'groups 1, 2 are mistyped',
  );
  t.match(
    messageOf(() => parsePaperKey([a, ...rest].join(' '))),
    /has 9 groups of 8 characters, and here are 8; look from group 2 on/,
  );
  t.match(
    messageOf(() => parsePaperKey(mine.slice(0, 8).join(' '))),
    /here are 8$/,
  );
  t.match(
    messageOf(() => parsePaperKey([foreign[0] ?? '', b, ...rest].join(' '))),
    /not of one key/,
  );
});

t.test('a protected key needs its passphrase; a wrong one is told from damage', async (t) => {
  const key = generatePrivateKey();
  const text = await protectKey(key, 'a long passphrase, Käse');
  t.notMatch(text, formatPrivateKey(key).split('\n').at(-2) ?? '', 'the key is not in it');
  const answer = (passphrase: string) => async (): Promise<string> => passphrase;
  t.ok((await parsePrivateKey(text, answer('a long passphrase, Käse'))).equals(key));
  t.ok(
    (await parsePrivateKey(text, answer('a long passphrase, Ka\u0308se'))).equals(key),
    'composed otherwise',
  );
  await t.rejects(parsePrivateKey(text, answer('another')), { code: 'PASSPHRASE_WRONG' });
  await t.rejects(parsePrivateKey(text, nobody), { code: 'PASSPHRASE_MISSING' });
  for (const at of [25, 60, 130, 175, 230, 320, text.length - 3]) {
    const altered = text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1);
    await t.rejects(
      parsePrivateKey(altered, answer('a long passphrase, Käse')),
      { code: 'DAMAGED' },
      `at ${at}`,
    );
  }
  await t.rejects(parsePrivateKey(text.slice(0, -30), answer('x')), { code: 'DAMAGED' });
});

t.test('a key file that asks for more than any of ours does is refused before it is worked on', async (t) => {
  const text = await protectKey(generatePrivateKey(), 'words');
  const asking = (costs: string): string => {
    const [body = ''] = text.replace(/n=\d+ r=\d+ p=\d+/, costs).split('check: ');
    return `${body}check: ${createHash('sha256').update(body).digest('hex').slice(0, 16)}\n`;
  };
  const answer = async (): Promise<string> => 'words';
  for (const costs of [
    'n=536870912 r=8 p=1',
    'n=16384 r=999 p=1',
    'n=16384 r=8 p=17',
    'n=999999999 r=999 p=99',
  ])
    await t.rejects(
      parsePrivateKey(asking(costs), answer),
      { code: 'DAMAGED', message: /more memory or time/ },
      costs,
    );
  for (const costs of [
    'n=131071 r=8 p=1',
    'n=65536 r=1 p=1',
    'n=0 r=8 p=1',
    'n=131072 r=0 p=1',
    'n=131072 r=8 p=0',
  ])
    await t.rejects(
      parsePrivateKey(asking(costs), answer),
      { code: 'DAMAGED', message: /scrypt does not have/ },
      costs,
    );
});

function other(character: string): string {
  return character === 'a' ? 'b' : 'a';
}

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof KeyTextError && error.code === 'DAMAGED') return error.message;
    throw error;
  }
  return 'it was taken';
}
