import type { Quantity } from './figures.ts';
import { LOADS, TOOL, type LoadName } from './names.ts';

/** One figure that is asked for: bakker's, as a ratio to the least of others' or as such. */
export interface Target {
  readonly what: string;
  readonly quantity: Quantity;
  readonly own: Place;
  /** Empty: `most` is in the quantity's own unit. */
  readonly against: readonly Place[];
  readonly most: number;
}

export interface Place {
  readonly load: LoadName;
  readonly tool: string;
}

const MIB = 2 ** 20;
const { plain, shell, sealed, rsync, restic, borg } = TOOL;

/** In the order in which they are printed. */
export const TARGETS: readonly Target[] = [
  ...toPeers('plain', plain, [rsync, restic], {
    'first run': 0.9,
    'nothing changed': 0.6,
    '1 % changed': 0.7,
    '10 % renamed': 0.7,
    'full restore': 1.0,
    'large files, first run': 0.9,
  }),
  bytes('plain: 10 % renamed, bytes on the wire', 'wireBytes', { load: '10 % renamed', tool: plain }, 5e6),
  ratio('plain: nothing changed, 20 ms round trip', { load: 'distant', tool: plain }, 1.5, [
    { load: 'near', tool: plain },
  ]),
  ...many('plain', plain, 1.3),

  ...toPeers('shell', shell, [rsync, restic], { 'nothing changed': 0.4 }),
  ratio('shell: nothing changed, to cp -al', { load: 'nothing changed', tool: shell }, 1.3, [
    { load: 'limits', tool: TOOL.links },
  ]),
  ratio('shell: first run, to plain', { load: 'first run', tool: shell }, 1.0, [
    { load: 'first run', tool: plain },
  ]),
  bytes('shell: 10 % renamed, bytes on the wire', 'wireBytes', { load: '10 % renamed', tool: shell }, 200e3),
  ratio('shell: deleting a run, to rm -rf', { load: 'delete', tool: TOOL.storage }, 1.2, [
    { load: 'delete', tool: TOOL.rm },
  ]),

  toUnsealed('first run', 1.25),
  toUnsealed('large files, first run', 1.35),
  toUnsealed('nothing changed', 1.05),
  ...toPeers('sealed', sealed, [restic], {
    'first run': 0.7,
    'nothing changed': 0.4,
    'full restore': 0.8,
  }),

  ...changed('changed, reflink', 0.6),
  ...changed('changed, ext4', 1.0),
  ...[shell, sealed].map((tool) => ({
    what: `${nameOf(tool)}: ${LOADS['changed, reflink']}, bytes added`,
    quantity: 'addedBytes' as const,
    own: { load: 'changed, reflink' as const, tool },
    against: [{ load: 'changed, reflink' as const, tool: TOOL.allowed }],
    most: 1,
  })),
  ratio(
    'shell: large files, first run, to cat to ssh cat',
    { load: 'large files, first run', tool: shell },
    1.05,
    [{ load: 'large files, first run', tool: TOOL.cat }],
  ),
  ...toPeers('shell', shell, [rsync, restic, borg], {
    'first run': 0.6,
    'nothing changed': 0.35,
    'full restore': 0.7,
  }),
  ...many('shell', shell, 1.2),
  ratio('shell: nothing changed, ten times the files', { load: 'nothing changed, many', tool: shell }, 11, [
    { load: 'nothing changed, a tenth', tool: shell },
  ]),
  {
    what: "shell: nothing changed, both ends' processors",
    quantity: 'cpuSeconds',
    own: { load: 'nothing changed', tool: shell },
    against: [{ load: 'nothing changed', tool: restic }],
    most: 0.5,
  },
];

function ratio(what: string, own: Place, most: number, against: readonly Place[]): Target {
  return { what, quantity: 'seconds', own, against, most };
}

function bytes(what: string, quantity: Quantity, own: Place, most: number): Target {
  return { what, quantity, own, against: [], most };
}

function toPeers(
  name: string,
  tool: string,
  peers: readonly string[],
  most: Partial<Record<LoadName, number>>,
): Target[] {
  const loads = Object.keys(most).filter((load): load is LoadName => load in LOADS);
  return loads.map((load) =>
    ratio(
      `${name}: ${LOADS[load]}, to ${peers.join(', ')}`,
      { load, tool },
      most[load] ?? NaN,
      peers.map((peer) => ({ load, tool: peer })),
    ),
  );
}

function toUnsealed(load: LoadName, most: number): Target {
  return ratio(`sealed: ${LOADS[load]}, to unsealed`, { load, tool: sealed }, most, [{ load, tool: shell }]);
}

function changed(load: LoadName, most: number): Target[] {
  const sent = (tool: string): Target => ({
    what: `${nameOf(tool)}: ${LOADS[load]}, bytes sent`,
    quantity: 'sentBytes',
    own: { load, tool },
    against: [{ load, tool: TOOL.allowed }],
    most: 1,
  });
  return [
    ...toPeers('shell', shell, [rsync, restic], { [load]: most }),
    toUnsealed(load, 1.2),
    sent(shell),
    sent(sealed),
  ];
}

function many(name: string, tool: string, mostGrowth: number): Target[] {
  return (['first run', 'nothing changed', 'full restore'] as const).flatMap((what): Target[] => {
    const tenth: Place = { load: `${what}, a tenth`, tool };
    const all: Place = { load: `${what}, many`, tool };
    return [
      bytes(`${name}: ${LOADS[tenth.load]}, memory`, 'peakBytes', tenth, 250 * MIB),
      {
        what: `${name}: ${what}, memory at ten times the files`,
        quantity: 'peakBytes',
        own: all,
        against: [tenth],
        most: mostGrowth,
      },
    ];
  });
}

function nameOf(tool: string): string {
  return tool === sealed ? 'sealed' : 'shell';
}
