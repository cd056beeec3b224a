import fs from 'node:fs';
import t from 'tap';
import { makeTempFolder } from '../../../../test/harness/temp-folder.ts';
import { openBusy } from '../../src/adapters/volumes/busy.ts';
import { volumesUndoers } from '../../src/adapters/volumes/undoers.ts';
import { makeViewFolder, removeViewFolder, viewFolderAt } from '../../src/adapters/volumes/view-folder.ts';

t.test('the folder of a view stays as long as a command of its freezing runs', async (t) => {
  await using temp = await makeTempFolder('busy');
  const view = viewFolderAt(temp.path, '1f');
  makeViewFolder(view);
  const command = openBusy(view.busyFile);
  const remove = async (): Promise<void> =>
    volumesUndoers()['remove-view']?.(
      { kind: 'remove-view', folder: view.path },
      { signal: AbortSignal.timeout(150) },
    );
  await t.rejects(remove());
  t.ok(fs.existsSync(view.busyFile), 'whoever removes its snapshot can wait for it');
  fs.closeSync(command);
  await remove();
  t.notOk(fs.existsSync(view.path));
});

t.test('another bakker that removes its last view takes no place from a new one', async (t) => {
  await using temp = await makeTempFolder('busy');
  const views = `${temp.path}/views`;
  const [last, next] = [viewFolderAt(views, '1f'), viewFolderAt(views, '2e')];
  makeViewFolder(last);
  await removeViewFolder(last.path, AbortSignal.timeout(5_000));
  t.notOk(fs.existsSync(views));
  makeViewFolder(next);
  fs.closeSync(openBusy(next.busyFile));
});
