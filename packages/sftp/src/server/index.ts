/* The server's half alone: each session on a storage is a new process, and pays for all that it loads. */
export type { Attributes } from '../attributes.ts';
export { EXTENSION, MAX_WRITE_BYTES, OPEN, PACKET, STATUS } from '../protocol.ts';
export type { DirectoryItem, FileSystemStatus, Handle, ServerLimits } from '../replies.ts';
export type { SftpSessionErrorCode } from './errors.ts';
export { SftpRefusal, SftpSessionError } from './errors.ts';
export { serveSftp } from './serve-sftp.ts';
export type * from './service.ts';
