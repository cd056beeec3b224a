// Started by ssh (KnownHostsCommand): prints the known_hosts line of the key that the storage shows, if it is the
// pinned one. Arguments: pinned fingerprint, shown fingerprint, host, key type, key.
const [pinned, shown, host, type, key] = process.argv.slice(2);
if (pinned !== undefined && pinned === shown) process.stdout.write(`${host} ${type} ${key}\n`);
// ssh also asks before there is a key; `opensshFailure` finds this line among what ssh says.
else if (shown?.startsWith('SHA256:')) process.stderr.write(`bakker: shown ${shown}, expected ${pinned}\n`);
export {};
