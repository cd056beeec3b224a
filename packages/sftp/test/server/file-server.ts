import { Socket } from 'node:net';
import { EXTENSION } from '../../src/protocol.ts';
import { serveSftp } from '../../src/server/serve-sftp.ts';
import { FileService } from './file-service.ts';

// A program that serves SFTP over its standard streams, for clients that start one.
const input = new Socket({ fd: 0, readable: true, writable: false });
const output = new Socket({ fd: 1, readable: false, writable: true });
const extensions = Object.values(EXTENSION).map(
  (name) => [name, name === 'statvfs@openssh.com' ? '2' : '1'] as const,
);
await serveSftp({ input, output }, new FileService(), { extensions }).finished;
