import t from 'tap';
import { keptOutBy } from '../../src/provision/sshd-patterns.ts';

const NONE = { allowUsers: undefined, denyUsers: undefined, allowGroups: undefined, denyGroups: undefined };
const web1 = { user: 'web1', groups: ['bakker', 'web1'] };

t.test('who is named, by a pattern or from some hosts, is let in', (t) => {
  for (const allowUsers of [
    undefined,
    ['web1'],
    ['root', 'web*'],
    ['web?'],
    ['web1@10.0.0.0/8'],
    ['*@10.0.0.1'],
  ])
    t.equal(keptOutBy(web1, { ...NONE, allowUsers }), undefined, String(allowUsers));
  for (const allowGroups of [['bakker'], ['staff', 'bak*'], ['web1']])
    t.equal(keptOutBy(web1, { ...NONE, allowGroups }), undefined, String(allowGroups));
  for (const denyUsers of [['root'], ['web'], ['web1?'], ['web1@10.0.0.0/8'], ['w.b1']])
    t.equal(keptOutBy(web1, { ...NONE, denyUsers }), undefined, String(denyUsers));
  t.end();
});

t.test('who is left out or denied is not', (t) => {
  for (const allowUsers of [['root'], ['web'], ['web2@10.0.0.0/8'], ['web1?'], ['!web1']])
    t.match(keptOutBy(web1, { ...NONE, allowUsers }), /AllowUsers/, String(allowUsers));
  t.match(keptOutBy(web1, { ...NONE, allowGroups: ['staff'] }), /AllowGroups/);
  for (const denyUsers of [['web1'], ['root', 'web*'], ['*']])
    t.match(keptOutBy(web1, { ...NONE, allowUsers: ['web1'], denyUsers }), /DenyUsers/, String(denyUsers));
  t.match(keptOutBy(web1, { ...NONE, denyGroups: ['bak*'] }), /DenyGroups/);
  t.end();
});
