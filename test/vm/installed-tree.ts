import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { runTool } from '../harness/processes.ts';

const CHECKOUT = resolve(import.meta.dirname, '../..');
/** Both programs and what they import, the units and the scripts of an administrator; no sources, no tests. */
const OWN_PARTS = ['package.json', 'scripts', 'systemd'];
const PACKAGE_PARTS = ['package.json', 'bin', 'dist'];
/** Headers and npm of the carried Node.js are for building only. */
const LEFT_OUT = /\/node_modules\/node-linux-[^/]+\/(?:include|share|lib)$/;

/**
 * Makes a disk image (ext4, labelled `bakker`) that holds this checkout as it is installed: compiled programs and their
 * npm packages without those for development. What is compiled is taken as it lies in `dist`.
 */
export async function makeInstallDisk(image: string): Promise<void> {
  const tree = `${image}.tree`;
  await mkdir(tree);
  try {
    for (const part of [...OWN_PARTS, ...packageParts(), ...npmPackages()]) {
      const from = join(CHECKOUT, part);
      if (!existsSync(from)) continue;
      await mkdir(dirname(join(tree, part)), { recursive: true });
      await cp(from, join(tree, part), {
        recursive: true,
        verbatimSymlinks: true,
        // the launchers look which is newer
        preserveTimestamps: true,
        filter: (path) => !LEFT_OUT.test(path) && !path.endsWith('/.compile-cache'),
      });
    }
    await runTool('chown', ['-R', '-h', '0:0', tree]);
    await runTool('mkfs.ext4', ['-q', '-F', '-L', 'bakker', '-E', 'root_owner=0:0', '-d', tree, image, '1G']);
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

function packageParts(): string[] {
  return packageFolders().flatMap((folder) => PACKAGE_PARTS.map((part) => `${folder}/${part}`));
}

/** The workspace's packages, and their links below node_modules. */
function packageFolders(): string[] {
  return lockedPackages()
    .filter(([path]) => path.startsWith('packages/') && !path.includes('node_modules'))
    .map(([path]) => path);
}

function npmPackages(): string[] {
  return lockedPackages()
    .filter(([path, { dev, devOptional }]) => path.includes('node_modules/') && !dev && !devOptional)
    .map(([path]) => path);
}

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

function lockedPackages(): [path: string, locked: LockedPackage][] {
  const lock = JSON.parse(readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  return Object.entries(lock.packages).filter(([path]) => path !== '');
}
