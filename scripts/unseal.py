#!/usr/bin/python3
"""Opens what bakker sealed, with nothing of bakker: docs/sealed-format.md is all that this was written from.

  unseal.py KEYFILE file SEALED OUT          the content of one sealed file
  unseal.py KEYFILE manifest RUN.impl        the manifest as JSON lines, on standard output
  unseal.py KEYFILE run ACCOUNT RUN OUT      all contents of a run with their real names, into a new folder

KEYFILE holds a private key in any form: as bakker writes it, protected by a passphrase (asked for), or typed from paper. RUN
may be `latest`. What is written can be read by its owner alone. Needs Debian's python3-cryptography and python3-nacl, and the
program zstd.
"""
import base64, getpass, hashlib, hmac, json, os, re, resource, shutil, stat, subprocess, sys, tempfile, unicodedata

try:
    import nacl.exceptions
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
    from nacl.public import Box, PrivateKey, PublicKey
except ImportError as missing:
    sys.exit(f"unseal: {missing}: run it by /usr/bin/python3, with Debian's python3-cryptography and python3-nacl")


class Refused(Exception):
    """Damaged, altered, cut off, or sealed for another key."""


def need(is_true, reason):
    if not is_true:
        raise Refused(reason)


def expand(key, label, context=b""):
    return HKDFExpand(SHA256(), 32, label + b" 1\0" + context).derive(key)


def unbase32(text):
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


# --- private keys


def read_key(text, ask=lambda: getpass.getpass("Passphrase: ")):
    if "protected by a passphrase" in text:
        return read_protected(text, ask)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines and lines[0].startswith("bakker-private-key:"):
        data = unbase32(lines[0].split(":")[1])
        check = hashlib.sha256(b"bakker-private-key 1\0" + data[:32]).digest()[:3]
        need(len(data) == 35 and data[32:] == check, "the checksum of the private key is wrong")
        return data[:32]
    need(not lines or not lines[0].startswith("bakker-public-key:"), "that is a public key, and the private one is needed")
    return read_paper(" ".join(lines))


def read_protected(text, ask):
    body, check = text[: text.index("check: ")], text.split("check: ")[1].strip()
    need(hashlib.sha256(body.encode()).hexdigest()[:16] == check, "the checksum of the protected key is wrong")
    n, r, p = map(int, re.search(r"n=(\d+) r=(\d+) p=(\d+)", body).groups())
    need(128 * n * r <= 1 << 30 and p <= 16, "the protected key asks for more memory or time than any that bakker makes")
    salt = bytes.fromhex(re.search(r"salt: (\w+)", body).group(1))
    sealed = bytes.fromhex(re.search(r"sealed: (\w+)", body).group(1))
    key = Scrypt(salt, 32, n, r, p).derive(unicodedata.normalize("NFC", ask()).encode())
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], body[: body.index("sealed: ")].encode())
    except InvalidTag:
        raise Refused("the passphrase is wrong")


def read_paper(text):
    groups = [g for g in re.split(r"[\s-]+", text.lower()) if g and not re.fullmatch(r"[1-9][.:)]?", g)]
    need(len(groups) == 9, "a key on paper has 9 groups, and here are %d" % len(groups))
    data = b""
    for number, group in enumerate(groups, 1):
        try:
            part = unbase32(group.translate(str.maketrans("018", "olb")))
        except ValueError:
            part = b""
        crc = number
        for byte in part[:4]:
            crc ^= byte
            for _ in range(8):
                crc = (crc << 1 ^ (7 if crc & 128 else 0)) & 255
        need(len(part) == 5 and part[4] == crc, "group %d is mistyped" % number)
        data += part[:4]
    need(hashlib.sha256(b"bakker paper key 1\0" + data[:32]).digest()[:4] == data[32:], "the groups are of two keys")
    return data[:32]


# --- sealed files

NO_LIMIT = (1 << 63) - 1


class Opener:
    def __init__(self, private_key):
        self.private = PrivateKey(private_key)
        self.public = bytes(self.private.public_key)
        self.id = hashlib.sha256(b"bakker recipient 1\0" + self.public).digest()[:8]
        self.run_keys = {}

    def run_key(self, envelope):
        """Ephemeral key (32), number of recipients (1), for each: its id (8) and the key in a box (48)."""
        if envelope not in self.run_keys:
            ephemeral = envelope[:32]
            nonce = hashlib.sha256(b"bakker run key 1\0" + ephemeral + self.public).digest()[:24]
            entries = [envelope[at : at + 56] for at in range(33, len(envelope), 56)]
            mine = [entry[8:] for entry in entries if entry[:8] == self.id]
            need(mine, "it is sealed for " + ", ".join(entry[:8].hex() for entry in entries) + ", not for " + self.id.hex())
            try:
                self.run_keys[envelope] = Box(self.private, PublicKey(ephemeral)).decrypt(mine[0], nonce)
            except nacl.exceptions.CryptoError:
                raise Refused("the sealed run key does not open")
        return self.run_keys[envelope]

    def open(self, source, out, most=NO_LIMIT, is_manifest=False):
        """Writes what is sealed in `source` to `out`; both are files. Nothing is written that did not prove true, and no more
        than `most` bytes: a few hostile ones could become terabytes. A content is refused as a manifest, and the reverse."""
        identity = exactly(source, 32)
        need(identity[:4] == b"BKSL", "it is not sealed")
        version, kind, compression, bits = identity[4:8]
        need(version == 1, "it is sealed in version %d" % version)
        need((kind, compression) in ((1, 0), (1, 1), (2, 0), (3, 0)) and 12 <= bits <= 24, "the header is not understood")
        need(kind != 3 or is_manifest, "it is a manifest, and not the content of a file")
        need(kind == 3 or not is_manifest, "it is the content of a file, and not a manifest")
        if kind == 2:
            self.open_strided(source, identity, 1 << bits, out, most)
        elif compression:
            decompress(lambda frame: self.open_packed(source, identity, 1 << bits, frame), out, most)
        else:
            self.open_packed(source, identity, 1 << bits, out)

    def open_packed(self, source, identity, chunk_bytes, out):
        envelope = take_envelope(source)
        label = b"bakker manifest" if identity[5] == 3 else b"bakker packed"
        aead = AESGCM(expand(self.run_key(envelope), label, identity[8:]))
        index, chunk = 0, source.read(chunk_bytes + 16)
        while True:
            following = source.read(chunk_bytes + 16)
            nonce = bytes(7) + index.to_bytes(4, "big") + bytes([not following])
            plain = decrypt(aead, nonce, chunk, identity + envelope)
            need(plain or index == 0, "the last chunk is empty")
            out.write(plain)
            if not following:
                return
            index, chunk = index + 1, following

    def open_strided(self, source, identity, chunk_bytes, out, most):
        start = exactly(source, 14)
        header_bytes, size = int.from_bytes(start[:4], "big"), int.from_bytes(start[4:12], "big")
        need(4096 <= header_bytes <= 1 << 20 and header_bytes % 4096 == 0 and size > 0, "the header is not understood")
        need(size <= most, "it is longer than it should be")
        header = identity + start + exactly(source, header_bytes - 46)
        table, file_keys = Slices(header[46:-32]), []
        for _ in range(int.from_bytes(start[12:], "big")):
            file_keys.append(take_envelope(table))
        need(file_keys, "the header holds no key")

        def file_key(slot):
            need(slot < len(file_keys), "a chunk names a key that is not there")
            return expand(self.run_key(file_keys[slot]), b"bakker strided", identity[8:])

        mac = hmac.new(expand(file_key(len(file_keys) - 1), b"bakker header"), header[:-32], "sha256").digest()
        need(hmac.compare_digest(mac, header[-32:]), "the header is not what was written")
        index, done = 0, 0
        while done < size:
            record = exactly(source, 19)
            slot, is_hole, number = int.from_bytes(record[:2], "big"), record[2] == 1, index.to_bytes(8, "big")
            length = exactly(source, 8) if is_hole else b""
            covered = int.from_bytes(length, "big") if is_hole else min(chunk_bytes, size - done)
            is_last = done + covered == size
            need(is_last or (0 < covered < size - done and covered % chunk_bytes == 0), "a hole does not fit")
            aead = AESGCM(expand(file_key(slot), b"bakker chunk", number + record[3:]))
            sealed = exactly(source, 16 if is_hole else covered + 16)
            plain = decrypt(aead, bytes(12), sealed, identity + number + bytes([record[2], is_last]) + length)
            out.seek(covered, os.SEEK_CUR) if is_hole else out.write(plain)
            done, index = done + covered, index + -(-covered // chunk_bytes)
            if is_hole and not is_last:
                gap = covered // chunk_bytes * (chunk_bytes + 35) - 43
                while gap > 0:
                    zeros = exactly(source, min(gap, 1 << 20))
                    need(not any(zeros), "there is something in a hole")
                    gap -= len(zeros)
        out.truncate(size)
        need(not source.read(1), "bytes follow the end")


def decompress(write_frame, out, most=NO_LIMIT):
    """Writes to the file `out` what is in a zstd frame. The program that does it dies when that becomes longer than `most`."""
    most = min(most, *(limit for limit in resource.getrlimit(resource.RLIMIT_FSIZE) if limit >= 0), NO_LIMIT)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    command = ["zstd", "-dcq", "--memory=8MB"]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.DEVNULL, preexec_fn=limit) as zstd:
            write_frame(zstd.stdin)
            zstd.stdin.close()
    except BrokenPipeError:
        pass  # its status says it
    need(zstd.returncode == 0, "it does not decompress, or is longer than it should be")


class Slices:
    """Bytes to be read like a file."""

    def __init__(self, data):
        self.data = data

    def read(self, length):
        taken, self.data = self.data[:length], self.data[length:]
        return taken


def exactly(source, length):
    data = source.read(length)
    need(len(data) == length, "it ends early")
    return data


def take_envelope(source):
    start = exactly(source, 33)
    need(1 <= start[32] <= 32, "the header is not understood")
    entries = exactly(source, start[32] * 56)
    ids = [entries[at : at + 8] for at in range(0, len(entries), 56)]
    need(ids == sorted(set(ids)), "the recipients are not in order")
    return start + entries


def decrypt(aead, nonce, sealed, aad):
    try:
        return aead.decrypt(nonce, sealed, aad)
    except (InvalidTag, ValueError):
        raise Refused("a chunk is not what was sealed in its place")


# --- manifests and runs

MOST_LINE_BYTES = 1 << 24


def open_manifest(opener, path):
    """The lines: header, entries and trailer. Nothing is given out unless the digest is true and every path stays in its place."""
    with tempfile.TemporaryFile() as clear, tempfile.TemporaryFile() as stream, open_regular(path) as source:
        opener.open(source, stream, is_manifest=True)
        stream.seek(0)
        decompress(lambda frame: shutil.copyfileobj(stream, frame), clear)
        check_lines(lines_of(clear))
        yield from lines_of(clear)


def lines_of(clear):
    clear.seek(0)
    for line in iter(lambda: clear.readline(MOST_LINE_BYTES + 1), b""):
        need(line.endswith(b"\n") and len(line) <= MOST_LINE_BYTES, "a line of the manifest is too long, or cut off")
        yield line


def check_lines(lines):
    """Sound paths rise, and are below no entry that is not a directory, so that nothing is ever written through a link."""
    line = next(lines, b"{}")
    header = json.loads(line)
    need(header.get("bakker") == "impl" and header.get("version") == 1, "it is no manifest of version 1")
    digest, before, before_type = hashlib.sha256(line), [], "directory"
    for line in lines:
        entry = json.loads(line)
        if "end" in entry:
            break
        digest.update(line)
        parts = parts_of(entry["path"])
        need(parts > before, "paths are not in order")
        need(before_type == "directory" or parts[: len(before)] != before, "a path leaves its place")
        before, before_type = parts, entry["type"]
    else:
        entry = {}
    need(entry.get("digest") == digest.hexdigest() and next(lines, None) is None, "the manifest is not whole")


def parts_of(text):
    parts = as_bytes(text).split(b"/")
    need(all(part not in (b"", b".", b"..") and b"\0" not in part for part in parts), "a path leaves its place")
    return parts


def open_run(opener, account, run, out):
    run = os.path.basename(os.path.realpath(os.path.join(account, run)))
    lines = map(json.loads, open_manifest(opener, os.path.join(account, run + b".impl")))
    header = next(lines)
    need(header.get("run", "").encode() == run, "it is the manifest of another run")
    name_key = base64.b64decode(header["nameKey"]) if "nameKey" in header else None
    os.mkdir(out)
    directory_ids, problems = {b"": bytes(16)}, []
    for entry in lines:
        if "end" in entry:
            return problems
        path = as_bytes(entry["path"])
        try:
            # a folder that could not be made may be something else there: a link, on a disk that does not tell `A` from `a`
            need(os.path.dirname(path) in directory_ids, "the folder that it is in is not there")
            restore_entry(opener, os.path.join(account, run), os.path.join(out, path), entry, lambda: hidden(name_key, directory_ids, path))
            if entry["type"] == "directory":
                directory_ids[path] = bytes.fromhex(entry["nameId"]) if name_key else b""
            if "unreadable" in entry:
                raise Refused("the backup could not read it (%s)" % shown(as_bytes(entry["unreadable"])))
        except (Refused, OSError) as error:
            problems.append("%s: %s" % (shown(path), error))


def restore_entry(opener, stored_run, to, entry, hidden_path):
    if entry["type"] == "directory":
        os.mkdir(to)
    elif entry["type"] == "symlink" and "target" in entry:
        os.symlink(as_bytes(entry["target"]), to)
    elif entry["type"] == "file" and "unreadable" not in entry:
        stored = entry.get("stored")
        restore_file(opener, os.path.join(stored_run, *parts_of(stored["at"])) if stored else os.path.join(stored_run, hidden_path()), to, entry)


def restore_file(opener, source, to, entry):
    open_to(opener, source, to, entry["size"])
    digest = hashlib.sha256()
    with open(to, "rb") as content:
        if os.fstat(content.fileno()).st_size == entry["size"]:
            for piece in iter(lambda: content.read(1 << 20), b""):
                digest.update(piece)
            if digest.hexdigest() == entry.get("sha256", digest.hexdigest()):
                return
    os.remove(to)
    raise Refused("it is not the content that the manifest names")


def open_to(opener, source, to, most=NO_LIMIT):
    """The name appears when all of it proved true."""
    beside = os.path.join(os.path.dirname(to), b".unsealing-" + os.urandom(8).hex().encode())
    try:
        with open_regular(source) as sealed, open(beside, "xb") as out:
            opener.open(sealed, out, most)
    except BaseException:
        if os.path.lexists(beside):
            os.remove(beside)
        raise
    os.rename(beside, to)


def open_regular(path):
    """Waits for no fifo, and reads no device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise Refused("it is no file")


def hidden(name_key, directory_ids, path):
    """Where a path lies below the run's folder."""
    if not name_key:
        return path
    parts, above = [], b""
    for name in path.split(b"/"):
        digest = hmac.new(name_key, b"bakker name 1\0" + directory_ids[above] + name, "sha256").digest()
        parts.append(base64.b32encode(digest[:16]).rstrip(b"=").lower())
        above = above + b"/" + name if above else name
    return b"/".join(parts)


def as_bytes(text):
    return text.encode() if isinstance(text, str) else base64.b64decode(text["b64"])


def shown(path):
    """Names may hold what a terminal obeys."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def main(words):
    if len(words) < 3:
        sys.exit(__doc__)
    keyfile, what, *rest = words
    os.umask(0o077)
    try:
        with open(keyfile, encoding="utf-8-sig") as file:
            opener = Opener(read_key(file.read()))
        if what == "file" and len(rest) == 2:
            source, to = map(os.fsencode, rest)
            open_to(opener, source, to)
        elif what == "manifest" and len(rest) == 1:
            for line in open_manifest(opener, rest[0]):
                sys.stdout.buffer.write(line)
        elif what == "run" and len(rest) == 3:
            problems = open_run(opener, *map(os.fsencode, rest))
            sys.exit("\n".join("unseal: " + each for each in problems) if problems else 0)
        else:
            sys.exit(__doc__)
    except (Refused, OSError) as error:
        sys.exit("unseal: %s" % error)
    except KeyboardInterrupt:
        sys.exit("unseal: interrupted")
    except EOFError:
        sys.exit("unseal: the key is protected by a passphrase, and none was typed")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        sys.exit("unseal: it is not as the document says: %s: %s" % (type(error).__name__, error))


if __name__ == "__main__":
    main(sys.argv[1:])
