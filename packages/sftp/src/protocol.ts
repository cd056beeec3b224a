/** Numbers of SFTP version 3: draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL for what it adds. */

export const PROTOCOL_VERSION = 3;

/** The first byte of a packet, after its length. */
export const PACKET = {
  INIT: 1,
  VERSION: 2,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  FSETSTAT: 10,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  REALPATH: 16,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED: 200,
  EXTENDED_REPLY: 201,
} as const;

/** What a STATUS reply says. OpenSSH answers FAILURE for every errno without a word of its own (EEXIST, ENOSPC, EMLINK). */
export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  NO_CONNECTION: 6,
  CONNECTION_LOST: 7,
  OP_UNSUPPORTED: 8,
} as const;

/** The `flags` of an OPEN, to be or-ed. */
export const OPEN = {
  READ: 0x01,
  WRITE: 0x02,
  APPEND: 0x04,
  CREATE: 0x08,
  TRUNCATE: 0x10,
  /** With CREATE: fails (FAILURE) if the name is there, a symlink included. */
  EXCLUSIVE: 0x20,
} as const;

/** Names of extensions as VERSION announces them. */
export const EXTENSION = {
  POSIX_RENAME: 'posix-rename@openssh.com',
  STATVFS: 'statvfs@openssh.com',
  FSTATVFS: 'fstatvfs@openssh.com',
  HARDLINK: 'hardlink@openssh.com',
  FSYNC: 'fsync@openssh.com',
  LSETSTAT: 'lsetstat@openssh.com',
  LIMITS: 'limits@openssh.com',
  COPY_DATA: 'copy-data',
} as const;

/** Largest payload of one WRITE: OpenSSH takes packets of 256 KiB, drops the connection above, and keeps 1 KiB for the header. */
export const MAX_WRITE_BYTES = 255 * 1024;
