import t from 'tap';
import { tableLines } from '../src/table.ts';

t.test('columns are as wide as their widest cell, and lines end with their text', (t) => {
  const rows = [
    ['run', 'size'],
    ['2024_04_18_01', '7 B'],
    ['x', '1.2 kB', 'note'],
    ['last', ''],
  ];
  t.same(tableLines(rows, { rightAligned: [1] }), [
    'run              size',
    '2024_04_18_01     7 B',
    'x              1.2 kB  note',
    'last',
  ]);
  t.same(tableLines([], { rightAligned: [] }), []);
  t.end();
});
