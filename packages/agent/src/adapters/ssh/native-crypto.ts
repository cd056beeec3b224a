import { createRequire } from 'node:module';

/**
 * Whether ssh2's crypto binding is built for this Node.js. Without it ssh2 works, silently, at about twice the CPU time.
 */
export function hasNativeCrypto(): boolean {
  const require = createRequire(import.meta.url);
  try {
    // The same file that ssh2 looks for.
    require('ssh2/lib/protocol/crypto/build/Release/sshcrypto.node');
    return true;
  } catch {
    return false;
  }
}
