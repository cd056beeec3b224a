import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { atExit } from '../harness/at-exit.ts';
import { isAlive, runTool } from '../harness/processes.ts';
import { makeTempFolder, type TempFolder } from '../harness/temp-folder.ts';
import { makeInstallDisk } from './installed-tree.ts';
import {
  openRemoteShell,
  quoted,
  type CommandOptions,
  type CommandResult,
  type RemoteShell,
} from './remote-shell.ts';

const BUILD_IMAGE = join(import.meta.dirname, 'build-image');
/** Many times what they take: the machine may get little of a processor that others use. */
const START_TIMEOUT_MS = 1_200_000;
const STOP_TIMEOUT_MS = 600_000;
/** Sparse files of gigabytes; /tmp may be memory. */
const FOLDER = '/var/tmp';
/** Written by the image's `tell-ready.service`. */
const READY = 'machine-ready';
/** Socket on which QEMU takes commands. */
const MONITOR = 'monitor';
const PROMPT = '(qemu) ';

export interface MachineOptions {
  /** Sizes of empty disks: `['2G', '500M']`. They are `machine.disks`, in this order. */
  readonly disks?: readonly string[];
  /** Puts this checkout's compiled programs in /opt/bakker and on the PATH. Default: true. */
  readonly hasBakker?: boolean;
  readonly memoryMebibytes?: number;
  /** What the kept console log is called; by default the test file. */
  readonly name?: string;
}

/** A Debian machine of its own, with systemd, LVM and a kernel of Debian's; all its disks outlive a power-off. */
export interface Machine extends AsyncDisposable {
  /** Paths of the empty disks, the same after each start. */
  readonly disks: readonly string[];
  /** Runs a command line as root, by bash. @throws if it takes too long, or the machine is off */
  run(command: string, options?: CommandOptions): Promise<CommandResult>;
  /** The same for a command that has to succeed. @returns standard output @throws with all that it said */
  must(command: string, options?: CommandOptions): Promise<string>;
  writeFile(path: string, content: string | Buffer, options?: { mode?: string }): Promise<void>;
  readFile(path: string): Promise<string>;
  /** Cuts the power: what the machine had not handed to its disks is lost. Commands that run end without a status. */
  powerOff(): Promise<void>;
  /**
   * Another machine, which is off, with this one's disks as they are in this moment: as a power cut would leave them. This one
   * stands still until the other is disposed of.
   */
  cutCopy(): Promise<Machine>;
  /**
   * Starts it again; its disks are as they were left.
   *
   * @param root - what the kernel mounts as `/`, here and in later starts: `UUID=…`. Default: the image's disk
   */
  powerOn(root?: string): Promise<void>;
  /** Shuts down in order and starts again. */
  reboot(): Promise<void>;
  /** All that was written on the serial console since the first start. */
  console(): Promise<string>;
}

/**
 * Builds the image if need be (a minute, once), boots a copy of it that shares what is unchanged, and logs in: about 20 s.
 * Root is not needed once the image is there. Disposing cuts the power and removes the disks; so does the end of this
 * process. Its console log is kept beside the image, in `logs/`.
 */
export async function startMachine(options: MachineOptions = {}): Promise<Machine> {
  await reapLeftFolders();
  const image = (await runTool(BUILD_IMAGE, [])).trim();
  await using made = new AsyncDisposableStack();
  const temp = made.use(await makeTempFolder(`vm-${process.pid}`, FOLDER));
  const machine = new EmulatedMachine({ image, temp, options });
  await machine.makeDisks();
  await machine.powerOn();
  made.move();
  return machine;
}

class EmulatedMachine implements Machine {
  readonly disks: readonly string[];
  readonly #image: string;
  readonly #temp: TempFolder;
  readonly #options: MachineOptions;
  readonly #disposed: () => Promise<void>;
  readonly #consoleFile: string;
  #rootFilesystem = 'LABEL=machine';
  #process: ChildProcess | undefined;
  #shell: RemoteShell | undefined;
  readonly #forget: () => void;

  constructor(parts: {
    image: string;
    temp: TempFolder;
    options: MachineOptions;
    disposed?: () => Promise<void>;
  }) {
    this.#disposed = parts.disposed ?? (() => Promise.resolve());
    this.#image = parts.image;
    this.#temp = parts.temp;
    this.#options = parts.options;
    this.#consoleFile = join(parts.temp.path, 'console.log');
    this.disks = (parts.options.disks ?? []).map((_, index) => `/dev/disk/by-id/virtio-${diskName(index)}`);
    this.#forget = atExit(() => {
      this.#process?.kill('SIGKILL');
      this.#keepConsole();
    });
  }

  /** The image itself stays as it is: changes go to a file beside. */
  async makeDisks(): Promise<void> {
    const base = join(this.#image, 'disk.ext4');
    await runTool('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      base,
      this.#file('root.qcow2'),
    ]);
    await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', this.#file('id')]);
    if (this.#options.hasBakker !== false) await makeInstallDisk(this.#file('bakker.raw'));
    for (const [index, size] of (this.#options.disks ?? []).entries())
      await runTool('truncate', ['-s', size, this.#file(`${diskName(index)}.raw`)]);
  }

  async powerOn(root = this.#rootFilesystem): Promise<void> {
    if (this.#process) throw new Error('the machine is on already');
    this.#rootFilesystem = root;
    const port = await findFreePort();
    const seenBytes = await sizeOf(this.#consoleFile);
    this.#launch(port);
    try {
      await this.#waitUntilReady(seenBytes);
      this.#shell = await openRemoteShell({
        port,
        identityFile: this.#file('id'),
        hostKey: keyOf(await readFile(join(this.#image, 'host_key.pub'), 'utf8')),
      });
    } catch (error) {
      const log = await this.console();
      await this.powerOff();
      throw new Error(`the machine does not start: ${String(error)}\n${log.slice(-4000)}`, { cause: error });
    }
  }

  async run(command: string, options?: CommandOptions): Promise<CommandResult> {
    if (!this.#shell) throw new Error(`the machine is off: ${command}`);
    return this.#shell.run(command, options);
  }

  async must(command: string, options?: CommandOptions): Promise<string> {
    const { status, stdout, stderr } = await this.run(command, options);
    if (status === 0) return stdout;
    const cause = status === undefined ? 'ended without a status' : `exit ${status}`;
    throw new Error(`${cause}: ${command}\n${stdout}${stderr}`);
  }

  async writeFile(path: string, content: string | Buffer, options: { mode?: string } = {}): Promise<void> {
    const parent = quoted(dirname(path));
    const mode = options.mode ?? '644';
    await this.must(`mkdir -p ${parent} && install -m ${mode} /dev/stdin ${quoted(path)}`, {
      input: content,
    });
  }

  readFile(path: string): Promise<string> {
    return this.must(`cat ${quoted(path)}`);
  }

  async cutCopy(): Promise<Machine> {
    await using made = new AsyncDisposableStack();
    const temp = made.use(await makeTempFolder(`vm-${process.pid}`, FOLDER));
    // Its clocks stand still, too: for the machine no time passes meanwhile.
    await this.#tellEmulator('stop');
    const goOn = (): Promise<void> => this.#tellEmulator('cont');
    made.defer(goOn);
    for (const name of await readdir(this.#temp.path)) {
      if (name === basename(this.#consoleFile) || name === MONITOR) continue;
      await runTool('cp', ['--sparse=always', this.#file(name), temp.path]);
    }
    const options = { ...this.#options, name: `${this.#name()}-cut` };
    const copy = new EmulatedMachine({ image: this.#image, temp, options, disposed: goOn });
    made.move();
    return copy;
  }

  async powerOff(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#gone(STOP_TIMEOUT_MS);
  }

  async reboot(): Promise<void> {
    await this.must('systemctl reboot');
    // It is told not to start again by itself, so that a reset nobody asked for ends it and is seen.
    await this.#gone(STOP_TIMEOUT_MS);
    await this.powerOn();
  }

  async console(): Promise<string> {
    return existsSync(this.#consoleFile) ? readFile(this.#consoleFile, 'utf8') : '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.powerOff();
    this.#forget();
    this.#keepConsole();
    await this.#temp[Symbol.asyncDispose]();
    await this.#disposed();
  }

  #file(name: string): string {
    return join(this.#temp.path, name);
  }

  #launch(port: number): void {
    const key = keyOf(readFileSync(this.#file('id.pub'), 'utf8'));
    // /dev/kvm may be there and hang; an emulated processor works everywhere.
    // A plain one: emulating newer instructions takes a fifth longer than doing without them.
    const machine = ['-accel', 'tcg,thread=multi', '-cpu', 'qemu64', '-smp', '2'];
    const boot = ['-kernel', join(this.#image, 'vmlinuz'), '-initrd', join(this.#image, 'initrd')];
    const hasBakker = this.#options.hasBakker !== false;
    const kernel = [
      `root=${this.#rootFilesystem} rw console=ttyS0 net.ifnames=0 quiet panic=1`,
      `machine.ssh_key=${key}`,
      ...(hasBakker ? [] : ['systemd.mask=opt-bakker.mount']),
    ];
    const drives = [
      drive({ file: this.#file('root.qcow2'), name: 'root', format: 'qcow2' }),
      ...(hasBakker ? [drive({ file: this.#file('bakker.raw'), name: 'bakker', format: 'raw' })] : []),
      ...this.disks.map((_, index) =>
        drive({ file: this.#file(`${diskName(index)}.raw`), name: diskName(index), format: 'raw' }),
      ),
    ];
    const args = [
      ...machine,
      ...[
        '-m',
        String(this.#options.memoryMebibytes ?? 2048),
        '-nodefaults',
        '-no-reboot',
        '-display',
        'none',
      ],
      ...['-monitor', `unix:${this.#file(MONITOR)},server=on,wait=off`],
      ...['-chardev', `file,id=console,path=${this.#consoleFile},append=on`, '-serial', 'chardev:console'],
      ...[...boot, '-append', kernel.join(' ')],
      ...drives.flat(),
      ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:22`],
      ...['-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-rng-pci'],
    ];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    });
    child.once('close', () => {
      if (this.#process === child) this.#process = undefined;
      this.#shell?.close();
      this.#shell = undefined;
    });
    child.once('error', () => {
      // 'close' follows; waitUntilReady tells.
    });
    this.#process = child;
  }

  async #waitUntilReady(seenBytes: number): Promise<void> {
    const deadlineMs = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      if (!this.#process) throw new Error('QEMU ended');
      if (Date.now() > deadlineMs) throw new Error(`not ready after ${START_TIMEOUT_MS} ms`);
      const log = await this.console();
      if (Buffer.from(log).subarray(seenBytes).includes(READY)) return;
      await delay(100);
    }
  }

  /** Has QEMU do something, and waits until it did. */
  async #tellEmulator(command: string): Promise<void> {
    const socket = connect(this.#file(MONITOR));
    socket.setEncoding('utf8');
    let said = '';
    socket.write(`${command}\n`);
    for await (const text of socket) {
      said += String(text);
      // one before the command, and one when it is done
      if (said.split(PROMPT).length > 2) break;
    }
  }

  async #gone(timeoutMs: number): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs;
    while (this.#process) {
      if (Date.now() > deadlineMs) throw new Error(`the machine is still on after ${timeoutMs} ms`);
      await delay(20);
    }
  }

  #keepConsole(): void {
    if (!existsSync(this.#consoleFile)) return;
    const logs = join(dirname(this.#image), 'logs');
    mkdirSync(logs, { recursive: true });
    copyFileSync(this.#consoleFile, join(logs, `${this.#name()}.log`));
  }

  #name(): string {
    return this.#options.name ?? basename(process.argv[1] ?? 'machine', '.ts');
  }
}

function diskName(index: number): string {
  return `disk${index + 1}`;
}

function drive({ file, name, format }: { file: string; name: string; format: string }): string[] {
  const backing = `file=${file},if=none,id=${name},format=${format},cache=writeback,discard=unmap`;
  return ['-drive', backing, '-device', `virtio-blk-pci,drive=${name},serial=${name}`];
}

/** The base64 of an OpenSSH public key's line. */
function keyOf(line: string): string {
  const key = line.split(' ')[1];
  if (key === undefined) throw new Error(`not a public key: ${line}`);
  return key.trim();
}

async function sizeOf(file: string): Promise<number> {
  return existsSync(file) ? (await stat(file)).size : 0;
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port on loopback');
  return address.port;
}

/** Removes the disks of processes that were killed before they could. */
async function reapLeftFolders(): Promise<void> {
  for (const name of await readdir(FOLDER)) {
    const pid = /^bakker-vm-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || (await isAlive(Number(pid)))) continue;
    await rm(join(FOLDER, name), { recursive: true, force: true }).catch(() => undefined);
  }
}
