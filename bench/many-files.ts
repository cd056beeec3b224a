import { standOf, type Bench } from './bench.ts';
import { progress } from './figures.ts';
import { writeTinyFiles } from './loads.ts';
import { TOOL } from './names.ts';
import { makeDisk, makeFolder, warm } from './stand.ts';

const BYTES_A_FILE = 20_000;

/** What bakker needs at two sizes of the same kind of tree: time and memory. */
export async function runMany(bench: Bench): Promise<void> {
  const { manyFiles, notes, rounds } = bench;
  for (const [which, count] of [
    ['a tenth', Math.ceil(manyFiles / 10)],
    ['many', manyFiles],
  ] as const) {
    const diskBytes = count * BYTES_A_FILE;
    await using disk = await makeDisk(diskBytes);
    const source = await makeFolder(disk.folder, 'source');
    progress(`writing ${count} tiny files`);
    writeTinyFiles(source, count);
    for (const toolName of bench.tools.filter((name) => name === TOOL.plain || name === TOOL.shell)) {
      await using stand = await standOf(bench, { toolName, source, diskBytes });
      const { tool, port, measure } = stand;
      await warm(source);
      notes.measured(`first run, ${which}`, toolName, await measure(await tool.backup(port)));
      for (let round = 1; round <= rounds; round += 1)
        notes.measured(`nothing changed, ${which}`, toolName, await measure(await tool.backup(port)));
      await using target = await makeDisk(diskBytes);
      const restore = await tool.restore(port, `${target.folder}/restored`);
      notes.measured(`full restore, ${which}`, toolName, await measure(restore));
    }
  }
}
