import type { Notifier } from '../../ports/notifier.ts';
import { runHook, sendMail } from './programs.ts';
import { ping, publish } from './web.ts';
import { writeWhole } from './whole-file.ts';

/** The ways to tell somebody from this machine. */
export const linuxNotifier: Notifier = {
  runHook,
  sendMail,
  ping,
  publish,
  // for the user that the exporter runs as, too
  writeMetrics: ({ file }, text) => writeWhole(file, text, 0o644),
};
