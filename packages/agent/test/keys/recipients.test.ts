import { formatPublicKey, generatePrivateKey, publicKeyOf } from '@bakker/impl-format/sealed';
import t from 'tap';
import {
  addRecipient,
  chooseRecipient,
  parseRecipients,
  removeRecipient,
  rotateRecipient,
} from '../../src/keys/recipients.ts';

const FILE = '/etc/bakker/recipients';
const [mine, colleague, offline] = ['', '', ''].map(() => publicKeyOf(generatePrivateKey()));
if (mine === undefined || colleague === undefined || offline === undefined) throw new Error('three keys');

t.test('keys are added, and what a person wrote in the file stays', async (t) => {
  const written = `# keys of web1\n\n  ${formatPublicKey(mine)}   mine, at home\n# the end`;
  const text = addRecipient(written, FILE, { publicKey: colleague, name: 'colleague' });
  t.equal(text, `${written}\n${formatPublicKey(colleague)} colleague\n`);
  t.strictSame(
    parseRecipients(text, FILE).map(({ name }) => name),
    ['mine, at home', 'colleague'],
  );
  t.equal(
    addRecipient(text, FILE, { publicKey: mine, name: 'again' }),
    text,
    'one that is there changes nothing',
  );
  const [first] = parseRecipients(text, FILE);
  if (first === undefined) throw new Error('a recipient');
  t.equal(
    removeRecipient(text, FILE, first),
    `# keys of web1\n\n# the end\n${formatPublicKey(colleague)} colleague\n`,
  );
});

t.test('the last key is not removed, but another can take its place', async (t) => {
  const text = addRecipient('', FILE, { publicKey: mine, name: 'mine' });
  const [only] = parseRecipients(text, FILE);
  if (only === undefined) throw new Error('a recipient');
  t.throws(() => removeRecipient(text, FILE, only), { code: 'USAGE' });
  const rotated = parseRecipients(
    rotateRecipient(text, { old: only, added: { publicKey: offline, name: 'new' } }),
    FILE,
  );
  t.strictSame(
    rotated.map((each) => [each.text, each.name]),
    [[formatPublicKey(offline), 'new']],
  );
});

t.test('a key that stands in the file in capitals is removed and rotated like any other', async (t) => {
  const capitals = formatPublicKey(mine).replace(/:.*/, (key) => key.toUpperCase());
  const text = `# head\n${capitals} mine\n${formatPublicKey(colleague)} colleague\n`;
  const [first] = parseRecipients(text, FILE);
  if (first === undefined) throw new Error('a recipient');
  t.equal(removeRecipient(text, FILE, first), `# head\n${formatPublicKey(colleague)} colleague\n`);
  t.equal(
    rotateRecipient(text, { old: first, added: { publicKey: offline, name: 'new' } }),
    `# head\n${formatPublicKey(offline)} new\n${formatPublicKey(colleague)} colleague\n`,
  );
  t.equal(chooseRecipient(parseRecipients(text, FILE), capitals).name, 'mine', 'and meant by it');
});

t.test('an edit that finds no line of the key is an error', async (t) => {
  let text = addRecipient('', FILE, { publicKey: mine, name: 'mine' });
  const [gone] = parseRecipients(text, FILE);
  if (gone === undefined) throw new Error('a recipient');
  text = addRecipient('', FILE, { publicKey: colleague, name: '' });
  text = addRecipient(text, FILE, { publicKey: offline, name: '' });
  t.throws(() => removeRecipient(text, FILE, gone), { message: /was not found/ });
  t.throws(() => rotateRecipient(text, { old: gone, added: { publicKey: mine, name: '' } }), {
    message: /was not found/,
  });
});

t.test('a line that is no key is named', async (t) => {
  const good = formatPublicKey(mine);
  const damaged = `${good.slice(0, -1)}${good.endsWith('a') ? 'b' : 'a'}`;
  for (const line of [damaged, 'ssh-ed25519 AAAA', good.toUpperCase()]) {
    t.throws(() => parseRecipients(`# head\n${line}\n`, FILE), {
      code: 'KEY_DAMAGED',
      message: /recipients, line 2: /,
    });
  }
  t.throws(() => parseRecipients(`${good}\n${good} twice\n`, FILE), {
    code: 'KEY_DAMAGED',
    message: /line 2: .* twice/,
  });
});

t.test('a key is meant by itself, its name, or enough of its id', async (t) => {
  let text = addRecipient('', FILE, { publicKey: mine, name: 'mine' });
  text = addRecipient(text, FILE, { publicKey: colleague, name: 'both' });
  text = addRecipient(text, FILE, { publicKey: offline, name: 'both' });
  const recipients = parseRecipients(text, FILE);
  for (const recipient of recipients) {
    for (const word of [recipient.text, recipient.id, recipient.id.slice(0, 12)]) {
      t.equal(chooseRecipient(recipients, word), recipient);
    }
  }
  t.equal(chooseRecipient(recipients, 'mine').name, 'mine');
  t.throws(() => chooseRecipient(recipients, 'both'), { code: 'USAGE' });
  t.throws(() => chooseRecipient(recipients, 'nobody'), { code: 'KEY_MISSING' });
  t.throws(() => chooseRecipient(recipients, ''), { code: 'KEY_MISSING' });
});

t.test('more keys than a sealed file can name are refused', async (t) => {
  let text = '';
  const add = (): string =>
    addRecipient(text, FILE, { publicKey: publicKeyOf(generatePrivateKey()), name: '' });
  for (let count = 0; count < 32; count++) text = add();
  t.throws(add, { code: 'USAGE' });
  t.throws(() => parseRecipients(`${text}${formatPublicKey(mine)}\n`, FILE), { code: 'KEY_DAMAGED' });
});
