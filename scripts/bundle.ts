// Puts each program's modules together into a few files, since reading two hundred takes as long as a small run:
//
//   node scripts/bundle.ts
//
// Packages of others stay where they are, and threads start from the modules themselves. The launchers take what lies in
// dist/bundle as long as nothing was compiled after it.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = resolve(import.meta.dirname, '..');
const PROGRAMS = ['agent', 'storage-shell'];

for (const program of PROGRAMS) {
  const dist = `${ROOT}/packages/${program}/dist`;
  const outdir = `${dist}/bundle`;
  await rm(outdir, { recursive: true, force: true });
  await build({
    entryPoints: [`${dist}/main.js`],
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'warning',
    plugins: [othersOutside(), urlsOfModules(outdir)],
  });
  // Written last: what was compiled before it is in the bundle.
  await writeFile(`${outdir}/complete`, '');
}

/** Leaves out every package but ours. */
function othersOutside(): Plugin {
  return {
    name: 'others-outside',
    setup: (bundler) =>
      bundler.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
        kind === 'entry-point' || path.startsWith('@bakker/') ? undefined : { path, external: true },
      ),
  };
}

/** `import.meta.url` goes on to mean the module's own place: programs of threads are found from there. */
function urlsOfModules(outdir: string): Plugin {
  return {
    name: 'urls-of-modules',
    setup: (bundler) =>
      bundler.onLoad({ filter: /\/dist\/.*\.js$/ }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const url = `new URL(${JSON.stringify(relative(outdir, path))}, import.meta.url).href`;
        return { contents: text.replaceAll('import.meta.url', url), loader: 'js' };
      }),
  };
}
